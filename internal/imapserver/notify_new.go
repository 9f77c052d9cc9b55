package imapserver

import (
	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/observe"
)

// fetchNew writes what MessageNew asks for of messages that EXISTS has just told of
// (RFC 5465 5.2), and UPDATE of those that are results of its search (RFC 5465 7), in
// one response for each; not of those that this session made itself. Nothing becomes
// \Seen by it: nobody has read a message because it came.
func (s *session) fetchNew(added mail.UIDSet, joined []contextNews) error {
	type asked struct {
		uids  mail.UIDSet
		items []imapwire.FetchItem
	}
	b := s.box
	all := []asked{{uids: added.Subtract(b.own)}}
	b.own = b.own.Subtract(added)
	if s.notify != nil {
		all[0].items = s.notify.items
	}
	for i := range joined {
		more := b.contexts[i].items
		if len(more) == 0 {
			continue
		}
		for k := range all {
			if both := all[k].uids.Intersect(joined[i].added); !both.Empty() {
				all[k].uids = all[k].uids.Subtract(both)
				all = append(all, asked{both, imapwire.MergeFetchItems(all[k].items, more)})
			}
		}
	}
	for _, a := range all {
		if len(a.items) == 0 || a.uids.Empty() {
			continue
		}
		if err := s.fetchUnasked(a.items, a.uids); err != nil {
			return err
		}
	}
	return nil
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
	if b := s.box; b != nil && (s.notify != nil || len(b.contexts) > 0) && b.sel.Holds(mailbox) {
		b.own = b.own.Union(uids)
	}
}
