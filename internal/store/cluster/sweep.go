package cluster

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

// sweepBatch is how many bodies are looked at in one transaction.
const sweepBatch = 256

// sweepAlways sweeps in the background until ctx ends. Several nodes may do it at
// once: each passes over what another has in hand.
func (s *Store) sweepAlways(ctx context.Context) {
	tick := time.NewTicker(s.o.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := s.sweep(ctx, false)
		if err == nil {
			err = s.ask(ctx, func(ctx context.Context) error {
				_, err := s.db.Exec(ctx, `DELETE FROM shelf WHERE expires <= now()`)
				return err
			})
		}
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

// The three ways to bodies that may have to go: some account let go of them, their
// lease ended since the last time, or everything.
const (
	sweepReleased = `SELECT DISTINCT ref FROM released WHERE ref > $1 ORDER BY ref LIMIT $2`
	sweepEnded    = `SELECT ref FROM bodies WHERE lease <= now() AND ref > $1 ORDER BY ref LIMIT $2`
	sweepAll      = `SELECT ref FROM bodies b WHERE ref > $1 AND (lease IS NULL OR lease <= now())
		AND NOT EXISTS (SELECT 1 FROM marks m WHERE m.ref = b.ref) ORDER BY ref LIMIT $2`
)

func (s *Store) sweep(ctx context.Context, everything bool) (swept store.Swept, err error) {
	s.sweeper.Lock()
	defer s.sweeper.Unlock()
	ways := []string{sweepReleased, sweepEnded}
	if everything {
		ways = append(ways, sweepAll)
	}
	for _, way := range ways {
		var last mail.BodyRef
		for {
			refs, err := collect(ctx, s, scanRef, way, last[:], sweepBatch)
			if err != nil {
				return swept, err
			}
			if len(refs) == 0 {
				break
			}
			if err := s.look(ctx, refs, &swept); err != nil {
				return swept, err
			}
			last = refs[len(refs)-1]
		}
	}
	return swept, s.removeOctets(ctx)
}

// look removes those of the bodies that no mark and no lease holds.
//
// A body is locked before its marks are looked at, and a commit that takes it locks
// it before it checks the lease: so either the commit's mark is seen, or the commit
// finds no body. Each statement sees what was committed before it began.
func (s *Store) look(ctx context.Context, refs []mail.BodyRef, swept *store.Swept) error {
	var gone store.Swept
	err := s.ask(ctx, func(ctx context.Context) error {
		gone = store.Swept{}
		return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT ref FROM bodies WHERE ref = ANY($1::bytea[]) ORDER BY ref FOR UPDATE SKIP LOCKED`, octets(refs))
			if err != nil {
				return err
			}
			locked, err := pgx.CollectRows(rows, scanRef)
			if err != nil {
				return err
			}
			// What is let go of from here on is noted anew, and looked at next time.
			rows, err = tx.Query(ctx, `DELETE FROM released r WHERE ref = ANY($1::bytea[])
				OR ref = ANY($2::bytea[]) AND NOT EXISTS (SELECT 1 FROM bodies b WHERE b.ref = r.ref) RETURNING ref`, octets(locked), octets(refs))
			if err != nil {
				return err
			}
			released, err := pgx.CollectRows(rows, scanRef)
			if err != nil {
				return err
			}
			var name []byte
			var size int64
			var where int16
			var removed, elsewhere [][]byte
			rows, err = tx.Query(ctx, `DELETE FROM bodies b WHERE ref = ANY($1::bytea[])
					AND (lease IS NULL OR lease <= now() OR ref = ANY($2::bytea[]))
					AND NOT EXISTS (SELECT 1 FROM marks m WHERE m.ref = b.ref)
				RETURNING ref, size, place`, octets(locked), octets(released))
			if err != nil {
				return err
			}
			_, err = pgx.ForEachRow(rows, []any{&name, &size, &where}, func() error {
				gone.Bodies++
				gone.Bytes += size
				removed = append(removed, name)
				if where != inDatabase {
					elsewhere = append(elsewhere, name)
				}
				name = nil
				return nil
			})
			if err != nil {
				return err
			}
			b := &pgx.Batch{}
			b.Queue(`DELETE FROM chunks WHERE ref = ANY($1::bytea[])`, removed)
			b.Queue(`INSERT INTO removals (ref, place) SELECT unnest($1::bytea[]), $2 ON CONFLICT DO NOTHING`, elsewhere, int16(inBucket))
			// What is left is held by a mark, and needs no look before it is let go of.
			b.Queue(`UPDATE bodies SET lease = NULL WHERE ref = ANY($1::bytea[]) AND lease <= now()`, octets(locked))
			return tx.SendBatch(ctx, b).Close()
		})
	})
	if err == nil {
		swept.Bodies += gone.Bodies
		swept.Bytes += gone.Bytes
	}
	return err
}

// removeOctets removes what is left in the bucket of bodies that are gone.
func (s *Store) removeOctets(ctx context.Context) error {
	if s.places[inBucket] == nil {
		return nil
	}
	for {
		refs, err := collect(ctx, s, scanRef, `SELECT ref FROM removals WHERE place = $1 ORDER BY ref LIMIT $2`, int16(inBucket), sweepBatch)
		if err != nil || len(refs) == 0 {
			return err
		}
		for _, ref := range refs {
			if err := s.places[inBucket].remove(ctx, ref); err != nil {
				return s.fault(ctx, err)
			}
		}
		err = s.ask(ctx, func(ctx context.Context) error {
			_, err := s.db.Exec(ctx, `DELETE FROM removals WHERE ref = ANY($1::bytea[])`, octets(refs))
			return err
		})
		if err != nil {
			return err
		}
	}
}
