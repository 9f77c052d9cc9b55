package account

import (
	"context"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// usage is what the reference's mailboxes hold together.
func (m *modelTest) usage() mail.Usage {
	var u mail.Usage
	for _, b := range m.boxes {
		if !b.deleted {
			c := b.counts()
			u.Octets, u.Messages, u.Mailboxes = u.Octets+c.Bytes, u.Messages+uint64(c.Messages), u.Mailboxes+1
		}
	}
	return u
}

// exceeds reports whether so much more is too much.
func (m *modelTest) exceeds(more mail.Usage) bool {
	u, q := m.usage(), m.quota.Or(mail.NoQuota())
	return more.Octets > 0 && u.Octets+more.Octets > q.Octets || more.Messages > 0 && u.Messages+more.Messages > q.Messages ||
		more.Mailboxes > 0 && u.Mailboxes+more.Mailboxes > q.Mailboxes
}

// setQuota gives the account limits about what it uses, or takes them away.
func (m *modelTest) setQuota(t *rapid.T) {
	i := m.anyNode(t)
	u := m.usage()
	about := func(what string, used uint64, margin int) mail.QuotaLimit {
		switch rapid.IntRange(0, 3).Draw(t, what) {
		case 0:
			return mail.QuotaLimit{}
		case 1:
			return mail.QuotaLimit{Given: true, Most: mail.Unlimited}
		}
		most := int(used) + rapid.IntRange(-margin/4, margin).Draw(t, what+" margin")
		return mail.QuotaLimit{Given: true, Most: uint64(max(most, 0))}
	}
	q := mail.OwnQuota{
		Octets: about("octets", u.Octets, 1000), Messages: about("messages", u.Messages, 8), Mailboxes: about("mailboxes", u.Mailboxes, 4),
	}
	m.do(t, i, []*action{{
		what: "quota", run: func() error { return m.nodes[i].a.SetQuota(context.Background(), q) },
		verify: func(_ *rapid.T, did, _ bool) {
			if did {
				m.quota = q
			}
		},
	}})
}

// compareQuota holds a node to the reference: what is used equals the sum.
func (m *modelTest) compareQuota(t *rapid.T, n *node) {
	used, quota := n.a.Quota()
	if want := m.usage(); used != want || quota != m.quota.Or(mail.NoQuota()) || n.a.OwnQuota() != m.quota {
		t.Fatalf("used are %+v of %+v, want %+v of %+v", used, quota, want, m.quota)
	}
}
