package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mail"
	"postern/internal/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory is accounts in memory.
type directory struct {
	mu      sync.Mutex
	entries map[string]Entry
	asked   []string
	rehash  int
	fault   error
}

func (d *directory) SignIn(_ context.Context, address string) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, address)
	if d.fault != nil {
		return Entry{}, d.fault
	}
	e, ok := d.entries[address]
	if !ok {
		return Entry{}, mail.Errorf(mail.NotFound, "no such account")
	}
	return e, nil
}

func (d *directory) Rehash(_ context.Context, id mail.AccountID, version uint64, record []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rehash++
	for name, e := range d.entries {
		if e.Account == id && e.Version == version {
			e.Record, e.Version = record, version+1
			d.entries[name] = e
			return nil
		}
	}
	return errors.New("changed meanwhile")
}

// set gives an account a password, as the command line does.
func (d *directory) set(t testing.TB, name, password string, cost Argon2, change func(*Entry)) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[name]
	if e.Account == 0 {
		e.Account, e.Name = mail.AccountID(len(d.entries)+1), name
	}
	if password != "" {
		record, err := SetPassword(e.Record, password, cost, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.Record = record
	}
	e.Version++
	if change != nil {
		change(&e)
	}
	d.entries[name] = e
}

type fixture struct {
	*Authenticator
	dir      *directory
	metrics  *observe.Registry
	log      bytes.Buffer
	mu       sync.Mutex
	attempts []Attempt
	now      time.Time
}

