package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"postern/internal/mail"
	"postern/internal/store"
)

// bodySizes are the sizes at which a driver may change its ways, and one octet
// to either side.
var bodySizes = []int{0, 1, 1000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 256<<10 - 1, 256 << 10, 256<<10 + 1, 5 << 20}

var bodyCases = []testCase{
	{"sizes", testBodySizes},
	{"ranges", testBodyRanges},
	{"odd readers", testBodyReaders},
	{"a reader's error", testBodyReaderError},
	{"not found", testBodyNotFound},
	{"names", testBodyNames},
	{"leases and marks", testBodyLeases},
	{"shared between accounts", testBodyShared},
	{"taken and released at once", testBodyTakeRelease},
	{"abandon", testBodyAbandon},
	{"sweep", testBodySweep},
	{"open while swept", testBodyOpenSwept},
	{"read by many", testBodyReadMany},
}

// take commits an entry that takes bodies.
func take(t testing.TB, a store.Account, refs ...mail.BodyRef) {
	t.Helper()
	head, err := a.Head(t.Context())
	must(t, err)
	must(t, a.Commit(t.Context(), head, store.Entry{Last: head + 1, Take: refs}))
}

// release commits an entry that lets go of bodies.
func release(t testing.TB, a store.Account, refs ...mail.BodyRef) {
	t.Helper()
	head, err := a.Head(t.Context())
	must(t, err)
	must(t, a.Commit(t.Context(), head, store.Entry{Last: head + 1, Release: refs}))
}

func testBodySizes(t *testing.T, s store.Store) {
	refs := map[int]mail.BodyRef{}
	for i, size := range bodySizes {
		refs[size] = put(t, s, noise(byte(i), size))
		take(t, s.Account(1), refs[size])
	}
	for i, size := range bodySizes {
		b, err := s.Bodies().Open(t.Context(), refs[size])
		must(t, err)
		if b.Size() != int64(size) {
			t.Errorf("size %d: Size is %d", size, b.Size())
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		must(t, err)
		if !bytes.Equal(got, noise(byte(i), size)) {
			t.Errorf("size %d: other octets came back", size)
		}
		// The rules of io.ReaderAt at the end.
		n, err := b.ReadAt(make([]byte, 10), int64(size))
		if n != 0 || err != io.EOF {
			t.Errorf("size %d: reading at the end gives %d, %v", size, n, err)
		}
		n, err = b.ReadAt(make([]byte, size+1), 0)
		if n != size || err != io.EOF {
			t.Errorf("size %d: reading beyond the end gives %d, %v", size, n, err)
		}
		if _, err = b.ReadAt(make([]byte, 1), -1); err == nil {
			t.Errorf("size %d: reading at -1 gives no error", size)
		}
		must(t, b.Close())
	}
	all, err := collect(s.Bodies().All(t.Context()))
	must(t, err)
	if len(all) != len(bodySizes) {
		t.Errorf("All gives %d bodies, want %d", len(all), len(bodySizes))
	}
}

func testBodyRanges(t *testing.T, s store.Store) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1000, 200 << 10, 700 << 10} {
		want := noise(9, size)
		b, err := s.Bodies().Open(t.Context(), put(t, s, want))
		must(t, err)
		for range 300 {
			off := rng.IntN(size)
			p := make([]byte, rng.IntN(min(size-off, 150<<10)+1))
			n, err := b.ReadAt(p, int64(off))
			if n != len(p) || err != nil && err != io.EOF || !bytes.Equal(p, want[off:off+n]) {
				t.Fatalf("size %d: %d octets at %d gave %d, %v", size, len(p), off, n, err)
			}
		}
		must(t, b.Close())
	}
}

func testBodyReaders(t *testing.T, s store.Store) {
	data := noise(4, 300<<10)
	readers := map[string]io.Reader{
		"one octet at a time": iotest.OneByteReader(bytes.NewReader(data)),
		"half of each buffer": iotest.HalfReader(bytes.NewReader(data)),
		"data with io.EOF":    iotest.DataErrReader(bytes.NewReader(data)),
		"only Read":           struct{ io.Reader }{bytes.NewReader(data)},
	}
	for name, r := range readers {
		ref, size, err := s.Bodies().Put(t.Context(), r)
		must(t, err)
		got, err := read(t.Context(), s, ref)
		must(t, err)
		if size != int64(len(data)) || !bytes.Equal(got, data) {
			t.Errorf("%s: %d octets stored, others came back", name, size)
		}
	}
}

