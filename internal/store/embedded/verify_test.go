package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// verified gives what Verify reports.
func verified(t *testing.T, s *Store) []string {
	t.Helper()
	var found []string
	var last, whole int64
	v, err := s.Verify(t.Context(), func(text string) { found = append(found, text) },
		func(done, total int64) { last, whole = done, total })
	must(t, err)
	if last != whole || whole == 0 || v.Octets != whole || v.Files == 0 {
		t.Errorf("progress ended at %d of %d; %+v", last, whole, v)
	}
	return found
}

// flushed is a store whose data is in tables, with room for more than one block.
func flushed(t *testing.T) (*Store, string, []mail.BodyRef) {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir, small(nil))
	var refs []mail.BodyRef
	for i := range 20 {
		refs = append(refs, put(t, s, noise(uint64(i), 30<<10)))
	}
	appendTo(t, s, 1, store.Entry{Record: []byte("r"), Take: refs})
	must(t, s.db.Flush())
	return s, dir, refs
}

func TestVerifyReadsEveryTable(t *testing.T) {
	s, dir, _ := flushed(t)
	if found := verified(t, s); len(found) > 0 {
		t.Fatalf("a sound store: %q", found)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "pebble", "*.sst"))
	must(t, err)
	if len(tables) == 0 {
		t.Fatal("there is no table")
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		must(t, err)
		for _, at := range []int{10, len(data) / 2, len(data) - 200} { // data, and what describes it
			data[at] ^= 4
			must(t, os.WriteFile(table, data, 0o600))
			found := verified(t, s)
			if len(found) == 0 || !strings.Contains(found[0], filepath.Base(table)+" is damaged") {
				t.Errorf("octet %d of %s of %d: found %q", at, filepath.Base(table), len(data), found)
			}
			data[at] ^= 4
		}
		must(t, os.WriteFile(table, data, 0o600))
		must(t, os.Rename(table, table+".away"))
		if found := verified(t, s); len(found) != 1 || !strings.Contains(found[0], "missing") {
			t.Errorf("without %s: found %q", filepath.Base(table), found)
		}
		must(t, os.Rename(table+".away", table))
	}
}

func TestVerifyComparesMarks(t *testing.T) {
	s, _, refs := flushed(t)
	id, _ := s.owns(refs[3])
	for _, k := range [][]byte{key(tableBearer, uint64(id), 1), accountKey(tableMark, 1, uint64(id))} {
		must(t, s.db.Delete(k, pebble.NoSync))
		found := verified(t, s)
		if len(found) != 1 || !strings.Contains(found[0], refs[3].String()) || !strings.Contains(found[0], "account 1") {
			t.Errorf("without %q: found %q", k, found)
		}
		must(t, s.db.Set(k, nil, pebble.NoSync))
	}
}

// TestUnfinishedRestoreDoesNotOpen: what postern restore leaves when it is
// interrupted must not be taken for a store, nor for room for a new one.
func TestUnfinishedRestoreDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, RestoringFile), nil, 0o600))
	_, err := Open(dir, small(nil))
	if err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("got %v", err)
	}
}

func TestVerifyCountsWhatNobodyNeeds(t *testing.T) {
	s, _, refs := flushed(t)
	appendTo(t, s, 1, store.Entry{Record: []byte("r"), Release: refs[5:7]})
	left := put(t, s, noise(50, 1000)) // under its lease: it may yet be taken
	v, err := s.Verify(t.Context(), func(text string) { t.Error(text) }, nil)
	must(t, err)
	want := store.Swept{Bodies: 2, Bytes: 2 * 30 << 10}
	if v.Bodies != 21 || v.Unclaimed != want {
		t.Errorf("got %+v, want %+v unclaimed of 21", v, want)
	}
	s.Bodies().Abandon(t.Context(), left)
	swept, err := s.Bodies().Sweep(t.Context())
	must(t, err)
	if want := (store.Swept{Bodies: 3, Bytes: 2*30<<10 + 1000}); swept != want {
		t.Errorf("swept %+v, want %+v", swept, want)
	}
}
