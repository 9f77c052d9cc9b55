package account

import (
	"context"
	"slices"

	"postern/internal/mail"
)

// Copied is what COPY and MOVE answer (RFC 4315 COPYUID): From and To pair in
// ascending order.
type Copied struct {
	Validity mail.UIDValidity // of the destination
	From, To mail.UIDSet
	Abroad   bool // the destination is another account's: what is there are new messages
}

// Copy copies messages to a mailbox, all of them or none, also those expunged
// elsewhere that are still held. UIDs that are not there are passed over. It takes
// the right i there; of the flags those are stored that the rights there allow (RFC
// 4314 4).
func (s *Selection) Copy(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	if to.a != s.a {
		return s.copyAbroad(ctx, uids, to, false)
	}
	return s.transfer(ctx, uids, to, false)
}

// Move copies messages and expunges them here, in one commit (RFC 6851); to another
// account in two, the copy first, so that a crash between leaves two messages and
// never none. Those expunged elsewhere are passed over: another session may have
// moved them, and there would be two. It takes the rights of Copy, and t and e here
// (RFC 6851 4.2).
func (s *Selection) Move(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	if !s.readWrite {
		return Copied{}, readOnly()
	}
	if to.a != s.a {
		return s.moveAbroad(ctx, uids, to)
	}
	return s.transfer(ctx, uids, to, true)
}

func (s *Selection) transfer(ctx context.Context, uids mail.UIDSet, to *Mailbox, move bool) (Copied, error) {
	var done Copied
	err := s.a.ask(ctx, &request{needs: []*mailbox{s.box}, plan: func(p *plan) (err error) {
		if err := s.mayTake(move); err != nil {
			return err
		}
		if err := to.check(to.box, mail.RightInsert); err != nil {
			return err
		}
		done, err = p.transfer(s.box, to.box, uids, move, to.rights(to.box).Flags())
		return err
	}})
	if err != nil {
		return Copied{}, err
	}
	return done, nil
}

// mayTake says whether the guest may copy messages from here, or move them. The
// lock is held, or the committer calls it.
func (s *Selection) mayTake(move bool) error {
	if move {
		return s.check(s.box, rightsToMove)
	}
	return s.check(s.box, mail.RightRead)
}

// rightsToMove are those that somebody needs where a message is taken from.
const rightsToMove = mail.RightRead | mail.RightDeleteMail | mail.RightExpunge

// transfer plans a COPY or MOVE. The messages keep their MessageID, flags and
// internal date (RFC 9051 6.4.7), as far as the flags are of these kinds.
func (p *plan) transfer(from, to *mailbox, uids mail.UIDSet, move bool, kinds mail.FlagKinds) (Copied, error) {
	source, err := p.mailbox(from)
	if err != nil {
		return Copied{}, err
	}
	dest, err := p.mailbox(to)
	if err != nil {
		return Copied{}, err
	}
	var rows []Row
	source.each(uids, func(r Row) { rows = append(rows, r) })
	if !move {
		if gone := source.gone(uids); len(gone) > 0 {
			rows = append(rows, gone...)
			slices.SortFunc(rows, func(a, b Row) int { return int(int64(a.UID) - int64(b.UID)) })
		}
	}
	done := Copied{Validity: to.validity}
	if len(rows) == 0 {
		return done, nil
	}
	next, err := dest.reserve(len(rows))
	if err != nil {
		return Copied{}, err
	}
	if !move { // what stays in the account uses no more of it
		if err := p.mayUse(usageOf(rows)); err != nil {
			return Copied{}, err
		}
	}
	arrived := slices.Clone(rows)
	for i := range arrived {
		r := &arrived[i]
		done.From, done.To = done.From.Append(r.UID), done.To.Append(next)
		r.UID, r.Saved, r.Expunged = next, uint32(p.now), false
		if kinds != mail.AllFlagKinds {
			r.Flags = p.a.flags.intern(p.a.flags.get(r.Flags).flags.Of(kinds))
		}
		next++
	}
	p.add(dest, arrived)
	if move {
		p.expunge(source, rows)
	}
	return done, nil
}
