package index

import (
	"context"
	"io"
	"time"

	"postern/internal/mail"
)

// pace keeps work to a share of one processor: after some work it rests for so long
// that the share is right. Waiting for the disk counts as work.
type pace struct {
	share float64
	since time.Time
	owed  time.Duration
}

// breath is how long it works before it rests, at least.
const breath = 10 * time.Millisecond

func newPace(share float64) *pace { return &pace{share: share, since: time.Now()} }

// rest is called between pieces of work. Its error is that of ctx.
func (p *pace) rest(ctx context.Context) error {
	if ctx.Err() != nil {
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
	now := time.Now()
	worked := now.Sub(p.since)
	p.since = now
	p.owed += time.Duration(float64(worked) * (1/p.share - 1))
	if p.owed < breath {
		return nil
	}
	// One long step is not paid for by a minute of nothing.
	wait := time.NewTimer(min(p.owed, time.Second))
	defer wait.Stop()
	p.owed = 0
	select {
	case <-wait.C:
	case <-ctx.Done():
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
	p.since = time.Now()
	return nil
}

// paced is a writer that rests between writes.
type paced struct {
	ctx  context.Context
	w    io.Writer
	pace *pace
}

func (p paced) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err == nil {
		err = p.pace.rest(p.ctx)
	}
	return n, err
}
