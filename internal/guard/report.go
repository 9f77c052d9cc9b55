package guard

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"postern/internal/mail"
)

// Status is what the guard knows, for an administrator.
type Status struct {
	Attack  bool // one is under way
	Failing int  // accounts at which strangers failed within the hour
	Limit   int  // beyond which that is an attack
	Hot     int  // passwords that are refused to strangers

	Accounts, Devices, Networks int // remembered

	Closed  []Closed         // networks closed to strangers, the last to open first
	Weak    []mail.AccountID // whose password is one that was tried everywhere
	Allowed []netip.Prefix
	Ruled   map[string]uint64 // tries by verdict, since the start
}

// Closed is a network that is closed to strangers.
type Closed struct {
	Network netip.Prefix // zero: clients without an address
	Until   time.Time
	Failing int // accounts at which strangers failed from there within the hour
	Good    int // accounts that signed in from there within the week
}

// Status tells what the guard knows.
func (g *Guard) Status() Status {
	now := g.now()
	g.mu.Lock()
	defer g.unlock()
	s := Status{
		Failing: g.load.window.count(now), Limit: g.load.limit(now), Hot: g.sprays.count(now),
		Accounts: len(g.people.slots), Devices: g.devices, Networks: len(g.places.slots),
		Allowed: slices.Clone(g.allowed), Ruled: make(map[string]uint64, verdicts),
	}
	s.Attack = s.Failing > s.Limit
	for v, n := range g.ruled {
		s.Ruled[Verdict(v).String()] = n
	}
	g.places.all(func(n network, p *place) bool {
		if p.closed(now) {
			s.Closed = append(s.Closed, Closed{Network: n.prefix(), Until: at(p.blocked), Failing: p.failing.count(now), Good: p.good.count(now)})
		}
		return true
	})
	slices.SortFunc(s.Closed, func(a, b Closed) int { return b.Until.Compare(a.Until) })
	g.people.all(func(id mail.AccountID, p *person) bool {
		if p.weak != 0 {
			s.Weak = append(s.Weak, id)
		}
		return true
	})
	slices.SortFunc(s.Weak, func(a, b mail.AccountID) int { return cmp.Compare(a, b) })
	return s
}

// Explanation is what the guard knows of one account, and why it decides about
// tries there as it does.
type Explanation struct {
	Devices  []Device // the one seen last comes first
	Left     float64  // tries that strangers have left
	Of       float64  // of so many
	Every    time.Duration
	InARow   int       // strangers' wrong tries since somebody signed in
	Weak     time.Time // when the password was found to be one that is tried everywhere; zero: it was not
	Refusals []Refusal // the newest first
}

// Device is where an account was signed in to from.
type Device struct {
	Network netip.Prefix // zero: a client without an address
	Client  uint64
	Seen    time.Time
	Left    float64 // tries it has left, of Of
	Of      float64
}

// Refusal is a try that was refused.
type Refusal struct {
	Time    time.Time
	Network netip.Prefix
	Verdict Verdict
}

// Explain tells what the guard knows of an account.
func (g *Guard) Explain(id mail.AccountID) Explanation {
	now := g.now()
	g.mu.Lock()
	defer g.unlock()
	p := g.people.look(id)
	if p == nil {
		p = &person{}
	}
	m := p.budgetOf()
	budget := p.strangers
	budget.fill(now, m)
	e := Explanation{Left: float64(budget.left), Of: float64(m.size), Every: time.Duration(m.every) * time.Second, InARow: int(p.inARow)}
	if p.weak != 0 {
		e.Weak = at(p.weak)
	}
	for _, d := range slices.Backward(p.devices) {
		if d.seen+familiarFor <= now {
			continue
		}
		d.budget.fill(now, deviceBudget)
		e.Devices = append(e.Devices, Device{Network: d.network.prefix(), Client: d.client, Seen: at(d.seen),
			Left: float64(d.budget.left), Of: float64(deviceBudget.size)})
	}
	for _, r := range g.refusals.of(id) {
		e.Refusals = append(e.Refusals, Refusal{Time: at(r.at), Network: r.from.prefix(), Verdict: r.verdict})
	}
	return e
}

// ForgetAccount forgets what strangers did at an account, and its devices: all of
// them are strangers then.
func (g *Guard) ForgetAccount(id mail.AccountID) {
	g.mu.Lock()
	defer g.unlock()
	g.people.remove(id)
	g.dirty.person(id)
}

// ForgetNetwork forgets what strangers did from the networks of a prefix, and opens
// them. It reports how many it knew.
func (g *Guard) ForgetNetwork(prefix netip.Prefix) int {
	g.mu.Lock()
	defer g.unlock()
	var known []network
	g.places.all(func(n network, _ *place) bool {
		if p := n.prefix(); p.IsValid() && p.Overlaps(prefix) {
			known = append(known, n)
		}
		return true
	})
	for _, n := range known {
		g.places.remove(n)
		g.dirty.place(n)
	}
	return len(known)
}

// Allow sets the networks that are never closed and have no budget: those of a
// webmail server, say, or a proxy that many people come through. The budgets of
// accounts, and hot passwords, count there as anywhere.
func (g *Guard) Allow(prefixes []netip.Prefix) {
	g.mu.Lock()
	defer g.unlock()
	g.allowed = slices.Clone(prefixes)
}

func at(seconds uint32) time.Time { return time.Unix(int64(seconds), 0) }
