package account

import (
	"cmp"
	"context"
	"slices"
	"time"

	"postern/internal/mail"
)

// What was deleted and is still held can be brought back: as new messages, with new UIDs, that share text and summary with
// what they were.

// Deleted is what can be brought back of one mailbox.
type Deleted struct {
	Mailbox     mail.MailboxID
	Name        string // as it was last called
	Gone        bool   // the mailbox itself was deleted
	Messages    int
	Octets      uint64
	First, Last time.Time // when they were deleted, in whole seconds

	box  *mailbox
	uids mail.UIDSet
}

// Deleted gives what can be brought back of what was deleted since a time, by mailbox, by name. Messages that are still
// somewhere in the account are not among it: they were moved, and not deleted. One that was deleted in several mailboxes
// is given for the last of them.
func (a *Account) Deleted(ctx context.Context, since time.Time) ([]Deleted, error) {
	a.mu.RLock()
	boxes := make([]*mailbox, 0, len(a.model.boxes))
	for _, box := range a.model.boxes {
		boxes = append(boxes, box)
	}
	a.mu.RUnlock()
	var list []Deleted
	err := a.ask(ctx, &request{needs: boxes, run: func() { list = findDeleted(boxes, since.Unix()) }})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(x, y Deleted) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Mailbox, y.Mailbox))
	})
	return list, nil
}

// findDeleted works on loaded rows; the committer calls it.
func findDeleted(boxes []*mailbox, since int64) (list []Deleted) {
	// Where each message was deleted last, by ID; nowhere if it is still there.
	type place struct {
		box *mailbox
		uid uint32
		by  mail.ModSeq
	}
	last := map[mail.MessageID]place{}
	for _, box := range boxes {
		if box.gone == nil {
			continue
		}
		for _, p := range box.gone.pages {
			for i := range p.uid {
				at, by := p.expungedAt(i)
				if at >= since && by > last[p.id(i)].by {
					last[p.id(i)] = place{box, p.uid[i], by}
				}
			}
		}
	}
	for _, box := range boxes {
		if box.rows == nil || box.deletedAt != 0 {
			continue
		}
		for _, p := range box.rows.pages {
			for i := range p.uid {
				delete(last, p.id(i))
			}
		}
	}
	for _, box := range boxes {
		if box.gone == nil {
			continue
		}
		d := Deleted{Mailbox: box.id, Name: box.name, Gone: box.deletedAt != 0, box: box}
		var first, latest int64
		for _, p := range box.gone.pages {
			for i := range p.uid {
				if was, ok := last[p.id(i)]; !ok || was.box != box || was.uid != p.uid[i] {
					continue
				}
				at, _ := p.expungedAt(i)
				if d.Messages == 0 || at < first {
					first = at
				}
				latest = max(latest, at)
				d.Messages++
				d.Octets += uint64(p.size[i])
				d.uids = d.uids.Append(mail.UID(p.uid[i]))
			}
		}
		if d.Messages > 0 {
			d.First, d.Last = time.Unix(first, 0), time.Unix(latest, 0)
			list = append(list, d)
		}
	}
	return list
}

// undeleteBatch is the number of messages one commit brings back.
const undeleteBatch = 500

// Undelete brings back what Deleted gave of one mailbox into a mailbox of the account, with the flags and dates it had but
// not \Deleted, and says after each commit how many messages are back. What is back already when it fails stays, and is not
// given by Deleted again. Errors are those of COPY.
func (a *Account) Undelete(ctx context.Context, d *Deleted, to *Mailbox, progress func(done int)) error {
	uids, rest := d.uids.Take(undeleteBatch)
	for done := 0; !uids.Empty(); uids, rest = rest.Take(undeleteBatch) {
		err := a.ask(ctx, &request{needs: []*mailbox{d.box, to.box}, plan: func(p *plan) error {
			return p.undelete(d.box, to.box, uids)
		}})
		if err != nil {
			return err
		}
		done += uids.Len()
		progress(done)
	}
	return nil
}

func (p *plan) undelete(from, to *mailbox, uids mail.UIDSet) error {
	dest, err := p.mailbox(to)
	if err != nil {
		return err
	}
	rows := p.overlay(from).gone(uids)
	if len(rows) == 0 {
		return nil // it is freed by now
	}
	next, err := dest.reserve(len(rows))
	if err != nil {
		return err
	}
	if err := p.mayUse(usageOf(rows)); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		flags := p.a.flags.get(r.Flags).flags
		flags.System &^= mail.Deleted
		r.UID, r.Saved, r.Expunged, r.Flags = next, uint32(p.now), false, p.a.flags.intern(flags)
		next++
	}
	p.add(dest, rows)
	return nil
}

// Erase frees at once what was deleted and is still held, however long it would be kept otherwise. Sessions that still
// show it find it gone. Under a legal hold nothing is erased: NotPermitted.
func (a *Account) Erase(ctx context.Context) error {
	rules, err := a.pool.rulesOf(ctx, a.id)
	if err != nil {
		return err
	}
	if rules.Keep {
		return mail.Errorf(mail.NotPermitted, "its mail is under a legal hold")
	}
	return a.purge(ctx, a.pool.o.Now().Unix())
}
