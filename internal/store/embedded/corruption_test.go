package embedded

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// flip changes one bit of a file.
func flip(t *testing.T, path string, rng *rand.Rand) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
	must(t, os.WriteFile(path, data, 0o600))
}

// TestBitFlips changes single bits in tables and body files. Whatever is read
// afterwards is what was written, or mail.Corrupt; never something else.
func TestBitFlips(t *testing.T) {
	flips := 120
	if testing.Short() {
		flips = 25
	}
	dir := t.TempDir()
	s, err := Open(dir, small(nil))
	must(t, err)
	var refs []mail.BodyRef
	var sizes []int
	var records []store.Record
	for i := range 24 {
		size := []int{500, 20 << 10, 150 << 10, 300 << 10}[i%4]
		ref := put(t, s, noise(uint64(i), size))
		refs, sizes = append(refs, ref), append(sizes, size)
		r := store.Record{Last: mail.ModSeq(i + 1), Data: noise(uint64(1000+i), 400)}
		appendTo(t, s, 1, store.Entry{Record: r.Data, Take: []mail.BodyRef{ref}})
		records = append(records, r)
	}
	must(t, s.db.Flush())
	must(t, s.Close())
	var files []string
	for _, pattern := range []string{"pebble/*.sst", "bodies/*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		if len(found) == 0 {
			t.Fatalf("no files %s", pattern)
		}
		for _, path := range found {
			name, err := filepath.Rel(dir, path)
			must(t, err)
			files = append(files, name)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	found := 0
	for i := range flips {
		// A copy each time: an opened store goes on compacting its files.
		damaged := filepath.Join(t.TempDir(), "copy")
		must(t, os.CopyFS(damaged, os.DirFS(dir)))
		flip(t, filepath.Join(damaged, files[i%len(files)]), rng)
		if damageSeen(t, damaged, refs, sizes, records) {
			found++
		}
		must(t, os.RemoveAll(damaged))
	}
	// A flip in an index of the table, or in a filter, may show nowhere.
	if found < flips/2 {
		t.Errorf("of %d flips, %d were noticed", flips, found)
	}
	if damageSeen(t, dir, refs, sizes, records) {
		t.Error("the undamaged store is reported as damaged")
	}
}

// damageSeen reads everything and reports whether mail.Corrupt came up.
func damageSeen(t *testing.T, dir string, refs []mail.BodyRef, sizes []int, records []store.Record) (seen bool) {
	t.Helper()
	s, err := Open(dir, small(nil))
	if err != nil {
		return true // refused to start: loud enough
	}
	defer func() { _ = s.Close() }() // the engine may complain about what it met
	for i, ref := range refs {
		got, err := readBody(t.Context(), s, ref)
		switch {
		case err != nil && mail.KindOf(err) == mail.Corrupt:
			seen = true
		case err != nil:
			t.Errorf("body %d: %v", i, err)
		case !bytes.Equal(got, noise(uint64(i), sizes[i])):
			t.Fatalf("body %d: wrong octets and no error", i)
		}
	}
	n := 0
	for r, err := range s.Account(1).Since(t.Context(), 0) {
		if err != nil {
			if mail.KindOf(err) != mail.Corrupt {
				t.Errorf("the log gave %v", err)
			}
			return true
		}
		if r.Last != records[n].Last || !bytes.Equal(r.Data, records[n].Data) {
			t.Fatalf("record %d is wrong, and no error", n)
		}
		n++
	}
	if n != len(records) {
		t.Errorf("%d records of %d, and no error", n, len(records))
	}
	return seen
}

// TestSwappedFiles puts whole files in each other's place, cuts one and removes
// one.
func TestSwappedFiles(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, small(nil))
	refs := []mail.BodyRef{put(t, s, noise(1, 300<<10)), put(t, s, noise(2, 300<<10)), put(t, s, noise(3, 300<<10)), put(t, s, noise(4, 300<<10))}
	path := func(i int) string {
		id, _ := s.owns(refs[i])
		return s.bodyPath(id)
	}
	must(t, os.Rename(path(0), path(0)+".x"))
	must(t, os.Rename(path(1), path(0)))
	must(t, os.Rename(path(0)+".x", path(1)))
	must(t, os.Truncate(path(2), 200<<10))
	must(t, os.Remove(path(3)))
	for i, ref := range refs {
		if _, err := readBody(t.Context(), s, ref); mail.KindOf(err) != mail.Corrupt {
			t.Errorf("body %d gave %v, want mail.Corrupt", i, err)
		}
	}
}

// TestSwappedChunks shows that a chunk's checksum knows where it belongs.
func TestSwappedChunks(t *testing.T) {
	s := openStore(t, t.TempDir(), small(nil))
	ref := put(t, s, noise(1, 200<<10))
	id, _ := s.owns(ref)
	one, _, err := s.get(chunkKey(id, 0))
	must(t, err)
	two, _, err := s.get(chunkKey(id, 1))
	must(t, err)
	must(t, s.db.Set(chunkKey(id, 0), two, nil))
	must(t, s.db.Set(chunkKey(id, 1), one, nil))
	if _, err := readBody(t.Context(), s, ref); mail.KindOf(err) != mail.Corrupt {
		t.Errorf("reading gave %v, want mail.Corrupt", err)
	}
	must(t, s.db.Delete(chunkKey(id, 0), nil))
	if _, err := readBody(t.Context(), s, ref); mail.KindOf(err) != mail.Corrupt {
		t.Errorf("reading with a chunk missing gave %v, want mail.Corrupt", err)
	}
}
