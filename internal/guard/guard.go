package guard

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
)

// Options are what a Guard is made with. Zero fields take the defaults named.
type Options struct {
	Now     func() time.Time  // time.Now
	Log     *slog.Logger      // discards
	Metrics *observe.Registry // counts for nobody

	// Accounts and Networks are how many are remembered: 131,072 and 32,768, with
	// which a Guard takes at most 64 MiB. Those that matter least are forgotten
	// first.
	Accounts, Networks int

	// Common says whether a password is one that everybody tries. Such a password is
	// hot sooner. nil is none. It must be quick.
	Common func(password string) bool
}

const (
	defaultAccounts = 128 << 10
	defaultNetworks = 32 << 10
	// devicesPerAccount is how many devices there is room for, on an average.
	devicesPerAccount = 2
)

// Guard decides which tries to sign in are looked at. Its methods may be called
// from any goroutine.
type Guard struct {
	o    Options
	seed maphash.Seed

	mu       sync.Mutex
	keys     printKeys
	people   *table[mail.AccountID, person]
	places   *table[network, place]
	sprays   sprays
	load     load
	devices  int // remembered, of all accounts
	allowed  []netip.Prefix
	refusals refusals
	ruled    [verdicts]uint64
	dirty    dirt
	waiting  chan struct{} // closed and dropped when a try is settled; nil: nobody waits
	said     []line        // for the log, once the lock is free

	count *observe.CounterSet

	saving   sync.Mutex        // held by Load and Save
	versions map[string]uint64 // of what is kept, by key; guarded by saving
}

// New makes a Guard that knows nobody.
func New(o Options) *Guard {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Accounts <= 0 {
		o.Accounts = defaultAccounts
	}
	if o.Networks <= 0 {
		o.Networks = defaultNetworks
	}
	g := &Guard{
		o: o, versions: make(map[string]uint64), seed: maphash.MakeSeed(), places: newTable[network](o.Networks, (*place).worth, func(*place) {}),
		count: o.Metrics.CounterBy("postern_guard_total", "Tries to sign in, by what the guard said before the password was looked at.", "verdict",
			verdictNames[:]...),
	}
	g.people = newTable[mail.AccountID](o.Accounts, (*person).worth, func(p *person) { g.devices -= len(p.devices) })
	return g
}

// Try is one try to sign in.
type Try struct {
	Account  mail.AccountID // 0: there is no such account
	Name     string         // the name that was tried; it matters where there is no account
	Remote   netip.Addr     // invalid for a Unix socket
	Client   uint64         // stands for the kind of client: the same for the same program
	Password string         // as it is hashed; "" where the mechanism does not show it
	Strong   bool           // not to be guessed: an app password, a token, a certificate
}

// Verdict is what is done with a try.
type Verdict uint8

// The verdicts. Whatever is refused is answered as a wrong password is, and as
// late.
const (
	Familiar       Verdict = iota // check it, before those of strangers
	Stranger                      // check it
	Strong                        // check it
	Probe                         // refuse it, but check it: it tells whether the account's password is a hot one
	RefuseDevice                  // the device has used up its budget
	RefuseNetwork                 // the network is closed to strangers
	RefuseHot                     // the password is hot
	RefuseAccount                 // strangers have used up the account's budget
	RefuseStranger                // strangers have used up the network's budget

	verdicts = iota

	// Wait is neither: so many tries are under way that it depends on how they end.
	// Ask again when Settled says so. An office that connects all at once, to a server
	// that knows nobody yet, is not to be told that its passwords are wrong.
	Wait Verdict = iota
)

var verdictNames = [verdicts]string{"familiar", "stranger", "strong", "probe", "refused_device", "refused_network",
	"refused_hot", "refused_account", "refused_stranger"}

// String names the verdict as logs and counters do.
func (v Verdict) String() string {
	if v == Wait {
		return "wait"
	}
	return verdictNames[v]
}

// Check reports whether the password is to be checked.
func (v Verdict) Check() bool { return v <= Probe }

// Refused reports whether the answer is no, right or wrong.
func (v Verdict) Refused() bool { return v >= Probe && v != Wait }

