package imapserver

import (
	"context"
	"net/netip"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Access control lists (RFC 4314). An identifier is the name of an account, or
// "anyone", with "-" before it for what is taken away.

const anyone = "anyone"

// rightsToKnow are those of which MYRIGHTS wants one (RFC 4314 4).
const rightsToKnow = mail.RightLookup | mail.RightRead | mail.RightInsert | mail.RightCreate | mail.RightDeleteBox | mail.RightAdminister

// setACL is the command SETACL (RFC 4314 3.1).
func (s *session) setACL(*command) error {
	var args imapwire.SetACLArgs
	if !s.r.ExpectSetACLArgs(&args) {
		return s.r.Err()
	}
	return s.grant(args.Mailbox, args.Identifier, args.Op, args.Rights)
}

// deleteACL is the command DELETEACL (RFC 4314 3.2).
func (s *session) deleteACL(*command) error {
	var args imapwire.ACLArgs
	if !s.r.ExpectACLArgs(&args) {
		return s.r.Err()
	}
	return s.grant(args.Mailbox, args.Identifier, mail.SetRights, 0)
}

// grant changes an entry of an access control list. Only who may do so learns
// whether an identifier is one.
func (s *session) grant(name, identifier string, op mail.RightsOp, rights mail.Rights) error {
	mailbox, err := s.mailbox(name, mail.RightAdminister)
	if err != nil {
		return err
	}
	who, negative, err := s.grantee(identifier)
	if err != nil {
		return err
	}
	if who == mail.Anyone && !negative && op != mail.RemoveRights && rights != 0 && !s.srv.aclAnyone {
		return mail.Errorf(mail.NotPermitted, "mailboxes here are not shared with everybody") // RFC 4314 6
	}
	if !negative && op != mail.RemoveRights && rights != 0 {
		if err := s.mayShare(mailbox, who); err != nil {
			return err
		}
	}
	_, err = patiently(s.ctx, s, func(ctx context.Context) (without, error) {
		return without{}, mailbox.Grant(ctx, who, negative, op, rights)
	})
	if err != nil {
		return err
	}
	if s.srv.granted != nil {
		s.srv.granted(s.ctx, Grant{
			Session: s.conn.ID(), Remote: s.conn.Remote(), Account: s.account.ID(), User: s.user,
			Mailbox: name, Identifier: identifier, Rights: rightsSign[op] + rights.String(),
		})
	}
	return nil
}

// mayShare asks whether a mailbox may be shared with somebody.
func (s *session) mayShare(mailbox *account.Mailbox, who mail.AccountID) error {
	if s.srv.mayShare == nil {
		return nil
	}
	owner, err := s.srv.people.Person(s.ctx, mailbox.Info().Account)
	if err != nil {
		return err
	}
	with := Person{}
	if who != mail.Anyone {
		if with, err = s.srv.people.Person(s.ctx, who); err != nil {
			return err
		}
	}
	if owner.Account != with.Account && !s.srv.mayShare(owner.Name, with.Name) {
		return mail.Errorf(mail.NotPermitted, "the mailboxes of this account may not be shared so")
	}
	return nil
}

// rightsSign is how SETACL writes an operation (RFC 4314 3.1).
var rightsSign = [...]string{mail.SetRights: "", mail.AddRights: "+", mail.RemoveRights: "-"}

// Grant is a change of an access control list by a client.
type Grant struct {
	Session string
	Remote  netip.AddrPort
	Account mail.AccountID // who did it
	User    string         // the same, by the name of the account

	Mailbox, Identifier string // as the client named them
	Rights              string // as SETACL has them, "" for DELETEACL
}

// grantee says whom an identifier means.
func (s *session) grantee(identifier string) (who mail.AccountID, negative bool, err error) {
	name, negative := strings.CutPrefix(identifier, "-")
	if name == "" {
		return 0, false, bad("the identifier is empty") // RFC 4314 3
	}
	if strings.EqualFold(name, anyone) {
		return mail.Anyone, negative, nil
	}
	p, err := s.srv.people.Named(s.ctx, name)
	switch kind := mail.KindOf(err); {
	case err == nil:
		return p.Account, negative, nil
	case kind == mail.NotFound, kind == mail.Invalid, kind == mail.Cannot:
		return 0, false, no(codeOf(mail.NotFound), "nobody has an account of that name")
	}
	return 0, false, err
}

// getACL is the command GETACL (RFC 4314 3.3). The owner, who has all rights, comes
// first. Entries of accounts that were removed are not told: they name nobody.
func (s *session) getACL(*command) error {
	var name string
	if !s.r.ExpectMailboxArgs(&name) {
		return s.r.Err()
	}
	mailbox, err := s.mailbox(name, mail.RightAdminister)
	if err != nil {
		return err
	}
	acl, err := mailbox.ACL()
	if err != nil {
		return err
	}
	info := mailbox.Info()
	entries := make([]imapwire.ACLEntry, 0, 1+len(acl))
	for _, g := range append(mail.ACL{{Account: info.Account, Rights: mail.AllRights}}, acl...) {
		identifier := anyone
		if g.Account != mail.Anyone {
			p, err := s.srv.people.Person(s.ctx, g.Account)
			if err != nil && mail.KindOf(err) == mail.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			identifier = p.Name
		}
		if g.Negative {
			identifier = "-" + identifier
		}
		entries = append(entries, imapwire.ACLEntry{Identifier: identifier, Rights: g.Rights})
	}
	s.w.ACL(info.Name, entries)
	return nil
}

// listRights is the command LISTRIGHTS (RFC 4314 3.4). The identifier comes back as
// it was written.
func (s *session) listRights(*command) error {
	var args imapwire.ACLArgs
	if !s.r.ExpectACLArgs(&args) {
		return s.r.Err()
	}
	mailbox, err := s.mailbox(args.Mailbox, mail.RightAdminister)
	if err != nil {
		return err
	}
	who, negative, err := s.grantee(args.Identifier)
	if err != nil {
		return err
	}
	info := mailbox.Info()
	var always mail.Rights
	if who == info.Account && !negative {
		always = mail.AllRights
	}
	s.w.ListRights(info.Name, args.Identifier, always, mail.AllRights&^always)
	return nil
}

// myRights is the command MYRIGHTS (RFC 4314 3.5).
func (s *session) myRights(*command) error {
	var name string
	if !s.r.ExpectMailboxArgs(&name) {
		return s.r.Err()
	}
	mailbox, err := s.mailboxOfAny(name, rightsToKnow)
	if err != nil {
		return err
	}
	info := mailbox.Info()
	s.w.MyRights(info.Name, info.Rights)
	return nil
}
