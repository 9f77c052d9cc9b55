package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// small are options for tests: little memory, no ballast, nothing in the
// background.
func small(fs vfs.FS) Options {
	return Options{FS: fs, MemTable: 1 << 20, Cache: 1 << 20, Reserve: -1, Ballast: -1, SweepEvery: -1}
}

func openStore(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return openStore(t, t.TempDir(), small(nil)) })
}

// TestContractInMemory runs the suite again on the kind of file system that the
// crash tests use, so that they do not find what belongs here.
func TestContractInMemory(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return openStore(t, "data", small(vfs.NewMem())) })
}

func TestModel(t *testing.T) {
	storetest.Model(t, func(t testing.TB) store.Store {
		s, err := Open("data", small(vfs.NewMem()))
		must(t, err)
		return s
	}, func(t testing.TB, closed store.Store) store.Store {
		s, err := Open("data", closed.(*Store).o)
		must(t, err)
		return s
	})
}

func put(t testing.TB, s *Store, data []byte) mail.BodyRef {
	t.Helper()
	ref, _, err := s.Bodies().Put(t.Context(), bytes.NewReader(data))
	must(t, err)
	return ref
}

// appendTo commits an entry of one change.
func appendTo(t testing.TB, s *Store, id mail.AccountID, e store.Entry) {
	t.Helper()
	a := s.Account(id)
	head, err := a.Head(t.Context())
	must(t, err)
	e.Last = head + 1
	must(t, a.Commit(t.Context(), head, e))
}

func readBody(ctx context.Context, s *Store, ref mail.BodyRef) ([]byte, error) {
	b, err := s.Bodies().Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	return data, errors.Join(err, b.Close())
}

// noise gives octets that compress badly and differ by seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	x := seed*0x9E3779B97F4A7C15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return b
}

func TestReopenKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, small(nil))
	must(t, err)
	inside, file := noise(1, 100<<10), noise(2, 1<<20)
	refs := []mail.BodyRef{put(t, s, inside), put(t, s, file)}
	appendTo(t, s, 1, store.Entry{Record: []byte("r"), Take: refs, Summaries: []store.Summary{{ID: 1, Data: []byte("s")}}})
	must(t, s.Account(1).Save(t.Context(), store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 1, Head: []byte("h")}}}))
	ada, err := s.Directory().Create(t.Context(), store.Identity{Name: "ada@example.org"}, time.Unix(1, 0))
	must(t, err)
	must(t, s.Directory().Remove(t.Context(), ada.ID))
	v1, err := s.Shelf().Put(t.Context(), "k", []byte("v"), 0, time.Time{})
	must(t, err)
	must(t, s.Close())

	s = openStore(t, dir, small(nil))
	head, err := s.Account(1).Head(t.Context())
	must(t, err)
	if head != 1 {
		t.Errorf("head is %d", head)
	}
	saved, err := s.Account(1).Load(t.Context(), 1, 1, func(uint64, []byte) error { return nil })
	must(t, err)
	if saved != 1 {
		t.Errorf("saved at %d", saved)
	}
	for i, want := range [][]byte{inside, file} {
		got, err := readBody(t.Context(), s, refs[i])
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("body %d: other octets came back", i)
		}
	}
	// Names, accounts and versions given out before are not given again.
	if ref := put(t, s, nil); ref == refs[0] || ref == refs[1] {
		t.Error("a body's name was used again")
	}
	bob, err := s.Directory().Create(t.Context(), store.Identity{Name: "bob@example.org"}, time.Unix(1, 0))
	must(t, err)
	if bob.ID <= ada.ID {
		t.Errorf("account %d after %d", bob.ID, ada.ID)
	}
	must(t, s.Shelf().Delete(t.Context(), "k", v1))
	v2, err := s.Shelf().Put(t.Context(), "k", []byte("v"), 0, time.Time{})
	must(t, err)
	if v2 <= v1 {
		t.Errorf("version %d after %d", v2, v1)
	}
}

func TestLeasesEndAtReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, small(nil))
	must(t, err)
	refs := []mail.BodyRef{put(t, s, []byte("x")), put(t, s, noise(1, 400<<10))}
	must(t, s.Close())
	s = openStore(t, dir, small(nil))
	for _, ref := range refs {
		err = s.Account(1).Commit(t.Context(), 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}})
		if !errors.Is(err, store.ErrLease) {
			t.Errorf("taking a body put before the restart gave %v", err)
		}
	}
	sw, err := s.Bodies().Sweep(t.Context())
	must(t, err)
	if sw != (store.Swept{Bodies: 2, Bytes: 1 + 400<<10}) {
		t.Errorf("swept %+v", sw)
	}
	if files := bodyFiles(t, dir); len(files) != 0 {
		t.Errorf("files left: %v", files)
	}
}

// bodyFiles lists the files of bodies in a directory on disk.
func bodyFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "bodies", "*", "*"))
	must(t, err)
	return files
}

