package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tree is a process with all its descendants; 0 is none, and measures nothing.
type tree int

const tick = 0.01 // seconds: USER_HZ is 100 on every Linux that matters

// members lists the processes of the tree, itself first, with the fields of their stat behind the name.
func (t tree) members() (map[int][]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents, stats := map[int]int{}, map[int][]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		at := bytes.LastIndexByte(text, ')')
		if fields := strings.Fields(string(text[at+1:])); at > 0 && len(fields) > 15 {
			parents[pid], _ = strconv.Atoi(fields[1])
			stats[pid] = fields
		}
	}
	if stats[int(t)] == nil {
		return nil, fmt.Errorf("there is no process %d", int(t))
	}
	mine := map[int][]string{}
	for pid := range stats {
		for at := pid; at > 0; at = parents[at] {
			if at == int(t) {
				mine[pid] = stats[pid]
				break
			}
		}
	}
	return mine, nil
}

// cpu gives the processor time the tree has had, in seconds, that of members that have ended included. What lives is
// known to the nanosecond, what has ended to the tick.
func (t tree) cpu() (float64, error) {
	members, err := t.members()
	if err != nil {
		return 0, err
	}
	total := 0.0
	for pid, fields := range members {
		total += alive(pid, fields) + ticks(fields[13]) + ticks(fields[14]) // cutime, cstime
	}
	return total, nil
}

// alive gives what a process and its threads have had, without the children it has waited for.
func alive(pid int, fields []string) float64 {
	inTicks := ticks(fields[11]) + ticks(fields[12]) // utime, stime
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return inTicks
	}
	ns := 0.0
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if on, _, ok := strings.Cut(string(text), " "); ok {
			n, _ := strconv.ParseFloat(on, 64)
			ns += n
		}
	}
	return max(ns/1e9, inTicks-tick) // a thread that ended is in the ticks alone
}

func ticks(field string) float64 {
	n, _ := strconv.ParseFloat(field, 64)
	return n * tick
}

// pss gives the tree's proportional set size in octets.
func (t tree) pss() (int64, error) {
	members, err := t.members()
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for pid := range members {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			if os.IsNotExist(err) || strings.Contains(err.Error(), "no such process") {
				continue // it has ended
			}
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					return 0, err
				}
				total += kib << 10
			}
		}
	}
	return total, nil
}

// rest waits until the tree does next to nothing, so that work put off is counted with what caused it; at most most.
func (t tree) rest(ctx context.Context, most time.Duration) error {
	if t == 0 {
		return nil
	}
	const window = 200 * time.Millisecond
	last, err := t.cpu()
	for end := time.Now().Add(most); err == nil && time.Now().Before(end); {
		if err := pause(ctx, window); err != nil {
			return err
		}
		now := 0.0
		if now, err = t.cpu(); err == nil && now-last < 0.02*window.Seconds() {
			return nil
		}
		last = now
	}
	return err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
