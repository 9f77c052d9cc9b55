package account

import (
	"context"
	"math"
	"time"
)

// Mail that has lain in Trash or Junk for as long as the account's rules say is expunged, by commits that are those of any
// EXPUNGE: every session hears of it, and the mail is held like other expunged mail.

// expireBatch is the number of messages one commit expunges, so that clients are not kept waiting behind it.
const expireBatch = 500

// expire expunges what has been long enough where it is, and gives the unix second before which there is nothing
// more to do; never if no rule says so.
func (a *Account) expire(ctx context.Context, rules Rules) (next int64, err error) {
	next = never
	for use, after := range rules.Expire {
		if after <= 0 {
			continue
		}
		a.mu.RLock()
		var boxes []*mailbox
		for _, box := range a.model.names {
			if box.use == use {
				boxes = append(boxes, box)
			}
		}
		a.mu.RUnlock()
		for _, box := range boxes {
			at, err := a.expireFrom(ctx, box, after)
			if err != nil {
				return 0, err
			}
			next = min(next, at)
		}
		// A mailbox may be given this use, and what is in it then was saved before.
		next = min(next, a.pool.o.Now().Add(after).Unix())
	}
	return next, nil
}

// never is later than any time.
const never = math.MaxInt64

// expireFrom expunges what has been in a mailbox for so long, and gives the unix second at which there may be more.
func (a *Account) expireFrom(ctx context.Context, box *mailbox, after time.Duration) (next int64, err error) {
	now := a.pool.o.Now()
	due := now.Add(-after).Unix()
	for {
		a.mu.RLock()
		oldest, deleted := box.oldestSaved, box.deletedAt != 0
		a.mu.RUnlock()
		if deleted {
			return never, nil
		}
		if oldest > due {
			return addSeconds(oldest, after), nil
		}
		if err := a.ask(ctx, &request{needs: []*mailbox{box}, run: func() { oldest = a.noteOldest(box, now.Unix()) }}); err != nil {
			return 0, err
		}
		if oldest > due {
			continue
		}
		err := a.ask(ctx, &request{needs: []*mailbox{box}, plan: func(p *plan) error {
			o, err := p.mailbox(box)
			if err != nil {
				return nil // it was deleted meanwhile
			}
			var rows []Row
			o.each(everything, func(r Row) {
				if int64(r.Saved) <= due && len(rows) < expireBatch {
					rows = append(rows, r)
				}
			})
			if len(rows) > 0 {
				p.expunge(o, rows)
			}
			return nil
		}})
		if err != nil {
			return 0, err
		}
	}
}

// noteOldest notes when the message that has been longest in a mailbox, whose rows are loaded, came there: now if there
// is none, because the next can only come later. The committer calls it.
func (a *Account) noteOldest(box *mailbox, now int64) int64 {
	oldest := now
	if box.rows != nil {
		for _, p := range box.rows.pages {
			for _, saved := range p.stored {
				oldest = min(oldest, int64(saved))
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	box.oldestSaved = max(oldest, 1)
	return box.oldestSaved
}

func addSeconds(at int64, d time.Duration) int64 {
	return time.Unix(at, 0).Add(d).Unix()
}
