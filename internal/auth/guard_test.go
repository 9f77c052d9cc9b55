package auth

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/mail"
)

// strict is a Guard that says what a test wants it to say.
type strict struct {
	mu      sync.Mutex
	ruling  func(*Question) Ruling
	asked   []Question
	settled []Outcome
}

func (s *strict) Ask(_ context.Context, q *Question) Ruling {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, *q)
	r := s.ruling(q)
	r.Settle = func(o Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settled = append(s.settled, o)
	}
	return r
}

// TestGuardIsAskedFirst: what it refuses is not looked at, and the answer is that
// to a wrong password, right or wrong.
func TestGuardIsAskedFirst(t *testing.T) {
	look := Ruling{Check: true, Verdict: "stranger"}
	probe := Ruling{Check: true, Refuse: true, Verdict: "probe"}
	refuse := Ruling{Refuse: true, Verdict: "refused_hot"}
	for _, test := range []struct {
		name, user, password string
		ruling               Ruling
		ok                   bool
		hashes               int
		outcome              []Outcome
		result               Result
	}{
		{"right", "ada", "correct horse", look, true, 1, []Outcome{CheckedRight}, Accepted},
		{"wrong", "ada", "wrong", look, false, 1, []Outcome{CheckedWrong}, WrongPassword},
		{"nobody", "eve", "wrong", look, false, 1, []Outcome{CheckedWrong}, UnknownUser},
		{"disabled", "off", "correct horse", look, false, 1, []Outcome{CheckedWrong}, Disabled},
		{"right and refused", "ada", "correct horse", refuse, false, 0, nil, Refused},
		{"wrong and refused", "ada", "wrong", refuse, false, 0, nil, Refused},
		{"right and probed", "ada", "correct horse", probe, false, 1, []Outcome{CheckedRight}, Refused},
		{"wrong and probed", "ada", "wrong", probe, false, 1, []Outcome{CheckedWrong}, Refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := &strict{ruling: func(*Question) Ruling { return test.ruling }}
			f := newFixture(t, func(c *Config) { c.Guard = g })
			_, err := f.Login(t.Context(), peer, test.user, test.password)
			if (err == nil) != test.ok || err != nil && err.Error() != failed().Error() {
				t.Errorf("%v", err)
			}
			if n := f.hashes(); n != test.hashes {
				t.Errorf("%d hashes, want %d", n, test.hashes)
			}
			if !slices.Equal(g.settled, test.outcome) {
				t.Errorf("it was told %v, want %v", g.settled, test.outcome)
			}
			if last := f.last(); last.Result != test.result || last.Verdict != test.ruling.Verdict {
				t.Errorf("reported as %s, %s", last.Result, last.Verdict)
			}
		})
	}
}

// TestRefusalOfARememberedPassword: that a password was right a moment ago opens
// no way around the guard.
func TestRefusalOfARememberedPassword(t *testing.T) {
	g := &strict{ruling: func(*Question) Ruling { return Ruling{Check: true} }}
	f := newFixture(t, func(c *Config) { c.Guard = g })
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); err != nil {
		t.Fatal(err)
	}
	g.ruling = func(*Question) Ruling { return Ruling{Refuse: true} }
	if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("%v", err)
	}
}

// TestNothingChecked: a try that was not looked at is no failure.
func TestNothingChecked(t *testing.T) {
	g := &strict{ruling: func(*Question) Ruling { return Ruling{Check: true} }}
	f := newFixture(t, func(c *Config) { c.Guard, c.Hashes = g, 1 })
	f.hashing.occupy(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := f.Login(ctx, peer, "ada", "correct horse")
		done <- err
	}()
	waitFor(t, func() bool { return f.hashing.waiting() == 1 })
	cancel()
	if err := <-done; mail.KindOf(err) != mail.Canceled {
		t.Errorf("%v", err)
	}
	if !slices.Equal(g.settled, []Outcome{NotChecked}) {
		t.Errorf("it was told %v", g.settled)
	}
}

