package account

import (
	"context"
	"errors"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// The janitor frees expunged mail once nobody can still be shown it: a purge
// takes rows out of a mailbox's expunged ones, and where no other row of the
// account bears the message, its summary and its body's mark. It works in small
// batches through the committer like anybody else, so that two nodes may do it at
// once, and it goes to accounts nobody has opened as well.

// purgeBatch is the number of rows one purge takes.
const purgeBatch = 500

// janitor is what is remembered of accounts that are not open, so that one in
// which nothing happened costs a glance at its head.
type janitor struct {
	next  time.Time // when accounts that are not open are looked at again
	known map[mail.AccountID]glance
}

// glance is what an account looked like when it was last visited.
type glance struct {
	head   mail.ModSeq
	oldest int64 // as in root

	expireAt   int64  // unix second before which nothing expires; 0 is not known
	generation uint64 // of the rules that say so
}

// tidy frees what an open account holds no longer, and expunges what has been long enough in Trash.
func (a *Account) tidy(ctx context.Context) error {
	now := a.pool.o.Now()
	a.mu.RLock()
	oldest := a.model.oldest()
	a.mu.RUnlock()
	purge := oldest != 0 && oldest <= now.Add(-a.pool.o.ExpungeHold).Unix()
	expire := a.pool.o.Rules != nil
	if !purge && !expire {
		return nil
	}
	rules, err := a.knowRules(ctx)
	if err != nil {
		return err
	}
	if purge {
		err = a.purge(ctx, rules.due(now))
	}
	if expire && err == nil && rules.expireAt <= now.Unix() {
		rules.expireAt, err = a.expire(ctx, rules.Rules)
	}
	return err
}

// purge frees what was expunged no later than due.
func (a *Account) purge(ctx context.Context, due int64) error {
	a.mu.RLock()
	var boxes []*mailbox
	for _, box := range a.model.boxes {
		if box.heldSince != 0 && box.heldSince <= due {
			boxes = append(boxes, box)
		}
	}
	a.mu.RUnlock()
	for _, box := range boxes {
		for {
			more, err := a.purgeSome(ctx, box, due)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// purgeSome purges a batch of rows expunged no later than due, and reports
// whether there may be more.
func (a *Account) purgeSome(ctx context.Context, box *mailbox, due int64) (more bool, err error) {
	var uids mail.UIDSet
	var ids []mail.MessageID
	err = a.ask(ctx, &request{needs: []*mailbox{box}, run: func() { uids, ids = a.duePurge(box, due) }})
	if err != nil || uids.Empty() {
		return false, err
	}
	bodies := map[mail.MessageID]mail.BodyRef{}
	var m Summary
	err = a.store.Summaries(ctx, ids, func(i int, data []byte) error {
		if err := m.decode(data); err != nil {
			return err
		}
		bodies[ids[i]] = m.ref
		return nil
	})
	if err != nil {
		return false, err
	}
	err = a.ask(ctx, &request{needs: []*mailbox{box}, refs: true, plan: func(p *plan) error {
		p.purge(box, uids, bodies)
		return nil
	}})
	return uids.Len() == purgeBatch, err
}

// duePurge gives rows that are due. When there are none it takes note since when
// the mailbox really holds any: without rows that is known only roughly. The
// committer calls it.
func (a *Account) duePurge(box *mailbox, due int64) (uids mail.UIDSet, ids []mail.MessageID) {
	if box.gone == nil || box.purged {
		return nil, nil
	}
	first := int64(0)
	for _, p := range box.gone.pages {
		for i := range p.uid {
			at, _ := p.expungedAt(i)
			if at <= due && len(ids) < purgeBatch {
				uids = uids.Append(mail.UID(p.uid[i]))
				ids = append(ids, p.id(i))
			}
			if first == 0 || at < first {
				first = at
			}
		}
	}
	if len(ids) == 0 && box.held > 0 {
		a.mu.Lock()
		box.heldSince = max(first, 1)
		a.mu.Unlock()
	}
	return uids, ids
}

// purge plans that expunged rows, which are loaded, are freed. bodies has the
// bodies of their messages.
func (p *plan) purge(box *mailbox, uids mail.UIDSet, bodies map[mail.MessageID]mail.BodyRef) {
	if box.gone == nil || box.purged {
		return
	}
	o := p.overlay(box)
	var e mail.MessagesPurged
	box.gone.each(uids.Subtract(o.purged), func(page *rowPage, i int) bool {
		id := page.id(i)
		e.UIDs = e.UIDs.Append(mail.UID(page.uid[i]))
		e.IDs = append(e.IDs, id)
		_, by := page.expungedAt(i)
		e.Through = max(e.Through, by)
		if p.base[id]+p.model.refs.delta[id]+p.refs[id] <= 0 {
			p.drop = append(p.drop, id)
			if ref, ok := bodies[id]; ok {
				p.release = append(p.release, ref)
			}
		}
		p.refs[id]--
		return true
	})
	if len(e.IDs) == 0 {
		return
	}
	o.purged = o.purged.Union(e.UIDs)
	p.record(box.id, o.counts, e, 8*len(e.IDs))
}

// visitOthers goes to every account that is not open and may have something to
// purge.
func (p *Pool) visitOthers(ctx context.Context) error {
	now := p.o.Now()
	if now.Before(p.janitor.next) {
		return nil
	}
	p.janitor.next = now.Add(p.o.ExpungeHold / 24)
	was := p.janitor.known
	p.janitor.known = map[mail.AccountID]glance{}
	due := now.Add(-p.o.ExpungeHold).Unix()
	var failed error
	for id, err := range p.store.Accounts(ctx) {
		if err != nil {
			return err
		}
		p.mu.Lock()
		open, closed := p.accounts[id] != nil, p.closed
		p.mu.Unlock()
		if closed {
			return nil
		}
		if open {
			continue // housekeeping has been there
		}
		g, err := p.glanceAt(ctx, id, was[id])
		if err == nil && (g.oldest != 0 && g.oldest <= due || p.mayExpire(&g, now)) {
			g, err = p.tidyClosed(ctx, id, g)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		p.janitor.known[id] = g
	}
	return failed
}

// mayExpire reports whether something in an account that is not open may have been long enough where it is. What came there
// since the account was last visited came later.
func (p *Pool) mayExpire(g *glance, now time.Time) bool {
	return p.o.Rules != nil && (g.expireAt <= now.Unix() || g.generation != p.generation.Load())
}

// tidyClosed is tidy for an account that is not open, and gives what it looks like afterwards.
func (p *Pool) tidyClosed(ctx context.Context, id mail.AccountID, g glance) (glance, error) {
	now := p.o.Now()
	generation := p.generation.Load()
	rules, err := p.rulesOf(ctx, id)
	if err != nil {
		return glance{}, err
	}
	due := rules.due(now)
	if len(rules.Expire) == 0 {
		g.expireAt = never
	} else if g.generation != generation {
		g.expireAt = 0
	}
	g.generation = generation
	if (g.oldest == 0 || g.oldest > due) && g.expireAt > now.Unix() { // it is kept longer than others
		return g, nil
	}
	next := glance{expireAt: g.expireAt, generation: generation} // without a head: look again
	err = p.visit(ctx, id, func(a *Account) error {
		err := a.purge(ctx, due)
		if err == nil {
			next.expireAt, err = a.expire(ctx, rules)
		}
		return err
	})
	return next, err
}

// glanceAt says since when an account holds expunged mail: from what is
// remembered if nothing was committed since, else from the root page if it is up
// to date, and only otherwise from the log.
func (p *Pool) glanceAt(ctx context.Context, id mail.AccountID, was glance) (glance, error) {
	acc := p.store.Account(id)
	head, err := acc.Head(ctx)
	if err != nil || was.head == head && head != 0 {
		return was, err
	}
	now := glance{head: head, expireAt: was.expireAt, generation: was.generation}
	var saved mail.ModSeq
	enough := errors.New("the root page comes first")
	err = acc.Heads(ctx, func(h store.Head) error {
		if h.Scope != 0 {
			return enough
		}
		r, err := decodeRoot(h.Data)
		if err != nil {
			return err
		}
		saved, now.oldest = h.Saved, r.oldest
		return enough
	})
	if err != nil && !errors.Is(err, enough) {
		return now, err
	}
	if saved == head {
		return now, nil
	}
	err = p.visit(ctx, id, func(a *Account) error {
		a.mu.RLock()
		defer a.mu.RUnlock()
		now.head, now.oldest = a.model.last, a.model.oldest()
		return nil
	})
	return now, err
}

// visit opens an account without making mailboxes in it, and lets go of it at
// once if nobody else came.
func (p *Pool) visit(ctx context.Context, id mail.AccountID, do func(*Account) error) error {
	a, err := p.hold(id)
	if err != nil {
		return err
	}
	err = a.ask(ctx, &request{})
	if err == nil {
		err = do(a)
	}
	p.release(a)
	p.letGo(ctx, a, 0)
	return err
}
