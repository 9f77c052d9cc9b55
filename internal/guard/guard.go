package guard

import (
	"context"
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

// Outcome is how a try ended that was checked.
type Outcome uint8

// The outcomes.
const (
	Wrong    Outcome = iota
	Right            // signed in, or could have if it were not refused
	NotKnown         // nothing was checked: too busy, gone away
)

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

// line is a line of the log.
type line struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

// tell keeps a line for the log: nobody waits for a lock because a log is slow.
func (g *Guard) tell(level slog.Level, text string, attrs ...slog.Attr) {
	g.said = append(g.said, line{level, text, attrs})
}

// unlock frees the lock, and then logs.
func (g *Guard) unlock() {
	said := g.said
	g.said = nil
	g.mu.Unlock()
	for _, l := range said {
		g.o.Log.LogAttrs(context.Background(), l.level, l.text, l.attrs...)
	}
}

func inNetwork(n network) slog.Attr { return slog.String(observe.KeyNetwork, n.String()) }

func (g *Guard) isAllowed(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range g.allowed {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (g *Guard) tellAttack(on bool, now uint32) {
	failing := g.load.window.count(now)
	if on {
		g.tell(slog.LevelWarn, "strangers fail at many accounts: an attack is under way", slog.Int(observe.KeyCount, failing))
		return
	}
	g.tell(slog.LevelInfo, "the attack is over", slog.Int(observe.KeyCount, failing))
}
