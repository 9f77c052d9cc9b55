package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMemoryHere reads what a machine and its control groups say.
func TestMemoryHere(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string // below proc or cgroup
		want  int64
	}{
		"nobody says":      {nil, 0},
		"the machine":      {map[string]string{"proc/meminfo": "MemFree: 1 kB\nMemTotal:       24576000 kB\n"}, 24576000 << 10},
		"a group":          {map[string]string{"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "0::/system.slice/postern.service\n", "cgroup/system.slice/postern.service/memory.max": "262144\n"}, 262144},
		"one above it":     {map[string]string{"proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/memory.max": "max\n", "cgroup/a/memory.max": "4096\n"}, 4096},
		"the root group":   {map[string]string{"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "8192\n"}, 8192},
		"more than is":     {map[string]string{"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": "0::/\n", "cgroup/memory.max": "8192\n"}, 1024},
		"version 1 groups": {map[string]string{"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": "4:memory:/x\n", "cgroup/x/memory.max": "1\n"}, 1024},
	} {
		dir := t.TempDir()
		for path, text := range c.files {
			path = filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			file(t, path, text)
		}
		if got := memoryHere(filepath.Join(dir, "proc"), filepath.Join(dir, "cgroup")); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
