package account

import (
	"context"
	"errors"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
)

// Housekeep does once what the pool otherwise does every Options.Every: it drops
// rows nobody has selected, frees expunged mail whose time is over, and lets go
// of accounts nobody holds.
func (p *Pool) Housekeep(ctx context.Context) error {
	p.keeping.Lock()
	defer p.keeping.Unlock()
	p.mu.Lock()
	accounts := make([]*Account, 0, len(p.accounts))
	for _, a := range p.accounts {
		accounts = append(accounts, a)
	}
	p.mu.Unlock()
	var failed error
	for _, a := range accounts {
		if ctx.Err() != nil {
			return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
		}
		if err := a.tidy(ctx); err != nil {
			failed = errors.Join(failed, err)
		}
		a.dropRows(ctx)
		p.letGo(ctx, a, p.o.Linger)
	}
	return errors.Join(failed, p.visitOthers(ctx))
}

// dropRows forgets rows nobody has selected for a while. They come back from
// pages and log.
func (a *Account) dropRows(ctx context.Context) {
	before := a.pool.o.Now().Add(-a.pool.o.RowsLinger).Unix()
	unused := func(box *mailbox) bool {
		return box.rows != nil && len(box.selections) == 0 && box.unusedAt <= before
	}
	a.mu.RLock()
	any := false
	for _, box := range a.model.boxes {
		any = any || unused(box)
	}
	a.mu.RUnlock()
	if !any {
		return
	}
	// The committer reads rows without the lock, so it has to drop them.
	err := a.ask(ctx, &request{run: func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, box := range a.model.boxes {
			if unused(box) {
				box.rows, box.gone, box.uids, box.uidsKnown = nil, nil, nil, false
				box.keywords, box.ring = keywords{}, ring{}
			}
		}
		a.model.refs.base = nil
	}})
	if err != nil && ctx.Err() == nil {
		a.pool.o.Log.Warn("account: cannot drop rows", observe.Account(a.id), observe.Error(err))
	}
}

// hold gives the account, holding it, without looking at what is in it.
func (p *Pool) hold(id mail.AccountID) (*Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, mail.Errorf(mail.Unavailable, "the server is shutting down")
	}
	a := p.accounts[id]
	if a == nil {
		a = p.newAccount(id)
		p.accounts[id] = a
	}
	a.holders++
	return a, nil
}

// letGo lets go of an account if nobody has held it for so long.
func (p *Pool) letGo(ctx context.Context, a *Account, linger time.Duration) {
	before := p.o.Now().Add(-linger).Unix()
	unused := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return a.holders == 0 && a.idleAt <= before
	}
	if !unused() {
		return
	}
	a.flushRecent(ctx)
	p.mu.Lock()
	if a.holders > 0 || p.accounts[a.id] != a {
		p.mu.Unlock()
		return
	}
	delete(p.accounts, a.id)
	p.mu.Unlock()
	a.end()
}

// end lets the committer finish and not begin again.
func (a *Account) end() {
	a.queue.drain(true)
	a.pool.unfollow(a)
}

// Destroy removes everything an account has, for good. Sessions that have it
// open find their mailboxes gone. It can be called again after a failure.
func (p *Pool) Destroy(ctx context.Context, id mail.AccountID) error {
	p.mu.Lock()
	a := p.accounts[id]
	delete(p.accounts, id)
	p.mu.Unlock()
	if a != nil {
		a.end()
		a.vanish()
	}
	return errors.Join(p.store.Account(id).Destroy(ctx), p.forgetGrants(ctx, id))
}

// vanish shows every session that its mailbox is gone. The committer has ended.
func (a *Account) vanish() {
	m := newModel(a.id)
	a.adopt(m)
}
