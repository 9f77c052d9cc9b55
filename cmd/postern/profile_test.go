package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestProfile fetches profiles of a running server; without one it says so. A profile is gzip's.
func TestProfile(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	for _, args := range [][]string{{"heap"}, {"allocs"}, {"goroutine"}, {"cpu", "--for", "1s"}} {
		name := filepath.Join(s.dir, args[0])
		s.run(t, "", append(append([]string{"profile"}, args...), "-o", name)...)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatalf("%s: %v", args[0], err)
		}
		if n, err := io.Copy(io.Discard, z); n < 100 || err != nil {
			t.Errorf("%s: %d octets, %v", args[0], n, err)
		}
		f.Close()
	}
	none := newSite(t)
	refuses(t, postern(t, "", "--config", none.config, "profile", "heap"), 1, "no server answers on")
}
