package embedded

import (
	"context"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// Heads implements store.Account. Head pages have a table of their own, so that
// opening an account does not pass over the pages of its mailboxes.
func (a account) Heads(ctx context.Context, each func(store.Head) error) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	return a.s.scan(a.s.db, key(tableHead, uint64(a.id)), func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			scope, okKey := number(it.Key(), 1)
			saved, data, okValue := decodeHead(it.Value())
			if !okKey || !okValue {
				return corrupt("a head page", it.Key())
			}
			if err := each(store.Head{Scope: store.Scope(scope), Saved: saved, Data: data}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Load implements store.Account.
func (a account) Load(ctx context.Context, scope store.Scope, kind store.PageKind, each func(low uint64, data []byte) error) (mail.ModSeq, error) {
	if err := a.s.enter(ctx); err != nil {
		return 0, err
	}
	defer a.s.exit()
	snapshot := a.s.db.NewSnapshot()
	saved, err := a.load(snapshot, scope, kind, each)
	if closed := snapshot.Close(); err == nil {
		err = a.s.fault(closed)
	}
	return saved, err
}

func (a account) load(r pebble.Reader, scope store.Scope, kind store.PageKind, each func(low uint64, data []byte) error) (mail.ModSeq, error) {
	k := headKey(a.id, scope)
	value, ok, err := a.s.getFrom(r, k)
	if !ok {
		return 0, err
	}
	saved, data, ok := decodeHead(value)
	if !ok {
		return 0, corrupt("a head page", k)
	}
	if kind == 0 {
		return saved, each(0, data)
	}
	return saved, a.s.scan(r, pagePrefix(a.id, scope, kind), func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			k := it.Key()
			low, ok := number(k[len(k)-9:], 0)
			if !ok || len(k) != 26 {
				return corrupt("a page", k)
			}
			if err := each(low, it.Value()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Save implements store.Account. It does not sync: a Save that a crash takes
// back is made again from the log.
func (a account) Save(ctx context.Context, save store.Save) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	if err := checkSave(save); err != nil {
		return err
	}
	if err := a.s.disk.room(false); err != nil {
		return err
	}
	h := a.s.heads.acquire(a.id)
	defer a.s.heads.release(h)
	h.save.Lock()
	defer h.save.Unlock()
	for _, ss := range save.Scopes {
		value, ok, err := a.s.get(headKey(a.id, ss.Scope))
		if err != nil {
			return err
		}
		var saved mail.ModSeq
		if ok {
			if saved, _, ok = decodeHead(value); !ok {
				return corrupt("a head page", headKey(a.id, ss.Scope))
			}
		}
		if saved != ss.Was {
			return store.ErrStale
		}
	}
	b := a.s.db.NewBatch()
	w := batchWriter{b: b}
	for _, ss := range save.Scopes {
		a.saveScope(&w, ss)
	}
	if err := a.forget(&w, save.Forget); err != nil {
		return err
	}
	if w.err != nil {
		return a.s.fault(w.err)
	}
	return a.s.write(b, pebble.NoSync)
}

// checkSave refuses what no saver means.
func checkSave(save store.Save) error {
	seen := make(map[store.Scope]bool, len(save.Scopes))
	for _, ss := range save.Scopes {
		if seen[ss.Scope] {
			return mail.Errorf(mail.Invalid, "scope %d is saved twice at once", ss.Scope)
		}
		seen[ss.Scope] = true
		if ss.Remove {
			continue
		}
		if ss.Now == 0 {
			return mail.Errorf(mail.Invalid, "scope %d is saved at 0", ss.Scope)
		}
		for _, p := range ss.Put {
			if p.Kind == 0 {
				return mail.Errorf(mail.Invalid, "a page of kind 0 is the head page")
			}
		}
	}
	return nil
}

func (a account) saveScope(w *batchWriter, ss store.ScopeSave) {
	if ss.Remove {
		prefix := pagePrefix(a.id, ss.Scope)
		w.delete(headKey(a.id, ss.Scope))
		w.deleteRange(prefix, after(prefix))
		return
	}
	w.set(headKey(a.id, ss.Scope), encodeHead(ss.Now, ss.Head))
	for _, k := range ss.Delete {
		w.delete(pageKey(a.id, ss.Scope, k.Kind, k.Low))
	}
	for _, p := range ss.Put {
		w.set(pageKey(a.id, ss.Scope, p.Kind, p.Low), p.Data)
	}
}

// forget removes the records whose Last is up to upTo and leaves, where they
// began, the Last of the newest of them: so that Since knows where the gap ends,
// and Head where the log does when nothing is left.
func (a account) forget(w *batchWriter, upTo mail.ModSeq) error {
	if upTo == 0 {
		return nil
	}
	upTo = min(upTo, mail.MaxModSeq)
	return a.s.scan(a.s.db, key(tableLog, uint64(a.id)), func(it *pebble.Iterator) error {
		if !it.SeekLT(logKey(a.id, upTo+1)) {
			return nil
		}
		last, ok := number(it.Key(), 1)
		if !ok {
			return corrupt("the log", it.Key())
		}
		if last == 0 { // forgotten before
			return nil
		}
		w.deleteRange(logKey(a.id, 1), logKey(a.id, mail.ModSeq(last)+1))
		w.set(logKey(a.id, 0), appendU64(nil, last))
		return nil
	})
}

// Summaries implements store.Account.
func (a account) Summaries(ctx context.Context, ids []mail.MessageID, each func(i int, summary []byte) error) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	return a.s.scan(a.s.db, key(tableSummary, uint64(a.id)), func(it *pebble.Iterator) error {
		k := accountKey(tableSummary, a.id, 0)
		for i, id := range ids {
			if i%256 == 0 && ctx.Err() != nil {
				return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
			}
			k = appendU64(k[:9], uint64(id))
			if !atKey(it, k, i > 0 && id == ids[i-1]+1) {
				if err := it.Error(); err != nil {
					return a.s.fault(err)
				}
				continue
			}
			if err := each(i, it.Value()); err != nil {
				return err
			}
		}
		return nil
	})
}

// atKey moves it to k and reports whether there is such a key. The next one is
// tried first where the caller expects it there.
func atKey(it *pebble.Iterator, k []byte, next bool) bool {
	if next && it.Valid() && it.Next() && string(it.Key()) == string(k) {
		return true
	}
	return it.SeekGE(k) && string(it.Key()) == string(k)
}

// SummaryIDs implements store.Account.
func (a account) SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error] {
	return numbersOf[mail.MessageID](ctx, a.s, key(tableSummary, uint64(a.id)), 1)
}

// numbersOf gives the n-th number of every key with a prefix.
func numbersOf[T ~uint64](ctx context.Context, s *Store, prefix []byte, n int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.each(ctx, prefix, func(k, _ []byte) (bool, error) {
			v, ok := number(k, n)
			if !ok {
				return false, corrupt("a key", k)
			}
			return yield(T(v), nil), nil
		})
		if err != nil {
			yield(0, err)
		}
	}
}

// each goes through the keys with a prefix until fn says false.
func (s *Store) each(ctx context.Context, prefix []byte, fn func(key, value []byte) (bool, error)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.exit()
	return s.scan(s.db, prefix, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				return mail.Wrap(err, mail.Canceled, "given up")
			}
			if more, err := fn(it.Key(), it.Value()); err != nil || !more {
				return err
			}
		}
		return nil
	})
}