// Ruling is the verdict about one try, which has been charged for. Whoever got it
// says with Settle how the try ended, unless it was not to be checked.
type Ruling struct {
	Verdict Verdict

	account mail.AccountID
	who     uint64 // hash of the account, or of the name where there is none
	from    network
	client  uint64
	prints  prints
	cost    float32 // to the network, if charged
	charged bool    // to the account or the device, too
	common  bool    // the password is one that everybody tries
}

func (g *Guard) now() uint32 { return uint32(g.o.Now().Unix()) }

// Ask decides about a try and charges for it before anybody has looked at the
// password: what is under way at once is not more than what is left.
func (g *Guard) Ask(t Try) Ruling {
	now := g.now()
	r := Ruling{account: t.Account, who: g.who(&t), from: networkOf(t.Remote), client: t.Client}
	r.common = g.o.Common != nil && t.Password != "" && !t.Strong && g.o.Common(t.Password)
	g.mu.Lock()
	defer g.unlock()
	if !t.Strong {
		r.prints = g.keys.of(now, t.Password)
	}
	r.Verdict = g.rule(now, &t, &r)
	if r.Verdict == Wait {
		return r
	}
	g.ruled[r.Verdict]++
	g.count.Of(r.Verdict.String()).Add()
	if r.Verdict.Refused() {
		g.refusals.add(refusal{at: now, account: t.Account, from: r.from, verdict: r.Verdict})
	}
	return r
}

// who tells accounts apart, and names that nobody bears. The first is the same in
// every process, the second need not.
func (g *Guard) who(t *Try) uint64 {
	if t.Account != 0 {
		return mix(uint64(t.Account))
	}
	return maphash.String(g.seed, t.Name)
}

// rule is Ask with the lock held. The order matters: what is refused earlier costs
// nothing later.
func (g *Guard) rule(now uint32, t *Try, r *Ruling) Verdict {
	if t.Strong {
		return Strong
	}
	p := g.people.use(t.Account)
	if p != nil {
		if d := p.device(now, r.from, t.Client); d != nil {
			return d.rule(now, r)
		}
	}
	allowed := g.isAllowed(t.Remote)
	place := g.places.use(r.from)
	if !allowed && place != nil && place.closed(now) {
		return RefuseNetwork
	}
	if g.sprays.hot(now, r.prints, g.threshold(r)) {
		return g.probe(p, r)
	}
	again := p != nil && has(p.wrong[:], r.prints)
	if p != nil {
		switch p.strangers.room(now, 1, p.budgetOf()) {
		case later:
			return Wait
		case none:
			return RefuseAccount
		}
	}
	if !allowed {
		if place == nil {
			place = g.places.put(r.from)
		}
		r.cost = costKnown
		if t.Account == 0 {
			r.cost = costUnknown
		}
		switch place.strangers.room(now, r.cost, place.budget(now)) {
		case later:
			return Wait
		case none:
			return RefuseStranger
		}
		place.strangers.take(r.cost)
	}
	if t.Account != 0 && !again {
		if p == nil {
			p = g.people.put(t.Account)
			p.strangers.fill(now, strangerBudget)
		}
		p.strangers.take(1)
		r.charged = true
	}
	return Stranger
}

// rule decides about a try by a familiar device.
func (d *device) rule(now uint32, r *Ruling) Verdict {
	switch d.budget.room(now, 1, deviceBudget) {
	case later:
		return Wait
	case none:
		return RefuseDevice
	}
	r.charged = !has(d.wrong[:], r.prints)
	if r.charged {
		d.budget.take(1)
	}
	return Familiar
}

// probe refuses a hot password. It is checked once for each account: one whose
// password it is wants another.
func (g *Guard) probe(p *person, r *Ruling) Verdict {
	if r.account == 0 {
		return RefuseHot
	}
	if p == nil {
		p = g.people.put(r.account)
	}
	if has(p.probed[:], r.prints) {
		return RefuseHot
	}
	remember(p.probed[:], r.prints[0])
	return Probe
}

func (g *Guard) isAllowed(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range g.allowed {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
