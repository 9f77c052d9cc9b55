package netserver

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Limits bound what clients may use of the server before they have signed in,
// and how long anybody may keep it waiting. A zero field takes its default.
type Limits struct {
	Handshake      time.Duration // a TLS handshake, from its first to its last byte
	Handshakes     int           // TLS handshakes under way at a time
	BeforeLogin    time.Duration // a connection without Authenticated, handshake included
	PerAddress     int           // connections before login from one IPv4 address or IPv6 /64
	PerNetwork     int           // the same from one IPv4 /24 or IPv6 /48
	BeforeLoginAll int           // the same in all
	All            int           // connections in all, signed in or not; 0 is as many as the system allows
	Stall          time.Duration // a write of up to 64 KiB that the client does not read
}

// DefaultLimits are the limits unless the operator sets others.
//
// 10 s is many times a handshake over a slow mobile network (Dovecot leaves
// 180 s, and half-open handshakes have taken servers down). 60 s is time to type
// nothing: clients that connect have their password ready. 32 connections of one
// address still trying to sign in are an office behind one router on Monday
// morning; the budget is not about those who are in. 5 minutes of a client not
// reading is what Dovecot allows too.
func DefaultLimits() Limits {
	return Limits{
		Handshake: 10 * time.Second, Handshakes: 1024, BeforeLogin: 60 * time.Second,
		PerAddress: 32, PerNetwork: 128, BeforeLoginAll: 4096, Stall: 5 * time.Minute,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, want *time.Duration }{
		{&l.Handshake, &d.Handshake}, {&l.BeforeLogin, &d.BeforeLogin}, {&l.Stall, &d.Stall},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	for _, f := range []struct{ have, want *int }{
		{&l.Handshakes, &d.Handshakes}, {&l.PerAddress, &d.PerAddress},
		{&l.PerNetwork, &d.PerNetwork}, {&l.BeforeLoginAll, &d.BeforeLoginAll},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	return l
}

// ledger keeps the connections that have not signed in, oldest first, in all and
// by where they come from.
//
// When a budget is used up, room is made at the cost of the oldest connection in
// it that keeps us waiting: one whose next byte is due. A connection that waits
// for us (its handshake is being computed, its password hashed) is never the
// one. So half-open connections by the thousand push each other out and not the
// client that makes progress, while a crowd that reconnects at once, where we
// are the slow side, does not push itself out. If all of them wait for us, the
// newcomer is turned away.
type ledger struct {
	limits Limits

	mu      sync.Mutex
	open    int
	strange budget // all that have not signed in
	shaking budget // those in a TLS handshake
	near    map[netip.Prefix]*budget
	far     map[netip.Prefix]*budget
}

// budget is the connections that share one limit, oldest first.
type budget struct{ list.List }

// place is where a connection stands in the ledger's lists; ledger.mu guards it.
// The zero place is that of a connection which is in none.
type place struct {
	open                        bool
	strange, shaking, near, far *list.Element
}

func newLedger(limits Limits) *ledger {
	return &ledger{limits: limits, near: make(map[netip.Prefix]*budget), far: make(map[netip.Prefix]*budget)}
}

// sources gives the two networks whose budgets an address draws on. IPv6 hosts
// have a /64 to themselves, and often a /48.
func sources(addr netip.Addr) (near, far netip.Prefix) {
	n, f := 64, 48
	if addr.Is4() {
		n, f = 32, 24
	}
	near, _ = addr.Prefix(n) // fails only for lengths the address cannot have
	far, _ = addr.Prefix(f)
	return near, far
}

// enter books a new connection. It gives the connections struck off to make
// room, which the caller closes, or the reason why there is no room.
func (l *ledger) enter(c *Conn) (displaced []*Conn, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := func(b *budget, limit int, reason string) {
		if refused != "" || b == nil || b.Len() < limit {
			return
		}
		victim := b.waitedFor()
		if victim == nil {
			refused = reason
			return
		}
		l.strike(victim)
		displaced = append(displaced, victim)
	}
	near, far := sources(c.remote.Addr())
	if c.remote.IsValid() {
		room(l.near[near], l.limits.PerAddress, refusedAddress)
		room(l.far[far], l.limits.PerNetwork, refusedRange)
	}
	room(&l.strange, l.limits.BeforeLoginAll, refusedAll)
	if l.limits.All > 0 && l.open >= l.limits.All {
		room(&l.strange, 0, refusedAll)
	}
	if refused != "" {
		return displaced, refused
	}
	l.open++
	c.place.open = true
	c.place.strange = l.strange.PushBack(c)
	if c.remote.IsValid() {
		c.place.near = bucket(l.near, near).PushBack(c)
		c.place.far = bucket(l.far, far).PushBack(c)
	}
	return displaced, ""
}

func bucket(m map[netip.Prefix]*budget, p netip.Prefix) *budget {
	b := m[p]
	if b == nil {
		b = new(budget)
		m[p] = b
	}
	return b
}

// waitedFor gives the oldest connection whose client is to send the next byte.
func (b *budget) waitedFor() *Conn {
	for e := b.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); c.wire.reading.Load() {
			return c
		}
	}
	return nil
}

// oldest strikes off the oldest connection that keeps us waiting and gives it;
// nil if there is none.
func (l *ledger) oldest() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.strange.waitedFor()
	if c != nil {
		l.strike(c)
	}
	return c
}

// beginHandshake books a TLS handshake. It gives the connection struck off to
// make room, if one was, and false if there is no room.
func (l *ledger) beginHandshake(c *Conn) (displaced *Conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shaking.Len() >= l.limits.Handshakes {
		if displaced = l.shaking.waitedFor(); displaced == nil {
			return nil, false
		}
		l.strike(displaced)
	}
	c.place.shaking = l.shaking.PushBack(c)
	return displaced, true
}

func (l *ledger) endHandshake(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	remove(&l.shaking, &c.place.shaking)
}

func (l *ledger) inHandshake() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*Conn
	for e := l.shaking.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*Conn))
	}
	return all
}

// signedIn takes a connection off the budget of strangers.
func (l *ledger) signedIn(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strike(c)
}

// leave takes a connection off all books. It may be called again.
func (l *ledger) leave(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strike(c)
	if c.place.open {
		c.place.open = false
		l.open--
	}
}

// strike removes c from every list; it stays counted as open until it leaves.
func (l *ledger) strike(c *Conn) {
	remove(&l.shaking, &c.place.shaking)
	remove(&l.strange, &c.place.strange)
	near, far := sources(c.remote.Addr())
	strikeFrom(l.near, near, &c.place.near)
	strikeFrom(l.far, far, &c.place.far)
}

func strikeFrom(m map[netip.Prefix]*budget, p netip.Prefix, e **list.Element) {
	b := m[p]
	if b == nil {
		return
	}
	remove(b, e)
	if b.Len() == 0 {
		delete(m, p)
	}
}

func remove(b *budget, e **list.Element) {
	if *e != nil {
		b.Remove(*e)
		*e = nil
	}
}