func newFixture(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{dir: &directory{entries: make(map[string]Entry)}, metrics: observe.NewRegistry(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	cfg := Config{
		Directory: f.dir, Rules: Rules{DefaultDomain: "example.org", Separator: '+'}, Cost: cheap, Metrics: f.metrics,
		Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Now: func() time.Time { return f.now },
		Watch: func(_ context.Context, a Attempt) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.attempts = append(f.attempts, a)
		},
	}
	if change != nil {
		change(&cfg)
	}
	f.Authenticator = New(cfg)
	f.dir.set(t, "ada@example.org", "correct horse", cheap, nil)
	f.dir.set(t, "off@example.org", "correct horse", cheap, func(e *Entry) { e.Disabled = true })
	f.dir.set(t, "none@example.org", "", cheap, nil)
	return f
}

func (f *fixture) hashes() int { return f.figure("postern_password_hashes_total") }

func (f *fixture) figure(name string) int {
	families, err := f.metrics.Gatherer().Gather()
	if err != nil {
		return -1
	}
	for _, fam := range families {
		if fam.GetName() == name {
			return int(fam.Metric[0].GetCounter().GetValue())
		}
	}
	return -1
}

func (f *fixture) last() Attempt { return f.attempts[len(f.attempts)-1] }

var peer = Peer{Session: "S1", Remote: netip.MustParseAddrPort("192.0.2.1:4000")}

func TestLogin(t *testing.T) {
	f := newFixture(t, nil)
	ctx := t.Context()
	for _, user := range []string{"ada@example.org", "ADA@Example.Org.", "ada", "ＡＤＡ@example.org"} {
		id, err := f.Login(ctx, peer, user, "correct horse")
		if err != nil || id != (Identity{Account: 1, Name: "ada@example.org"}) {
			t.Errorf("%s: %+v, %v", user, id, err)
		}
	}
	want := Attempt{Time: f.now, Peer: peer, Mechanism: "LOGIN command", User: "ada@example.org", Account: 1, Result: Accepted, Given: "ＡＤＡ@example.org"}
	if got := f.last(); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
}

// TestFailuresLookAlike: whatever the reason, a stranger gets the same error for
// the same number of hashes.
func TestFailuresLookAlike(t *testing.T) {
	f := newFixture(t, nil)
	var first error
	for _, test := range []struct {
		user, password string
		result         Result
	}{
		{"ada@example.org", "wrong", WrongPassword},
		{"ada@example.org", "Correct horse", WrongPassword},
		{"ada@example.org", "correct horse ", WrongPassword},
		{"eve@example.org", "correct horse", UnknownUser},
		{"eve@elsewhere.example", "x", UnknownUser},
		{"not an address", "x", UnknownUser},
		{"%{user}", "x", UnknownUser},
		{"../x", "x", UnknownUser},
		{"", "x", UnknownUser},
		{strings.Repeat("a", 5000), "x", UnknownUser},
		{"\xff\xfe", "x", UnknownUser},
		{"off@example.org", "correct horse", Disabled},
		{"off@example.org", "correct horse", Disabled}, // nothing is remembered of the first
		{"off@example.org", "wrong", WrongPassword},
		{"none@example.org", "dummy", WrongPassword}, // no password set; and that of the stand-in is no key
		{"nobody@example.org", "dummy", UnknownUser},
		{"ada@example.org", "wrong", WrongPassword}, // the second time costs the same
	} {
		before := f.hashes()
		id, err := f.Login(t.Context(), peer, test.user, test.password)
		if id != (Identity{}) || mail.KindOf(err) != mail.AuthFailed {
			t.Fatalf("%q %q: %+v, %v", test.user, test.password, id, err)
		}
		if first == nil {
			first = err
		}
		if !reflect.DeepEqual(err, first) {
			t.Errorf("%.20q %q: the error is %#v, not %#v", test.user, test.password, err, first)
		}
		if n := f.hashes() - before; n != 1 {
			t.Errorf("%.20q %q cost %d hashes", test.user, test.password, n)
		}
		if got := f.last().Result; got != test.result {
			t.Errorf("%.20q %q: told as %s, want %s", test.user, test.password, got, test.result)
		}
	}
	// What can be nobody's password is refused for nothing, whoever it is.
	before := f.hashes()
	for _, user := range []string{"ada@example.org", "eve@example.org"} {
		for _, password := range []string{"", strings.Repeat("x", 1025), "a\x00b"} {
			if _, err := f.Login(t.Context(), peer, user, password); !reflect.DeepEqual(err, first) {
				t.Errorf("%s %.10q: %v", user, password, err)
			}
		}
	}
	if f.hashes() != before {
		t.Error("an impossible password was hashed")
	}
}

func TestPasswordIsRemembered(t *testing.T) {
	f := newFixture(t, nil)
	login := func(password string, wantHashes int) {
		t.Helper()
		before := f.hashes()
		_, err := f.Login(t.Context(), peer, "ada", password)
		if n := f.hashes() - before; err != nil || n != wantHashes {
			t.Errorf("%v, %d hashes, want %d", err, n, wantHashes)
		}
	}
	login("correct horse", 1)
	login("correct horse", 0)
	f.now = f.now.Add(10*time.Minute - time.Second)
	login("correct horse", 0)
	f.now = f.now.Add(time.Second) // counted from the hash, not from the last use
	login("correct horse", 1)
	login("correct horse", 0)

	// Another password costs a hash each time it is wrong.
	for range 2 {
		before := f.hashes()
		if _, err := f.Login(t.Context(), peer, "ada", "wrong"); err == nil || f.hashes() != before+1 {
			t.Error("a wrong password was accepted, or remembered as wrong")
		}
	}
	// A new password ends the memory of the old one at once.
	f.dir.set(t, "ada@example.org", "battery staple", cheap, nil)
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("the old password: %v", err)
	}
	login("battery staple", 1)
	// So does disabling the account.
	f.dir.set(t, "ada@example.org", "", cheap, func(e *Entry) { e.Disabled = true })
	if _, err := f.Login(t.Context(), peer, "ada", "battery staple"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("a disabled account: %v", err)
	}
	// Two accounts with one password are not one (CVE-2025-30189).
	f.dir.set(t, "bob@example.org", "same", cheap, nil)
	f.dir.set(t, "eve@example.org", "other", cheap, nil)
	if _, err := f.Login(t.Context(), peer, "bob", "same"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Login(t.Context(), peer, "eve", "same"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("another one's password: %v", err)
	}
}

func TestRememberingCanBeTurnedOff(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Remember = -1 })
	for want := 1; want <= 2; want++ {
		if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); err != nil || f.hashes() != want {
			t.Errorf("%v, %d hashes, want %d", err, f.hashes(), want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(time.Minute, 3)
	now := time.Now()
	p := func(i int) proof { return m.proofOf(mail.AccountID(i), 1, "", "x") }
	for i := 1; i <= 4; i++ {
		m.add(p(i), now.Add(time.Duration(i)*time.Second))
	}
	for i, want := range []bool{1: false, 2: true, 3: true, 4: true} {
		if i > 0 && m.has(p(i), now.Add(5*time.Second)) != want {
			t.Errorf("proof %d: remembered %v", i, !want)
		}
	}
	m.add(p(5), now.Add(63*time.Second)) // 2 and 3 have ended by then
	if len(m.until) != 2 || len(m.queue) != 2 || !m.has(p(4), now.Add(63*time.Second)) {
		t.Errorf("%d are kept", len(m.until))
	}
	seen := map[proof]bool{}
	for _, q := range []proof{p(1), m.proofOf(1, 2, "", "x"), m.proofOf(1, 1, "", "y"), m.proofOf(0, 0, "ab", "c"), m.proofOf(0, 0, "a", "bc"), newMemory(1, 1).proofOf(1, 1, "", "x")} {
		seen[q] = true
	}
	if len(seen) != 6 {
		t.Error("two different things have one proof")
	}
}

// gate is a directory that lets logins wait until they are all there.
type gate struct {
	*directory
	arrived sync.WaitGroup
}

func (g *gate) SignIn(ctx context.Context, address string) (Entry, error) {
	g.arrived.Done()
	g.arrived.Wait()
	return g.directory.SignIn(ctx, address)
}

// TestFiveConnectionsCostOneHash: also when they come at the same moment, and
// for users that exist as for those that do not.
func TestFiveConnectionsCostOneHash(t *testing.T) {
	for _, test := range []struct {
		user, password string
		ok             bool
	}{{"ada", "correct horse", true}, {"ada", "wrong", false}, {"eve", "wrong", false}} {
		f := newFixture(t, func(c *Config) { c.Hashes = 1 })
		g := &gate{directory: f.dir}
		f.directory = g
		g.arrived.Add(5)
		f.hashing.occupy(t) // no hash begins until all five wait for one
		results := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := f.Login(t.Context(), peer, test.user, test.password)
				results <- err
			}()
		}
		waitFor(t, func() bool { return f.hashing.followers() == 4 })
		f.hashing.give()
		for range 5 {
			if err := <-results; (err == nil) != test.ok {
				t.Errorf("%s %s: %v", test.user, test.password, err)
			}
		}
		if n := f.hashes(); n != 1 {
			t.Errorf("%s %s: %d hashes", test.user, test.password, n)
		}
	}
}

