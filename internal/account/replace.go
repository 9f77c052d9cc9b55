package account

import (
	"context"

	"postern/internal/mail"
)

// ErrReplaced is given by Replace when the old message is not there any more:
// another session has replaced, moved or expunged it.
var ErrReplaced error = mail.Errorf(mail.NotFound, "the message to be replaced is not there any more")

// Replace puts a message into a mailbox, which may be this one, and expunges another
// here, in one commit (RFC 8508): there is never both of them nor neither. To another
// account it is two commits, that of the new message first. If the old one is not
// there any more nothing is done and ErrReplaced says so: with what has taken its
// place there would be two. It takes the rights of Append there and of Move here.
func (s *Selection) Replace(ctx context.Context, old mail.UID, to *Mailbox, msg NewMessage) (Appended, error) {
	switch {
	case !s.readWrite:
		return Appended{}, readOnly()
	case to.a != s.a:
		return s.replaceAbroad(ctx, old, to, msg)
	}
	return to.append(ctx, []NewMessage{msg}, &replaced{s.box, old})
}

// replace plans what comes in and then what leaves. The old message is looked for
// before anything is planned, so that a plan is whole or not there. "Only the net
// quota consumption is considered" (RFC 8508 3.4).
func (p *plan) replace(old *replaced, to *Mailbox, msgs []NewMessage, refs []mail.BodyRef) (Appended, error) {
	source, err := p.mailbox(old.box)
	if err != nil {
		return Appended{}, ErrReplaced
	}
	var rows []Row
	source.each(mail.UIDSet{{First: old.uid, Last: old.uid}}, func(r Row) { rows = append(rows, r) })
	if len(rows) == 0 {
		return Appended{}, ErrReplaced
	}
	done, err := p.append(to, msgs, refs, usageOf(rows))
	if err != nil {
		return Appended{}, err
	}
	p.expunge(source, rows)
	return done, nil
}
