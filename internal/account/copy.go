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
}

// Copy copies messages to a mailbox of the same account, all of them or none,
// also those expunged elsewhere that are still held. UIDs that are not there are
// passed over.
func (s *Selection) Copy(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	return s.transfer(ctx, uids, to, false)
}

// Move copies messages and expunges them here, in one commit (RFC 6851). Those
// expunged elsewhere are passed over: another session may have moved them, and
// there would be two.
func (s *Selection) Move(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	if !s.readWrite {
		return Copied{}, readOnly()
	}
	return s.transfer(ctx, uids, to, true)
}

func (s *Selection) transfer(ctx context.Context, uids mail.UIDSet, to *Mailbox, move bool) (Copied, error) {
	if to.a != s.a {
		return Copied{}, mail.Errorf(mail.Cannot, "the mailboxes belong to different accounts")
	}
	var done Copied
	err := s.a.ask(ctx, &request{needs: []*mailbox{s.box}, plan: func(p *plan) (err error) {
		done, err = p.transfer(s.box, to.box, uids, move)
		return err
	}})
	if err != nil {
		return Copied{}, err
	}
	return done, nil
}

// transfer plans a COPY or MOVE. The messages keep their MessageID, flags and
// internal date (RFC 9051 6.4.7).
func (p *plan) transfer(from, to *mailbox, uids mail.UIDSet, move bool) (Copied, error) {
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
		next++
	}
	p.add(dest, arrived)
	if move {
		p.expunge(source, rows)
	}
	return done, nil
}
