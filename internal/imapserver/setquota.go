package imapserver

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// setsQuota reports whether the session's user may set limits: only who is named an administrator of quotas is told of
// QUOTASET. Nobody is on their own account's behalf: a limit that its owner can lift is none.
func (s *session) setsQuota() bool {
	return s.srv.setsQuota != nil && s.user != "" && s.srv.setsQuota(s.user)
}

// setQuota is the command SETQUOTA (RFC 9208 4.1.3): "Any previous resource limits for the named quota root are
// discarded, even resource limits not explicitly listed".
func (s *session) setQuota(*command) error {
	if !s.setsQuota() {
		return bad("unknown command") // as any that is not announced: who asks learns nothing (CVE-2026-47084)
	}
	var args imapwire.SetQuotaArgs
	if !s.r.ExpectSetQuotaArgs(&args) {
		return s.r.Err()
	}
	unlimited := mail.QuotaLimit{Given: true, Most: mail.Unlimited}
	limits := mail.OwnQuota{Octets: unlimited, Messages: unlimited, Mailboxes: unlimited}
	named := map[string]bool{}
	for _, r := range args.Limits {
		if named[r.Name] {
			return bad("%s is named twice", r.Name)
		}
		named[r.Name] = true
		most := r.Limit
		switch r.Name {
		case "STORAGE":
			if most > mail.Unlimited/storageUnit {
				return mail.Errorf(mail.Limit, "a limit of STORAGE is at most %d", uint64(mail.Unlimited/storageUnit))
			}
			limits.Octets.Most = most * storageUnit
		case "MESSAGE":
			limits.Messages.Most = most
		case "MAILBOX":
			limits.Mailboxes.Most = most
		default:
			return no(codeOf(mail.Cannot), "there is no limit on %s, only on STORAGE, MESSAGE and MAILBOX", r.Name)
		}
	}
	return s.atRoot(args.Root, func(a *account.Account, root string) error {
		_, err := patiently(s.ctx, s, func(ctx context.Context) (without, error) { return without{}, a.SetQuota(ctx, limits) })
		if err != nil {
			return err
		}
		if s.srv.quotaSet != nil {
			s.srv.quotaSet(s.ctx, QuotaChange{Session: s.conn.ID(), Remote: s.conn.Remote(), Account: s.account.ID(), User: s.user, Root: root, Limits: quotaText(args.Limits)})
		}
		s.writeQuotaOf(a, root)
		return nil
	})
}

// QuotaChange is a change of an account's limits by a client.
type QuotaChange struct {
	Session string
	Remote  netip.AddrPort
	Account mail.AccountID // who did it
	User    string         // the same, by the name of the account
	Root    string         // the account whose limits they are
	Limits  string         // as SETQUOTA has them; "" is none
}

func quotaText(limits []imapwire.QuotaResource) string {
	var b strings.Builder
	for i, l := range limits {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.Name + " " + strconv.FormatUint(l.Limit, 10))
	}
	return b.String()
}

// atRoot does something with the account of a quota root. Those of others are there for administrators of quotas alone.
func (s *session) atRoot(root string, do func(a *account.Account, root string) error) error {
	missing := mail.Errorf(mail.NotFound, "there is no such quota root")
	if strings.EqualFold(root, s.user) {
		return do(s.account, s.user)
	}
	if !s.setsQuota() {
		return missing
	}
	p, err := s.srv.people.Named(s.ctx, root)
	switch kind := mail.KindOf(err); {
	case err == nil:
	case kind == mail.NotFound, kind == mail.Invalid, kind == mail.Cannot:
		return missing
	default:
		return err
	}
	a, err := s.srv.accounts.Open(s.ctx, p.Account)
	if err != nil {
		return err
	}
	defer a.Release()
	return do(a, p.Name)
}
