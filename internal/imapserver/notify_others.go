package imapserver

import (
	"slices"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// What NOTIFY tells of mailboxes that are not selected: LIST for their names and
// subscriptions, STATUS for their messages.

// boxChange is a name whose mailbox is another, or not as it was, when the list of
// mailboxes is looked at again. before is nil for a new name, after for one that is
// gone.
type boxChange struct{ before, after *account.Info }

// same reports whether it is the same mailbox under the same name.
func (c boxChange) same() bool {
	return c.before != nil && c.after != nil && c.before.ID == c.after.ID
}

// boxChanges compares two lists, both sorted by name.
func boxChanges(before, after []account.Info) []boxChange {
	if len(before) == len(after) && (len(after) == 0 || &before[0] == &after[0]) {
		return nil // it is the same list
	}
	var out []boxChange
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].Name < after[0].Name:
			out = append(out, boxChange{before: &before[0]})
			before = before[1:]
		case len(before) == 0 || after[0].Name < before[0].Name:
			out = append(out, boxChange{after: &after[0]})
			after = after[1:]
		default:
			if before[0] != after[0] {
				out = append(out, boxChange{&before[0], &after[0]})
			}
			before, after = before[1:], after[1:]
		}
	}
	return out
}

// eventsOf gives the events asked for of a mailbox of that name, by all groups that
// mean it (RFC 5465 6).
func (n *notifying) eventsOf(name string, subscribed bool) (events imapwire.NotifyEvents) {
	for i := range n.groups {
		if g := &n.groups[i]; g.Events&^events != 0 && means(g, name, subscribed) {
			events |= g.Events
		}
	}
	return events
}

// means reports whether a group means the mailbox of a name. Mail for
// user+detail goes into any mailbox, so INBOXES is PERSONAL (RFC 5465 6.3).
func means(g *imapwire.NotifyGroup, name string, subscribed bool) bool {
	switch g.Scope {
	case imapwire.ScopeInboxes, imapwire.ScopePersonal:
		space, _ := cutNamespace(name)
		return space == ""
	case imapwire.ScopeSubscribed:
		return subscribed
	case imapwire.ScopeSubtree:
		return slices.ContainsFunc(g.Names, func(top string) bool { return isAtOrBelow(name, top) })
	case imapwire.ScopeMailboxes:
		return slices.Contains(g.Names, name)
	}
	return false
}

func (n *notifying) eventsOfInfo(info *account.Info) imapwire.NotifyEvents {
	return n.eventsOf(info.Name, info.Subscribed)
}

// tellOthers tells what the client asked for of mailboxes that are not selected, if
// anything has happened.
func (s *session) tellOthers() {
	n := s.notify
	if n == nil || s.state == loggedOut || !s.link.take(accountChanged) {
		return
	}
	for _, f := range n.follows {
		names, boxes := s.namesIn(f), s.boxesIn(f)
		changes := boxChanges(f.boxes, boxes)
		var moves []nameNews
		if n.events&(imapwire.NotifyMailboxName|imapwire.NotifySubscriptionChange) != 0 {
			moves = s.tellNames(f, changes, names, boxes)
		}
		if n.events&imapwire.NotifyMessageEvents != 0 {
			s.tellFigures(f, changes, moves, boxes)
		}
		f.names, f.boxes = names, boxes
	}
	if s.tooManyToFollow() {
		s.overflow()
	}
}

// tellFigures writes STATUS for mailboxes whose messages have changed, or under whose
// name there is another now.
func (s *session) tellFigures(f *following, changes []boxChange, moves []nameNews, boxes []account.Info) {
	n := s.notify
	here := s.selectedIn(f)
	known := knownAfter(changes, moves)
	for _, c := range changes {
		if c.after == nil || c.after.ID == here || c.after.Rights&mail.RightRead == 0 || slices.ContainsFunc(f.lagging, isMailbox(c.after.ID)) {
			continue
		}
		before := c.before
		if !c.same() {
			before = known[c.after.Name]
		}
		if before != nil && n.eventsOfInfo(before)&imapwire.NotifyMessageEvents == 0 {
			before = nil // nothing was told of it
		}
		if items := s.figuresOwed(n.eventsOfInfo(c.after), before, c.after); items != 0 {
			s.writeStatus(c.after, items)
		}
	}
	for _, told := range f.lagging {
		at := slices.IndexFunc(boxes, isMailbox(told.ID))
		if told.ID == here || at < 0 || boxes[at].Rights&mail.RightRead == 0 {
			continue
		}
		if items := s.figuresOwed(n.eventsOfInfo(&boxes[at]), &told, &boxes[at]); items != 0 {
			s.writeStatus(&boxes[at], items)
		}
	}
	f.lagging = nil
}

