package cluster

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

// Heads implements store.Account.
func (a account) Heads(ctx context.Context, each func(store.Head) error) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	heads, err := collect(ctx, a.s, func(r pgx.CollectableRow) (h store.Head, err error) {
		var scope int64
		err = r.Scan(&scope, &h.Saved, &h.Data)
		h.Scope = store.Scope(scope)
		return h, err
	}, `SELECT scope, saved, data FROM heads WHERE account_id = $1`, int64(a.id))
	slices.SortFunc(heads, func(x, y store.Head) int { return cmp.Compare(x.Scope, y.Scope) })
	for i := 0; err == nil && i < len(heads); i++ {
		err = each(heads[i])
	}
	return err
}

// Load implements store.Account. One statement shows one moment.
func (a account) Load(ctx context.Context, scope store.Scope, kind store.PageKind, each func(low uint64, data []byte) error) (mail.ModSeq, error) {
	if err := a.s.enter(ctx); err != nil {
		return 0, err
	}
	defer a.s.exit()
	type row struct {
		saved mail.ModSeq
		low   *int64
		data  []byte
	}
	query := `SELECT h.saved, p.low, p.data FROM heads h
		LEFT JOIN pages p ON p.account_id = h.account_id AND p.scope = h.scope AND p.kind = $3
		WHERE h.account_id = $1 AND h.scope = $2`
	if kind == 0 {
		query = `SELECT saved, 0::bigint, data FROM heads WHERE account_id = $1 AND scope = $2 AND $3::smallint = 0`
	}
	rows, err := collect(ctx, a.s, func(r pgx.CollectableRow) (v row, err error) {
		err = r.Scan(&v.saved, &v.low, &v.data)
		return v, err
	}, query, int64(a.id), int64(scope), int16(kind))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if rows[0].low == nil { // no page of that kind
		return rows[0].saved, nil
	}
	slices.SortFunc(rows, func(x, y row) int { return cmp.Compare(uint64(*x.low), uint64(*y.low)) })
	for _, r := range rows {
		if err := each(uint64(*r.low), r.data); err != nil {
			return r.saved, err
		}
	}
	return rows[0].saved, nil
}

// Save implements store.Account. Scopes are written in order, so that two savers
// of one account never wait for each other.
func (a account) Save(ctx context.Context, save store.Save) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	if err := checkSave(save); err != nil {
		return err
	}
	scopes := slices.SortedFunc(slices.Values(save.Scopes), func(x, y store.ScopeSave) int { return cmp.Compare(x.Scope, y.Scope) })
	// A Save whose outcome was lost is tried again and found stale: the saver then
	// reads what it saved itself.
	return a.s.ask(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, a.s.db, func(tx pgx.Tx) error {
			for _, ss := range scopes {
				if err := a.saveScope(ctx, tx, ss); err != nil {
					return err
				}
			}
			if save.Forget == 0 {
				return nil
			}
			return a.forget(ctx, tx, save.Forget)
		})
	})
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

// saveScope writes one scope. Its head page is written first: whose number does
// not agree there has lost.
func (a account) saveScope(ctx context.Context, tx pgx.Tx, ss store.ScopeSave) error {
	id, scope := int64(a.id), int64(ss.Scope)
	var was int64
	err := tx.QueryRow(ctx, `SELECT saved FROM heads WHERE account_id = $1 AND scope = $2 FOR UPDATE`, id, scope).Scan(&was)
	if err != nil && err != pgx.ErrNoRows {
		return err
	}
	if was != int64(ss.Was) {
		return store.ErrStale
	}
	b := &pgx.Batch{}
	if ss.Remove {
		b.Queue(`DELETE FROM pages WHERE account_id = $1 AND scope = $2`, id, scope)
		b.Queue(`DELETE FROM heads WHERE account_id = $1 AND scope = $2`, id, scope)
		return tx.SendBatch(ctx, b).Close()
	}
	if was == 0 { // there may be another first one
		tag, err := tx.Exec(ctx, `INSERT INTO heads (account_id, scope, saved, data) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			id, scope, int64(ss.Now), notNull(ss.Head))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return store.ErrStale
		}
	} else {
		b.Queue(`UPDATE heads SET saved = $3, data = $4 WHERE account_id = $1 AND scope = $2`, id, scope, int64(ss.Now), notNull(ss.Head))
	}
	for _, k := range ss.Delete {
		b.Queue(`DELETE FROM pages WHERE account_id = $1 AND scope = $2 AND kind = $3 AND low = $4`, id, scope, int16(k.Kind), int64(k.Low))
	}
	for _, p := range ss.Put {
		b.Queue(`INSERT INTO pages (account_id, scope, kind, low, data) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account_id, scope, kind, low) DO UPDATE SET data = excluded.data`,
			id, scope, int16(p.Kind), int64(p.Low), notNull(p.Data))
	}
	return tx.SendBatch(ctx, b).Close()
}

// Summaries implements store.Account.
func (a account) Summaries(ctx context.Context, ids []mail.MessageID, each func(i int, summary []byte) error) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.exit()
	type row struct {
		i    int
		data []byte
	}
	for from := 0; from < len(ids); from += idsAtOnce {
		some := ids[from:min(from+idsAtOnce, len(ids))]
		asked := make([]int64, len(some))
		for i, id := range some {
			asked[i] = int64(id)
		}
		rows, err := collect(ctx, a.s, func(r pgx.CollectableRow) (v row, err error) {
			err = r.Scan(&v.i, &v.data)
			return v, err
		}, `SELECT q.i, s.data FROM unnest($2::bigint[]) WITH ORDINALITY AS q(id, i)
			JOIN summaries s ON s.account_id = $1 AND s.message_id = q.id ORDER BY q.i`, int64(a.id), asked)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := each(from+r.i-1, r.data); err != nil {
				return err
			}
		}
	}
	return nil
}

// SummaryIDs implements store.Account.
func (a account) SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error] {
	return ascending[mail.MessageID](ctx, a.s, `SELECT message_id FROM summaries
		WHERE account_id = $4 AND message_id BETWEEN $1 AND $2 ORDER BY message_id LIMIT $3`, int64(a.id))
}

// Marked implements store.Account.
func (a account) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return func(yield func(mail.BodyRef, error) bool) {
		steps(ctx, a.s, idsAtOnce, func(before mail.BodyRef, _ bool) ([]mail.BodyRef, error) {
			return collect(ctx, a.s, scanRef, `SELECT ref FROM marks
				WHERE account_id = $1 AND ref > $2 ORDER BY ref LIMIT $3`, int64(a.id), before[:], idsAtOnce)
		}, yield)
	}
}

// scanRef reads a body's name.
func scanRef(r pgx.CollectableRow) (ref mail.BodyRef, err error) {
	var name []byte
	if err := r.Scan(&name); err != nil {
		return ref, err
	}
	if len(name) != len(ref) {
		return ref, mail.Errorf(mail.Corrupt, "a body's name in the database has %d octets", len(name))
	}
	return mail.BodyRef(name), nil
}
