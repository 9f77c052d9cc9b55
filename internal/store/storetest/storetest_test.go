package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return storetest.Memory() })
}

// TestFailingWithoutCommand shows that the wrapper alone changes nothing.
func TestFailingWithoutCommand(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return storetest.Failing(storetest.Memory()) })
}

func TestMemoryModel(t *testing.T) {
	storetest.Model(t, func(testing.TB) store.Store { return storetest.Memory() },
		func(_ testing.TB, closed store.Store) store.Store {
			m := closed.(*storetest.Mem)
			m.Reopen()
			return m
		})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func saved(t *testing.T, s store.Store) mail.ModSeq {
	t.Helper()
	at, err := s.Account(1).Load(t.Context(), 1, 1, func(uint64, []byte) error { return nil })
	must(t, err)
	return at
}

func TestMemoryCrash(t *testing.T) {
	m, ctx := storetest.Memory(), t.Context()
	a := m.Account(1)
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Record: []byte("one")}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 1}}}))
	must(t, a.Commit(ctx, 1, store.Entry{Last: 2, Record: []byte("two")}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Was: 1, Now: 2}}, Forget: 2}))
	ref, _, err := m.Bodies().Put(ctx, bytes.NewReader([]byte("x")))
	must(t, err)
	m.Crash()
	if at := saved(t, m); at != 1 {
		t.Errorf("saved at %d; only the Save before the last Commit is durable", at)
	}
	n := 0
	for _, err := range a.Since(ctx, 0) {
		must(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("%d records: the forgetting of a lost Save is lost with it", n)
	}
	if err := a.Commit(ctx, 2, store.Entry{Last: 3, Take: []mail.BodyRef{ref}}); !errors.Is(err, store.ErrLease) {
		t.Errorf("a lease outlived the crash: %v", err)
	}
}

func TestMemoryNodes(t *testing.T) {
	one, ctx := storetest.Memory(), t.Context()
	two := one.Node()
	grewOne, grewTwo := one.Account(1).Grew(), two.Account(1).Grew()
	must(t, one.Account(1).Commit(ctx, 0, store.Entry{Last: 1}))
	select {
	case <-grewTwo:
	default:
		t.Error("the other node was not told")
	}
	select {
	case <-grewOne:
		t.Error("a node was told of its own commit")
	default:
	}
	if err := two.Account(1).Commit(ctx, 0, store.Entry{Last: 1}); !errors.Is(err, store.ErrStale) {
		t.Errorf("the other node's commit gave %v", err)
	}
	must(t, two.Account(1).Commit(ctx, 1, store.Entry{Last: 2}))
	<-grewOne
}

func TestMemoryLeaseTime(t *testing.T) {
	m, ctx := storetest.Memory(), t.Context()
	now := time.Unix(1e9, 0)
	m.SetNow(func() time.Time { return now })
	ref, _, err := m.Bodies().Put(ctx, bytes.NewReader([]byte("x")))
	must(t, err)
	now = now.Add(storetest.LeaseTime)
	if err := m.Account(1).Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}}); !errors.Is(err, store.ErrLease) {
		t.Errorf("taking after the lease gave %v", err)
	}
}

