package account

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

// Pool opens the accounts of one store, each once, and lets go of those nobody
// has touched for a while. Several pools may share a store, as nodes do.
type Pool struct {
	store store.Store
	o     Options

	ctx    context.Context // of everything the committers do; ends when Close has drained them
	cancel context.CancelFunc
	stop   chan struct{} // closed by Close: the background ends
	ended  sync.WaitGroup

	mu        sync.Mutex
	accounts  map[mail.AccountID]*Account
	followers map[<-chan struct{}]*follower
	closed    bool

	keeping    sync.Mutex    // held by Housekeep
	janitor    janitor       // guarded by keeping
	generation atomic.Uint64 // of Options.Rules

	forgetAll bool // tests: forget as much log as may be forgotten
}

// NewPool makes a Pool over s, which it does not close.
func NewPool(s store.Store, o Options) *Pool {
	p := &Pool{
		store: s, o: o.withDefaults(), stop: make(chan struct{}), accounts: map[mail.AccountID]*Account{},
		followers: map[<-chan struct{}]*follower{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if p.o.Every > 0 {
		p.ended.Go(p.background)
	}
	return p
}

// background is the pool's one goroutine that runs while nothing happens.
func (p *Pool) background() {
	tick := time.NewTicker(p.o.Every)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go func() {
		select {
		case <-p.stop:
		case <-ctx.Done():
		}
		cancel()
	}()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			if err := p.Housekeep(ctx); err != nil && ctx.Err() == nil {
				p.o.Log.Warn("account: housekeeping failed", observe.Error(err))
			}
		}
	}
}

// Open gives the account, loading it if it is not in memory, and making INBOX
// and the default mailboxes if it has none. Every Open wants a Release.
func (p *Pool) Open(ctx context.Context, id mail.AccountID) (*Account, error) {
	if id == 0 {
		return nil, mail.Errorf(mail.NotFound, "there is no such account")
	}
	a, err := p.hold(id)
	if err != nil {
		return nil, err
	}
	// What was loaded before answers without the committer.
	a.mu.RLock()
	ready := a.model.names[mail.Inbox] != nil
	a.mu.RUnlock()
	if !ready {
		if err := a.ask(ctx, &request{plan: a.planDefaults, alone: true}); err != nil {
			p.release(a)
			return nil, err
		}
	}
	return a, nil
}

func (p *Pool) newAccount(id mail.AccountID) *Account {
	a := &Account{pool: p, id: id, store: p.store.Account(id), flags: newFlagTable(), model: newModel(id)}
	a.queue.idle = sync.NewCond(&a.queue.mu)
	p.follow(a)
	return a
}

func (p *Pool) release(a *Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.holders--
	if a.holders == 0 {
		a.idleAt = p.o.Now().Unix()
	}
}

// Close waits for commits under way and lets go of every account. The store
// stays open. What is done with an account afterwards gives mail.Unavailable.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	accounts := p.accounts
	p.accounts = map[mail.AccountID]*Account{}
	p.mu.Unlock()
	close(p.stop)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for _, a := range accounts {
			a.flushRecent(p.ctx)
			a.end()
		}
		p.ended.Wait()
	}()
	select {
	case <-drained:
		p.cancel()
		return nil
	case <-ctx.Done():
		p.cancel() // calls of the store under way give up
		<-drained
		return mail.Wrap(ctx.Err(), mail.Canceled, "closing took too long")
	}
}

// flushRecent writes to the log what was shown as \Recent. To lose it does
// little harm: a message may be \Recent again.
func (a *Account) flushRecent(ctx context.Context) {
	a.mu.RLock()
	dirty := len(a.model.recentDirty) > 0
	a.mu.RUnlock()
	if !dirty {
		return
	}
	err := a.ask(ctx, &request{plan: func(p *plan) error {
		if len(p.changes) == 0 {
			p.claimRecent()
		}
		return nil
	}, alone: true})
	if err != nil {
		a.pool.o.Log.Warn("account: cannot write what was recent", observe.Account(a.id), observe.Error(err))
	}
}
