package storetest

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// memAccount is one account's data. Slices in it are never written to again, so
// that a reader may go on with them after the lock is let go.
type memAccount struct {
	log       []store.Record
	forgotten mail.ModSeq // Last of the newest record forgotten
	scopes    map[store.Scope]*memScope
	summaries map[mail.MessageID][]byte
	marks     map[mail.BodyRef]bool
}

// memScope is a scope that has a head page.
type memScope struct {
	saved mail.ModSeq
	head  []byte
	pages map[store.PageKey][]byte
}

func (a *memAccount) head() mail.ModSeq {
	if n := len(a.log); n > 0 {
		return a.log[n-1].Last
	}
	return a.forgotten
}

// memHandle implements store.Account.
type memHandle struct {
	m  *Mem
	id mail.AccountID
}

func (h *memHandle) Head(ctx context.Context) (mail.ModSeq, error) {
	if err := h.m.d.enter(ctx); err != nil {
		return 0, err
	}
	defer h.m.d.mu.Unlock()
	if a := h.m.d.accounts[h.id]; a != nil {
		return a.head(), nil
	}
	return 0, nil
}

func (h *memHandle) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	d := h.m.d
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if e.Last <= after || e.Last > mail.MaxModSeq {
		return mail.Errorf(mail.Invalid, "an entry after %d cannot end at %d", after, e.Last)
	}
	a := d.account(h.id)
	if a.head() != after {
		return store.ErrStale
	}
	for _, ref := range e.Take {
		if !a.marks[ref] && !d.leased(ref) {
			return store.ErrLease
		}
	}
	a.log = append(a.log, store.Record{Last: e.Last, Data: bytes.Clone(e.Record)})
	for _, ref := range e.Take {
		d.mark(h.id, a, ref)
	}
	for _, ref := range e.Release {
		d.unmark(h.id, a, ref)
	}
	for _, s := range e.Summaries {
		a.summaries[s.ID] = append([]byte{}, s.Data...)
	}
	for _, id := range e.Drop {
		delete(a.summaries, id)
	}
	d.unsynced = nil
	d.signal(h.id, h.m)
	return nil
}

func (h *memHandle) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		d := h.m.d
		if err := d.enter(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		a := d.account(h.id)
		log, forgotten := a.log, a.forgotten
		d.mu.Unlock()
		if after < forgotten {
			yield(store.Record{}, store.ErrForgotten)
			return
		}
		i, _ := slices.BinarySearchFunc(log, after+1, func(r store.Record, m mail.ModSeq) int { return cmp.Compare(r.Last, m) })
		for _, r := range log[i:] {
			if err := ctx.Err(); err != nil {
				yield(store.Record{}, mail.Wrap(err, mail.Canceled, "given up"))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (h *memHandle) Heads(ctx context.Context, each func(store.Head) error) error {
	if err := h.m.d.enter(ctx); err != nil {
		return err
	}
	a := h.m.d.account(h.id)
	var heads []store.Head
	for _, scope := range sortedKeys(a.scopes) {
		s := a.scopes[scope]
		heads = append(heads, store.Head{Scope: scope, Saved: s.saved, Data: s.head})
	}
	h.m.d.mu.Unlock()
	for _, head := range heads {
		if err := each(head); err != nil {
			return err
		}
	}
	return nil
}

func (h *memHandle) Load(ctx context.Context, scope store.Scope, kind store.PageKind, each func(low uint64, data []byte) error) (mail.ModSeq, error) {
	if err := h.m.d.enter(ctx); err != nil {
		return 0, err
	}
	s := h.m.d.account(h.id).scopes[scope]
	h.m.d.mu.Unlock()
	if s == nil {
		return 0, nil
	}
	if kind == 0 {
		return s.saved, each(0, s.head)
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.pages), func(a, b store.PageKey) int { return cmp.Compare(a.Low, b.Low) }) {
		if key.Kind != kind {
			continue
		}
		if err := each(key.Low, s.pages[key]); err != nil {
			return s.saved, err
		}
	}
	return s.saved, nil
}

func (h *memHandle) Save(ctx context.Context, save store.Save) error {
	d := h.m.d
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.mu.Unlock()
	a := d.account(h.id)
	if err := checkSave(save); err != nil {
		return err
	}
	for _, ss := range save.Scopes {
		if a.saved(ss.Scope) != ss.Was {
			return store.ErrStale
		}
	}
	scopes, log, forgotten := maps.Clone(a.scopes), a.log, a.forgotten
	d.unsynced = append(d.unsynced, func() { a.scopes, a.log, a.forgotten = scopes, log, forgotten })
	for _, ss := range save.Scopes {
		if ss.Remove {
			delete(a.scopes, ss.Scope)
			continue
		}
		// A new memScope, so that a reader of the old one sees one moment.
		next := &memScope{saved: ss.Now, head: bytes.Clone(ss.Head), pages: map[store.PageKey][]byte{}}
		if old := a.scopes[ss.Scope]; old != nil {
			maps.Copy(next.pages, old.pages)
		}
		for _, key := range ss.Delete {
			delete(next.pages, key)
		}
		for _, p := range ss.Put {
			next.pages[p.PageKey] = bytes.Clone(p.Data)
		}
		a.scopes[ss.Scope] = next
	}
	a.forget(save.Forget)
	return nil
}

// checkSave refuses what no saver means.
func checkSave(save store.Save) error {
	seen := map[store.Scope]bool{}
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

func (a *memAccount) saved(scope store.Scope) mail.ModSeq {
	if s := a.scopes[scope]; s != nil {
		return s.saved
	}
	return 0
}

// forget drops the records whose Last is up to upTo.
func (a *memAccount) forget(upTo mail.ModSeq) {
	for len(a.log) > 0 && a.log[0].Last <= upTo {
		a.forgotten = a.log[0].Last
		a.log = a.log[1:]
	}
}

func (h *memHandle) Summaries(ctx context.Context, ids []mail.MessageID, each func(i int, summary []byte) error) error {
	if err := h.m.d.enter(ctx); err != nil {
		return err
	}
	a := h.m.d.account(h.id)
	found := make([][]byte, len(ids))
	for i, id := range ids {
		found[i] = a.summaries[id]
	}
	h.m.d.mu.Unlock()
	for i, data := range found {
		if data == nil {
			continue
		}
		if err := each(i, data); err != nil {
			return err
		}
	}
	return nil
}

func (h *memHandle) SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error] {
	return sequence(ctx, h.m.d, func() []mail.MessageID { return sortedKeys(h.m.d.account(h.id).summaries) })
}

func (h *memHandle) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return sequence(ctx, h.m.d, func() []mail.BodyRef { return slices.Collect(maps.Keys(h.m.d.account(h.id).marks)) })
}

func (h *memHandle) Grew() <-chan struct{} {
	h.m.d.mu.Lock()
	defer h.m.d.mu.Unlock()
	ch := h.m.grown[h.id]
	if ch == nil {
		ch = make(chan struct{}, 1)
		h.m.grown[h.id] = ch
	}
	return ch
}

func (h *memHandle) Destroy(ctx context.Context) error {
	d := h.m.d
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.mu.Unlock()
	a := d.account(h.id)
	for ref := range a.marks {
		d.unmark(h.id, a, ref)
	}
	delete(d.accounts, h.id)
	d.unsynced = nil
	return nil
}
