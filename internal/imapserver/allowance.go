package imapserver

import (
	"context"
	"runtime"
	"time"
)

// allowance is a context that ends when whoever works under it has taken so much
// of a processor's time: waiting for a disk, or for a processor that others use,
// costs nothing. It is looked at when the work asks for Err, so that it is exact
// to one step of the work. It belongs to the goroutine that made it.
type allowance struct {
	context.Context
	cancel context.CancelFunc
	worked func() time.Duration // of this thread so far
	until  time.Duration
	looks  uint
	spent  bool
}

// looksPerCheck is how often Err is asked before it asks the system, which takes
// as long as looking at a short header field.
const looksPerCheck = 8

// allow gives the calling goroutine so much of a processor's time. It keeps its
// thread to itself until end.
func allow(ctx context.Context, most time.Duration, worked func() time.Duration) *allowance {
	runtime.LockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	return &allowance{Context: ctx, cancel: cancel, worked: worked, until: worked() + most}
}

// end lets go of the thread.
func (a *allowance) end() {
	a.cancel()
	runtime.UnlockOSThread()
}

// Err is not nil as soon as the work should end.
func (a *allowance) Err() error {
	if a.looks++; a.looks%looksPerCheck == 0 && !a.spent && a.worked() > a.until {
		a.spent = true
		a.cancel()
	}
	return a.Context.Err()
}
