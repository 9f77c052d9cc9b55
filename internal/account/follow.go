package account

import (
	"maps"

	"postern/internal/observe"
)

// follower comes into step with the log of its accounts whenever other hands may
// have added to it: one goroutine for each channel that the store signals on. A
// store that nobody else writes to has one channel, or none, for all accounts,
// and then an open account costs no goroutine.
type follower struct {
	accounts map[*Account]struct{} // guarded by Pool.mu
	stop     chan struct{}
}

// follow begins to follow an account's log. The lock is held.
func (p *Pool) follow(a *Account) {
	grew := a.store.Grew()
	if grew == nil {
		return
	}
	a.grew = grew
	f := p.followers[grew]
	if f == nil {
		f = &follower{accounts: map[*Account]struct{}{}, stop: make(chan struct{})}
		p.followers[grew] = f
		p.ended.Go(func() { p.run(f, grew) })
	}
	f.accounts[a] = struct{}{}
}

// unfollow ends it.
func (p *Pool) unfollow(a *Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.followers[a.grew]
	if f == nil {
		return
	}
	delete(f.accounts, a)
	if len(f.accounts) == 0 {
		delete(p.followers, a.grew)
		close(f.stop)
	}
}

func (p *Pool) run(f *follower, grew <-chan struct{}) {
	for {
		select {
		case <-grew:
		case <-f.stop:
			return
		case <-p.stop:
			return
		}
		p.mu.Lock()
		accounts := maps.Clone(f.accounts)
		p.mu.Unlock()
		for a := range accounts {
			if err := a.ask(p.ctx, &request{sync: true}); err != nil && p.ctx.Err() == nil {
				p.o.Log.Warn("account: cannot follow the log", observe.Account(a.id), observe.Error(err))
			}
		}
	}
}
