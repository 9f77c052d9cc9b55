package auth

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"postern/internal/mail"
)

// Guard decides which tries at a password are looked at. The roof makes one of
// package guard's; without one all are.
type Guard interface {
	// Ask decides about a try before its password is looked at, and charges for it.
	// It may wait for others to be settled; if ctx ends meanwhile it says neither Check
	// nor Refuse.
	Ask(ctx context.Context, q *Question) Ruling
}

// Question is what a Guard is asked about.
type Question struct {
	Account  mail.AccountID // 0: there is no such account
	Name     string         // as it was tried, canonical if it can be
	Peer     *Peer
	Password string // as it is hashed; "" where the mechanism does not show it, or it is Strong
	Strong   bool   // an app password: nobody can guess it
}

// Ruling is what a Guard says to a try.
type Ruling struct {
	Check   bool   // look at the password
	Refuse  bool   // say no, right or wrong
	First   bool   // look before those for whom this is not said
	Verdict string // for the log

	// Settle is told how a try ended that was to be checked. It is not nil then.
	Settle func(Outcome)
}

// Outcome is how the check of a password ended.
type Outcome uint8

// The outcomes.
const (
	CheckedWrong Outcome = iota
	CheckedRight
	NotChecked // too busy, or the client went away
)

// anybody is the Guard that lets everybody try.
type anybody struct{}

func (anybody) Ask(context.Context, *Question) Ruling {
	return Ruling{Check: true, First: true, Settle: func(Outcome) {}}
}

// When a failed login is answered: so long after it began, whatever the reason and
// however long it took to find out, so that neither can be told from the time it takes. The
// third on a connection, after which it is closed, takes longer.
const (
	DefaultFailureDelay = 2 * time.Second
	lastFailureFactor   = 2.5
	failureJitter       = 250 * time.Millisecond
	failuresPatient     = 2 // on one connection
)

// How many may wait for such an answer at a time, in all and from one network. More are
// turned away at once: they are no people.
const (
	maxPenitents          = 5000
	maxPenitentsOfNetwork = 16
	penitentBits4         = 24
	penitentBits6         = 56
)

// penitents are those who wait to be told that they failed.
type penitents struct {
	mu  sync.Mutex
	all int
	of  map[netip.Prefix]int
}

// enter takes a place, or reports that there is none.
func (p *penitents) enter(from netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxPenitents || from.IsValid() && p.of[from] >= maxPenitentsOfNetwork {
		return false
	}
	if p.of == nil {
		p.of = make(map[netip.Prefix]int)
	}
	p.all++
	p.of[from]++
	return true
}

func (p *penitents) leave(from netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[from]--; p.of[from] == 0 {
		delete(p.of, from)
	}
}

func penitentNetwork(remote netip.AddrPort) netip.Prefix {
	bits := penitentBits6
	if remote.Addr().Is4() {
		bits = penitentBits4
	}
	p, err := remote.Addr().Prefix(bits)
	if err != nil { // a Unix socket
		return netip.Prefix{}
	}
	return p
}

// repent waits until a failure may be told. It gives the error to tell, which is
// mail.Limit where too many wait already.
func (a *Authenticator) repent(ctx context.Context, try *Attempt, begun time.Time, failure error) error {
	kind := mail.KindOf(failure)
	if a.failureDelay <= 0 || kind != mail.AuthFailed && kind != mail.NotAuthorized {
		return failure
	}
	from := penitentNetwork(try.Peer.Remote)
	if !a.penitents.enter(from) {
		return mail.Errorf(mail.Limit, "too many failed logins at once")
	}
	defer a.penitents.leave(from)
	delay := a.failureDelay
	if try.Peer.Failures >= failuresPatient {
		delay = time.Duration(float64(delay) * lastFailureFactor)
	}
	delay += rand.N(failureJitter)
	timer := time.NewTimer(time.Until(begun.Add(delay)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return failure
	case <-ctx.Done():
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
}
