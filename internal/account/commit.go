package account

import (
	"context"
	"errors"
	"slices"
	"sync"

	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

// request is something the committer is asked to do. Most plan changes; some
// want rows loaded, or just to come into step with the log.
type request struct {
	// plan works out the changes against the model and what the batch has
	// planned before, and checks everything before it adds any. It may run
	// again when another node was faster. nil: there is nothing to plan.
	plan func(*plan) error

	needs []*mailbox       // their rows are loaded before plan runs
	notes []mail.MessageID // notes on threads that are read before plan runs

	refs  bool   // the counts of references are loaded before plan runs
	alone bool   // it is the only one of its batch: it changes names
	sync  bool   // read what others have committed first
	run   func() // runs between batches, in place of plan

	done  chan error
	taken bool // guarded by queue.mu
}

// queue is what waits for the committer, which runs while there is something.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	running bool
	closed  bool
	idle    *sync.Cond
}

func (q *queue) put(a *Account, r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return mail.Errorf(mail.Unavailable, "the server is shutting down")
	}
	q.waiting = append(q.waiting, r)
	if !q.running {
		q.running = true
		go a.committer()
	}
	return nil
}

// withdraw takes back a request that was not begun.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.taken {
		return false
	}
	i := slices.Index(q.waiting, r)
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// take adds what is waiting to pending. It ends the committer when there is
// nothing.
func (q *queue) take(pending []*request) ([]*request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.waiting {
		r.taken = true
	}
	pending = append(pending, q.waiting...)
	clear(q.waiting)
	q.waiting = q.waiting[:0]
	if len(pending) == 0 {
		q.running = false
		q.waiting = nil
		q.idle.Broadcast()
	}
	return pending, len(pending) > 0
}

// drain waits until the committer has ended, and lets it not begin again if for
// good.
func (q *queue) drain(forGood bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = q.closed || forGood
	for q.running {
		q.idle.Wait()
	}
}

// What a batch holds at most.
const (
	batchRequests = 256
	batchBytes    = 1 << 20
)

// committer serves requests until none is left.
func (a *Account) committer() {
	ctx := a.pool.ctx
	var pending []*request
	for {
		var more bool
		if pending, more = a.queue.take(pending); !more {
			return
		}
		pending = a.serve(ctx, pending)
		a.saveIfDue(ctx)
	}
}

// serve does some of the pending requests, at least the first, and gives the
// rest.
func (a *Account) serve(ctx context.Context, pending []*request) []*request {
	if err := a.ready(ctx, pending[0]); err != nil {
		pending[0].done <- err
		return pending[1:]
	}
	if r := pending[0]; r.plan == nil {
		if r.run != nil {
			r.run()
		}
		r.done <- nil
		return pending[1:]
	}
	limit := len(pending)
	for attempt := 0; ; attempt++ {
		batch, p, err := a.planBatch(ctx, pending[:limit])
		if err == nil {
			err = a.commit(ctx, p)
		}
		switch {
		case errors.Is(err, store.ErrStale) && attempt < staleAttempts:
			if err = a.ready(ctx, &request{sync: true, needs: pending[0].needs, refs: pending[0].refs}); err == nil {
				continue
			}
		case errors.Is(err, store.ErrLease) && len(batch) > 1:
			// One of them waited too long with its body; it shall not take the
			// others down with it.
			limit = 1
			continue
		}
		if err != nil {
			err = a.failed(err)
			a.reload(ctx)
		}
		for _, r := range batch {
			if r.failed == nil {
				r.failed = err
			}
			r.request.done <- r.failed
		}
		return pending[len(batch):]
	}
}

// reload makes the model anew if it was thrown away, so that sessions see at once
// what is true. If the store cannot be read now, the next request tries again.
func (a *Account) reload(ctx context.Context) {
	if a.loaded {
		return
	}
	if err := a.ready(ctx, &request{}); err != nil {
		a.pool.o.Log.Warn("account: cannot load the account again", observe.Account(a.id), observe.Error(err))
	}
}

// staleAttempts is how often other nodes may be faster before we give up.
const staleAttempts = 100

// failed gives a failure of the store the kind the caller needs to know.
func (a *Account) failed(err error) error {
	switch {
	case errors.Is(err, store.ErrUnknown):
		a.loaded = false
		return mail.Wrap(err, mail.Unavailable, "it is not known whether this was stored")
	case errors.Is(err, store.ErrStale):
		return mail.Wrap(err, mail.Unavailable, "the account is too busy")
	case errors.Is(err, store.ErrLease):
		return mail.Wrap(err, mail.Unavailable, "the message waited too long to be stored")
	}
	return err
}

