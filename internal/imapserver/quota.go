package imapserver

import (
	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// An account has one quota root, which all its mailboxes are under, those that are
// still to be made too. It has the account's name.

// getQuotaRoot is the command GETQUOTAROOT (RFC 9208 4.1.2). "The mailbox name
// parameter doesn't have to reference an existing mailbox." Those of others, there or
// not, are under quota roots of theirs, which are none of this session's.
func (s *session) getQuotaRoot(*command) error {
	var name string
	if !s.r.ExpectMailboxArgs(&name) {
		return s.r.Err()
	}
	guest, _, err := s.place(name)
	switch {
	case err != nil && mail.KindOf(err) != mail.NotFound:
		return err
	case err != nil || !guest.IsOwner():
		s.w.Star().Raw("QUOTAROOT ").Mailbox(name).CRLF()
		return nil
	}
	s.w.QuotaRoot(name, s.user)
	s.writeQuotaOf(s.account, s.user)
	return nil
}

// getQuota is the command GETQUOTA (RFC 9208 4.1.1).
func (s *session) getQuota(*command) error {
	var root string
	if !s.r.ExpectQuotaRoot(&root) {
		return s.r.Err()
	}
	return s.atRoot(root, func(a *account.Account, root string) error {
		s.writeQuotaOf(a, root)
		return nil
	})
}

// storageUnit is what STORAGE counts in (RFC 9208 5.1), octets.
const storageUnit = 1024

// writeQuotaOf writes a QUOTA response. Resources without a limit are not named
// (RFC 9208 4.2.1). Parts of a unit count as one, so that what is full looks it.
func (s *session) writeQuotaOf(a *account.Account, root string) {
	units := func(octets uint64) uint64 {
		return octets/storageUnit + min(octets%storageUnit, 1)
	}
	used, quota := a.Quota()
	var resources []imapwire.QuotaResource
	if quota.Octets != mail.Unlimited {
		resources = append(resources, imapwire.QuotaResource{Name: "STORAGE", Usage: units(used.Octets), Limit: units(quota.Octets)})
	}
	if quota.Messages != mail.Unlimited {
		resources = append(resources, imapwire.QuotaResource{Name: "MESSAGE", Usage: used.Messages, Limit: quota.Messages})
	}
	if quota.Mailboxes != mail.Unlimited {
		resources = append(resources, imapwire.QuotaResource{Name: "MAILBOX", Usage: used.Mailboxes, Limit: quota.Mailboxes})
	}
	s.w.Quota(root, resources)
}