func isMailbox(id mail.MailboxID) func(account.Info) bool {
	return func(info account.Info) bool { return info.ID == id }
}

// selectedIn gives the selected mailbox, if it is one of that account; 0 if not.
func (s *session) selectedIn(f *following) mail.MailboxID {
	if s.box == nil || s.box.sel.Account() != f.guest.Account() {
		return 0
	}
	return s.box.sel.Info().ID
}

// figuresOwed gives the items of the STATUS that tells what became of a mailbox, none
// if there is nothing to tell (RFC 5465 5.1 to 5.3). A mailbox of which nothing was
// told before has no before. If LIST says that it is new, the figures wait for its
// first message.
func (s *session) figuresOwed(events imapwire.NotifyEvents, before, after *account.Info) (items imapwire.StatusItems) {
	if before == nil {
		if after.Counts.UIDNext <= 1 && events&imapwire.NotifyMailboxName != 0 {
			return 0
		}
		before = &account.Info{}
	}
	valid := before.Validity == after.Validity
	if before.Counts.UIDNext <= 1 && after.Counts.UIDNext > 1 {
		valid = false // of its first message on it matters which mailbox this is
	}
	if events&imapwire.NotifyMessageNew != 0 &&
		(!valid || before.Counts.UIDNext != after.Counts.UIDNext || before.Counts.Messages != after.Counts.Messages) {
		items |= imapwire.StatusMessages | imapwire.StatusUIDNext | imapwire.StatusUnseen // the last as Dovecot
		if s.condstore {
			items |= imapwire.StatusHighestModSeq
		}
	}
	if events&imapwire.NotifyFlagChange != 0 {
		if before.Counts.Unseen != after.Counts.Unseen {
			items |= imapwire.StatusUnseen
		}
		if s.condstore && before.HighestModSeq != after.HighestModSeq {
			items |= imapwire.StatusHighestModSeq | imapwire.StatusUIDValidity
		}
	}
	if !valid && events&imapwire.NotifyMessageEvents != 0 {
		items |= imapwire.StatusUIDValidity
	}
	return items
}

// tellAllFigures answers the STATUS indicator (RFC 5465 3.1). HIGHESTMODSEQ is given
// to whoever asks for changes of flags, whether they have enabled CONDSTORE or not.
func (s *session) tellAllFigures() {
	for _, f := range s.notify.follows {
		here := s.selectedIn(f)
		for i := range f.boxes {
			info := &f.boxes[i]
			events := s.notify.eventsOfInfo(info)
			if info.ID == here || events&imapwire.NotifyMessageEvents == 0 || info.Rights&mail.RightRead == 0 {
				continue
			}
			items := imapwire.StatusMessages | imapwire.StatusUIDNext | imapwire.StatusUIDValidity | imapwire.StatusUnseen
			if (events&imapwire.NotifyFlagChange != 0 || s.condstore) && !s.hidden("CONDSTORE") {
				items |= imapwire.StatusHighestModSeq
			}
			s.writeStatus(info, items)
		}
	}
}

// leaveBox notes, as the selected mailbox is closed, if more has happened in it than
// the client was told: from now on it is a mailbox like others, of which it hears
// by STATUS.
func (s *session) leaveBox() {
	if s.notify == nil {
		return
	}
	info := s.box.sel.Info()
	if s.box.view.Highest() >= info.HighestModSeq {
		return
	}
	for _, f := range s.notify.follows {
		if f.guest.Account() == info.Account {
			// It knows UIDVALIDITY. What it was not told is not what it is now.
			told := account.Info{ID: info.ID, Validity: info.Validity, HighestModSeq: s.box.view.Highest()}
			told.Counts.Messages, told.Counts.Unseen = s.box.view.Len(), info.Counts.Unseen+1
			f.lagging = append(f.lagging, told)
			s.link.raise(accountChanged)
		}
	}
}

// wantsMetadata reports whether changes of the METADATA entries of a mailbox of an
// account are asked for, "" for those of the server.
func (n *notifying) wantsMetadata(a *account.Account, mailbox string) bool {
	switch {
	case n == nil || n.events&notifyMetadata == 0:
		return false
	case mailbox == "":
		return n.events&imapwire.NotifyServerMetadataChange != 0
	}
	info := infoOf(a.Mailboxes(), mailbox)
	return info != nil && n.eventsOfInfo(info)&imapwire.NotifyMailboxMetadataChange != 0
}
