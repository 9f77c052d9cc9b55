package embedded

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// sweepBatch is how many bodies are removed with one sync at most.
const sweepBatch = 256

// sweepAlways sweeps in the background until ctx ends. It looks only at bodies
// that were let go of, and once at each that has just outlived its lease: its
// cost is that of what happened, not of what there is.
func (s *Store) sweepAlways(ctx context.Context) {
	tick := time.NewTicker(s.o.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.disk.upkeep()
		if s.enter(ctx) != nil {
			return
		}
		_, err := s.sweep(ctx, false)
		if err == nil {
			err = s.sweepShelf(ctx)
		}
		s.exit()
		if err != nil && ctx.Err() == nil {
			s.o.Log.Warn("sweeping the store failed and is tried again", "error", err)
		}
	}
}

// Sweep implements store.Bodies: it looks at every body there is.
func (b bodies) Sweep(ctx context.Context) (store.Swept, error) {
	if err := b.s.enter(ctx); err != nil {
		return store.Swept{}, err
	}
	defer b.s.exit()
	return b.s.sweep(ctx, true)
}

func (s *Store) sweep(ctx context.Context, everything bool) (store.Swept, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	w := sweeper{s: s, ctx: ctx}
	err := w.candidates()
	if err == nil {
		err = w.arrivals(everything)
	}
	if err == nil {
		err = w.unlink()
	}
	return w.swept, err
}

// sweeper is one sweep.
type sweeper struct {
	s     *Store
	ctx   context.Context
	swept store.Swept
}

// candidates looks at the bodies that an account let go of.
func (w *sweeper) candidates() error {
	return w.inSteps([]byte{tableCandidate}, after([]byte{tableCandidate}), func(list []bodyID) error {
		for _, id := range list {
			if err := w.look(id, true); err != nil {
				return err
			}
		}
		return nil
	})
}

