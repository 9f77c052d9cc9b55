package cluster

import (
	"context"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

// Head implements store.Account.
func (a account) Head(ctx context.Context) (last mail.ModSeq, err error) {
	if err := a.s.enter(ctx); err != nil {
		return 0, err
	}
	defer a.s.exit()
	err = a.s.ask(ctx, func(ctx context.Context) error {
		last = 0
		err := a.s.db.QueryRow(ctx, `SELECT last FROM log WHERE account_id = $1 ORDER BY modseq DESC LIMIT 1`, int64(a.id)).Scan(&last)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
	return last, err
}

// recordsAtOnce is how many records one question asks for.
const recordsAtOnce = 256

// Since implements store.Account.
func (a account) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		steps(ctx, a.s, recordsAtOnce, func(before store.Record, first bool) ([]store.Record, error) {
			if !first {
				after = before.Last
			}
			page, err := a.records(ctx, after, first)
			if err == nil && len(page) > 0 {
				a.s.wake.seen(a.id, page[len(page)-1].Last)
			}
			return page, err
		}, yield)
	}
}

// records gives the first records whose Last is above after. The search begins at
// the record that after is in.
func (a account) records(ctx context.Context, after mail.ModSeq, within bool) ([]store.Record, error) {
	type row struct {
		first, last mail.ModSeq
		data        []byte
	}
	rows, err := collect(ctx, a.s, func(r pgx.CollectableRow) (v row, err error) {
		err = r.Scan(&v.first, &v.last, &v.data)
		return v, err
	}, `SELECT modseq, last, data FROM log
		WHERE account_id = $1 AND last > $2 AND modseq >= coalesce(
			(SELECT modseq FROM log WHERE account_id = $1 AND modseq <= $2 ORDER BY modseq DESC LIMIT 1), 0)
		ORDER BY modseq LIMIT $3`, int64(a.id), int64(after), recordsAtOnce)
	if err != nil {
		return nil, err
	}
	page := make([]store.Record, 0, len(rows))
	for i, r := range rows {
		if r.data == nil { // only what is forgotten has none
			return nil, store.ErrForgotten
		}
		// The first may begin earlier where after is within a record.
		if want := after + 1; r.first > want || r.first < want && (i > 0 || !within) {
			return nil, mail.Errorf(mail.Corrupt, "the log of account %d has a record from %d where one from %d belongs", a.id, r.first, want)
		}
		after = r.last
		page = append(page, store.Record{Last: r.last, Data: r.data})
	}
	return page, nil
}

// forget gathers the records whose Last is up to upTo in the row at modseq 1. What
// is after it is not touched: whoever appends meanwhile holds the row before.
func (a account) forget(ctx context.Context, q querier, upTo mail.ModSeq) error {
	var last int64
	// The record that upTo is in ends above it unless upTo is its end.
	err := q.QueryRow(ctx, `SELECT last FROM (
			SELECT modseq, last FROM log WHERE account_id = $1 AND modseq <= $2 ORDER BY modseq DESC LIMIT 2) AS newest
		WHERE last <= $2 ORDER BY modseq DESC LIMIT 1`, int64(a.id), int64(min(upTo, mail.MaxModSeq))).Scan(&last)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `UPDATE log SET last = $2, data = NULL WHERE account_id = $1 AND modseq = 1 AND last <= $2`, int64(a.id), last)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `DELETE FROM log WHERE account_id = $1 AND modseq > 1 AND modseq <= $2`, int64(a.id), last)
	return err
}

// destroyBatch is how many marks are taken off at once.
const destroyBatch = 1000

// Destroy implements store.Account. The marks go first: as long as one is left, so
// is the log, and the account is found again.
func (a account) Destroy(ctx context.Context) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	for more := true; more; {
		err := a.s.ask(ctx, func(ctx context.Context) error {
			tag, err := a.s.db.Exec(ctx, `WITH gone AS (
					DELETE FROM marks WHERE account_id = $1 AND ref IN (SELECT ref FROM marks WHERE account_id = $1 LIMIT $2) RETURNING ref)
				INSERT INTO released (account_id, ref) SELECT $1, ref FROM gone ON CONFLICT (account_id, ref) DO UPDATE SET ref = excluded.ref`,
				int64(a.id), destroyBatch)
			more = tag.RowsAffected() > 0
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.s.ask(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, a.s.db, func(tx pgx.Tx) error {
			for _, statement := range []string{
				`DELETE FROM summaries WHERE account_id = $1`, `DELETE FROM pages WHERE account_id = $1`,
				`DELETE FROM heads WHERE account_id = $1`, `DELETE FROM log WHERE account_id = $1`,
			} {
				if _, err := tx.Exec(ctx, statement, int64(a.id)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// idsAtOnce is how many numbers or names one question asks for.
const idsAtOnce = 1000

// scanNumber reads a number of 64 bits, which the database keeps with a sign.
func scanNumber[T ~uint64](r pgx.CollectableRow) (T, error) {
	var n int64
	err := r.Scan(&n)
	return T(n), err
}

// ascending gives numbers in their order without a sign: the half that the
// database takes for negative comes last. query asks for those from one number to
// another, ascending, idsAtOnce at most.
func ascending[T ~uint64](ctx context.Context, s *Store, query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(0, err)
			return
		}
		defer s.exit()
		for from := uint64(0); ; {
			to := uint64(math.MaxInt64)
			if from > to {
				to = math.MaxUint64
			}
			page, err := collect(ctx, s, scanNumber[T], query, append([]any{int64(from), int64(to), idsAtOnce}, args...)...)
			if err != nil {
				yield(0, err)
				return
			}
			for _, n := range page {
				if err := ctx.Err(); err != nil {
					yield(0, mail.Wrap(err, mail.Canceled, "given up"))
					return
				}
				if !yield(n, nil) {
					return
				}
			}
			if len(page) == idsAtOnce {
				to = uint64(page[len(page)-1])
			}
			if from = to + 1; from == 0 {
				return
			}
		}
	}
}

// Accounts implements store.Store.
func (s *Store) Accounts(ctx context.Context) iter.Seq2[mail.AccountID, error] {
	return ascending[mail.AccountID](ctx, s, `SELECT account_id FROM log WHERE modseq = 1 AND account_id BETWEEN $1 AND $2
		UNION SELECT account_id FROM heads WHERE account_id BETWEEN $1 AND $2
		ORDER BY account_id LIMIT $3`)
}
