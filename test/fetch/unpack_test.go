package fetch

import (
	"maps"
	"slices"
	"testing"
)

// What ldd says of a program of which one library lies below the root, as its manual shows it.
func TestReadLdd(t *testing.T) {
	const said = `	linux-vdso.so.1 (0x00007ffd2b5c6000)
	libdovecot.so.0 => /peers/root/usr/lib/dovecot/libdovecot.so.0 (0x00007f0a)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0b)
	libgone.so.1 => not found
	/lib64/ld-linux-x86-64.so.2 (0x00007f0c)
	statically linked
`
	found := map[string]bool{}
	if err := readLdd([]byte(said), "/peers/root", found); err != nil {
		t.Fatal(err)
	}
	want := []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("the libraries are %q, want %q", got, want)
	}
}
