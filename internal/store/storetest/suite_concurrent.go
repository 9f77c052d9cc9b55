package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

var storeCases = []testCase{{"close", testClose}}

var concurrentCases = []testCase{
	{"one log, many writers", testConcurrentLog},
	{"deliveries, releases and sweeps", testConcurrentBodies},
	{"saves", testConcurrentSaves},
	{"directory and shelf", testConcurrentNames},
	{"close while at work", testConcurrentClose},
}

func testClose(t *testing.T, s store.Store) {
	ctx := t.Context()
	ref := put(t, s, noise(1, 100<<10))
	b, err := s.Bodies().Open(ctx, ref)
	must(t, err)
	must(t, s.Close())
	must(t, s.Close())
	wantKind(t, "Commit", s.Account(1).Commit(ctx, 0, store.Entry{Last: 1}), mail.Unavailable)
	_, err = s.Account(1).Head(ctx)
	wantKind(t, "Head", err, mail.Unavailable)
	_, _, err = s.Bodies().Put(ctx, bytes.NewReader([]byte("x")))
	wantKind(t, "Put", err, mail.Unavailable)
	_, err = s.Directory().Find(ctx, "x")
	wantKind(t, "Find", err, mail.Unavailable)
	_, err = s.Shelf().Get(ctx, "x")
	wantKind(t, "Get", err, mail.Unavailable)
	_, err = collect(s.Accounts(ctx))
	wantKind(t, "Accounts", err, mail.Unavailable)
	if _, err := b.ReadAt(make([]byte, 10), 0); err != nil && mail.KindOf(err) != mail.Unavailable {
		t.Errorf("reading an open body gave %v", err)
	}
	must(t, b.Close())
}

// parallel runs fn n times at once and gives the first error.
func parallel(t testing.TB, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() {
			if err := fn(i); err != nil {
				errs <- fmt.Errorf("goroutine %d: %w", i, err)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
}

// testConcurrentLog has many writers append to one log. Whoever is stale reads
// the head again; in the end every record is there once, in order.
func testConcurrentLog(t *testing.T, s store.Store) {
	ctx := t.Context()
	const writers, each = 16, 25
	parallel(t, writers, func(i int) error {
		a := s.Account(1)
		for n := 0; n < each; {
			head, err := a.Head(ctx)
			if err != nil {
				return err
			}
			err = a.Commit(ctx, head, store.Entry{Last: head + 1, Record: fmt.Appendf(nil, "%d/%d", i, n)})
			switch {
			case err == nil:
				n++
			case !errors.Is(err, store.ErrStale):
				return err
			}
		}
		return nil
	})
	got, err := records(ctx, s.Account(1), 0)
	must(t, err)
	if len(got) != writers*each {
		t.Fatalf("%d records, want %d", len(got), writers*each)
	}
	next := map[string]int{}
	for i, r := range got {
		if r.Last != mail.ModSeq(i+1) {
			t.Fatalf("record %d ends at %d", i, r.Last)
		}
		writer, n, _ := bytes.Cut(r.Data, []byte("/"))
		if string(n) != fmt.Sprint(next[string(writer)]) {
			t.Fatalf("record %s out of turn", r.Data)
		}
		next[string(writer)]++
	}
}

// testConcurrentBodies delivers, takes over, lets go of and sweeps at once. A
// body that an account bears is there, whole.
func testConcurrentBodies(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Bodies().Sweep(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	var bodies atomic.Int64
	parallel(t, 12, func(i int) error {
		id := mail.AccountID(i + 1)
		var head mail.ModSeq
		var held []mail.BodyRef
		for n := range 15 {
			size := 100 + n
			if n%5 == 0 {
				size = 257 << 10
			}
			ref, _, err := s.Bodies().Put(ctx, bytes.NewReader(noise(byte(n), size)))
			if err != nil {
				return err
			}
			e := store.Entry{Last: head + 1, Take: []mail.BodyRef{ref}}
			if n%2 == 1 {
				e.Release = held
				held = nil
			}
			if err := s.Account(id).Commit(ctx, head, e); err != nil {
				return err
			}
			// Another account takes it too, under the same lease.
			if err := takeRetry(ctx, s.Account(100), ref); err != nil {
				return err
			}
			head++
			held = append(held, ref)
			got, err := read(ctx, s, ref)
			if err != nil || !bytes.Equal(got, noise(byte(n), size)) {
				return fmt.Errorf("body %d: %d octets, %w", n, len(got), err)
			}
			bodies.Add(1)
		}
		return nil
	})
	cancel()
	sweeper.Wait()
	swept(t, s)
	all, err := collect(s.Bodies().All(t.Context()))
	must(t, err)
	if int64(len(all)) != bodies.Load() { // account 100 bears them all
		t.Errorf("%d bodies are left, want %d", len(all), bodies.Load())
	}
	must(t, s.Account(100).Destroy(t.Context()))
	swept(t, s)
	want := map[mail.BodyRef]bool{}
	for id := mail.AccountID(1); id <= 12; id++ {
		for ref, err := range s.Account(id).Marked(t.Context()) {
			must(t, err)
			want[ref] = true
		}
	}
	all, err = collect(s.Bodies().All(t.Context()))
	must(t, err)
	if len(all) != len(want) {
		t.Errorf("%d bodies are left, %d are marked", len(all), len(want))
	}
}

// takeRetry takes a body for an account that others commit to as well.
func takeRetry(ctx context.Context, a store.Account, ref mail.BodyRef) error {
	for {
		head, err := a.Head(ctx)
		if err != nil {
			return err
		}
		err = a.Commit(ctx, head, store.Entry{Last: head + 1, Take: []mail.BodyRef{ref}})
		if !errors.Is(err, store.ErrStale) {
			return err
		}
	}
}

// testConcurrentSaves has savers race for one scope: of those that saw the same
// Saved, one wins.
func testConcurrentSaves(t *testing.T, s store.Store) {
	ctx := t.Context()
	var won atomic.Int64
	parallel(t, 8, func(int) error {
		a := s.Account(1)
		for range 20 {
			saved, err := a.Load(ctx, 1, 1, func(uint64, []byte) error { return nil })
			if err != nil {
				return err
			}
			err = a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Was: saved, Now: saved + 1}}})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrStale):
				return err
			}
		}
		return nil
	})
	saved, err := s.Account(1).Load(ctx, 1, 1, func(uint64, []byte) error { return nil })
	must(t, err)
	if int64(saved) != won.Load() || saved == 0 {
		t.Errorf("saved at %d after %d saves that won", saved, won.Load())
	}
}

