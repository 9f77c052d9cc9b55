package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/mail"
	"postern/internal/store"
)

// Account implements store.Store.
func (s *Store) Account(id mail.AccountID) store.Account { return account{s, id} }

// account implements store.Account. It is a pair of words.
type account struct {
	s  *Store
	id mail.AccountID
}

// commitFlags appends a record that says nothing of bodies and summaries. Both
// forms are one statement, hence one round trip and one transaction.
//
// The primary key decides between those who append after the same record. What
// comes before it is locked against Forget, which could otherwise take away the
// very row that the key would find: pred is the row that ends at `after`, read
// again if it was changed meanwhile, and the row at modseq 1 never goes.
const commitFlags = `WITH pred AS MATERIALIZED (
	SELECT last FROM log WHERE account_id = $1 AND modseq <= $2 ORDER BY modseq DESC LIMIT 1 FOR SHARE),
fit AS MATERIALIZED (SELECT coalesce((SELECT last FROM pred), 0) = $2 AS ok),
entry AS (
	INSERT INTO log (account_id, modseq, last, writer, data)
	SELECT $1, $2 + 1, $3, $4, $5 FROM fit WHERE fit.ok
	ON CONFLICT DO NOTHING RETURNING 1)
SELECT (SELECT ok FROM fit), true, EXISTS (SELECT 1 FROM entry)`

// commitAll is for entries with bodies or summaries. A body that is taken is
// locked against the sweeper, which locks before it looks for marks. A body that
// has lost its last mark is under lease no more, whatever its lease says. Here fit
// looks at the next record too, only so that whoever is stale is told so before he
// is told of a lease.
const commitAll = `WITH pred AS MATERIALIZED (
	SELECT last FROM log WHERE account_id = $1 AND modseq <= $2 ORDER BY modseq DESC LIMIT 1 FOR SHARE),
fit AS MATERIALIZED (SELECT coalesce((SELECT last FROM pred), 0) = $2
	AND NOT EXISTS (SELECT 1 FROM log WHERE account_id = $1 AND modseq = $2 + 1) AS ok),
held AS MATERIALIZED (
	SELECT b.ref FROM bodies b
	WHERE b.ref = ANY($6::bytea[]) AND b.lease > now()
		AND (NOT EXISTS (SELECT 1 FROM released r WHERE r.ref = b.ref)
			OR EXISTS (SELECT 1 FROM marks m WHERE m.ref = b.ref))
	FOR KEY SHARE OF b),
own AS MATERIALIZED (SELECT ref FROM marks WHERE account_id = $1 AND ref = ANY($6::bytea[])),
may AS MATERIALIZED (SELECT NOT EXISTS (
	SELECT unnest($6::bytea[]) EXCEPT (SELECT ref FROM held UNION ALL SELECT ref FROM own)) AS ok),
entry AS (
	INSERT INTO log (account_id, modseq, last, writer, data)
	SELECT $1, $2 + 1, $3, $4, $5 FROM fit, may WHERE fit.ok AND may.ok
	ON CONFLICT DO NOTHING RETURNING 1),
marked AS (
	INSERT INTO marks (account_id, ref)
	SELECT $1, r.ref FROM entry, unnest($7::bytea[]) AS r(ref)
	ON CONFLICT DO NOTHING),
unmarked AS (
	DELETE FROM marks WHERE account_id = $1 AND ref = ANY($8::bytea[]) AND EXISTS (SELECT 1 FROM entry)
	RETURNING ref),
noted AS (
	INSERT INTO released (account_id, ref)
	SELECT $1, r.ref FROM entry, unnest($8::bytea[]) AS r(ref)
	WHERE r.ref = ANY($6::bytea[]) OR r.ref IN (SELECT ref FROM unmarked)
	ON CONFLICT DO NOTHING),
written AS (
	INSERT INTO summaries (account_id, message_id, data)
	SELECT $1, m.id, m.data FROM entry, unnest($9::bigint[], $10::bytea[]) AS m(id, data)
	ON CONFLICT (account_id, message_id) DO UPDATE SET data = excluded.data),
dropped AS (
	DELETE FROM summaries
	WHERE account_id = $1 AND message_id = ANY($11::bigint[]) AND EXISTS (SELECT 1 FROM entry))
SELECT (SELECT ok FROM fit), (SELECT ok FROM may), EXISTS (SELECT 1 FROM entry)`

// Commit implements store.Account.
func (a account) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	if e.Last <= after || e.Last > mail.MaxModSeq {
		return mail.Errorf(mail.Invalid, "an entry after %d cannot end at %d", after, e.Last)
	}
	// From here on it is not interrupted: the caller's end is no reason not to know.
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*a.s.o.Patience)
	defer cancel()
	err := a.append(writing, after, e)
	if err == nil {
		a.s.wake.committed(a.id, e.Last)
	}
	return err
}