// ready makes the model such that a request can be planned: loaded, in step if
// asked for, with the rows and references it needs.
func (a *Account) ready(ctx context.Context, r *request) error {
	for attempt := 0; ; attempt++ {
		err := a.tryReady(ctx, r)
		switch {
		case err == nil:
			return nil
		case attempt >= loadAttempts:
			return a.failed(err)
		case errors.Is(err, store.ErrForgotten), errors.Is(err, errMoved):
			a.loaded = false // the pages have it
		default:
			return err
		}
	}
}

// loadAttempts is how often other nodes may save pages while we read them.
const loadAttempts = 20

func (a *Account) tryReady(ctx context.Context, r *request) error {
	if !a.loaded {
		if err := a.load(ctx); err != nil {
			return err
		}
	} else if r.sync {
		if err := a.catchUp(ctx); err != nil {
			return err
		}
	}
	if r.refs && a.model.refs.base == nil {
		if err := a.loadRefs(ctx); err != nil {
			return err
		}
	}
	return a.loadRows(ctx, r.needs)
}

// planned is a request whose changes are in the batch, or that failed.
type planned struct {
	*request
	failed error
}

// planBatch plans as many requests as belong together. Where the notes they need
// cannot be read, the first of them fails.
func (a *Account) planBatch(ctx context.Context, pending []*request) ([]planned, *plan, error) {
	pending = pending[:min(len(pending), batchRequests)]
	p := a.newPlan()
	if err := p.readNotes(ctx, pending); err != nil {
		return []planned{{pending[0], err}}, p, err
	}
	var batch []planned
	for i, r := range pending {
		if i > 0 && (p.full || r.plan == nil || r.alone || r.sync || r.refs && p.base == nil || !loadedAll(r.needs)) {
			break
		}
		batch = append(batch, planned{r, r.plan(p)})
		if r.alone || len(batch) == batchRequests || p.bytes > batchBytes {
			break
		}
	}
	if len(p.changes) > 0 && !pending[0].alone {
		p.claimRecent()
	}
	return batch, p, nil
}

func loadedAll(boxes []*mailbox) bool {
	for _, box := range boxes {
		if box.rows == nil {
			return false
		}
	}
	return true
}

// commit makes a plan durable and then true.
func (a *Account) commit(ctx context.Context, p *plan) error {
	if len(p.changes) == 0 {
		return nil
	}
	if p.head > maxModSeq || p.nextMessage > maxMessageID {
		return mail.Errorf(mail.Limit, "the account has seen too many changes")
	}
	record := encodeRecord(p.changes)
	// The batch belongs to many, so nobody's patience bounds it but the pool's.
	err := a.store.Commit(ctx, a.model.last, store.Entry{
		Last: p.head, Record: record, Summaries: p.summaries,
		Drop: p.drop, Take: p.take, Release: p.release,
	})
	if err != nil {
		return err
	}
	if err := a.follow(p.changes, len(record)); err != nil {
		// The log has what the model cannot take: a fault of ours. The change
		// is durable all the same; the model is made again from the log.
		a.pool.o.Log.Error("account: own commit cannot be applied", observe.Account(a.id), observe.Error(err))
		a.loaded = false
		return mail.Wrap(err, mail.Internal, "the change was stored and could not be shown")
	}
	return nil
}

// follow applies the changes of one record and wakes whom they concern.
func (a *Account) follow(changes []mail.Change, bytes int) error {
	var wake []func()
	touched := map[*mailbox]bool{}
	err := func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		defer a.infos.Store(nil)
		defer a.names.Store(nil)
		metadataAt := a.model.metadataAt
		a.model.tailBytes += bytes
		a.model.tailRecords++
		for i := range changes {
			box, err := a.model.apply(changes[i], a.flags)
			if err != nil {
				return err
			}
			if box != nil {
				touched[box] = true
			}
		}
		for box := range touched {
			for s := range box.selections {
				if s.wake != nil {
					wake = append(wake, s.wake)
				}
			}
		}
		for w := range a.watchers {
			if !w.metadata || a.model.metadataAt != metadataAt {
				wake = append(wake, w.wake)
			}
		}
		return nil
	}()
	for _, w := range wake {
		w()
	}
	return err
}
