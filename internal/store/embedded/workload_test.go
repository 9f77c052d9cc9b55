package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// The workload of the crash tests: deliveries small and large, bodies let go of,
// pages saved, log forgotten. What a record must say follows from its account
// and number alone, so that after a crash everything found can be checked, also
// what was never acknowledged.

// planned is what the n-th commit of an account does.
type planned struct {
	size    int  // of the body it takes; its octets are noise(account<<32|n)
	release bool // the body of commit n-1
}

func plan(id mail.AccountID, n mail.ModSeq) planned {
	rng := rand.New(rand.NewPCG(uint64(id), uint64(n)))
	p := planned{size: rng.IntN(3000), release: n > 1 && rng.IntN(3) == 0}
	switch rng.IntN(12) {
	case 0:
		p.size = 60<<10 + rng.IntN(190<<10)
	case 1:
		p.size = 257<<10 + rng.IntN(200<<10)
	}
	return p
}

func octets(id mail.AccountID, n mail.ModSeq, size int) []byte {
	return noise(uint64(id)<<32|uint64(n), size)
}

// record is the record of commit n: its number and the body it took.
func record(n mail.ModSeq, ref mail.BodyRef) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(n)), ref[:]...)
}

func recordRef(data []byte) mail.BodyRef { return mail.BodyRef(data[8:24]) }

// acks is what has been acknowledged.
type acks struct {
	mu   sync.Mutex
	head map[mail.AccountID]mail.ModSeq
	refs map[mail.BodyRef]bool // every name ever given out
}

func newAcks() *acks {
	return &acks{head: map[mail.AccountID]mail.ModSeq{}, refs: map[mail.BodyRef]bool{}}
}

// copyOf gives what is acknowledged at this moment.
func (a *acks) copyOf() *acks {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := newAcks()
	for id, n := range a.head {
		b.head[id] = n
	}
	for ref := range a.refs {
		b.refs[ref] = true
	}
	return b
}

// deliver makes commits to one account until ctx ends or the store fails. It ends
// what it has begun: a body that was put and never taken would be another's to
// explain.
func deliver(ctx context.Context, s *Store, id mail.AccountID, count int, told func(mail.ModSeq, mail.BodyRef)) error {
	a, ended := s.Account(id), ctx
	ctx = context.WithoutCancel(ctx)
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	var last mail.BodyRef
	for r, err := range a.Since(ctx, head-min(head, 1)) {
		if err != nil && !errors.Is(err, store.ErrForgotten) {
			return err
		}
		if err == nil {
			last = recordRef(r.Data)
		}
	}
	saved, err := a.Load(ctx, 1, 1, func(uint64, []byte) error { return nil })
	if err != nil {
		return err
	}
	for ; count > 0 && ended.Err() == nil; count-- {
		n := head + 1
		p := plan(id, n)
		ref, _, err := s.Bodies().Put(ctx, bytes.NewReader(octets(id, n, p.size)))
		if err != nil {
			return err
		}
		e := store.Entry{Last: n, Record: record(n, ref), Take: []mail.BodyRef{ref},
			Summaries: []store.Summary{{ID: mail.MessageID(n), Data: record(n, ref)}}}
		if p.release {
			e.Release = []mail.BodyRef{last}
			e.Drop = []mail.MessageID{mail.MessageID(n - 1)}
		}
		if err := a.Commit(ctx, head, e); err != nil {
			return err
		}
		told(n, ref)
		head, last = n, ref
		if n%7 == 0 {
			err := a.Save(ctx, savedAt(saved, n))
			if err != nil {
				return err
			}
			saved = n
		}
	}
	return nil
}

// savedAt is a Save whose every page says when it was made. It keeps the record
// of the last commit, for whoever goes on.
func savedAt(was, now mail.ModSeq) store.Save {
	data := fmt.Append(nil, now)
	ss := store.ScopeSave{Scope: 1, Was: was, Now: now, Head: data}
	for low := range uint64(5) {
		ss.Put = append(ss.Put, store.Page{PageKey: store.PageKey{Kind: 1, Low: low}, Data: data})
	}
	return store.Save{Scopes: []store.ScopeSave{ss}, Forget: now - min(now, 20)}
}

// verify checks an opened store against what was acknowledged: nothing of that
// is lost, and nothing at all is half there.
func verify(ctx context.Context, s *Store, told *acks) error {
	marked := map[mail.BodyRef]bool{}
	heads := map[mail.AccountID]mail.ModSeq{}
	for id, err := range s.Accounts(ctx) { // also those of whom nothing was acknowledged
		if err != nil {
			return err
		}
		heads[id] = 0
	}
	maps.Copy(heads, told.head)
	for id, acked := range heads {
		if err := verifyAccount(ctx, s, id, acked, marked); err != nil {
			return fmt.Errorf("account %d, acknowledged up to %d: %w", id, acked, err)
		}
	}
	if _, err := s.Bodies().Sweep(ctx); err != nil {
		return err
	}
	for ref, err := range s.Bodies().All(ctx) {
		if err != nil {
			return err
		}
		if !marked[ref] {
			return fmt.Errorf("body %v is left without a mark", ref)
		}
		delete(marked, ref)
	}
	if len(marked) > 0 {
		return fmt.Errorf("%d marked bodies are not listed", len(marked))
	}
	ref, _, err := s.Bodies().Put(ctx, bytes.NewReader([]byte("after the crash")))
	if err != nil || told.refs[ref] {
		return fmt.Errorf("a new body is %v (given out before: %v), %w", ref, told.refs[ref], err)
	}
	s.Bodies().Abandon(ctx, ref)
	return nil
}

