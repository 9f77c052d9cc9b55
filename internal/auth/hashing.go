package auth

import (
	"context"
	"errors"
	"sync"

	"postern/internal/mail"
)

// errBusy is what a login hears when too many wait already.
func errBusy() error {
	return mail.Errorf(mail.Unavailable, "too many logins at this moment, try again")
}

// hashing bounds the work that passwords make: so many hashes at a time, so many
// waiting, and one hash for identical tries that are under way together.
type hashing struct {
	slots chan struct{}
	queue int

	mu      sync.Mutex
	waiting int
	flights map[proof]*flight
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
	return &hashing{slots: make(chan struct{}, slots), queue: queue, flights: make(map[proof]*flight)}
}

// once calls check in a slot, or waits for the call that is under way for the
// same proof. Tries for accounts that do not exist come here like all others: if
// they did not share their hash, the difference could be measured.
func (h *hashing) once(ctx context.Context, p proof, check func() bool) (bool, error) {
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
			return h.lead(ctx, p, f, check)
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

func (h *hashing) lead(ctx context.Context, p proof, f *flight, check func() bool) (bool, error) {
	defer func() {
		h.mu.Lock()
		delete(h.flights, p)
		h.mu.Unlock()
		close(f.done)
	}()
	f.err = h.take(ctx)
	if f.err != nil {
		return false, f.err
	}
	defer func() { <-h.slots }()
	f.err = errInterrupted // unless check returns
	f.ok = check()
	f.err = nil
	return f.ok, nil
}

// take waits for a slot. The wait is bounded by its length in logins, not in
// time: with the default cost and one core the last in a queue of 256 waits some
// five seconds, which clients bear.
func (h *hashing) take(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	h.mu.Lock()
	full := h.waiting >= h.queue
	if !full {
		h.waiting++
	}
	h.mu.Unlock()
	if full {
		return errBusy()
	}
	defer func() {
		h.mu.Lock()
		h.waiting--
		h.mu.Unlock()
	}()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
}
