package imapserver

import (
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// "The server SHOULD omit notifying the client if the event is caused by this
// client" (RFC 5465 5). What a session does to names itself is put into the list
// that it was told last, so that the comparison finds only what others did. STATUS
// is not left out: the figures of a mailbox may have changed by others at the same
// time, and what is left out then is lost.

// amend changes what the client was told of a name, if it is told of any.
func (s *session) amend(name string, change func(f *following)) {
	if s.notify == nil || s.notify.events&(imapwire.NotifyMailboxName|imapwire.NotifySubscriptionChange) == 0 {
		return
	}
	for _, f := range s.notify.follows {
		if !s.notify.isIn(f, name) {
			continue
		}
		f.boxes, f.names = slices.Clone(f.boxes), slices.Clone(f.names) // they are the account's
		change(f)
		f.putInOrder()
	}
}

// putInOrder makes the list one that an account could have given.
func (f *following) putInOrder() {
	slices.SortFunc(f.boxes, func(a, b account.Info) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(f.names)
	parents := map[string]bool{}
	for i := range f.boxes {
		if at := strings.LastIndexByte(f.boxes[i].Name, mail.Separator); at > 0 {
			parents[f.boxes[i].Name[:at]] = true
		}
	}
	for i := range f.boxes {
		info := &f.boxes[i]
		info.HasChildren = parents[info.Name]
		_, info.Subscribed = slices.BinarySearch(f.names, info.Name)
	}
}

// knowsCreated takes in that this session has made a mailbox.
func (s *session) knowsCreated(info *account.Info) {
	s.amend(info.Name, func(f *following) {
		made := *info
		made.Counts, made.Recent = mail.Counts{UIDNext: 1}, 0
		made.HighestModSeq = mail.ModSeq(info.ID)
		f.forget(func(name string) bool { return name == info.Name })
		f.boxes = append(f.boxes, made)
	})
}

// knowsDeleted takes in that this session has deleted a mailbox.
func (s *session) knowsDeleted(name string) {
	name = canonicalName(name)
	s.amend(name, func(f *following) { f.forget(func(n string) bool { return n == name }) })
}

// knowsRenamed takes in that this session has renamed a mailbox; to is what it is
// now. Of INBOX only the messages move, to a mailbox that is made for them.
func (s *session) knowsRenamed(from string, to *account.Info) {
	from = canonicalName(from)
	if from == mail.Inbox {
		s.knowsCreated(to)
		return
	}
	s.amend(to.Name, func(f *following) {
		f.forget(func(name string) bool { return isAtOrBelow(name, to.Name) })
		for i := range f.boxes {
			if name := f.boxes[i].Name; isAtOrBelow(name, from) {
				f.boxes[i].Name = to.Name + name[len(from):]
			}
		}
	})
}

// knowsSubscribed takes in that this session has subscribed to a name, or not any
// more.
func (s *session) knowsSubscribed(name string, on bool) {
	name = canonicalName(strings.TrimSuffix(name, string(mail.Separator)))
	s.amend(name, func(f *following) {
		f.names = slices.DeleteFunc(f.names, func(n string) bool { return n == name })
		if on {
			f.names = append(f.names, name)
		}
	})
}

// canonicalName is a name in the form that mailboxes have. With one that cannot be such
// a name nothing was done.
func canonicalName(name string) string {
	name, _ = account.CanonicalName(name)
	return name
}

// forget takes names out of the list.
func (f *following) forget(which func(name string) bool) {
	f.boxes = slices.DeleteFunc(f.boxes, func(info account.Info) bool { return which(info.Name) })
}
