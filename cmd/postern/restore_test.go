package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store/embedded"
)

// TestRestoreInterrupted interrupts a restore in each of its stages: no server
// serves what it left, and it can be run again.
func TestRestoreInterrupted(t *testing.T) {
	s := backupSite(t)
	backup := filepath.Join(s.dir, "backup")
	s.run(t, "", "backup", backup)
	quiet := func(int64, int64) {}
	for _, stage := range []struct {
		name string
		stop func(t *testing.T, data string)
	}{
		{"at its begin", func(t *testing.T, data string) {
			release, err := claimRestore(filepath.Join(data, storeDirectory))
			if err := errors.Join(err, release()); err != nil {
				t.Fatal(err)
			}
		}},
		{"while it copies", func(t *testing.T, data string) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := restore(ctx, backup, data, false, func(done, total int64) {
				if done >= total/2 {
					cancel()
				}
			})
			if mail.KindOf(err) != mail.Canceled {
				t.Fatal(err)
			}
		}},
		{"before it renumbers", func(t *testing.T, data string) { builtIn(t, backup, data, true) }},
		{"before anything is moved", func(t *testing.T, data string) { builtIn(t, backup, data, false) }},
		{"while it moves", func(t *testing.T, data string) {
			place := filepath.Join(data, storeDirectory)
			builtIn(t, backup, data, false)
			if err := os.Rename(filepath.Join(place, restoringDirectory, "pebble"), filepath.Join(place, "pebble")); err != nil {
				t.Fatal(err)
			}
		}},
		{"before FORMAT is moved", func(t *testing.T, data string) {
			place := filepath.Join(data, storeDirectory)
			builtIn(t, backup, data, false)
			for _, name := range []string{"pebble", "bodies"} {
				if err := os.Rename(filepath.Join(place, restoringDirectory, name), filepath.Join(place, name)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(stage.name, func(t *testing.T) {
			r := newSite(t)
			if err := os.MkdirAll(r.data, 0o700); err != nil {
				t.Fatal(err)
			}
			stage.stop(t, r.data)
			for _, args := range [][]string{{"serve"}, {"check"}, {"account", "list"}} {
				got := postern(t, "", append([]string{"--config", r.config}, args...)...)
				if got.code == 0 || !strings.Contains(got.err, "run postern restore again") {
					t.Fatalf("%v after it was interrupted: exit code %d, %s", args, got.code, got.err)
				}
			}
			done, err := restore(t.Context(), backup, r.data, false, quiet)
			if err != nil || done.accounts != 1 || done.mailboxes != 6 {
				t.Fatal(done, err)
			}
			names, err := entries(filepath.Join(r.data, storeDirectory))
			if err != nil || strings.Contains(strings.Join(names, " "), strings.ToLower(embedded.RestoringFile)) {
				t.Errorf("left behind: %q, %v", names, err)
			}
			if out := r.run(t, "", "check"); !strings.Contains(out, "6 messages") || !strings.Contains(out, "no problem found") {
				t.Error(out)
			}
		})
	}
}

// builtIn does what restore does up to where it moves the files in.
func builtIn(t *testing.T, backup, data string, unnumbered bool) {
	t.Helper()
	place := filepath.Join(data, storeDirectory)
	release, err := claimRestore(place)
	if err != nil {
		t.Fatal(err)
	}
	build := filepath.Join(place, restoringDirectory)
	c, err := planCopy(filepath.Join(backup, storeDirectory))
	if err == nil {
		err = os.Mkdir(build, 0o700)
	}
	if err == nil {
		err = c.copyTo(t.Context(), build, func(int64, int64) {})
	}
	if err == nil {
		err = completeStore(build)
	}
	if err == nil && !unnumbered {
		err = renumber(t.Context(), build, false, &restored{})
	}
	if err := errors.Join(err, release()); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreRefusals(t *testing.T) {
	s := backupSite(t)
	dir := t.TempDir()
	backup := filepath.Join(dir, "backup")
	s.run(t, "", "backup", backup)
	to := filepath.Join(dir, "data")
	try := func(from string) result { return postern(t, "", "--data", to, "restore", from) }
	refuses(t, try(filepath.Join(dir, "none")), exitConfig, "there is no store")
	refuses(t, try(filepath.Join(backup, storeDirectory)), exitConfig, "name the directory it is in")
	if err := os.MkdirAll(filepath.Join(dir, "half", storeDirectory), 0o700); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(dir, "half", storeDirectory, unfinishedFile), "")
	refuses(t, try(filepath.Join(dir, "half")), exitConfig, "not finished")
	s.serve(t)
	refuses(t, try(s.data), exitConfig, "is no backup")
	if err := os.MkdirAll(filepath.Join(to, storeDirectory), 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := file(t, filepath.Join(to, storeDirectory, "thesis.tex"), "years of work")
	refuses(t, try(backup), exitConfig, "is not empty")
	if text, err := os.ReadFile(stranger); err != nil || string(text) != "years of work" {
		t.Error("a stranger's file is gone")
	}
	// Two at once.
	other := filepath.Join(dir, "other")
	release, err := claimRestore(mustMake(t, filepath.Join(other, storeDirectory)))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	refuses(t, postern(t, "", "--data", other, "restore", backup), 1, "another restore")
}

func mustMake(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
