package auth

import (
	"context"
	"errors"
	"slices"
	"sync"

	"postern/internal/mail"
)

// errBusy is what a login hears when too many wait already.
func errBusy() error {
	return mail.Errorf(mail.Unavailable, "too many logins at this moment, try again")
}

// hashing bounds the work that passwords make: so many hashes at a time, so many
// waiting, and one hash for identical tries that are under way together.
//
// Those of familiar devices come first: strangers, of whom there may be very many,
// wait behind them and have half of the queue.
type hashing struct {
	queue int

	mu       sync.Mutex
	slots    int             // free
	familiar []chan struct{} // who wait, the next first; closed when they have a slot
	strange  []chan struct{}
	flights  map[proof]*flight
}

var errInterrupted = mail.Errorf(mail.Internal, "the check of a password ended in a fault")

// flight is a hash under way; ok and err are set when done is closed.
type flight struct {
	done      chan struct{}
	ok        bool
	err       error
	followers int // who wait for it
}

func newHashing(slots, queue int) *hashing {
	return &hashing{slots: slots, queue: queue, flights: make(map[proof]*flight)}
}

// once calls check in a slot, or waits for the call that is under way for the
// same proof. Tries for accounts that do not exist come here like all others: if
// they did not share their hash, the difference could be measured.
func (h *hashing) once(ctx context.Context, p proof, first bool, check func() bool) (bool, error) {
	for {
		h.mu.Lock()
		f, under := h.flights[p]
		if !under {
			f = &flight{done: make(chan struct{})}
			h.flights[p] = f
		} else {
			f.followers++
		}
		h.mu.Unlock()
		if !under {
			return h.lead(ctx, p, f, first, check)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return false, mail.Wrap(ctx.Err(), mail.Canceled, "given up")
		}
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.ok, f.err
		}
		// Whoever had it under way went away. Then it is our turn.
	}
}

func (h *hashing) lead(ctx context.Context, p proof, f *flight, first bool, check func() bool) (bool, error) {
	defer func() {
		h.mu.Lock()
		delete(h.flights, p)
		h.mu.Unlock()
		close(f.done)
	}()
	f.err = h.take(ctx, first)
	if f.err != nil {
		return false, f.err
	}
	defer h.give()
	f.err = errInterrupted // unless check returns
	f.ok = check()
	f.err = nil
	return f.ok, nil
}

// take waits for a slot. The wait is bounded by its length in logins, not in
// time: with the default cost and one core the last in a queue of 256 waits some
// five seconds, which clients bear.
func (h *hashing) take(ctx context.Context, first bool) error {
	mine := make(chan struct{})
	h.mu.Lock()
	switch {
	case h.slots > 0:
		h.slots--
		h.mu.Unlock()
		return nil
	case len(h.familiar)+len(h.strange) >= h.queue, !first && len(h.strange) >= (h.queue+1)/2:
		h.mu.Unlock()
		return errBusy()
	case first:
		h.familiar = append(h.familiar, mine)
	default:
		h.strange = append(h.strange, mine)
	}
	h.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	if !h.withdraw(mine) {
		h.give() // it came at the same moment
	}
	return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
}

// give hands a slot to who is next, or frees it.
func (h *hashing) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range []*[]chan struct{}{&h.familiar, &h.strange} {
		if len(*line) > 0 {
			close((*line)[0])
			*line = (*line)[1:]
			return
		}
	}
	h.slots++
}

// withdraw takes somebody out of their line, unless they have a slot already.
func (h *hashing) withdraw(who chan struct{}) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range []*[]chan struct{}{&h.familiar, &h.strange} {
		if i := slices.Index(*line, who); i >= 0 {
			*line = slices.Delete(*line, i, i+1)
			return true
		}
	}
	return false
}