func testBodyReaderError(t *testing.T, s store.Store) {
	// io.ErrUnexpectedEOF is what a literal cut off by the network reads as: an
	// error like any other, and no end.
	for _, broken := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF} {
		for _, size := range []int{0, 1000, 100 << 10, 256 << 10, 1 << 20} {
			_, _, err := s.Bodies().Put(t.Context(), io.MultiReader(bytes.NewReader(noise(1, size)), iotest.ErrReader(broken)))
			if err != broken {
				t.Errorf("after %d octets: Put gave %v, want the reader's error as it is", size, err)
			}
		}
	}
	all, err := collect(s.Bodies().All(t.Context()))
	must(t, err)
	wantEqual(t, "bodies kept of broken readers", all, nil, same)
}

func testBodyNotFound(t *testing.T, s store.Store) {
	ref := put(t, s, []byte("x"))
	other := ref
	other[0] ^= 0x80
	next := ref
	next[15]++
	for _, missing := range []mail.BodyRef{{}, other, next} {
		_, err := s.Bodies().Open(t.Context(), missing)
		wantKind(t, "Open of no body", err, mail.NotFound)
		s.Bodies().Abandon(t.Context(), missing)
		err = s.Account(1).Commit(t.Context(), 0, store.Entry{Last: 1, Take: []mail.BodyRef{missing}})
		wantErr(t, "taking no body", err, store.ErrLease)
	}
	release(t, s.Account(1), next) // passed over
}

func testBodyNames(t *testing.T, s store.Store) {
	seen := map[mail.BodyRef]bool{}
	for range 200 {
		ref := put(t, s, []byte("the same octets"))
		if ref.IsZero() || seen[ref] {
			t.Fatalf("name %v was used before or names nothing", ref)
		}
		seen[ref] = true
		s.Bodies().Abandon(t.Context(), ref)
		swept(t, s)
	}
}

func testBodyLeases(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	ref := put(t, s, []byte("x"))
	if sw := swept(t, s); sw.Bodies != 0 {
		t.Errorf("a body under lease was swept: %+v", sw)
	}
	take(t, a, ref)
	take(t, a, ref) // a retry is harmless
	s.Bodies().Abandon(ctx, ref)
	take(t, a, ref) // without a lease too, for it is marked
	if sw := swept(t, s); sw.Bodies != 0 {
		t.Errorf("a marked body was swept: %+v", sw)
	}
	refs, err := collect(a.Marked(ctx))
	must(t, err)
	wantEqual(t, "marks", refs, []mail.BodyRef{ref}, same)

	// Without a lease, a mark of another account does not help.
	err = s.Account(2).Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}})
	wantErr(t, "taking a body without lease", err, store.ErrLease)
	refs, err = collect(s.Account(2).Marked(ctx))
	must(t, err)
	wantEqual(t, "marks", refs, nil, same)

	// All or nothing, when one of several bodies has no lease.
	fresh := put(t, s, []byte("y"))
	err = s.Account(2).Commit(ctx, 0, store.Entry{Last: 1, Record: []byte("r"), Take: []mail.BodyRef{fresh, ref}})
	wantErr(t, "taking two", err, store.ErrLease)
	head, err := s.Account(2).Head(ctx)
	must(t, err)
	if head != 0 {
		t.Error("a refused entry was written")
	}
}

func testBodyShared(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, size := range []int{100, 300 << 10} {
		data := noise(7, size)
		ref := put(t, s, data)
		for id := mail.AccountID(1); id <= 3; id++ {
			take(t, s.Account(id), ref)
		}
		for id := mail.AccountID(1); id <= 3; id++ {
			if sw := swept(t, s); sw.Bodies != 0 {
				t.Fatalf("swept while account %d has it", id)
			}
			got, err := read(ctx, s, ref)
			must(t, err)
			if !bytes.Equal(got, data) {
				t.Fatal("other octets came back")
			}
			release(t, s.Account(id), ref)
			release(t, s.Account(id), ref) // again is harmless
		}
		if sw := swept(t, s); sw != (store.Swept{Bodies: 1, Bytes: int64(size)}) {
			t.Errorf("swept %+v, want the body of %d octets", sw, size)
		}
		_, err := s.Bodies().Open(ctx, ref)
		wantKind(t, "Open of a swept body", err, mail.NotFound)
		head, err := s.Account(1).Head(ctx)
		must(t, err)
		err = s.Account(1).Commit(ctx, head, store.Entry{Last: head + 1, Take: []mail.BodyRef{ref}})
		wantErr(t, "taking a swept body", err, store.ErrLease)
	}
}

