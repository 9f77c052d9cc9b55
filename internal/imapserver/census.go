package imapserver

import (
	"sync"

	"postern/internal/mail"
)

// Census counts the sessions of each account. Servers that follow one another, as
// they do when their settings change, share one: what an account may have at a
// time does not begin anew with each of them. The zero Census is ready.
type Census struct {
	mu   sync.Mutex
	open map[mail.AccountID]int
}

// admit counts a session to an account if it has fewer than most.
func (c *Census) admit(id mail.AccountID, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[mail.AccountID]int)
	}
	c.open[id]++
	return true
}

// Count gives how many sessions there are, and of how many accounts.
func (c *Census) Count() (sessions, accounts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.open {
		sessions += n
	}
	return sessions, len(c.open)
}

// dismiss is the opposite of admit.
func (c *Census) dismiss(id mail.AccountID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id]--; c.open[id] == 0 {
		delete(c.open, id)
	}
}