func verifyAccount(ctx context.Context, s *Store, id mail.AccountID, acked mail.ModSeq, marked map[mail.BodyRef]bool) error {
	a := s.Account(id)
	head, err := a.Head(ctx)
	if err != nil || head < acked {
		return fmt.Errorf("head is %d, %w", head, err)
	}
	saved, err := a.Load(ctx, 1, 1, func(_ uint64, data []byte) error { return nil })
	if err != nil || saved > head {
		return fmt.Errorf("saved at %d with head %d, %w", saved, head, err)
	}
	pages := 0
	_, err = a.Load(ctx, 1, 1, func(low uint64, data []byte) error {
		if pages++; string(data) != fmt.Sprint(saved) {
			return fmt.Errorf("page %d of the save at %d says %s", low, saved, data)
		}
		return nil
	})
	if err != nil || saved > 0 && pages != 5 {
		return fmt.Errorf("%d pages, %w", pages, err)
	}
	forgotten := saved - min(saved, 20)
	refs := map[mail.ModSeq]mail.BodyRef{}
	next := forgotten + 1
	for r, err := range a.Since(ctx, forgotten) {
		if err != nil {
			return err
		}
		if r.Last != next || binary.BigEndian.Uint64(r.Data) != uint64(next) {
			return fmt.Errorf("record %d where %d should be", r.Last, next)
		}
		refs[r.Last] = recordRef(r.Data)
		next++
	}
	if next != head+1 {
		return fmt.Errorf("the log ends at %d, the head is %d", next-1, head)
	}
	return verifyBodies(ctx, s, id, head, refs, marked)
}

// verifyBodies checks marks, summaries and octets against the plan.
func verifyBodies(ctx context.Context, s *Store, id mail.AccountID, head mail.ModSeq, refs map[mail.ModSeq]mail.BodyRef, marked map[mail.BodyRef]bool) error {
	a := s.Account(id)
	kept := map[mail.MessageID]bool{}
	for n := mail.ModSeq(1); n <= head; n++ {
		if n == head || !plan(id, n+1).release {
			kept[mail.MessageID(n)] = true
		}
	}
	for m, err := range a.SummaryIDs(ctx) {
		if err != nil {
			return err
		}
		if !kept[m] {
			return fmt.Errorf("summary %d should be gone", m)
		}
		var ref mail.BodyRef
		err = a.Summaries(ctx, []mail.MessageID{m}, func(_ int, data []byte) error {
			ref = recordRef(data)
			if !bytes.Equal(data, record(mail.ModSeq(m), ref)) {
				return fmt.Errorf("summary %d is %x", m, data)
			}
			return nil
		})
		if err != nil {
			return err
		}
		n := mail.ModSeq(m)
		if in, ok := refs[n]; ok && in != ref {
			return fmt.Errorf("record %d and its summary name different bodies", n)
		}
		refs[n] = ref
		delete(kept, m)
		if err := verifyOctets(ctx, s, ref, octets(id, n, plan(id, n).size)); err != nil {
			return fmt.Errorf("commit %d: %w", n, err)
		}
		marked[ref] = true
	}
	if len(kept) > 0 {
		return fmt.Errorf("summaries lost: %v", kept)
	}
	count := 0
	for ref, err := range a.Marked(ctx) {
		if count++; err != nil || !marked[ref] {
			return fmt.Errorf("body %v should bear no mark, %w", ref, err)
		}
	}
	own := 0
	for n, ref := range refs {
		if marked[ref] && (n == head || !plan(id, n+1).release) {
			own++
		}
	}
	if count != own {
		return fmt.Errorf("%d marks, want %d", count, own)
	}
	return nil
}

func verifyOctets(ctx context.Context, s *Store, ref mail.BodyRef, want []byte) error {
	b, err := s.Bodies().Open(ctx, ref)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("body %v: %d octets, want %d others", ref, len(got), len(want))
	}
	return errors.Join(err, b.Close())
}

// TestWorkload shows that the workload and its check agree where nothing fails.
func TestWorkload(t *testing.T) {
	s := openStore(t, t.TempDir(), small(nil))
	told := newAcks()
	for id := mail.AccountID(1); id <= 2; id++ {
		must(t, deliver(t.Context(), s, id, 60, func(n mail.ModSeq, ref mail.BodyRef) {
			told.head[id] = n
			told.refs[ref] = true
		}))
	}
	must(t, verify(t.Context(), s, told))
	told.head[1]++
	if verify(t.Context(), s, told) == nil {
		t.Error("a lost commit is not found out")
	}
}
