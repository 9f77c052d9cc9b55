package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// LeaseTime is how long a body in a Mem stays under its lease.
const LeaseTime = time.Hour

// Mem is a store in memory: the double for everybody above the contract. It
// keeps every promise of package store but durability, which Crash stands for,
// and sweeps only when told to.
type Mem struct {
	d     *memData
	grown map[mail.AccountID]chan struct{} // guarded by d.mu
}

// memData is what the nodes of one Mem share.
type memData struct {
	mu     sync.Mutex
	now    func() time.Time
	closed bool
	nodes  []*Mem

	accounts map[mail.AccountID]*memAccount
	unsynced []func() // takes back the Saves since the last commit, last first

	bodies   map[mail.BodyRef]*memBody
	lastBody uint64

	dir   memDirectory
	shelf memShelf
}

// Memory gives an empty store in memory.
func Memory() *Mem {
	d := &memData{
		now:      time.Now,
		accounts: map[mail.AccountID]*memAccount{},
		bodies:   map[mail.BodyRef]*memBody{},
	}
	d.dir.init()
	d.shelf.values = map[string]store.Value{}
	return d.node()
}

func (d *memData) node() *Mem {
	m := &Mem{d: d, grown: map[mail.AccountID]chan struct{}{}}
	d.nodes = append(d.nodes, m)
	return m
}

// Node gives another node on the same data: what it commits is a commit by
// other hands to m, told by Grew, and the other way round. Close of one closes
// all.
func (m *Mem) Node() *Mem {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return m.d.node()
}

// Crash is what a power cut and a restart do: every lease is over, and the
// Saves since the last Commit are undone, for a Save need not be durable when
// it returns. A closed store is open again.
func (m *Mem) Crash() {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	for _, undo := range slices.Backward(m.d.unsynced) {
		undo()
	}
	m.d.unsynced = nil
	for _, b := range m.d.bodies {
		b.lease = time.Time{}
	}
	m.d.closed = false
}

// Reopen opens a closed store again and keeps everything, as after a clean end.
// Leases are over.
func (m *Mem) Reopen() {
	m.EndLeases()
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.unsynced = nil
	m.d.closed = false
}

// EndLeases ends every lease, as LeaseTime does.
func (m *Mem) EndLeases() {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	for _, b := range m.d.bodies {
		b.lease = time.Time{}
	}
}

// SetNow replaces the clock that leases and the shelf go by.
func (m *Mem) SetNow(now func() time.Time) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.now = now
}

// enter locks the data for one call, or says why there can be none.
func (d *memData) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return mail.Wrap(err, mail.Canceled, "given up")
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return mail.Errorf(mail.Unavailable, "the store is closed")
	}
	return nil
}

// Account implements store.Store.
func (m *Mem) Account(id mail.AccountID) store.Account { return &memHandle{m: m, id: id} }

// Accounts implements store.Store.
func (m *Mem) Accounts(ctx context.Context) iter.Seq2[mail.AccountID, error] {
	return sequence(ctx, m.d, func() []mail.AccountID {
		var ids []mail.AccountID
		for id, a := range m.d.accounts {
			if a.head() > 0 || len(a.scopes) > 0 {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return ids
	})
}

// Bodies implements store.Store.
func (m *Mem) Bodies() store.Bodies { return memBodies{m.d} }

// Directory implements store.Store.
func (m *Mem) Directory() store.Directory { return memDirectoryHandle{m.d} }

// Shelf implements store.Store.
func (m *Mem) Shelf() store.Shelf { return memShelfHandle{m.d} }

// Close implements store.Store. Crash opens it again.
func (m *Mem) Close() error {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.closed = true
	return nil
}

// sequence lists what collect finds under the lock, and gives it without: the
// loop's body may call the store.
func sequence[T any](ctx context.Context, d *memData, collect func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if err := d.enter(ctx); err != nil {
			yield(zero, err)
			return
		}
		list := collect()
		d.mu.Unlock()
		for _, v := range list {
			if err := ctx.Err(); err != nil {
				yield(zero, mail.Wrap(err, mail.Canceled, "given up"))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// account gives the account's data, made on first use.
func (d *memData) account(id mail.AccountID) *memAccount {
	a := d.accounts[id]
	if a == nil {
		a = &memAccount{
			scopes:    map[store.Scope]*memScope{},
			summaries: map[mail.MessageID][]byte{},
			marks:     map[mail.BodyRef]bool{},
		}
		d.accounts[id] = a
	}
	return a
}

// signal tells every node but from that an account's log may have grown.
func (d *memData) signal(id mail.AccountID, from *Mem) {
	for _, n := range d.nodes {
		if n == from {
			continue
		}
		if ch := n.grown[id]; ch != nil {
			poke(ch)
		}
	}
}

// poke puts a signal into a channel with room for one.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// sortedKeys gives the keys of a map, ascending.
func sortedKeys[K interface{ ~uint64 }, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