// followers counts those who wait for another one's hash.
func (h *hashing) followers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, f := range h.flights {
		n += f.followers
	}
	return n
}

// occupy takes the only slot.
func (h *hashing) occupy(t *testing.T) {
	t.Helper()
	if err := h.take(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

// waiting counts those who wait for a slot.
func (h *hashing) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.familiar) + len(h.strange)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Hashes, c.Queue = 1, 2 })
	f.hashing.occupy(t) // somebody hashes for ever
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	for i := range 2 {
		go func() {
			_, err := f.Login(ctx, peer, "ada", fmt.Sprint("guess ", i))
			results <- err
		}()
	}
	waitFor(t, func() bool { return f.hashing.waiting() == 2 })
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("the third in a queue of two: %v", err)
	}
	if got := f.last().Result; got != Busy {
		t.Errorf("told as %s", got)
	}
	cancel()
	for range 2 {
		if err := <-results; mail.KindOf(err) != mail.Canceled {
			t.Errorf("one who went away: %v", err)
		}
	}
	f.hashing.give()
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestFollowerTakesOver: the connection whose hash others wait for goes away
// before its turn; they are not to suffer for it.
func TestFollowerTakesOver(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Hashes = 1 })
	f.hashing.occupy(t)
	first, goAway := context.WithCancel(t.Context())
	results := make(chan error, 2)
	login := func(ctx context.Context) {
		_, err := f.Login(ctx, peer, "ada", "correct horse")
		results <- err
	}
	go login(first)
	waitFor(t, func() bool { return f.hashing.waiting() == 1 })
	go login(t.Context())
	waitFor(t, func() bool { return f.hashing.followers() == 1 })
	goAway()
	if err := <-results; mail.KindOf(err) != mail.Canceled {
		t.Errorf("the first: %v", err)
	}
	f.hashing.give()
	if err := <-results; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestRehash(t *testing.T) {
	f := newFixture(t, nil)
	old := Argon2{Memory: 32, Time: 1, Threads: 1}
	f.dir.set(t, "ada@example.org", "correct horse", old, nil)
	if _, err := f.Login(t.Context(), peer, "ada", "wrong"); err == nil || f.dir.rehash != 0 {
		t.Error("a wrong password changed the record")
	}
	for range 3 {
		if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ParseCredentials(f.dir.entries["ada@example.org"].Record)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := parseHash(c.Password); err != nil || h.cost != cheap || f.dir.rehash != 1 {
		t.Errorf("the record has cost %+v after %d changes (%v)", h.cost, f.dir.rehash, err)
	}
	// A directory that cannot store the new hash does not stop the login.
	f.dir.set(t, "ada@example.org", "correct horse", old, nil)
	f.directory = readOnly{f.dir}
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(f.log.String(), "could not be renewed") {
		t.Error("nothing was said")
	}
}

type readOnly struct{ *directory }

func (readOnly) Rehash(context.Context, mail.AccountID, uint64, []byte) error {
	return errors.New("read-only")
}

func TestDirectoryTrouble(t *testing.T) {
	f := newFixture(t, nil)
	f.dir.fault = errors.New("disk on fire")
	_, err := f.Login(t.Context(), peer, "ada", "correct horse")
	var e *mail.Error
	if mail.KindOf(err) != mail.Unavailable || !errors.As(err, &e) || strings.Contains(e.Text, "fire") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(f.log.String(), "disk on fire") || !strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("the log: %s", f.log.String())
	}
	f.dir.fault = nil
	f.dir.set(t, "ada@example.org", "", cheap, func(e *Entry) { e.Record = []byte("?") })
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("a damaged record: %v", err)
	}
}

