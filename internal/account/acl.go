package account

import (
	"context"

	"postern/internal/mail"
)

// MaxGrants bounds a mailbox's access control list. Every command of a guest goes
// over it.
const MaxGrants = 256

// ACL gives the mailbox's access control list. Looking at it takes the right a.
func (m *Mailbox) ACL() (mail.ACL, error) {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	if err := m.check(m.box, mail.RightAdminister); err != nil {
		return nil, err
	}
	return m.box.acl, nil
}

// Grant changes one entry of the mailbox's access control list, which takes the
// right a. Rights that are so already are no error. The owner has all rights and no
// entry: mail.Cannot.
func (m *Mailbox) Grant(ctx context.Context, who mail.AccountID, negative bool, op mail.RightsOp, rights mail.Rights) error {
	if who == m.a.id {
		return mail.Errorf(mail.Cannot, "the owner of a mailbox has all rights on it, always")
	}
	if !negative && op != mail.RemoveRights && rights != 0 {
		if err := m.mayAdminister(); err != nil {
			return err
		}
		// First where LIST looks, then the list itself: a crash between leaves a
		// note of nothing, never a right that is not found.
		if err := m.a.pool.noteGrant(ctx, who, m.a.id); err != nil {
			return err
		}
	}
	return m.a.ask(ctx, &request{plan: func(p *plan) error {
		o, err := p.mailbox(m.box)
		if err != nil {
			return err
		}
		if err := m.check(m.box, mail.RightAdminister); err != nil {
			return err
		}
		acl := m.box.acl.With(mail.Grant{Account: who, Negative: negative, Rights: op.Apply(m.box.acl.Get(who, negative), rights)})
		switch {
		case acl.Equal(m.box.acl):
			return nil
		case len(acl) > MaxGrants:
			return mail.Errorf(mail.Limit, "a mailbox's access control list can have %d entries", MaxGrants)
		}
		p.record(m.box.id, o.counts, mail.ACLSet{ACL: acl}, 8*len(acl))
		return nil
	}, alone: true})
}

func (m *Mailbox) mayAdminister() error {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	return m.check(m.box, mail.RightAdminister)
}
