package guard

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/testenv"
)

// clock is a clock that tests wind.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) wind(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newGuard(t testing.TB, change func(*Options)) (*Guard, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	o := Options{Now: c.Now}
	if change != nil {
		change(&o)
	}
	return New(o), c
}

// try asks about a password and settles it. Every account's password is "right".
func (g *Guard) try(account mail.AccountID, from, password string, client uint64) Verdict {
	name := ""
	if account == 0 {
		name = "nobody@example.org"
	}
	r := g.Ask(Try{Account: account, Name: name, Remote: netip.MustParseAddr(from), Client: client, Password: password})
	if r.Verdict.Check() {
		o := Wrong
		if account != 0 && password == "right" {
			o = Right
		}
		g.Settle(r, o)
	}
	return r.Verdict
}

func expect(t *testing.T, what string, got, want Verdict) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// TestStrangersBudget: an account has ten tries for strangers, and one more every
// six minutes. Its owner's device does not notice.
func TestStrangersBudget(t *testing.T) {
	g, c := newGuard(t, nil)
	g.try(1, "192.0.2.7", "right", 5)
	for i := range 10 {
		expect(t, "a guess", g.try(1, fmt.Sprintf("198.51.%d.1", i), fmt.Sprint("guess ", i), 9), Stranger)
	}
	expect(t, "the eleventh", g.try(1, "198.51.99.1", "guess 11", 9), RefuseAccount)
	expect(t, "right, but a stranger", g.try(1, "198.51.99.1", "right", 9), RefuseAccount)
	expect(t, "the owner", g.try(1, "192.0.2.200", "right", 5), Familiar)
	c.wind(6 * time.Minute)
	expect(t, "six minutes later", g.try(1, "198.51.99.1", "guess 12", 9), Stranger)
	expect(t, "and another", g.try(1, "198.51.99.1", "guess 13", 9), RefuseAccount)
	c.wind(time.Hour)
	expect(t, "right, an hour later", g.try(1, "198.51.99.1", "right", 9), Stranger)
	expect(t, "and again", g.try(1, "198.51.99.2", "right", 9), Familiar)
}

// TestRightCostsNothing: who is right gets the charge back, however often.
func TestRightCostsNothing(t *testing.T) {
	g, _ := newGuard(t, nil)
	for i := range 500 {
		from := fmt.Sprintf("10.%d.%d.1", i/256, i%256)
		expect(t, "right from "+from, g.try(1, from, "right", 1), Stranger)
	}
}

// TestChargedBeforeItIsLookedAt: what is under way at once is not more than what
// is left (number 51 of the test matrix).
func TestChargedBeforeItIsLookedAt(t *testing.T) {
	g, _ := newGuard(t, nil)
	looked := 0
	for i := range 64 {
		r := g.Ask(Try{Account: 1, Remote: netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), Password: fmt.Sprint(i)})
		if r.Verdict.Check() {
			looked++
		}
	}
	if looked != int(strangerBudget.size) {
		t.Errorf("%d of 64 tries at once were looked at, want %v", looked, strangerBudget.size)
	}
}

