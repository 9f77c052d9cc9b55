package imapserver

import (
	"strings"

	"postern/internal/account"
	"postern/internal/mail"
)

// The namespaces of mailboxes of others (RFC 2342): below each stand the names of
// accounts, and below these what the account's mailboxes are called there.
const (
	otherUsers = "Other Users/"
	sharedOnes = "Shared/"
)

// mailbox gives the mailbox that a client names, to somebody who needs these
// rights. Every command that takes the name of a mailbox reaches it through here,
// or through place where there need not be such a mailbox. One that is not there
// and one that may not be looked up are mail.NotFound alike.
func (s *session) mailbox(name string, need mail.Rights) (*account.Mailbox, error) {
	guest, name, err := s.place(name)
	if err != nil {
		return nil, err
	}
	return guest.Mailbox(name, need)
}

// mailboxOfAny is mailbox for somebody who needs one of these rights.
func (s *session) mailboxOfAny(name string, need mail.Rights) (*account.Mailbox, error) {
	guest, name, err := s.place(name)
	if err != nil {
		return nil, err
	}
	return guest.MailboxOfAny(name, need)
}

// place says in whose account a mailbox of that name is or would be, and what it is
// called there. An account that one cannot find anything in is mail.NotFound as one
// that is not there. A mailbox of one's own may have such a name, because it came
// by import or is older than the namespaces: then the name is that one's.
func (s *session) place(name string) (account.Guest, string, error) {
	space, rest := cutNamespace(name)
	if space == "" {
		return s.home(), name, nil
	}
	if _, err := s.home().Mailbox(name, mail.RightLookup); err == nil {
		return s.home(), name, nil
	}
	for at := strings.IndexByte(rest, mail.Separator); at > 0 && at <= maxAccountName; {
		guest, err := s.hostNamed(space, rest[:at])
		if err == nil || mail.KindOf(err) != mail.NotFound {
			return guest, rest[at+1:], err
		}
		next := strings.IndexByte(rest[at+1:], mail.Separator)
		if next < 0 {
			break
		}
		at += 1 + next // addresses may have the separator in them
	}
	return account.Guest{}, "", noMailbox()
}

// maxAccountName is how many octets the name of an account has at most (RFC 5321
// 4.5.3.1.3: a path has 256). Longer ones are not looked up.
const maxAccountName = 256

// noMailbox is what package account says of a mailbox that is not there.
func noMailbox() error { return mail.Errorf(mail.NotFound, "there is no such mailbox") }

// home is one's own account.
func (s *session) home() account.Guest { return s.account.Guest(s.account.ID(), "") }

// cutNamespace cuts a name behind the namespace of others it is in, "" for none.
func cutNamespace(name string) (space, rest string) {
	for _, space := range []string{otherUsers, sharedOnes} {
		if rest, ok := strings.CutPrefix(name, space); ok {
			return space, rest
		}
	}
	return "", name
}

// reserved refuses to make a mailbox that would stand for a namespace of others.
func reserved(name string) error {
	if name := strings.TrimSuffix(name, string(mail.Separator)) + string(mail.Separator); name == otherUsers || name == sharedOnes {
		return mail.Errorf(mail.Cannot, "the name is kept for mailboxes of others")
	}
	return nil
}

// hostNamed gives the account of that name in a namespace, if one may find anything
// in it.
func (s *session) hostNamed(space, name string) (account.Guest, error) {
	if !strings.Contains(name, "@") {
		return account.Guest{}, noMailbox() // no name of an account
	}
	p, err := s.srv.people.Named(s.ctx, name)
	if err != nil {
		if kind := mail.KindOf(err); kind == mail.Invalid || kind == mail.Cannot {
			err = noMailbox() // no address
		}
		return account.Guest{}, err
	}
	if p.Name != name || p.namespace() != space {
		return account.Guest{}, noMailbox()
	}
	return s.host(p)
}

// namespace says where others find a person's mailboxes.
func (p Person) namespace() string {
	if p.Shared {
		return sharedOnes
	}
	return otherUsers
}

// host gives the account of somebody else as this session may see it.
func (s *session) host(p Person) (account.Guest, error) {
	me := s.account.ID()
	if p.Account == me {
		return account.Guest{}, noMailbox()
	}
	invited, err := s.srv.accounts.Invited(s.ctx, me, p.Account)
	if err != nil {
		return account.Guest{}, err
	}
	if !invited {
		return account.Guest{}, noMailbox()
	}
	a, err := s.hold(p.Account)
	if err != nil {
		return account.Guest{}, err
	}
	return a.Guest(me, p.namespace()+p.Name+string(mail.Separator)), nil
}

// hold opens the account of somebody else until the command ends, or as long as a
// mailbox in it is selected.
func (s *session) hold(id mail.AccountID) (*account.Account, error) {
	if s.box != nil && s.box.host != nil && s.box.host.ID() == id {
		return s.box.host, nil
	}
	for _, a := range s.held {
		if a.ID() == id {
			return a, nil
		}
	}
	a, err := s.srv.accounts.Open(s.ctx, id)
	if err == nil {
		s.held = append(s.held, a)
	}
	return a, err
}

// holdOn opens the account of somebody else for longer than a command. It wants a
// Release.
func (s *session) holdOn(g account.Guest) (*account.Account, error) {
	return s.srv.accounts.Open(s.ctx, g.Account())
}

// keepHost gives what the session has of the account whose mailbox it selects: nil
// for its own.
func (s *session) keepHost(id mail.AccountID) *account.Account {
	for i, a := range s.held {
		if a.ID() == id {
			s.held = append(s.held[:i], s.held[i+1:]...)
			return a
		}
	}
	return nil
}

// letGo gives back the accounts of others that a command has opened.
func (s *session) letGo() {
	for _, a := range s.held {
		a.Release()
	}
	clear(s.held)
	s.held = s.held[:0]
}

// guests gives the accounts of others in which this session may find something.
func (s *session) guests() ([]account.Guest, error) {
	hosts, err := s.srv.accounts.Hosts(s.ctx, s.account.ID())
	if err != nil {
		return nil, err
	}
	var guests []account.Guest
	for _, id := range hosts {
		p, err := s.srv.people.Person(s.ctx, id)
		var guest account.Guest
		if err == nil {
			guest, err = s.host(p)
		}
		switch {
		case err == nil:
			guests = append(guests, guest)
		case mail.KindOf(err) != mail.NotFound: // removed meanwhile
			return nil, err
		}
	}
	return guests, nil
}
