package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

// longestRest bounds the wait for a server to come to rest after an operation.
const longestRest = 20 * time.Second

// usage is the server's processor time so far; 0 without a pid.
func (r *runner) usage() (float64, error) {
	if r.tree == 0 {
		return 0, nil
	}
	return r.tree.cpu()
}

// tally is what one connection did.
type tally struct {
	times  []time.Duration
	octets int64
	wrong  []string
}

// maxWrong bounds how many wrong answers of one kind are kept: the first few say it all.
const maxWrong = 3

// count enters an operation that began at a time, and takes note of a wrong answer. It gives the errors that end the
// connection.
func (t *tally) count(began time.Time, err error) error {
	switch {
	case err == nil:
		t.times = append(t.times, time.Since(began))
		return nil
	case isWrong(err):
		t.addWrong(err.Error())
		return nil
	}
	return err
}

func (t *tally) addWrong(what string) {
	if len(t.wrong) < maxWrong {
		t.wrong = append(t.wrong, what)
	}
}

func (t *tally) add(other *tally) {
	t.times = append(t.times, other.times...)
	t.octets += other.octets
	for _, w := range other.wrong {
		t.addWrong(w)
	}
}

// load runs work on n connections at once for the run's duration and enters a row. work is called again and again
// with the connection's number until the time is over.
func (r *runner) load(ctx context.Context, row Row, n int, work func(ctx context.Context, i int, t *tally) error) error {
	if err := r.tree.rest(ctx, longestRest); err != nil {
		return err
	}
	r.begin(row.Profile, 0)
	before, err := r.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	end := began.Add(r.cfg.For)
	all, err := r.each(ctx, n, func(ctx context.Context, i int, t *tally) error {
		for time.Now().Before(end) {
			done := len(t.times)
			if err := work(ctx, i, t); err != nil {
				return err
			}
			r.done.Add(int64(len(t.times) - done))
			if done == len(t.times) && len(t.wrong) == maxWrong {
				return nil // it gets nothing right: no use in going on
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	row.Seconds = time.Since(began).Seconds()
	return r.enterRow(ctx, row, all, before)
}

// each runs work on n goroutines and adds up what they did. The first error ends the others.
func (r *runner) each(ctx context.Context, n int, work func(ctx context.Context, i int, t *tally) error) (*tally, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tallies := make([]tally, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := work(ctx, i, &tallies[i]); err != nil {
				cancel(err) // the first is kept; what it makes of the others says nothing
			}
		})
	}
	wg.Wait()
	all := &tally{}
	for i := range tallies {
		all.add(&tallies[i])
	}
	return all, context.Cause(ctx)
}

// enterRow adds a row whose profile, operation and seconds are set, with the processor time since before.
func (r *runner) enterRow(ctx context.Context, row Row, t *tally, before float64) error {
	if row.Operations == 0 {
		row.Operations = int64(len(t.times))
	}
	row.Octets, row.Wrong = t.octets, t.wrong
	row.Latency = latency(t.times)
	if row.Seconds > 0 {
		row.PerSecond = float64(row.Operations) / row.Seconds
	}
	if r.tree != 0 {
		if err := r.tree.rest(ctx, longestRest); err != nil {
			return err
		}
		after, err := r.usage()
		if err != nil {
			return err
		}
		memory, err := r.tree.pss()
		if err != nil {
			return err
		}
		used, kib := max(after-before, 0), float64(memory)/1024
		row.CPUSeconds, row.PSSKiB = &used, &kib
		if row.Operations > 0 {
			each := used * 1000 / float64(row.Operations)
			row.CPUMillis = &each
		}
	}
	r.report.Rows = append(r.report.Rows, row)
	return nil
}

// connect opens n connections of the users in turn, and gives what closes them.
func (r *runner) connect(ctx context.Context, n int, prepare func(c *client, i int) error) ([]*client, func(), error) {
	conns := make([]*client, n)
	_, err := r.each(ctx, n, func(_ context.Context, i int, _ *tally) error {
		c, err := r.signIn(ctx, i)
		if err != nil {
			return err
		}
		conns[i] = c
		defer r.done.Add(1)
		return prepare(c, i)
	})
	closeAll := func() {
		for _, c := range conns {
			if c != nil {
				_ = c.close() // what was to be known is known
			}
		}
	}
	if err != nil {
		closeAll()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, nil, err
	}
	return conns, closeAll, nil
}
