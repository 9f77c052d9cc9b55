package embedded

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// sums gives a checksum for each file below a directory.
func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = sha256.Sum256(data)
		return err
	}))
	return all
}

func TestReadOnlyChangesNothing(t *testing.T) {
	whole, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s, err := Open(whole, small(nil))
	must(t, err)
	inside, file := noise(1, 100<<10), noise(2, 1<<20)
	refs := []mail.BodyRef{put(t, s, inside), put(t, s, file)}
	appendTo(t, s, 1, store.Entry{Record: []byte("r"), Take: refs})
	must(t, s.Backup(t.Context(), backup, nil)) // its data is in the log alone

	o := small(nil)
	o.ReadOnly = true
	_, err = Open(whole, o)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("a store that is open for writing: got %v", err)
	}
	must(t, s.Close())
	for _, dir := range []string{whole, backup} {
		before := sums(t, dir)
		s, err := Open(dir, o)
		must(t, err)
		for i, want := range [][]byte{inside, file} {
			got, err := readBody(t.Context(), s, refs[i])
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Errorf("body %d: other octets", i)
			}
		}
		if _, err := s.Verify(t.Context(), func(text string) { t.Error(text) }, nil); err != nil {
			t.Error(err)
		}
		a := s.Account(1)
		if err := a.Commit(t.Context(), 1, store.Entry{Last: 2, Record: []byte("r")}); mail.KindOf(err) != mail.Unavailable {
			t.Errorf("commit: got %v", err)
		}
		if _, _, err := s.Bodies().Put(t.Context(), strings.NewReader("x")); mail.KindOf(err) != mail.Unavailable {
			t.Errorf("put: got %v", err)
		}
		must(t, s.Close())
		if after := sums(t, dir); !maps.Equal(before, after) {
			t.Errorf("%s was changed: %d files, then %d", dir, len(before), len(after))
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), o); err == nil {
		t.Error("a directory that is not there was opened")
	}
	empty := t.TempDir()
	if _, err := Open(empty, o); mail.KindOf(err) != mail.NotFound || len(sums(t, empty)) != 0 {
		t.Errorf("an empty directory: got %v", err)
	}
}