// TestOfficeConnectsAtOnce: 200 people behind one address connect at once to a server
// that knows nobody. Nobody is refused; some wait for others.
func TestOfficeConnectsAtOnce(t *testing.T) {
	g, _ := newGuard(t, nil)
	var wg sync.WaitGroup
	refused := make(chan Verdict, 200)
	var waited atomic.Bool
	var hashing sync.Mutex // one hash at a time
	for id := range mail.AccountID(200) {
		wg.Go(func() {
			for {
				settled := g.Settled()
				r := g.Ask(Try{Account: 1 + id, Remote: netip.MustParseAddr("192.0.2.1"), Client: uint64(id), Password: "right"})
				switch {
				case r.Verdict == Wait:
					waited.Store(true)
					<-settled
				case r.Verdict.Refused():
					refused <- r.Verdict
					return
				default:
					hashing.Lock()
					time.Sleep(100 * time.Microsecond)
					hashing.Unlock()
					g.Settle(r, Right)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(refused) > 0 {
		t.Errorf("%d were refused, the first: %s", len(refused), <-refused)
	}
	if !waited.Load() {
		t.Error("nobody waited: what is tested?")
	}
}

// TestWaitersAreRefusedInTheEnd: those who wait are looked at no more when those
// before them were wrong.
func TestWaitersAreRefusedInTheEnd(t *testing.T) {
	g, _ := newGuard(t, nil)
	ask := func(i int) Ruling {
		return g.Ask(Try{Account: 1, Remote: netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), Password: fmt.Sprint(i)})
	}
	var flying []Ruling
	for i := range 10 {
		flying = append(flying, ask(i))
	}
	settled := g.Settled()
	expect(t, "the eleventh", ask(11).Verdict, Wait)
	for _, r := range flying[:9] {
		g.Settle(r, Wrong)
	}
	<-settled
	expect(t, "with one under way", ask(11).Verdict, Wait)
	g.Settle(flying[9], Wrong)
	expect(t, "with none", ask(11).Verdict, RefuseAccount)
}

// TestSameWrongPassword: a phone with an old password asks for ever, and nobody
// suffers.
func TestSameWrongPassword(t *testing.T) {
	g, c := newGuard(t, nil)
	g.try(1, "192.0.2.7", "right", 5)
	for i := range 200 {
		expect(t, fmt.Sprint("old password, try ", i), g.try(1, "192.0.2.7", "old", 5), Familiar)
		expect(t, fmt.Sprint("from a new place, try ", i), g.try(1, "203.0.113.7", "old", 5), Stranger)
		c.wind(5 * time.Minute)
	}
	if e := g.Explain(1); e.Left < 9 {
		t.Errorf("strangers have %.1f tries left", e.Left)
	}
	expect(t, "the new one", g.try(1, "192.0.2.7", "right", 5), Familiar)
}

// TestDevice: what makes a device, for how long, and its own budget.
func TestDevice(t *testing.T) {
	g, c := newGuard(t, nil)
	g.try(1, "192.0.2.7", "right", 5)
	g.try(1, "2001:db8:0:ab00::7", "right", 5)
	for _, test := range []struct {
		account mail.AccountID
		from    string
		client  uint64
		want    Verdict
	}{
		{1, "192.0.2.8", 5, Familiar},               // the same /24
		{1, "::ffff:192.0.2.9", 5, Familiar},        // also written so
		{1, "192.0.3.7", 5, Stranger},               // another
		{1, "192.0.2.7", 6, Stranger},               // another program
		{2, "192.0.2.7", 5, Stranger},               // another account
		{1, "2001:db8:0:abff:ffff::1", 5, Familiar}, // the same /56
		{1, "2001:db8:0:ac00::1", 5, Stranger},      // another
	} {
		r := g.Ask(Try{Account: test.account, Remote: netip.MustParseAddr(test.from), Client: test.client, Password: "x"})
		expect(t, fmt.Sprint(test), r.Verdict, test.want)
		g.Settle(r, NotKnown)
	}
	for i := range 20 {
		expect(t, "a guess", g.try(1, "192.0.2.7", fmt.Sprint("guess ", i), 5), Familiar)
	}
	expect(t, "the twenty-first", g.try(1, "192.0.2.7", "guess", 5), RefuseDevice)
	expect(t, "the other device", g.try(1, "2001:db8:0:ab00::7", "right", 5), Familiar)
	c.wind(10 * time.Minute)
	expect(t, "ten minutes later", g.try(1, "192.0.2.7", "right", 5), Familiar)
	c.wind(29 * 24 * time.Hour)
	expect(t, "29 days later", g.try(1, "192.0.2.7", "right", 5), Familiar)
	c.wind(31 * 24 * time.Hour)
	expect(t, "31 days later", g.try(1, "192.0.2.7", "wrong", 5), Stranger)
	for i := range maxDevices {
		g.try(3, fmt.Sprintf("10.0.%d.1", i), "right", 1)
	}
	g.try(3, "10.1.0.1", "right", 1)
	if e := g.Explain(3); len(e.Devices) != maxDevices || e.Devices[0].Network.String() != "10.1.0.0/24" {
		t.Errorf("%d devices, the first %v", len(e.Devices), e.Devices[0].Network)
	}
}

// TestNetworkIsClosed: eight accounts that fail from one network close it to
// strangers, for longer each time; half again as many must fail as sign in there.
func TestNetworkIsClosed(t *testing.T) {
	g, c := newGuard(t, nil)
	const office, villain = "192.0.2.1", "198.51.100.1"
	for id := range mail.AccountID(20) {
		g.try(1+id, office, "right", 5)
	}
	for id := range mail.AccountID(20) {
		expect(t, "an old password in the office", g.try(100+id, office, fmt.Sprint("typo ", id), 6), Stranger)
	}
	for id := range mail.AccountID(8) {
		expect(t, "a spray", g.try(1+id, villain, fmt.Sprint("guess ", id), 6), Stranger)
	}
	expect(t, "the ninth", g.try(20, villain, "guess", 6), RefuseNetwork)
	expect(t, "right, from there", g.try(20, villain, "right", 6), RefuseNetwork)
	expect(t, "right, from the office", g.try(20, office, "right", 5), Familiar)
	if s := g.Status(); len(s.Closed) != 1 || s.Closed[0].Network.String() != "198.51.100.0/24" || s.Closed[0].Until.Sub(c.Now()) != time.Hour {
		t.Errorf("closed: %+v", s.Closed)
	}
	c.wind(time.Hour + time.Second)
	for id := range mail.AccountID(8) {
		expect(t, "once more", g.try(1+id, villain, fmt.Sprint("guess again ", id), 6), Stranger)
	}
	if s := g.Status(); len(s.Closed) != 1 || s.Closed[0].Until.Sub(c.Now()) != 2*time.Hour {
		t.Errorf("closed again: %+v", s.Closed)
	}
	if n := g.ForgetNetwork(netip.MustParsePrefix("198.51.100.0/24")); n != 1 {
		t.Errorf("forgot %d networks", n)
	}
	expect(t, "opened", g.try(20, villain, "right", 6), Stranger)
}

// TestNetworksBudget: tries at names nobody bears cost three, and a network has
// twenty to begin with.
func TestNetworksBudget(t *testing.T) {
	g, c := newGuard(t, nil)
	for range 6 {
		expect(t, "nobody", g.try(0, "198.51.100.1", "x", 0), Stranger)
	}
	expect(t, "the seventh", g.try(0, "198.51.100.1", "x", 0), RefuseStranger)
	expect(t, "somebody", g.try(1, "198.51.100.1", "x", 0), Stranger) // 20 - 18 - 1
	expect(t, "somebody", g.try(1, "198.51.100.1", "y", 0), Stranger)
	expect(t, "somebody", g.try(1, "198.51.100.1", "z", 0), RefuseStranger)
	if e := g.Explain(1); int(e.Left) != 8 {
		t.Errorf("the account paid for what was refused: %.1f left", e.Left)
	}
	c.wind(30 * time.Second)
	expect(t, "30 seconds later", g.try(1, "198.51.100.1", "z", 0), Stranger)
}

// TestHotPassword: one password that fails at five accounts is refused to strangers
// at all others, from wherever, and whose it is is found out once.
func TestHotPassword(t *testing.T) {
	g, c := newGuard(t, nil)
	for id := range mail.AccountID(5) {
		expect(t, "a spray", g.try(1+id, fmt.Sprintf("10.0.%d.1", id), "Winter2026", 0), Stranger)
	}
	expect(t, "the sixth", g.try(6, "10.9.0.1", "Winter2026", 0), Probe)
	expect(t, "the sixth again", g.try(6, "10.9.1.1", "Winter2026", 0), RefuseHot)
	expect(t, "at nobody", g.try(0, "10.9.1.1", "Winter2026", 0), RefuseHot)
	expect(t, "another password", g.try(6, "10.9.2.1", "Summer2026", 0), Stranger)
	r := g.Ask(Try{Account: 7, Remote: netip.MustParseAddr("10.9.3.1"), Password: "Winter2026"})
	expect(t, "one whose password it is", r.Verdict, Probe)
	g.Settle(r, Right)
	if s := g.Status(); s.Hot != 1 || !slices.Equal(s.Weak, []mail.AccountID{7}) {
		t.Errorf("%d hot, weak %v", s.Hot, s.Weak)
	}
	c.wind(6 * 24 * time.Hour)
	expect(t, "six days later", g.try(8, "10.9.4.1", "Winter2026", 0), Probe)
	c.wind(9 * 24 * time.Hour)
	expect(t, "another nine days later", g.try(9, "10.9.5.1", "Winter2026", 0), Stranger)
}

// TestHotSoonerInAnAttack: once strangers fail at many accounts three are enough.
func TestHotSoonerInAnAttack(t *testing.T) {
	g, c := newGuard(t, nil)
	for id := range mail.AccountID(30) {
		g.try(100+id, fmt.Sprintf("10.1.%d.1", id), fmt.Sprint("stuffed ", id), 0)
		c.wind(2 * time.Second)
	}
	if !g.Status().Attack {
		t.Fatal("strangers fail at 30 accounts and it is no attack")
	}
	for id := range mail.AccountID(3) {
		expect(t, "a spray", g.try(1+id, fmt.Sprintf("10.0.%d.1", id), "Winter2026", 0), Stranger)
	}
	expect(t, "the fourth", g.try(6, "10.9.0.1", "Winter2026", 0), Probe)
	c.wind(2 * time.Hour)
	if g.Status().Attack {
		t.Error("two hours later it is still an attack")
	}
}

// TestUsualFailuresAreNoAttack: what happens every week at this hour is usual.
func TestUsualFailuresAreNoAttack(t *testing.T) {
	g, c := newGuard(t, nil)
	monday := func(accounts int) bool {
		attack := false
		for id := range mail.AccountID(accounts) {
			g.try(1+id, fmt.Sprintf("10.1.%d.1", id), fmt.Sprint("mistyped ", id, c.Now()), 0)
			c.wind(2 * time.Second)
			attack = attack || g.load.on
		}
		c.wind(7*24*time.Hour - time.Duration(accounts)*2*time.Second)
		return attack
	}
	if monday(12) {
		t.Error("12 accounts are an attack")
	}
	if monday(30) {
		t.Error("30 accounts are an attack, where 12 are usual")
	}
	if !monday(150) {
		t.Error("150 accounts are none, where 30 are usual")
	}
}

// TestCommonPassword: one that everybody tries is hot when it failed at two
// accounts, and not before: who moves in with it can sign in.
func TestCommonPassword(t *testing.T) {
	g, _ := newGuard(t, func(o *Options) { o.Common = func(p string) bool { return p == "123456" || p == "right" } })
	expect(t, "whose password it is", g.try(1, "10.0.0.1", "right", 0), Stranger)
	expect(t, "at one account", g.try(2, "10.0.1.1", "123456", 0), Stranger)
	expect(t, "at a second", g.try(3, "10.0.2.1", "123456", 0), Stranger)
	expect(t, "at a third", g.try(4, "10.0.3.1", "123456", 0), Probe)
	expect(t, "at a third again", g.try(4, "10.0.3.1", "123456", 0), RefuseHot)
	expect(t, "another at a third", g.try(4, "10.0.3.1", "654321", 0), Stranger)
}

// TestStrong: what cannot be guessed is let in from a closed network, to an account
// whose budget is used up.
func TestStrong(t *testing.T) {
	g, _ := newGuard(t, nil)
	const villain = "198.51.100.1"
	for id := range mail.AccountID(9) {
		g.try(1+id, villain, fmt.Sprint("guess ", id), 6)
	}
	for i := range 12 {
		g.try(1, fmt.Sprintf("10.0.%d.1", i), fmt.Sprint("guess ", i), 6)
	}
	expect(t, "a password", g.try(1, villain, "right", 6), RefuseNetwork)
	r := g.Ask(Try{Account: 1, Remote: netip.MustParseAddr(villain), Client: 6, Strong: true})
	expect(t, "a token", r.Verdict, Strong)
	g.Settle(r, Right)
	expect(t, "and then a password", g.try(1, villain, "right", 6), Familiar)
}

func TestAllowedNetwork(t *testing.T) {
	g, _ := newGuard(t, nil)
	g.Allow([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")})
	for id := range mail.AccountID(100) {
		expect(t, "webmail", g.try(1+id, "192.0.2.3", fmt.Sprint("guess ", id), 6), Stranger)
	}
	expect(t, "beside it", g.try(1000, "192.0.2.30", "x", 6), RefuseNetwork)
	for i := range 9 {
		g.try(1, "192.0.2.3", fmt.Sprint("more ", i), 6)
	}
	expect(t, "an account's budget counts there too", g.try(1, "192.0.2.3", "x", 6), RefuseAccount)
}

// TestTooManyInARow: after a hundred wrong tries strangers get one an hour, until
// somebody signs in.
func TestTooManyInARow(t *testing.T) {
	g, c := newGuard(t, nil)
	g.try(1, "192.0.2.1", "right", 1)
	for i := range tolerated {
		c.wind(6 * time.Minute)
		expect(t, fmt.Sprint("guess ", i), g.try(1, fmt.Sprintf("10.0.%d.1", i), fmt.Sprint("guess ", i), 2), Stranger)
	}
	for range 9 {
		g.try(1, "10.3.0.1", fmt.Sprint("guess ", c.Now()), 2)
		c.wind(time.Second)
	}
	expect(t, "with nothing left", g.try(1, "10.3.1.1", "guess", 2), RefuseAccount)
	c.wind(7 * time.Minute)
	expect(t, "seven minutes later", g.try(1, "10.3.1.1", "guess", 2), RefuseAccount)
	c.wind(time.Hour)
	expect(t, "an hour later", g.try(1, "10.3.1.1", "guess", 2), Stranger)
	expect(t, "the owner", g.try(1, "192.0.2.1", "right", 1), Familiar)
	c.wind(7 * time.Minute)
	expect(t, "once the owner was there", g.try(1, "10.3.1.1", "right", 2), Stranger)
}

// shelf is a Shelf in memory.
type shelf struct {
	values map[string]Kept
	puts   int
}

func (s *shelf) Put(_ context.Context, key string, data []byte, version uint64) (uint64, error) {
	if s.values[key].Version != version {
		return 0, ErrChanged
	}
	s.puts++
	s.values[key] = Kept{key, data, version + 1}
	return version + 1, nil
}

func (s *shelf) All(_ context.Context, prefix string) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		for key, v := range s.values {
			if strings.HasPrefix(key, prefix) && !yield(v, nil) {
				return
			}
		}
	}
}

// TestStateSurvives: who is familiar, which networks are closed and what is left of
// budgets are known after a restart; passwords' prints are not kept.
func TestStateSurvives(t *testing.T) {
	ctx := t.Context()
	s := &shelf{values: map[string]Kept{}}
	g, c := newGuard(t, nil)
	for id := range mail.AccountID(1000) {
		g.try(1+id, fmt.Sprintf("10.%d.%d.1", id/256, id%256), "right", 5)
	}
	for id := range mail.AccountID(9) {
		g.try(1+id, "198.51.100.1", "sprayed", 6)
	}
	for i := range 10 {
		g.try(500, fmt.Sprintf("172.16.%d.1", i), fmt.Sprint("guess ", i), 6)
	}
	if err := g.Save(ctx, s); err != nil {
		t.Fatal(err)
	}
	puts := s.puts
	if err := g.Save(ctx, s); err != nil || s.puts != puts {
		t.Errorf("saved %d parts of which none had changed, %v", s.puts-puts, err)
	}
	again := New(Options{Now: c.Now})
	if err := again.Load(ctx, s); err != nil {
		t.Fatal(err)
	}
	for id := range mail.AccountID(1000) {
		expect(t, fmt.Sprint("account ", id), again.try(1+id, fmt.Sprintf("10.%d.%d.99", id/256, id%256), "right", 5), Familiar)
	}
	expect(t, "the closed network", again.try(900, "198.51.100.7", "right", 6), RefuseNetwork)
	expect(t, "an account whose budget is used up", g.try(500, "172.20.0.1", "right", 6), RefuseAccount)
	if again.Status().Hot != 0 {
		t.Error("prints were kept")
	}
	again.ForgetAccount(77)
	if err := again.Save(ctx, s); err != nil {
		t.Fatal(err)
	}
	third := New(Options{Now: c.Now})
	if err := third.Load(ctx, s); err != nil {
		t.Fatal(err)
	}
	expect(t, "forgotten", third.try(77, "10.0.76.1", "x", 5), Stranger)
	expect(t, "not forgotten", third.try(78, "10.0.77.1", "x", 5), Familiar)
}

// TestTwoNodesKeepTheirState: what one has kept the other takes in.
func TestTwoNodesKeepTheirState(t *testing.T) {
	ctx := t.Context()
	s := &shelf{values: map[string]Kept{}}
	a, c := newGuard(t, nil)
	b := New(Options{Now: c.Now})
	a.try(1, "10.0.0.1", "right", 1)
	b.try(1, "10.0.1.1", "right", 1)
	for _, g := range []*Guard{a, b, a} {
		g.try(1, "10.0.2.1", "right", 1)
		c.wind(25 * time.Hour)
		if err := g.Save(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	third := New(Options{Now: c.Now})
	if err := third.Load(ctx, s); err != nil {
		t.Fatal(err)
	}
	if e := third.Explain(1); len(e.Devices) != 3 {
		t.Errorf("%d devices: %+v", len(e.Devices), e.Devices)
	}
}

func FuzzState(f *testing.F) {
	g, _ := newGuard(f, nil)
	g.try(1, "10.0.0.1", "right", 5)
	g.try(1, "2001:db8::1", "wrong", 5)
	f.Add(g.encodePeople(personPart(1)))
	f.Add(g.encodePlaces(placePart(networkOf(netip.MustParseAddr("10.0.0.1")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, _ := newGuard(t, func(o *Options) { o.Accounts, o.Networks = 8, 8 })
		_ = g.takePeople(data) // an error or not: what was read must not break anything
		_ = g.takePlaces(data)
		g.try(1, "10.0.0.1", "right", 5)
		g.Status()
		g.Explain(1)
	})
}

// TestMemoryIsBounded: a million networks and a million names (number 68), and what
// matters is still known afterwards.
func TestMemoryIsBounded(t *testing.T) {
	testenv.Long(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	g, _ := newGuard(t, nil)
	g.try(1, "192.0.2.7", "right", 5)
	for id := range mail.AccountID(9) {
		g.try(10+id, "198.51.100.1", "sprayed", 6)
	}
	for i := range 1_000_000 {
		addr := netip.AddrFrom4([4]byte{byte(11 + i>>16), byte(i >> 8), byte(i), 1})
		r := g.Ask(Try{Account: mail.AccountID(1000 + i), Remote: addr, Password: fmt.Sprint(i)})
		if r.Verdict.Check() {
			o := Wrong
			if i%3 == 0 {
				o = Right
			}
			g.Settle(r, o)
		}
	}
	if used := heap() - before; used > 64<<20 {
		t.Errorf("%d MiB are used", used>>20)
	} else {
		t.Logf("%d MiB", used>>20)
	}
	expect(t, "the closed network", g.try(900, "198.51.100.7", "right", 6), RefuseNetwork)
	s := g.Status()
	if s.Accounts > defaultAccounts || s.Networks > defaultNetworks || s.Devices > devicesPerAccount*defaultAccounts {
		t.Errorf("remembered: %+v", s)
	}
}

// TestDecisionsDoNotAllocate: neither of known nor of unknown accounts.
func TestDecisionsDoNotAllocate(t *testing.T) {
	g, _ := newGuard(t, nil)
	tries := []Try{
		{Account: 1, Remote: netip.MustParseAddr("192.0.2.7"), Client: 5, Password: "right"},
		{Account: 1, Remote: netip.MustParseAddr("198.51.100.7"), Client: 5, Password: "wrong"},
		{Name: "nobody@example.org", Remote: netip.MustParseAddr("198.51.100.7"), Client: 5, Password: "wrong"},
	}
	g.try(1, "192.0.2.7", "right", 5)
	for i := range tries {
		if n := testing.AllocsPerRun(100, func() { g.Settle(g.Ask(tries[i]), Wrong) }); n != 0 {
			t.Errorf("%+v: %v allocations", tries[i], n)
		}
	}
}

func BenchmarkDecision(b *testing.B) {
	g, _ := newGuard(b, nil)
	for id := range mail.AccountID(10_000) {
		g.try(1+id, fmt.Sprintf("10.0.%d.1", id%256), "right", 5)
	}
	home, away := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("198.51.100.7")
	b.Run("familiar", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			g.Settle(g.Ask(Try{Account: mail.AccountID(256*(i%39)) + 1, Remote: home, Client: 5, Password: "right"}), Right)
		}
	})
	b.Run("stranger", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			g.Settle(g.Ask(Try{Account: mail.AccountID(i%10_000) + 1, Remote: away, Client: 6, Password: "wrong"}), Wrong)
		}
	})
}