// TestLogHoldsNoPassword: neither in its own place nor typed where the name goes.
func TestLogHoldsNoPassword(t *testing.T) {
	f := newFixture(t, nil)
	f.Login(t.Context(), peer, "ada", "correct horse")
	f.Login(t.Context(), peer, "ada", "hunter2")
	f.Login(t.Context(), peer, "hunter2", "ada")
	f.Login(t.Context(), peer, "eve\n@elsewhere.example", "hunter2")
	f.Login(t.Context(), peer, "Eve@elsewhere.example", "hunter2")
	plain, _ := f.Start("PLAIN", peer)
	plain.Next(t.Context(), []byte("hunter2"))
	text := f.log.String()
	if strings.Contains(text, "hunter2") || strings.Contains(text, "correct horse") {
		t.Errorf("the log:\n%s", text)
	}
	for i, want := range []string{
		`msg=login session=S1 remote=192.0.2.1:4000 mechanism="LOGIN command" reason=accepted user=ada@example.org account=1`,
		`msg="login failed" session=S1 remote=192.0.2.1:4000 mechanism="LOGIN command" reason=wrong_password user=ada@example.org account=1`,
		`msg="login failed" session=S1 remote=192.0.2.1:4000 mechanism="LOGIN command" reason=unknown_user`,
		`msg="login failed" session=S1 remote=192.0.2.1:4000 mechanism="LOGIN command" reason=unknown_user`,
		`msg="login failed" session=S1 remote=192.0.2.1:4000 mechanism="LOGIN command" reason=unknown_user user=eve@elsewhere.example`,
		`msg="login failed" session=S1 remote=192.0.2.1:4000 mechanism=PLAIN reason=malformed`,
	} {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if i >= len(lines) || !strings.HasSuffix(lines[i], want) {
			t.Fatalf("line %d is not %s in:\n%s", i, want, text)
		}
	}
}

// BenchmarkLoginRemembered is a login whose password was right a moment ago.
func BenchmarkLoginRemembered(b *testing.B) {
	f := newFixture(b, func(c *Config) { c.Log, c.Watch = nil, nil })
	if _, err := f.Login(b.Context(), peer, "ada@example.org", "correct horse"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Login(b.Context(), peer, "ada@example.org", "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoginHashed is a login that costs its hash.
func BenchmarkLoginHashed(b *testing.B) {
	f := newFixture(b, func(c *Config) { c.Log, c.Watch, c.Remember, c.Cost = nil, nil, -1, DefaultArgon2() })
	f.dir.set(b, "ada@example.org", "correct horse", DefaultArgon2(), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Login(b.Context(), peer, "ada@example.org", "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
