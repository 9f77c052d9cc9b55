package imapserver

import (
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Which accounts NOTIFY follows: one's own, and those of others in whose mailboxes
// one may find something, if a group can mean one. Whoever is given rights by yet
// another account says NOTIFY once more to follow that.

// followAccounts begins to follow the accounts that the groups can mean, from what
// they are now.
func (s *session) followAccounts() error {
	s.follow1(&following{guest: s.home(), stop: s.account.Watch(s.accountMoved)})
	if !s.notify.meansOthers(s.account.Subscriptions()) {
		return nil
	}
	guests, err := s.guests()
	if err != nil {
		return err
	}
	for _, g := range guests {
		host, err := s.holdOn(g)
		if err != nil {
			return err
		}
		stop := host.Watch(s.accountMoved)
		s.follow1(&following{guest: g, prefix: g.Prefix(), stop: func() {
			stop()
			host.Release()
		}})
	}
	for _, f := range s.notify.follows { // subscriptions are shared out among them
		f.names, f.boxes = s.namesIn(f), s.boxesIn(f)
	}
	return nil
}

func (s *session) accountMoved() { s.link.raise(accountChanged) }

func (s *session) follow1(f *following) {
	s.notify.follows = append(s.notify.follows, f)
	f.names, f.boxes = s.namesIn(f), s.boxesIn(f)
}

// meansOthers reports whether some group can mean a mailbox of somebody else.
func (n *notifying) meansOthers(subscribed []string) bool {
	inNamespace := func(name string) bool {
		space, _ := cutNamespace(name + string(mail.Separator))
		return space != ""
	}
	return slices.ContainsFunc(n.groups, func(g imapwire.NotifyGroup) bool {
		if g.Scope == imapwire.ScopeSubscribed {
			return slices.ContainsFunc(subscribed, inNamespace)
		}
		return slices.ContainsFunc(g.Names, inNamespace)
	})
}

// isIn reports whether a name is one of a followed account.
func (n *notifying) isIn(f *following, name string) bool {
	if f.prefix != "" {
		return strings.HasPrefix(name, f.prefix)
	}
	return !slices.ContainsFunc(n.follows, func(other *following) bool {
		return other.prefix != "" && strings.HasPrefix(name, other.prefix)
	})
}

// namesIn gives the subscriptions to names of a followed account.
func (s *session) namesIn(f *following) []string {
	names := s.account.Subscriptions()
	if len(s.notify.follows) == 1 {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !s.notify.isIn(f, name) })
}

// boxesIn gives the mailboxes of a followed account that one may look up.
func (s *session) boxesIn(f *following) []account.Info {
	boxes := f.guest.Mailboxes()
	if f.prefix == "" {
		return boxes
	}
	subscribed := s.account.Subscriptions()
	for i := range boxes {
		_, boxes[i].Subscribed = slices.BinarySearch(subscribed, boxes[i].Name)
	}
	return boxes
}