// TestBackgroundSweep moves the clock: what outlives its lease unmarked goes
// without being told to, at the cost of what is new.
func TestBackgroundSweep(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := small(vfs.NewMem())
	o.Now = func() time.Time { return now }
	s := openStore(t, "data", o)
	step := func(want int) {
		t.Helper()
		sw, err := s.sweep(t.Context(), false)
		must(t, err)
		if sw.Bodies != want {
			t.Errorf("swept %d bodies, want %d", sw.Bodies, want)
		}
	}
	kept, left := put(t, s, []byte("kept")), put(t, s, []byte("left"))
	large := put(t, s, noise(1, 300<<10))
	appendTo(t, s, 1, store.Entry{Take: []mail.BodyRef{kept}})
	now = now.Add(time.Minute)
	step(0)
	now = now.Add(59 * time.Minute)
	step(0) // the tail of what was put is timed from the first look after it
	now = now.Add(time.Minute)
	step(2)
	for ref, want := range map[mail.BodyRef]bool{kept: true, left: false, large: false} {
		_, err := readBody(t.Context(), s, ref)
		if want != (err == nil) {
			t.Errorf("body %v: %v", ref, err)
		}
	}
	horizon, err := s.horizon()
	must(t, err)
	if id, _ := s.owns(large); horizon != id+1 {
		t.Errorf("horizon is %d, want %d: what was looked at is looked at no more", horizon, id+1)
	}
	appendTo(t, s, 1, store.Entry{Release: []mail.BodyRef{kept}})
	step(1)
	step(0)
}

func TestSlowPutStaysUnderLease(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := small(vfs.NewMem())
	o.Now = func() time.Time { return now }
	s := openStore(t, "data", o)
	r, w := io.Pipe()
	type result struct {
		ref mail.BodyRef
		err error
	}
	done := make(chan result, 1)
	go func() {
		ref, _, err := s.Bodies().Put(t.Context(), r)
		done <- result{ref, err}
	}()
	_, err := w.Write(noise(1, 400<<10))
	must(t, err)
	for range 5 { // hours go by while it arrives
		now = now.Add(time.Hour)
		put(t, s, []byte("something else"))
		_, err := s.sweep(t.Context(), false)
		must(t, err)
	}
	must(t, w.Close())
	res := <-done
	must(t, res.err)
	now = now.Add(50 * time.Minute)
	_, err = s.sweep(t.Context(), false)
	must(t, err)
	appendTo(t, s, 1, store.Entry{Take: []mail.BodyRef{res.ref}})
	_, err = readBody(t.Context(), s, res.ref)
	must(t, err)
}

func TestShelfSweep(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := small(vfs.NewMem())
	o.Now = func() time.Time { return now }
	s := openStore(t, "data", o)
	for i := range 10 {
		_, err := s.Shelf().Put(t.Context(), fmt.Sprint(i), []byte("v"), 0, now.Add(time.Duration(i)*time.Minute))
		must(t, err)
	}
	_, err := s.Shelf().Put(t.Context(), "0", []byte("longer"), store.AnyVersion, now.Add(time.Hour))
	must(t, err)
	now = now.Add(4 * time.Minute) // 1 to 4 are over, 0 was put off
	must(t, s.sweepShelf(t.Context()))
	left := 0
	must(t, s.each(t.Context(), []byte{tableShelf}, func(_, _ []byte) (bool, error) { left++; return true, nil }))
	index := 0
	must(t, s.each(t.Context(), []byte{tableExpiry}, func(_, _ []byte) (bool, error) { index++; return true, nil }))
	if left != 6 || index != 6 {
		t.Errorf("%d values and %d expiries are left, want 6 each", left, index)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, small(nil))
	_, err := Open(dir, small(nil))
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("a second Open gave %v, want a LockedError with pid %d", err, os.Getpid())
	}
	if os.Getenv(lockedDir) != "" {
		return
	}
	// And from another process.
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockedChild$")
	cmd.Env = append(os.Environ(), lockedDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("refused: pid %d", os.Getpid())) {
		t.Errorf("the other process says %v: %s", err, out)
	}
}

const lockedDir = "POSTERN_TEST_LOCKED_DIR"

func TestLockedChild(t *testing.T) {
	dir := os.Getenv(lockedDir)
	if dir == "" {
		return // this is no test, but what TestLocked starts
	}
	_, err := Open(dir, small(nil))
	var locked *LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("Open gave %v", err)
	}
	fmt.Printf("refused: pid %d\n", locked.PID)
}

func TestFormat(t *testing.T) {
	cases := []struct {
		name, text, want string
	}{
		{"newer", "Postern store, format 2\n", "format 2"},
		{"foreign", "ext4\n", "nothing Postern wrote"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(c.text), 0o600))
			_, err := Open(dir, small(nil))
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open gave %v, want a FormatError that says %q", err, c.want)
			}
		})
	}
	t.Run("no store", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600))
		_, err := Open(dir, small(nil))
		var format *FormatError
		if !errors.As(err, &format) {
			t.Errorf("Open gave %v, want a FormatError", err)
		}
	})
	t.Run("engine gone", func(t *testing.T) {
		dir := t.TempDir()
		s, err := Open(dir, small(nil))
		must(t, err)
		must(t, s.Close())
		must(t, os.RemoveAll(filepath.Join(dir, "pebble")))
		if s, err := Open(dir, small(nil)); err == nil {
			_ = s.Close()
			t.Error("a store without its engine was opened as an empty one")
		}
	})
	t.Run("making interrupted", func(t *testing.T) {
		dir := t.TempDir()
		must(t, writeFormat(vfs.Default, dir, formatBegun))
		s := openStore(t, dir, small(nil))
		appendTo(t, s, 1, store.Entry{})
		if state, err := readFormat(vfs.Default, dir); err != nil || state != formatComplete {
			t.Errorf("FORMAT says %v, %v", state, err)
		}
	})
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	o := small(nil)
	o.Ballast, o.Reserve = 4096, 1
	s := openStore(t, dir, o)
	appendTo(t, s, 1, store.Entry{Take: []mail.BodyRef{put(t, s, noise(1, 300<<10))}})
	must(t, s.db.Flush())
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		files++
		return nil
	}))
	if files < 10 {
		t.Errorf("only %d files seen", files)
	}
}
