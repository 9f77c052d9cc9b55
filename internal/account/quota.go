package account

import (
	"context"

	"postern/internal/mail"
)

// A quota is an account's: what all its mailboxes hold together. What is used is
// the sum of the mailboxes' counts, which every change carries, so it is as exact
// after a crash as the log is. It is kept in the model, and the committer asks it
// when it plans, with what the batch has planned before: of two deliveries for
// which there is room for one, one comes in.

// use takes in what a mailbox holds, disuse takes it out again.
func (m *model) use(c mail.Counts) {
	m.used.Octets += c.Bytes
	m.used.Messages += uint64(c.Messages)
	m.used.Mailboxes += 1
}

func (m *model) disuse(c mail.Counts) {
	m.used.Octets -= c.Bytes
	m.used.Messages -= uint64(c.Messages)
	m.used.Mailboxes -= 1
}

// quota gives the limits in force.
func (p *plan) quota() mail.Quota { return p.model.ownQuota.Or(*p.a.pool.o.Quota) }

// mayUse refuses what would bring the account beyond its quota (mail.OverQuota), or
// further beyond one that was lowered. Whatever uses nothing more is allowed.
func (p *plan) mayUse(more mail.Usage) error {
	q := p.quota()
	for _, r := range []struct {
		used, more, most uint64
		what             string
	}{
		{p.used.Octets, more.Octets, q.Octets, "octets"},
		{p.used.Messages, more.Messages, q.Messages, "messages"},
		{p.used.Mailboxes, more.Mailboxes, q.Mailboxes, "mailboxes"},
	} {
		if r.more > 0 && (r.used > r.most || r.more > r.most-r.used) {
			return mail.Errorf(mail.OverQuota, "over quota: %d of %d %s are used", r.used, r.most, r.what)
		}
	}
	return nil
}

// usageOf is what rows use.
func usageOf(rows []Row) mail.Usage {
	u := mail.Usage{Messages: uint64(len(rows))}
	for i := range rows {
		u.Octets += uint64(rows[i].Size)
	}
	return u
}

// Quota gives what the account uses and what it may.
func (a *Account) Quota() (mail.Usage, mail.Quota) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.model.used, a.model.ownQuota.Or(*a.pool.o.Quota)
}

// OwnQuota gives the limits that the account was given itself.
func (a *Account) OwnQuota() mail.OwnQuota {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.model.ownQuota
}

// SetQuota gives the account other limits of its own. What is beyond them stays;
// there will be no more until there is room.
func (a *Account) SetQuota(ctx context.Context, q mail.OwnQuota) error {
	return a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		if p.model.ownQuota != q {
			p.record(0, mail.Counts{}, mail.QuotaSet{Quota: q}, 16)
		}
		return nil
	}})
}

// RoomFor says whether so much may come into the mailbox now (mail.OverQuota if
// not), so that a client that waits with a message need not send it. Append decides.
func (m *Mailbox) RoomFor(more mail.Usage) error {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	p := plan{a: m.a, model: m.a.model, used: m.a.model.used}
	return p.mayUse(more)
}

// unknownBytes stands for Counts.DeletedBytes where an encoding of before there was
// such a figure does not have it and it is not 0.
const unknownBytes = 1<<64 - 1

// countDeleted finds out what older encodings did not say: how large the messages
// with \Deleted are. It reads rows, once: what is saved next has the figure.
func (a *Account) countDeleted(ctx context.Context, m *model) error {
	for _, box := range m.boxes {
		if box.counts.DeletedBytes != unknownBytes {
			continue
		}
		c := &mailbox{id: box.id, saved: box.saved, rowsDirty: box.rowsDirty}
		c.counts, c.held, c.highest = box.counts, box.held, box.highest
		if err := a.readRows(ctx, m, []*mailbox{c}); err != nil {
			return err
		}
		box.counts.DeletedBytes = 0
		c.rows.each(everything, func(p *rowPage, i int) bool {
			if a.flags.system(p.flags[i])&mail.Deleted != 0 {
				box.counts.DeletedBytes += uint64(p.size[i])
			}
			return true
		})
	}
	return nil
}
