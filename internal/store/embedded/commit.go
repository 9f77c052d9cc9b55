package embedded

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// head is where an account's log ends, for as long as somebody uses it.
type head struct {
	commit sync.Mutex // one commit at a time, held until it is durable
	save   sync.Mutex // one Save at a time
	users  int        // guarded by heads.mu

	mu    sync.Mutex
	known bool
	last  mail.ModSeq // durable
}

// heads holds the head of every account in use and of some that were lately. An
// account at rest costs nothing.
type heads struct {
	mu sync.Mutex
	of map[mail.AccountID]*head
}

// idleHeads is how many heads nobody uses are kept, some 100 octets each.
const idleHeads = 4096

func (h *heads) acquire(id mail.AccountID) *head {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.of[id]
	if a == nil {
		a = &head{}
		h.of[id] = a
	}
	a.users++
	return a
}

func (h *heads) release(a *head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.users--; len(h.of) <= idleHeads {
		return
	}
	for id, other := range h.of { // any one will do: reading it again is cheap
		if other.users == 0 {
			delete(h.of, id)
			return
		}
	}
}

// Account implements store.Store.
func (s *Store) Account(id mail.AccountID) store.Account { return account{s, id} }

// account implements store.Account. It is a pair of words; what it refers to is
// looked up when it is used.
type account struct {
	s  *Store
	id mail.AccountID
}

// lastOf gives the ModSeq at which the account's log ends.
func (a account) lastOf(h *head) (mail.ModSeq, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known {
		return h.last, nil
	}
	last, err := a.readLast()
	if err == nil {
		h.known, h.last = true, last
	}
	return last, err
}

// readLast finds the newest record; if all are forgotten, where that ended.
func (a account) readLast() (last mail.ModSeq, err error) {
	err = a.s.scan(a.s.db, key(tableLog, uint64(a.id)), func(it *pebble.Iterator) error {
		if !it.Last() {
			return nil
		}
		n, ok := number(it.Key(), 1)
		if ok && n == 0 {
			n, ok = decodeU64(it.Value())
		}
		if !ok {
			return corrupt("the log", it.Key())
		}
		last = mail.ModSeq(n)
		return nil
	})
	return last, err
}

// Head implements store.Account.
func (a account) Head(ctx context.Context) (mail.ModSeq, error) {
	if err := a.s.enter(ctx); err != nil {
		return 0, err
	}
	defer a.s.exit()
	h := a.s.heads.acquire(a.id)
	defer a.s.heads.release(h)
	return a.lastOf(h)
}

// Commit implements store.Account.
func (a account) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	if e.Last <= after || e.Last > mail.MaxModSeq {
		return mail.Errorf(mail.Invalid, "an entry after %d cannot end at %d", after, e.Last)
	}
	if err := a.s.disk.room(len(e.Take)+len(e.Summaries) > 0); err != nil {
		return err
	}
	h := a.s.heads.acquire(a.id)
	defer a.s.heads.release(h)
	h.commit.Lock()
	defer h.commit.Unlock()
	last, err := a.lastOf(h)
	if err != nil {
		return err
	}
	if last != after {
		return store.ErrStale
	}
	taken, released := a.s.own(e.Take), a.s.own(e.Release)
	defer a.s.pins.hold(taken)()
	defer a.s.pins.hold(released)()
	if len(taken) < len(e.Take) { // a name no body of this store bears
		return store.ErrLease
	}
	if err := a.checkTaken(taken); err != nil {
		return err
	}
	if released, err = a.bearing(released, taken); err != nil {
		return err
	}
	b, err := a.entryBatch(e, taken, released)
	if err != nil {
		return err
	}
	if err := a.s.write(b, pebble.Sync); err != nil {
		return err
	}
	h.mu.Lock()
	h.last = e.Last
	h.mu.Unlock()
	a.endLeases(released)
	return nil
}

