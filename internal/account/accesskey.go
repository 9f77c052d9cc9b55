package account

import (
	"context"
	"crypto/rand"
	"slices"

	"postern/internal/mail"
)

// appendKey writes a key: nothing, or its octets.
func appendKey(dst []byte, k mail.AccessKey) []byte {
	if k == (mail.AccessKey{}) {
		return appendUint(dst, 0)
	}
	return appendString(dst, k[:])
}

func (d *decoder) key() (k mail.AccessKey) {
	b := d.bytes()
	if len(b) != 0 && copy(k[:], b) != len(b) || len(b) != 0 && len(b) != len(k) {
		d.fail("a key is not as long as keys are")
		return mail.AccessKey{}
	}
	return k
}

// AccessKey gives the mailbox's secret, which is zero if none was made, or none
// since the last ForgetAccessKeys.
func (m *Mailbox) AccessKey() mail.AccessKey {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	if m.box.deletedAt != 0 {
		return mail.AccessKey{}
	}
	return m.box.key
}

// MakeAccessKey gives the mailbox's secret, and makes one if there is none.
// mail.NotPermitted for everybody but the mailbox's owner.
func (m *Mailbox) MakeAccessKey(ctx context.Context) (mail.AccessKey, error) {
	if err := m.ownKey(); err != nil {
		return mail.AccessKey{}, err
	}
	if key := m.AccessKey(); key != (mail.AccessKey{}) {
		return key, nil
	}
	return m.setAccessKey(ctx, false)
}

// RenewAccessKey gives the mailbox another secret: no URL made with the one before
// is good any more. mail.NotPermitted for everybody but the mailbox's owner.
func (m *Mailbox) RenewAccessKey(ctx context.Context) error {
	if err := m.ownKey(); err != nil {
		return err
	}
	_, err := m.setAccessKey(ctx, true)
	return err
}

// ownKey refuses the secret to those whose mailbox it is not: a URL has the rights
// of its owner.
func (m *Mailbox) ownKey() error {
	if m.reader() != m.a.id {
		return mail.Errorf(mail.NotPermitted, "only the owner of a mailbox makes URLs of it for others")
	}
	return nil
}

func (m *Mailbox) setAccessKey(ctx context.Context, renew bool) (key mail.AccessKey, err error) {
	var fresh mail.AccessKey
	rand.Read(fresh[:]) // never fails
	err = m.a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		o, err := p.mailbox(m.box)
		if err != nil {
			return err
		}
		if key = m.box.key; renew || key == (mail.AccessKey{}) {
			key = fresh
			p.record(m.box.id, o.counts, mail.AccessKeySet{Key: key}, len(key))
		}
		return nil
	}})
	if err != nil {
		return mail.AccessKey{}, err
	}
	return key, nil
}

// ForgetAccessKeys takes the secrets of all mailboxes away, in one commit.
func (a *Account) ForgetAccessKeys(ctx context.Context) error {
	return a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		for _, id := range p.model.keyed() {
			p.record(id, p.model.boxes[id].counts, mail.AccessKeySet{}, 1)
		}
		return nil
	}})
}

// keyed lists the mailboxes that have secrets, in order.
func (m *model) keyed() []mail.MailboxID {
	var ids []mail.MailboxID
	for id, box := range m.boxes {
		if box.deletedAt == 0 && box.key != (mail.AccessKey{}) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
