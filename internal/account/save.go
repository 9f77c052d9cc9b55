package account

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

// When pages are saved: when the log's tail has become as large as half of what
// a save would write, and at least saveBytes, or has saveRecords records, so that
// opening stays quick. What counts is how often pages are written, not which.
const (
	saveBytes   = 32 << 10
	saveRecords = 10_000
	rowBytes    = 8 // of a row in a page, about
)

// saveIfDue saves the pages when the rule says so.
func (a *Account) saveIfDue(ctx context.Context) {
	m := a.model
	if !a.loaded || m.tailBytes < saveBytes && m.tailRecords < saveRecords || m.tailBytes < a.saveAfter {
		return
	}
	if m.tailRecords < saveRecords && m.tailBytes < a.dirtyBytes()/2 {
		return
	}
	err := a.save(ctx)
	switch {
	case err == nil:
		a.saveAfter = 0
	case errors.Is(err, store.ErrStale), errors.Is(err, errMoved), errors.Is(err, store.ErrForgotten):
		// Another node saved. Its pages are as good as ours, and page borders
		// may differ: begin again from them.
		a.loaded = false
		a.reload(ctx)
	default:
		a.saveAfter = m.tailBytes + saveBytes
		a.pool.o.Log.Warn("account: cannot save pages", observe.Account(a.id), observe.Error(err))
	}
}

// dirtyBytes estimates what a save would write.
func (a *Account) dirtyBytes() int {
	rows := 0
	for _, box := range a.model.boxes {
		switch {
		case !box.dirty():
		case box.rows != nil:
			rows += box.rows.dirtyRows() + box.gone.dirtyRows()
		case box.rowsDirty:
			rows += min(int(box.counts.Messages)+int(box.held), pageRows)
		}
	}
	return rows * rowBytes
}

// save writes everything that differs from what is stored, in one step. The root
// and every mailbox that changed are then true at the same ModSeq, and all
// others did not change since they were saved, so the log up to here is not
// needed any more. The part before the last save is forgotten; the rest stays
// for nodes that are a little behind.
//
// Rows that nobody has loaded are loaded for it and dropped again later.
func (a *Account) save(ctx context.Context) error {
	m := a.model
	var dirty []*mailbox
	for _, box := range m.boxes {
		if box.dirty() {
			dirty = append(dirty, box)
		}
	}
	slices.SortFunc(dirty, func(a, b *mailbox) int { return cmp.Compare(a.id, b.id) })
	var load []*mailbox
	for _, box := range dirty {
		if box.rowsDirty && box.rows == nil {
			load = append(load, box)
		}
	}
	if err := a.loadRows(ctx, load); err != nil {
		return err
	}
	if len(m.refs.delta) > 0 && m.refs.base == nil {
		if err := a.loadRefs(ctx); err != nil {
			return err
		}
	}
	s := store.Save{Forget: m.rootSaved}
	account := store.ScopeSave{
		Scope: 0, Was: m.rootSaved, Now: m.last, Head: m.root().encode(),
	}
	if len(m.refs.delta) > 0 {
		account.Put, account.Delete = m.refs.pages()
	}
	put, gone := m.metadataPages()
	account.Put, account.Delete = append(account.Put, put...), append(account.Delete, gone...)
	s.Scopes = append(s.Scopes, account)
	for _, box := range dirty {
		s.Scopes = append(s.Scopes, a.scopeOf(box))
	}
	for _, box := range m.removed {
		if box.saved > 0 {
			s.Scopes = append(s.Scopes, store.ScopeSave{Scope: store.Scope(box.id), Was: box.saved, Remove: true})
		}
	}
	if a.pool.forgetAll {
		s.Forget = m.last
	}
	if err := a.store.Save(ctx, s); err != nil {
		return err
	}
	a.wasSaved(dirty)
	return nil
}

// scopeOf gives what a save does to a mailbox's scope.
func (a *Account) scopeOf(box *mailbox) store.ScopeSave {
	a.mu.Lock() // pages move, and claimed belongs to sessions too
	for _, t := range box.tables() {
		t.tidy()
	}
	head := box.mailboxState.encode()
	a.mu.Unlock()
	s := store.ScopeSave{Scope: store.Scope(box.id), Was: box.saved, Now: a.model.last, Head: head}
	for _, t := range box.tables() {
		kind := kindRowPage
		if t.expunge {
			kind = kindGonePage
		}
		lows := map[mail.UID]bool{}
		for _, p := range t.pages {
			lows[p.low] = true
			if p.dirty || !p.saved {
				s.Put = append(s.Put, store.Page{
					PageKey: store.PageKey{Kind: kind, Low: uint64(p.low)}, Data: encodePage(p, a.flags),
				})
			}
		}
		for _, low := range t.removed {
			if !lows[low] {
				s.Delete = append(s.Delete, store.PageKey{Kind: kind, Low: uint64(low)})
			}
		}
	}
	return s
}

// tables gives the tables that are loaded.
func (m *mailbox) tables() []*table {
	if m.rows == nil {
		return nil
	}
	return []*table{m.rows, m.gone}
}

// wasSaved notes that everything is stored as it is.
func (a *Account) wasSaved(dirty []*mailbox) {
	m := a.model
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, box := range dirty {
		box.saved, box.rowsDirty = m.last, false
		for _, t := range box.tables() {
			t.removed = nil
			for _, p := range t.pages {
				p.dirty, p.saved = false, true
			}
		}
	}
	m.rootSaved = m.last
	m.removed = nil
	m.tailBytes, m.tailRecords = 0, 0
	m.refs.saved()
	clear(m.metadataDirty)
}