func TestFailingCommit(t *testing.T) {
	f, ctx := storetest.Failing(storetest.Memory()), t.Context()
	a := f.Account(1)
	f.Fail(storetest.OpCommit, storetest.Fault{Err: store.ErrUnknown, Skip: 1})
	f.Fail(storetest.OpCommit, storetest.Fault{Err: store.ErrUnknown, Done: true})
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1}))
	heads := []mail.ModSeq{1, 1, 2} // let through; not done; done and not told
	for i, want := range heads[1:] {
		if err := a.Commit(ctx, 1, store.Entry{Last: 2}); !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("commit %d gave %v", i, err)
		}
		if head, err := a.Head(ctx); err != nil || head != want {
			t.Fatalf("commit %d: head %d, %v; want %d", i, head, err, want)
		}
	}
	must(t, a.Commit(ctx, 2, store.Entry{Last: 3}))
	if n := f.Calls(storetest.OpCommit); n != 4 {
		t.Errorf("%d commits counted, want 4", n)
	}
	f.Fail(storetest.OpCommit, storetest.Fault{Err: store.ErrStale, Account: 2, Times: -1})
	must(t, a.Commit(ctx, 3, store.Entry{Last: 4}))
	for range 3 {
		if err := f.Account(2).Commit(ctx, 0, store.Entry{Last: 1}); !errors.Is(err, store.ErrStale) {
			t.Fatalf("commit of the other account gave %v", err)
		}
	}
	f.Clear()
	must(t, f.Account(2).Commit(ctx, 0, store.Entry{Last: 1}))
}

func TestFailingTears(t *testing.T) {
	f, ctx := storetest.Failing(storetest.Memory()), t.Context()
	broken := mail.Errorf(mail.Unavailable, "the cable is out")
	for i := range mail.ModSeq(3) {
		must(t, f.Account(1).Commit(ctx, i, store.Entry{Last: i + 1}))
	}
	f.Fail(storetest.OpSince, storetest.Fault{Err: broken, Cut: 2})
	n, last := 0, error(nil)
	for _, err := range f.Account(1).Since(ctx, 0) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 2 || !errors.Is(last, broken) {
		t.Errorf("%d records and %v", n, last)
	}
	ref, _, err := f.Bodies().Put(ctx, bytes.NewReader([]byte("0123456789")))
	must(t, err)
	b, err := f.Bodies().Open(ctx, ref)
	must(t, err)
	f.Fail(storetest.OpReadAt, storetest.Fault{Err: broken, Cut: 4, Times: -1})
	p := make([]byte, 4)
	if n, err := b.ReadAt(p, 0); n != 4 || err != nil {
		t.Errorf("before the damage: %d, %v", n, err)
	}
	if n, err := b.ReadAt(p, 2); n != 2 || !errors.Is(err, broken) || string(p[:n]) != "23" {
		t.Errorf("across the damage: %d, %v", n, err)
	}
	if n, err := b.ReadAt(p, 6); n != 0 || err == nil || err == io.EOF {
		t.Errorf("behind the damage: %d, %v", n, err)
	}
}

func TestFailingBlocks(t *testing.T) {
	f := storetest.Failing(storetest.Memory())
	block := storetest.NewBlock()
	f.Fail(storetest.OpCommit, storetest.Fault{Block: block, Times: 2})
	done := make(chan error, 1)
	go func() { done <- f.Account(1).Commit(t.Context(), 0, store.Entry{Last: 1}) }()
	<-block.Arrived()
	select {
	case err := <-done:
		t.Fatalf("the call did not wait: %v", err)
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Account(1).Commit(ctx, 0, store.Entry{Last: 1}); mail.KindOf(err) != mail.Canceled {
		t.Errorf("a canceled call that waits gave %v", err)
	}
	block.Release()
	must(t, <-done)
}

func TestFailingDiskFull(t *testing.T) {
	f, ctx := storetest.Failing(storetest.Memory()), t.Context()
	a := f.Account(1)
	ref, _, err := f.Bodies().Put(ctx, bytes.NewReader([]byte("x")))
	must(t, err)
	f.DiskFull(true)
	for what, err := range map[string]error{
		"taking":  a.Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}}),
		"summary": a.Commit(ctx, 0, store.Entry{Last: 1, Summaries: []store.Summary{{ID: 1}}}),
		"save":    a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Now: 1}}}),
	} {
		if mail.KindOf(err) != mail.NoSpace {
			t.Errorf("%s gave %v", what, err)
		}
	}
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Record: []byte("expunge"), Release: []mail.BodyRef{ref}}))
	f.DiskFull(false)
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Now: 1}}}))
}