// checkTaken gives ErrLease unless every body is under lease or marked for this
// account already.
func (a account) checkTaken(taken []bodyID) error {
	for _, id := range taken {
		k := accountKey(tableMark, a.id, uint64(id))
		if a.s.leases.running(id) {
			k = key(tableBody, uint64(id)) // it may never have been put to its end
		}
		if ok, err := a.s.has(k); err != nil {
			return err
		} else if !ok {
			return store.ErrLease
		}
	}
	return nil
}

// bearing gives those of the released bodies that bear this account's mark, or
// are about to.
func (a account) bearing(released, taken []bodyID) ([]bodyID, error) {
	var list []bodyID
	for _, id := range released {
		ok := slices.Contains(taken, id)
		if !ok {
			var err error
			if ok, err = a.s.has(accountKey(tableMark, a.id, uint64(id))); err != nil {
				return nil, err
			}
		}
		if ok {
			list = append(list, id)
		}
	}
	return list, nil
}

// entryBatch is all that a commit writes.
func (a account) entryBatch(e store.Entry, taken, released []bodyID) (*pebble.Batch, error) {
	size := 64 + len(e.Record) + 64*(len(taken)+len(released)) + 24*len(e.Drop)
	for _, s := range e.Summaries {
		size += 32 + len(s.Data)
	}
	b := a.s.db.NewBatchWithSize(size)
	w := batchWriter{b: b}
	w.set(logKey(a.id, e.Last), e.Record)
	for _, id := range taken {
		w.set(accountKey(tableMark, a.id, uint64(id)), nil)
		w.set(key(tableBearer, uint64(id), uint64(a.id)), nil)
	}
	for _, id := range released {
		w.delete(accountKey(tableMark, a.id, uint64(id)))
		w.delete(key(tableBearer, uint64(id), uint64(a.id)))
		w.set(key(tableCandidate, uint64(id)), nil)
	}
	for _, s := range e.Summaries {
		w.set(accountKey(tableSummary, a.id, uint64(s.ID)), s.Data)
	}
	for _, id := range e.Drop {
		w.delete(accountKey(tableSummary, a.id, uint64(id)))
	}
	return b, a.s.fault(w.err)
}

// endLeases ends the lease of bodies that have lost their last mark.
func (a account) endLeases(released []bodyID) {
	for _, id := range released {
		if !a.s.leases.running(id) {
			continue
		}
		// An error here leaves the lease to end by itself.
		if borne, err := a.s.borne(id); err == nil && !borne {
			a.s.leases.end(id)
		}
	}
}

// Since implements store.Account. It gives what is durable as it begins: pebble
// shows a batch to readers a moment before its sync is done.
func (a account) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := a.since(ctx, after, func(r store.Record) bool { return yield(r, nil) }); err != nil {
			yield(store.Record{}, err)
		}
	}
}

func (a account) since(ctx context.Context, after mail.ModSeq, each func(store.Record) bool) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	h := a.s.heads.acquire(a.id)
	defer a.s.heads.release(h)
	last, err := a.lastOf(h)
	if err != nil {
		return err
	}
	return a.s.scan(a.s.db, key(tableLog, uint64(a.id)), func(it *pebble.Iterator) error {
		if it.SeekGE(logKey(a.id, 0)) {
			if n, _ := number(it.Key(), 1); n == 0 {
				if forgotten, ok := decodeU64(it.Value()); !ok {
					return corrupt("the log", it.Key())
				} else if uint64(after) < forgotten {
					return store.ErrForgotten
				}
			}
		}
		if after >= last {
			return nil
		}
		for ok := it.SeekGE(logKey(a.id, after+1)); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				return mail.Wrap(err, mail.Canceled, "given up")
			}
			n, _ := number(it.Key(), 1)
			if mail.ModSeq(n) > last || !each(store.Record{Last: mail.ModSeq(n), Data: it.Value()}) {
				return nil
			}
		}
		return nil
	})
}

// Grew implements store.Account. Nobody else commits to this store.
func (a account) Grew() <-chan struct{} { return a.s.grew }