func testBodyTakeRelease(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	ref := put(t, s, []byte("x"))
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref, ref}, Release: []mail.BodyRef{ref}}))
	refs, err := collect(a.Marked(ctx))
	must(t, err)
	wantEqual(t, "marks", refs, nil, same)
	if sw := swept(t, s); sw.Bodies != 1 {
		t.Errorf("swept %+v, want the one body", sw)
	}
}

func testBodyAbandon(t *testing.T, s store.Store) {
	ctx := t.Context()
	ref := put(t, s, noise(1, 300<<10))
	s.Bodies().Abandon(ctx, ref)
	s.Bodies().Abandon(ctx, ref)
	err := s.Account(1).Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}})
	wantErr(t, "taking an abandoned body", err, store.ErrLease)
	if sw := swept(t, s); sw != (store.Swept{Bodies: 1, Bytes: 300 << 10}) {
		t.Errorf("swept %+v, want the one body", sw)
	}
	if sw := swept(t, s); sw != (store.Swept{}) {
		t.Errorf("the next sweep removed %+v", sw)
	}
}

func testBodySweep(t *testing.T, s store.Store) {
	ctx := t.Context()
	var kept, gone []mail.BodyRef
	var want store.Swept
	for i := range 60 {
		size := 10 + i*7
		if i%10 == 0 {
			size = 300<<10 + i
		}
		ref := put(t, s, noise(byte(i), size))
		switch i % 3 {
		case 0:
			take(t, s.Account(mail.AccountID(i%5+1)), ref)
			kept = append(kept, ref)
		case 1:
			take(t, s.Account(mail.AccountID(i%5+1)), ref)
			release(t, s.Account(mail.AccountID(i%5+1)), ref)
		case 2:
			s.Bodies().Abandon(ctx, ref)
		}
		if i%3 != 0 {
			gone = append(gone, ref)
			want.Bodies++
			want.Bytes += int64(size)
		}
	}
	if sw := swept(t, s); sw != want {
		t.Errorf("swept %+v, want %+v", sw, want)
	}
	for _, ref := range gone {
		_, err := s.Bodies().Open(ctx, ref)
		wantKind(t, "Open of a swept body", err, mail.NotFound)
	}
	for _, ref := range kept {
		_, err := read(ctx, s, ref)
		must(t, err)
	}
	all, err := collect(s.Bodies().All(ctx))
	must(t, err)
	if len(all) != len(kept) {
		t.Errorf("All gives %d bodies, want %d", len(all), len(kept))
	}
}

func testBodyOpenSwept(t *testing.T, s store.Store) {
	for _, size := range []int{10, 200 << 10, 400 << 10} {
		want := noise(2, size)
		ref := put(t, s, want)
		b, err := s.Bodies().Open(t.Context(), ref)
		must(t, err)
		s.Bodies().Abandon(t.Context(), ref)
		swept(t, s)
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		switch {
		case err == nil && bytes.Equal(got, want):
		case mail.KindOf(err) == mail.NotFound && bytes.HasPrefix(want, got):
		default:
			t.Errorf("size %d: a swept body gave %d octets and %v", size, len(got), err)
		}
		must(t, b.Close())
	}
}

func testBodyReadMany(t *testing.T, s store.Store) {
	for _, size := range []int{200 << 10, 700 << 10} {
		want := noise(5, size)
		b, err := s.Bodies().Open(t.Context(), put(t, s, want))
		must(t, err)
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for g := range 8 {
			wg.Go(func() {
				for off := g * 997; off < size; off += 30011 {
					p := make([]byte, min(5000, size-off))
					if n, err := b.ReadAt(p, int64(off)); n != len(p) || !bytes.Equal(p, want[off:off+n]) {
						errs <- fmt.Errorf("%d octets at %d gave %d, %v", len(p), off, n, err)
						return
					}
				}
			})
		}
		wg.Wait()
		must(t, b.Close())
		select {
		case err := <-errs:
			t.Error(err)
		default:
		}
	}
}