// arrivals looks at the bodies whose lease ended since the last time, and moves
// the horizon behind them; or at every body.
func (w *sweeper) arrivals(everything bool) error {
	from, err := w.s.horizon()
	if err != nil {
		return err
	}
	to := w.s.leases.over()
	lower, upper := key(tableBody, uint64(from)), key(tableBody, uint64(to))
	if everything {
		lower, upper = []byte{tableBody}, after([]byte{tableBody})
	} else if from >= to {
		return nil
	}
	err = w.inSteps(lower, upper, func(list []bodyID) error {
		unmarked, err := w.unmarked(list)
		if err != nil {
			return err
		}
		for _, id := range unmarked {
			if err := w.look(id, false); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || from >= to {
		return err
	}
	b := w.s.db.NewBatch()
	if err := b.Set(keyHorizon, appendU64(nil, uint64(to)), nil); err != nil {
		return w.s.fault(err)
	}
	return w.s.write(b, pebble.NoSync)
}

// horizon gives the body below which every one was looked at once, after its
// lease was over: it is marked, or noted as a candidate.
func (s *Store) horizon() (bodyID, error) {
	value, ok, err := s.get(keyHorizon)
	if err != nil || !ok {
		return 0, err
	}
	n, ok := decodeU64(value)
	if !ok {
		return 0, corrupt("a counter", keyHorizon)
	}
	return bodyID(n), nil
}

// inSteps goes through the bodies whose keys are in a range, a few at a time, so
// that no iterator stays open for long.
func (w *sweeper) inSteps(lower, upper []byte, fn func([]bodyID) error) error {
	for {
		if err := w.ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		var list []bodyID
		err := w.s.scanRange(w.s.db, lower, upper, func(it *pebble.Iterator) error {
			for ok := it.First(); ok && len(list) < sweepBatch; ok = it.Next() {
				n, ok := number(it.Key(), 0)
				if !ok {
					return corrupt("a key", it.Key())
				}
				list = append(list, bodyID(n))
			}
			return nil
		})
		if err != nil || len(list) == 0 {
			return err
		}
		if err := fn(list); err != nil {
			return err
		}
		if len(list) < sweepBatch {
			return nil
		}
		lower = key(lower[0], uint64(list[len(list)-1])+1)
	}
}

// unmarked gives those of the bodies, which are ascending, that no account bears
// at this moment: one pass over the marks rather than a search for each.
func (w *sweeper) unmarked(list []bodyID) (unmarked []bodyID, err error) {
	lower, upper := key(tableBearer, uint64(list[0])), key(tableBearer, uint64(list[len(list)-1])+1)
	err = w.s.scanRange(w.s.db, lower, upper, func(it *pebble.Iterator) error {
		ok := it.First()
		for _, id := range list {
			var bearer uint64
			for ; ok; ok = it.Next() {
				if bearer, _ = number(it.Key(), 0); bearer >= uint64(id) {
					break
				}
			}
			if !ok || bearer != uint64(id) {
				unmarked = append(unmarked, id)
			}
		}
		return nil
	})
	return unmarked, err
}

// look removes a body that no mark and no lease holds. A candidate that is held
// by a mark is none any more. A body that a commit is about to take is looked at
// again next time.
func (w *sweeper) look(id bodyID, candidate bool) error {
	looked, err := w.s.pins.unlessHeld(id, func() error { return w.lookFree(id, candidate) })
	if looked || candidate {
		return err
	}
	return w.note(id)
}

// note makes a body a candidate.
func (w *sweeper) note(id bodyID) error {
	b := w.s.db.NewBatch()
	bw := batchWriter{b: b}
	bw.set(key(tableCandidate, uint64(id)), nil)
	if bw.err != nil {
		return w.s.fault(bw.err)
	}
	return w.s.write(b, pebble.NoSync)
}

func (w *sweeper) lookFree(id bodyID, candidate bool) error {
	if w.s.leases.running(id) {
		return nil
	}
	borne, err := w.s.borne(id)
	if err != nil || borne && !candidate {
		return err
	}
	m, there, err := w.s.meta(id)
	if err != nil {
		return err
	}
	b := w.s.db.NewBatch()
	bw := batchWriter{b: b}
	bw.delete(key(tableCandidate, uint64(id)))
	if there && !borne {
		w.remove(&bw, id, m)
		w.swept.Bodies++
		w.swept.Bytes += m.size
	}
	if bw.err != nil {
		return w.s.fault(bw.err)
	}
	return w.s.write(b, pebble.NoSync)
}

// remove writes that a body is gone. Its chunks go with it, each by name and
// with its size: they are few, and pebble then knows where room is to be won. A
// file is noted, and goes once the note is durable.
func (w *sweeper) remove(b *batchWriter, id bodyID, m bodyMeta) {
	b.delete(key(tableBody, uint64(id)))
	if m.where == bodyFile {
		b.set(key(tableUnlink, uint64(id)), nil)
		return
	}
	for i := range (m.size + chunkSize - 1) / chunkSize {
		b.deleteSized(chunkKey(id, int(i)), int(min(chunkSize, m.size-i*chunkSize)+crcSize))
	}
}

// unlink removes the files of bodies that are gone. While a backup copies files
// they stay; a later sweep removes them.
func (w *sweeper) unlink() error {
	if !w.s.unlinks.TryLock() {
		return nil
	}
	defer w.s.unlinks.Unlock()
	return w.inSteps([]byte{tableUnlink}, after([]byte{tableUnlink}), func(list []bodyID) error {
		// What was written so far is durable after this: no entry of a body
		// comes back whose file is gone.
		if err := w.s.sync(); err != nil {
			return err
		}
		b := w.s.db.NewBatch()
		bw := batchWriter{b: b}
		for _, id := range list {
			if err := w.s.removeBodyFile(id); err != nil {
				return w.s.fault(err)
			}
			bw.delete(key(tableUnlink, uint64(id)))
		}
		if bw.err != nil {
			return w.s.fault(bw.err)
		}
		return w.s.write(b, pebble.NoSync)
	})
}

// sync makes all that was written durable.
func (s *Store) sync() error {
	b := s.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return s.fault(err)
	}
	return s.write(b, pebble.Sync)
}
