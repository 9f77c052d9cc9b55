package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is how much of the memory this process can have Go may fill before it collects harder, in percent: the rest is
// for what is not on its heap.
const memoryShare = 90

// tuneMemory sets up to where memory may grow before it is collected harder (GOMEMLIMIT). Who sets that is obeyed. It gives the limit in octets, 0 if there
// is none.
func tuneMemory() (limit int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1)
	}
	if limit = memoryHere("/proc", "/sys/fs/cgroup") / 100 * memoryShare; limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// memoryHere is how much memory this process can have, in octets: the least that a control group it is in allows, or what
// the machine has. 0 if nobody says so.
func memoryHere(proc, cgroup string) int64 {
	least := memTotal(filepath.Join(proc, "meminfo"))
	self, err := os.ReadFile(filepath.Join(proc, "self", "cgroup"))
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(self)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::") // cgroups(7): version 2
		if !ok {
			continue
		}
		for {
			text, err := os.ReadFile(filepath.Join(cgroup, path, "memory.max"))
			if max, bad := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && bad == nil && (least == 0 || max < least) {
				least = max
			}
			if path == "/" || path == "." || path == "" {
				break
			}
			path = filepath.Dir(path)
		}
	}
	return least
}

// memTotal reads the machine's memory from /proc/meminfo (proc(5)).
func memTotal(file string) int64 {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
