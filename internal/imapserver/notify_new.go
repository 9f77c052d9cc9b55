package imapserver

import (
	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/observe"
)

// fetchNew writes what MessageNew asks for of messages that EXISTS has just told of
// (RFC 5465 5.2), except for those that this session made itself. Nothing becomes
// \Seen by it: nobody has read a message because it came.
func (s *session) fetchNew(added mail.UIDSet) error {
	b := s.box
	others := added.Subtract(b.own)
	b.own = b.own.Subtract(added)
	if s.notify == nil || len(s.notify.items) == 0 || others.Empty() {
		return nil
	}
	return s.fetchUnasked(s.notify.items, others)
}

// fetchUnasked writes FETCH responses that the client has asked for in advance. A
// message that cannot be read is left out, and the log says why.
func (s *session) fetchUnasked(items []imapwire.FetchItem, uids mail.UIDSet) error {
	items = imapwire.MergeFetchItems(nil, items)
	if s.condstore {
		items = withModSeq(items) // RFC 7162 3.2.4
	}
	plan, err := s.planFetch(items, s.rev2 || s.condstore)
	if err != nil {
		return nil // asked for before ENABLE IMAP4rev2, which does not have it
	}
	plan.seen = false
	f := fetching{session: s, plan: plan}
	if err := f.all(uids); err != nil {
		return err
	}
	if f.failed != nil {
		observe.Fault(s.ctx, s.log, "new message cannot be told", f.failed, s.attrs()...)
	}
	return nil
}

// noteOwn notes messages that this session has put into a mailbox, if that is the
// selected one.
func (s *session) noteOwn(mailbox *account.Mailbox, uids mail.UIDSet) {
	if b := s.box; b != nil && s.notify != nil && len(s.notify.items) > 0 && b.sel.Holds(mailbox) {
		b.own = b.own.Union(uids)
	}
}
