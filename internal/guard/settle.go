package guard

import (
	"log/slog"
	"time"

	"postern/internal/observe"
)

// Outcome is how a try ended that was checked.
type Outcome uint8

// The outcomes.
const (
	Wrong    Outcome = iota
	Right            // signed in, or could have if it were not refused
	NotKnown         // nothing was checked: too busy, gone away
)

// Settle says how a try ended that was to be checked.
func (g *Guard) Settle(r Ruling, o Outcome) {
	now := g.now()
	g.mu.Lock()
	defer g.unlock()
	if g.waiting != nil {
		close(g.waiting)
		g.waiting = nil
	}
	switch r.Verdict {
	case Familiar:
		g.settleDevice(now, &r, o)
	case Stranger:
		g.settleStranger(now, &r, o)
	case Strong:
		if o == Right {
			g.welcome(now, &r)
		} else if o == Wrong {
			g.blame(now, &r)
		}
	case Probe:
		if o == Right {
			g.flag(now, &r)
		} else {
			g.failed(now, &r)
		}
	}
}

// Settled gives a channel that is closed when the next try has been settled.
func (g *Guard) Settled() <-chan struct{} {
	g.mu.Lock()
	defer g.unlock()
	if g.waiting == nil {
		g.waiting = make(chan struct{})
	}
	return g.waiting
}

func (g *Guard) settleDevice(now uint32, r *Ruling, o Outcome) {
	p := g.people.look(r.account)
	if p == nil { // forgotten meanwhile
		return
	}
	d := p.device(now, r.from, r.client)
	switch {
	case o == Right:
		g.welcome(now, r)
		fallthrough
	case o == NotKnown:
		if d := p.device(now, r.from, r.client); d != nil && r.charged {
			d.budget.give(1, deviceBudget)
		}
	default:
		if d != nil {
			remember(d.wrong[:], r.prints[0])
			if r.charged {
				d.budget.spend(1)
			}
		}
		// The owner's old phone is no spray, but a stranger who looks like it is.
		g.spray(now, r)
	}
}

func (g *Guard) settleStranger(now uint32, r *Ruling, o Outcome) {
	p := g.people.look(r.account)
	if o != Wrong {
		if p != nil && r.charged {
			p.strangers.give(1, p.budgetOf())
		}
		if pl := g.places.look(r.from); pl != nil && r.cost > 0 {
			pl.strangers.give(r.cost, pl.budget(now))
		}
		if o == Right {
			g.welcome(now, r)
		}
		return
	}
	if pl := g.places.look(r.from); pl != nil {
		pl.strangers.spend(r.cost)
	}
	if p != nil {
		if r.charged {
			p.strangers.spend(1)
		}
		if p.inARow < tolerated {
			p.inARow++
		}
		remember(p.wrong[:], r.prints[0])
		g.dirty.person(r.account)
	}
	g.failed(now, r)
}

// failed notes a stranger's failure wherever sprays show.
func (g *Guard) failed(now uint32, r *Ruling) {
	g.spray(now, r)
	g.blame(now, r)
	g.load.fail(now, r.who)
	if on, turned := g.load.attack(now); turned {
		g.tellAttack(on, now)
	}
}

// spray notes at which accounts a password fails.
func (g *Guard) spray(now uint32, r *Ruling) {
	if g.sprays.add(now, r.prints[0], uint32(r.who>>32), g.threshold(r)) {
		g.tell(slog.LevelWarn, "one password fails at several accounts: strangers who try it are refused", inNetwork(r.from))
	}
}

// threshold is at how many accounts a password fails before it is hot.
func (g *Guard) threshold(r *Ruling) int {
	switch {
	case r.common:
		return hotAtCommon
	case g.load.on:
		return hotAtAttack
	}
	return hotAt
}

// blame notes a failure of its network's.
func (g *Guard) blame(now uint32, r *Ruling) {
	pl := g.places.put(r.from)
	if closed, failing := pl.fail(now, r.who); closed {
		g.dirty.place(r.from)
		g.tell(slog.LevelWarn, "many accounts fail from one network: it is closed to strangers for a while", inNetwork(r.from),
			slog.Int(observe.KeyCount, failing), observe.Duration(time.Duration(pl.blocked-now)*time.Second))
	}
}

// welcome notes that somebody signed in.
func (g *Guard) welcome(now uint32, r *Ruling) {
	if r.account == 0 {
		return
	}
	p := g.people.put(r.account)
	more, changed := p.welcome(now, r.from, r.client)
	g.devices += more
	g.makeRoom()
	p.inARow = 0
	pl := g.places.put(r.from)
	if changed {
		note(pl.good.pane(now)[:], r.who)
		g.dirty.person(r.account)
		g.dirty.place(r.from)
	}
}

// makeRoom forgets those who were not seen for longest, where there are too many
// devices.
func (g *Guard) makeRoom() {
	for g.devices > devicesPerAccount*g.o.Accounts {
		g.people.remove(g.people.oldest())
	}
}

// flag notes that an account's password is one that is being tried everywhere.
func (g *Guard) flag(now uint32, r *Ruling) {
	p := g.people.put(r.account)
	if p.weak == 0 {
		g.tell(slog.LevelWarn, "an account has a password that is being tried everywhere: give it another", observe.Account(r.account))
	}
	p.weak = now
	g.dirty.person(r.account)
}
