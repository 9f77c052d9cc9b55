package account

import (
	"context"

	"postern/internal/mail"
)

// maxAdopted bounds UIDVALIDITYs and UIDs brought from elsewhere. Mailboxes made
// later count on from the highest UIDVALIDITY ever, messages from the highest
// UID, and both need numbers left to do so.
const maxAdopted = 0xf000_0000

// Adopt gives the mailbox the name another one has, or may come to have, and the
// UIDVALIDITY and UIDNEXT that its messages had on another server, so that clients
// who know them by their UIDs need not fetch them again (RFC 9051 2.3.1.1). It is
// one commit.
//
// A mailbox of that name must never have had a message, else it is
// mail.AlreadyExists and nothing is changed. It goes; its special use, its
// metadata and its access control list stay with the name. Sessions that have it
// selected are told that it is gone: a UIDVALIDITY does not change while a session
// looks.
//
// It is mail.Invalid if the numbers are so high that none would be left, or if
// the mailbox was given UIDs above next. Whether a client can ever have seen
// other messages under that name, UIDVALIDITY and UID is the caller's to know.
func (m *Mailbox) Adopt(ctx context.Context, name string, validity mail.UIDValidity, next mail.UID) error {
	name, err := CanonicalName(name)
	if err != nil {
		return err
	}
	if validity == 0 || validity > maxAdopted || next > maxAdopted {
		return mail.Errorf(mail.Invalid, "UIDVALIDITY %d or UIDNEXT %d leaves no numbers for what comes later", validity, next)
	}
	return m.a.ask(ctx, &request{alone: true, plan: func(p *plan) error { return p.adopt(m.box, name, validity, next) }})
}

func (p *plan) adopt(box *mailbox, name string, validity mail.UIDValidity, next mail.UID) error {
	o, err := p.mailbox(box)
	if err != nil {
		return err
	}
	if next < o.counts.UIDNext {
		return mail.Errorf(mail.Invalid, "UIDs up to %d were given already", o.counts.UIDNext-1)
	}
	other := p.model.names[name]
	use, acl := box.use, box.acl
	switch {
	case box.name == mail.Inbox && name != mail.Inbox:
		return mail.Errorf(mail.Cannot, "INBOX cannot become another mailbox")
	case IsBelow(name, box.name):
		return mail.Errorf(mail.Cannot, "a mailbox cannot go below itself")
	case box.name != name && p.model.hasChildren(box.name):
		return mail.Errorf(mail.HasChildren, "there are mailboxes below it")
	case other != nil && other != box:
		if other.counts.UIDNext > 1 {
			return mail.Errorf(mail.AlreadyExists, "the mailbox has, or had, messages")
		}
		use, acl = other.use, other.acl
		p.record(other.id, other.counts, mail.MailboxDeleted{At: p.now}, 8)
	case other == nil:
		parents := p.model.missingParents(name)
		if err := p.roomFor(parents, 0); err != nil {
			return err
		}
		for _, parent := range parents {
			p.create(parent, 0)
		}
	}
	if box.name != name {
		p.record(box.id, o.counts, mail.MailboxRenamed{Name: name}, len(name))
	}
	if use != box.use {
		p.record(box.id, o.counts, mail.SpecialUseSet{SpecialUse: use}, 4)
	}
	if other != nil && other != box {
		if err := p.copyMetadata(other.id, box.id, o.counts); err != nil {
			return err
		}
	}
	if !acl.Equal(box.acl) {
		p.record(box.id, o.counts, mail.ACLSet{ACL: acl}, 8*len(acl))
	}
	o.counts.UIDNext = next
	p.record(box.id, o.counts, mail.ValiditySet{Validity: validity}, 4)
	return nil
}
