package imapserver

import (
	"context"
	"sync"

	"postern/internal/mail"
)

// turns lets so many searches of one account work at a time and has the others
// wait, so that an account with many sessions does not take the processors from
// everybody else.
type turns struct {
	most int

	mu sync.Mutex
	of map[mail.AccountID]*turn // of accounts that have a search under way
}

type turn struct {
	working chan struct{} // holds one for each search at work
	here    int           // searches that work or wait, guarded by turns.mu
}

func newTurns(most int) *turns { return &turns{most: most, of: map[mail.AccountID]*turn{}} }

// take waits for a turn, until ctx ends. The caller gives it back by calling done.
func (t *turns) take(ctx context.Context, id mail.AccountID) (done func(), err error) {
	t.mu.Lock()
	own := t.of[id]
	if own == nil {
		own = &turn{working: make(chan struct{}, t.most)}
		t.of[id] = own
	}
	own.here++
	t.mu.Unlock()
	select {
	case own.working <- struct{}{}:
		return func() { <-own.working; t.leave(id) }, nil
	case <-ctx.Done():
		t.leave(id)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(id mail.AccountID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[id].here--; t.of[id].here == 0 {
		delete(t.of, id)
	}
}