// TestFamiliarFirst: strangers wait behind familiar devices, and cannot fill the
// queue.
func TestFamiliarFirst(t *testing.T) {
	g := &strict{ruling: func(q *Question) Ruling { return Ruling{Check: true, First: q.Name == "ada@example.org"} }}
	f := newFixture(t, func(c *Config) { c.Guard, c.Hashes, c.Queue = g, 1, 4 })
	f.hashing.occupy(t)
	order := make(chan string, 4)
	login := func(user, password string) {
		f.Login(t.Context(), peer, user, password)
		order <- user
	}
	for i := range 2 {
		go login("eve", fmt.Sprint("guess ", i))
	}
	waitFor(t, func() bool { return f.hashing.waiting() == 2 })
	if _, err := f.Login(t.Context(), peer, "eve", "guess 3"); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("a third stranger in a queue of four: %v", err)
	}
	go login("ada", "correct horse")
	waitFor(t, func() bool { return f.hashing.waiting() == 3 })
	f.hashing.give()
	if who := <-order; who != "ada" {
		t.Errorf("%s came first", who)
	}
	<-order
	<-order
}

// TestFailuresTakeAsLong: the answer to a failure comes at a set time after its
// beginning, whatever it was; the third on a connection later.
func TestFailuresTakeAsLong(t *testing.T) {
	for _, test := range []struct {
		user, password string
		failures       int
		refuse         bool
		least          time.Duration
	}{
		{"ada", "wrong", 0, false, DefaultFailureDelay},
		{"eve", "wrong", 1, false, DefaultFailureDelay},
		{"off", "correct horse", 0, false, DefaultFailureDelay},
		{"ada", "correct horse", 0, true, DefaultFailureDelay},
		{"ada", "a\x00b", 0, false, DefaultFailureDelay},
		{"ada", "wrong", 2, false, DefaultFailureDelay * 5 / 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &strict{ruling: func(*Question) Ruling { return Ruling{Check: !test.refuse, Refuse: test.refuse} }}
			f := newFixture(t, func(c *Config) { c.Guard, c.FailureDelay = g, DefaultFailureDelay })
			from := peer
			from.Failures = test.failures
			begun := time.Now()
			_, err := f.Login(t.Context(), from, test.user, test.password)
			if mail.KindOf(err) != mail.AuthFailed {
				t.Errorf("%s %q: %v", test.user, test.password, err)
			}
			if took := time.Since(begun); took < test.least || took > test.least+failureJitter {
				t.Errorf("%s %q: after %v", test.user, test.password, took)
			}
			begun = time.Now()
			if _, err := f.Login(t.Context(), peer, "ada", "correct horse"); !test.refuse && (err != nil || time.Since(begun) != 0) {
				t.Errorf("a right one: %v after %v", err, time.Since(begun))
			}
		})
	}
}

// TestPenitentsAreBounded: who fails on many connections at once from one network
// is not made to wait on all of them.
func TestPenitentsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.FailureDelay, c.Queue = DefaultFailureDelay, 1000 })
		results := make(chan error, maxPenitentsOfNetwork+1)
		from := func(i int) Peer {
			return Peer{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 4000)}
		}
		for i := range maxPenitentsOfNetwork {
			go func() {
				_, err := f.Login(t.Context(), from(i), "ada", fmt.Sprint("guess ", i))
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := f.Login(t.Context(), from(200), "ada", "one more"); mail.KindOf(err) != mail.Limit {
			t.Errorf("one too many: %v", err)
		}
		elsewhere := Peer{Remote: netip.MustParseAddrPort("198.51.100.1:4000")}
		if _, err := f.Login(t.Context(), elsewhere, "ada", "one more"); mail.KindOf(err) != mail.AuthFailed {
			t.Errorf("from elsewhere: %v", err)
		}
		for range maxPenitentsOfNetwork {
			if err := <-results; mail.KindOf(err) != mail.AuthFailed {
				t.Error(err)
			}
		}
		if _, err := f.Login(t.Context(), from(200), "ada", "one more"); mail.KindOf(err) != mail.AuthFailed {
			t.Errorf("later: %v", err)
		}
	})
}
