package embedded

import (
	"context"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
)

// destroyBatch is how many marks are taken off at once.
const destroyBatch = 1000

// Destroy implements store.Account. The marks go first: as long as one is left,
// so is the log, and the account is found again.
func (a account) Destroy(ctx context.Context) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	h := a.s.heads.acquire(a.id)
	defer a.s.heads.release(h)
	h.commit.Lock()
	defer h.commit.Unlock()
	h.save.Lock()
	defer h.save.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		n, err := a.unmarkSome()
		if err != nil {
			return err
		}
		if n < destroyBatch {
			break
		}
	}
	b := a.s.db.NewBatch()
	w := batchWriter{b: b}
	for _, table := range []byte{tableLog, tableHead, tablePage, tableSummary} {
		prefix := key(table, uint64(a.id))
		w.deleteRange(prefix, after(prefix))
	}
	if w.err != nil {
		return a.s.fault(w.err)
	}
	if err := a.s.write(b, pebble.Sync); err != nil {
		return err
	}
	h.mu.Lock()
	h.known, h.last = true, 0
	h.mu.Unlock()
	return nil
}

// unmarkSome takes the account's mark off some bodies and says off how many.
func (a account) unmarkSome() (int, error) {
	var list []bodyID
	err := a.s.scan(a.s.db, key(tableMark, uint64(a.id)), func(it *pebble.Iterator) error {
		for ok := it.First(); ok && len(list) < destroyBatch; ok = it.Next() {
			n, ok := number(it.Key(), 1)
			if !ok {
				return corrupt("a key", it.Key())
			}
			list = append(list, bodyID(n))
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	defer a.s.pins.hold(list)()
	b := a.s.db.NewBatch()
	w := batchWriter{b: b}
	for _, id := range list {
		w.delete(accountKey(tableMark, a.id, uint64(id)))
		w.delete(key(tableBearer, uint64(id), uint64(a.id)))
		w.set(key(tableCandidate, uint64(id)), nil)
	}
	if w.err != nil {
		return 0, a.s.fault(w.err)
	}
	if err := a.s.write(b, pebble.NoSync); err != nil {
		return 0, err
	}
	a.endLeases(list)
	return len(list), nil
}

// Accounts implements store.Store. It steps from one account's first key to the
// next account's.
func (s *Store) Accounts(ctx context.Context) iter.Seq2[mail.AccountID, error] {
	return func(yield func(mail.AccountID, error) bool) {
		if err := s.accounts(ctx, func(id mail.AccountID) bool { return yield(id, nil) }); err != nil {
			yield(0, err)
		}
	}
}

func (s *Store) accounts(ctx context.Context, each func(mail.AccountID) bool) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.exit()
	return s.scan(s.db, []byte{tableHead}, func(heads *pebble.Iterator) error {
		return s.scan(s.db, []byte{tableLog}, func(logs *pebble.Iterator) error {
			for next, ok := firstAccount(0, heads, logs); ok; next, ok = firstAccount(next+1, heads, logs) {
				if err := ctx.Err(); err != nil {
					return mail.Wrap(err, mail.Canceled, "given up")
				}
				if !each(mail.AccountID(next)) || next+1 == 0 {
					return nil
				}
			}
			return heads.Error()
		})
	})
}

// firstAccount gives the first account from from on that has a head page or a
// log.
func firstAccount(from uint64, heads, logs *pebble.Iterator) (first uint64, ok bool) {
	if heads.SeekGE(key(tableHead, from)) {
		first, ok = number(heads.Key(), 0)
	}
	if logs.SeekGE(key(tableLog, from)) {
		if n, valid := number(logs.Key(), 0); valid && (!ok || n < first) {
			first, ok = n, true
		}
	}
	return first, ok
}
