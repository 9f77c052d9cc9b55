package index

import (
	"context"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/observe"
)

// sweepEvery is how often accounts that nobody has opened are looked at: mail comes to
// accounts in memory, so what is behind elsewhere was left so when the server stopped.
const sweepEvery = 6 * time.Hour

// tryAgain is how long an account rests whose index could not be brought up to date: on a full
// disk, say.
const tryAgain = time.Minute

// linger is how long a segment that no search asks stays open.
const linger = 5 * time.Minute

// Run keeps indexes up to date until ctx ends. What it had begun is begun again next time.
func (x *Index) Run(ctx context.Context) {
	tick := time.NewTicker(x.o.Every)
	defer tick.Stop()
	pace := newPace(x.o.Share)
	sweep := time.Now().Add(x.o.First)
	failed := map[mail.AccountID]time.Time{} // and when
	for {
		x.replaceBad(ctx)
		x.cache.idle(time.Now().Add(-linger))
		for _, id := range x.pool.Behind(x.o.Least) {
			if time.Since(failed[id]) < tryAgain {
				continue
			}
			delete(failed, id)
			if err := x.keepUpLoaded(ctx, id, pace); err != nil {
				x.tell(ctx, id, err)
				failed[id] = time.Now()
			}
		}
		if now := time.Now(); now.After(sweep) {
			sweep = now.Add(sweepEvery)
			x.sweep(ctx, pace)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell logs why an index could not be brought up to date. It is tried again.
func (x *Index) tell(ctx context.Context, id mail.AccountID, err error) {
	if err != nil && ctx.Err() == nil {
		x.log.Warn("index: cannot be brought up to date; searches read messages instead", observe.Account(id), observe.Error(err))
	}
}

// sweep goes to every account.
func (x *Index) sweep(ctx context.Context, pace *pace) {
	for id, err := range x.pool.All(ctx) {
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = x.keepUp(ctx, id, pace)
		}
		x.tell(ctx, id, err)
		if pace.rest(ctx) != nil {
			return
		}
	}
}

// keepUp builds what an account's index lacks and merges what is to be merged.
func (x *Index) keepUp(ctx context.Context, id mail.AccountID, pace *pace) error {
	return x.pool.Visit(ctx, id, func(a *account.Account) error {
		return x.bring(ctx, a, x.o.Least, pace, func(int) {})
	})
}

// keepUpLoaded is keepUp of an account that is in memory and shall stay there.
func (x *Index) keepUpLoaded(ctx context.Context, id mail.AccountID, pace *pace) error {
	return x.pool.Attend(ctx, id, func(a *account.Account) error {
		return x.bring(ctx, a, x.o.Least, pace, func(int) {})
	})
}

// bring brings an account's index up to date, but for fewer messages than least.
func (x *Index) bring(ctx context.Context, a *account.Account, least int, pace *pace, told func(messages int)) error {
	for overtaken := 0; ; {
		more, err := x.step(ctx, a, least, pace, told)
		if err != nil {
			if overtaken++; !isOvertaken(err) || overtaken == 10 {
				return err
			}
		}
		if !more && err == nil {
			return x.forget(ctx, a, pace)
		}
		if err := pace.rest(ctx); err != nil {
			return err
		}
	}
}

// isOvertaken reports whether somebody else changed the index meanwhile.
func isOvertaken(err error) bool {
	kind := mail.KindOf(err)
	return kind == mail.NotFound || kind == mail.Invalid
}

// step builds or merges one segment, and reports whether there may be more to do.
func (x *Index) step(ctx context.Context, a *account.Account, least int, pace *pace, told func(int)) (more bool, err error) {
	x.building.Lock()
	defer x.building.Unlock()
	segments := a.Index()
	if of := mergeable(segments); of != nil {
		return true, x.merge(ctx, a, of, pace)
	}
	g, ok := due(segments, a.NextMessage(), least)
	if !ok {
		return false, nil
	}
	return true, x.build(ctx, a, g, pace, told)
}

// forgetLeast is how many messages that are gone may always stay in an index.
const forgetLeast = 16

// forget writes an index anew without messages that are gone, if these are most of it.
func (x *Index) forget(ctx context.Context, a *account.Account, pace *pace) error {
	x.building.Lock()
	defer x.building.Unlock()
	known := 0
	segments := a.Index()
	for _, s := range segments {
		known += int(s.Messages)
	}
	if known <= 2*a.Rows()+forgetLeast {
		return nil
	}
	for _, s := range segments {
		if err := x.merge(ctx, a, []mail.IndexSegment{s}, pace); err != nil && !isOvertaken(err) {
			return err
		}
	}
	return nil
}

// replaceBad takes damaged segments out of their indexes. What is missing then is built.
func (x *Index) replaceBad(ctx context.Context) {
	x.mu.Lock()
	bad := x.bad
	x.bad = map[mail.BodyRef]mail.AccountID{}
	x.mu.Unlock()
	for ref, id := range bad {
		err := x.pool.Visit(ctx, id, func(a *account.Account) error {
			return a.ReplaceIndex(ctx, []mail.BodyRef{ref}, nil)
		})
		if err != nil && mail.KindOf(err) != mail.NotFound {
			x.tell(ctx, id, err)
			x.mu.Lock()
			x.bad[ref] = id
			x.mu.Unlock()
			continue
		}
		x.tell(ctx, id, x.keepUp(ctx, id, newPace(x.o.Share)))
	}
}

// Status is what can be said of an account's index.
type Status struct {
	Messages int // the account ever had and that an index could know of
	Indexed  int // in ranges the index is about
	Segments int
	Octets   uint64 // of the segments
	Mail     uint64 // octets of the account's mail
}

// Status looks at an account's index.
func (x *Index) Status(ctx context.Context, id mail.AccountID) (s Status, err error) {
	err = x.pool.Visit(ctx, id, func(a *account.Account) error {
		s = statusOf(a)
		return nil
	})
	return s, err
}

func statusOf(a *account.Account) Status {
	used, _ := a.Quota()
	s := Status{Messages: int(a.NextMessage() - 1), Mail: used.Octets}
	for _, segment := range a.Index() {
		s.Segments++
		s.Indexed += int(segment.High - segment.Low)
		s.Octets += segment.Octets
	}
	return s
}

// Rebuild throws an account's index away and makes it anew, as fast as one processor
// goes. told is called with how many of how many messages are done.
func (x *Index) Rebuild(ctx context.Context, id mail.AccountID, told func(done, of int)) (s Status, err error) {
	err = x.pool.Visit(ctx, id, func(a *account.Account) error {
		for {
			var out []mail.BodyRef
			for _, s := range a.Index() {
				out = append(out, s.Body)
			}
			err := a.ReplaceIndex(ctx, out, nil)
			if err == nil {
				break
			}
			if !isOvertaken(err) {
				return err
			}
		}
		done := 0
		err := x.bring(ctx, a, 1, newPace(1), func(messages int) {
			done += messages
			told(done, max(done, int(a.NextMessage()-1)))
		})
		s = statusOf(a)
		return err
	})
	return s, err
}