// testConcurrentNames has many create the same names and count with one value.
func testConcurrentNames(t *testing.T, s store.Store) {
	ctx := t.Context()
	var created, counted atomic.Int64
	parallel(t, 8, func(i int) error {
		for n := range 10 {
			_, err := s.Directory().Create(ctx, store.Identity{Name: fmt.Sprintf("user%d@example.org", n)}, noon)
			if err == nil {
				created.Add(1)
			} else if mail.KindOf(err) != mail.AlreadyExists {
				return err
			}
			v, err := s.Shelf().Get(ctx, "counter")
			if err != nil && mail.KindOf(err) != mail.NotFound {
				return err
			}
			_, err = s.Shelf().Put(ctx, "counter", append(v.Data, 'x'), v.Version, time.Time{})
			if err == nil {
				counted.Add(1)
			} else if !errors.Is(err, store.ErrStale) {
				return err
			}
		}
		return nil
	})
	if created.Load() != 10 {
		t.Errorf("%d accounts created under 10 names", created.Load())
	}
	v, err := s.Shelf().Get(ctx, "counter")
	must(t, err)
	if int64(len(v.Data)) != counted.Load() {
		t.Errorf("counter is %d after %d increments", len(v.Data), counted.Load())
	}
}

func testConcurrentClose(t *testing.T, s store.Store) {
	ctx := t.Context()
	var started sync.WaitGroup
	started.Add(8)
	closed := make(chan error, 1)
	go func() {
		started.Wait()
		closed <- s.Close()
	}()
	parallel(t, 8, func(i int) error {
		a := s.Account(mail.AccountID(i + 1))
		for n := mail.ModSeq(0); ; n++ {
			if n == 3 {
				started.Done()
			}
			ref, _, err := s.Bodies().Put(ctx, bytes.NewReader(noise(1, 1000)))
			if err == nil {
				err = a.Commit(ctx, n, store.Entry{Last: n + 1, Take: []mail.BodyRef{ref}})
			}
			if err == nil {
				_, err = records(ctx, a, 0)
			}
			if err != nil {
				if mail.KindOf(err) != mail.Unavailable || n < 3 {
					return err
				}
				return nil
			}
		}
	})
	must(t, <-closed)
}