func (a account) append(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	writer := randomName()
	statement, args := commitFlags, []any{int64(a.id), int64(after), int64(e.Last), writer, notNull(e.Record)}
	if len(e.Take)+len(e.Release)+len(e.Summaries)+len(e.Drop) > 0 {
		statement, args = commitAll, append(args, bodyArgs(e)...)
	}
	unknown := false // a try was made whose outcome nobody told us
	for n := 0; ; n++ {
		var fit, may, written bool
		err := a.s.db.QueryRow(ctx, statement, args...).Scan(&fit, &may, &written)
		if err == nil {
			if !written && unknown {
				return a.decide(ctx, after, writer)
			}
			switch {
			case written:
				return nil
			case fit && !may:
				return store.ErrLease
			}
			return store.ErrStale
		}
		a.s.mend(err)
		unknown = unknown || !wasRefused(err)
		if !unknown && !passes(err) {
			return a.s.fault(ctx, err)
		}
		if ctx.Err() != nil || !pause(ctx, n) {
			if unknown {
				return fmt.Errorf("%w: %w", store.ErrUnknown, err)
			}
			return mail.Wrap(err, mail.Unavailable, "the database cannot do this now")
		}
	}
}

// wasRefused reports whether it is certain that a statement changed nothing: it
// was never sent, or the server answered with an error and went on. A server that
// ends, or that was told to stop waiting for its standby, may have committed.
func wasRefused(err error) bool {
	if pg := refusal(err); pg != nil {
		return pg.Severity == "ERROR" || pg.SeverityUnlocalized == "ERROR"
	}
	return pgconn.SafeToRetry(err)
}

// decide is asked when the same entry was sent twice and the second was not
// written: the row in its place says whose it is. It is written to, not read, so
// that what the answer rests on is as durable as a commit. Where there is no such
// row nobody can say any more: it may have been forgotten, or still be on its way.
func (a account) decide(ctx context.Context, after mail.ModSeq, writer []byte) error {
	var mine bool
	err := a.s.ask(ctx, func(ctx context.Context) error {
		rows, err := a.s.db.Query(ctx, `UPDATE log SET writer = writer WHERE account_id = $1 AND modseq = $2 AND data IS NOT NULL RETURNING writer = $3`,
			int64(a.id), int64(after)+1, writer)
		if err != nil {
			return err
		}
		defer rows.Close()
		found := rows.Next()
		if found {
			if err := rows.Scan(&mine); err != nil {
				return err
			}
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		if !found {
			return store.ErrUnknown
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	case mine:
		return nil
	}
	return store.ErrStale
}

// bodyArgs gives the arguments $6 to $11 of commitAll. What is taken and released
// in one entry gets no mark, what is written and dropped no summary: one statement
// cannot touch a row twice.
func bodyArgs(e store.Entry) []any {
	var mark []mail.BodyRef
	for _, ref := range e.Take {
		if !slices.Contains(e.Release, ref) && !slices.Contains(mark, ref) {
			mark = append(mark, ref)
		}
	}
	drop := make(map[mail.MessageID]bool, len(e.Drop))
	drops := make([]int64, 0, len(e.Drop))
	for _, id := range e.Drop {
		drop[id] = true
		drops = append(drops, int64(id))
	}
	at := make(map[mail.MessageID]int, len(e.Summaries))
	ids, data := make([]int64, 0, len(e.Summaries)), make([][]byte, 0, len(e.Summaries))
	for _, sum := range e.Summaries {
		if drop[sum.ID] {
			continue
		}
		if i, twice := at[sum.ID]; twice {
			data[i] = notNull(sum.Data)
			continue
		}
		at[sum.ID] = len(ids)
		ids, data = append(ids, int64(sum.ID)), append(data, notNull(sum.Data))
	}
	return []any{octets(e.Take), octets(mark), distinct(e.Release), ids, data, drops}
}

// octets gives names as the database takes them: never NULL, which is unlike
// anything.
func octets(refs []mail.BodyRef) [][]byte {
	list := make([][]byte, 0, len(refs))
	for i := range refs {
		list = append(list, refs[i][:])
	}
	return list
}

func distinct(refs []mail.BodyRef) [][]byte {
	seen := make(map[mail.BodyRef]bool, len(refs))
	list := make([][]byte, 0, len(refs))
	for i := range refs {
		if !seen[refs[i]] {
			seen[refs[i]] = true
			list = append(list, refs[i][:])
		}
	}
	return list
}

// notNull gives octets that are not NULL to the database.
func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
