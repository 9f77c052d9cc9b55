package mail

import "math"

// Usage is how much an account uses of what a quota can limit (RFC 9208 5).
// Expunged messages that are still held for sessions do not count.
type Usage struct {
	Octets    uint64 // of messages, as RFC822.SIZE counts them
	Messages  uint64
	Mailboxes uint64
}

// Less gives how much more u is than v, of each 0 where it is not.
func (u Usage) Less(v Usage) Usage {
	return Usage{u.Octets - min(u.Octets, v.Octets), u.Messages - min(u.Messages, v.Messages), u.Mailboxes - min(u.Mailboxes, v.Mailboxes)}
}

// Unlimited, as a limit, is none.
const Unlimited = math.MaxUint64

// Quota are an account's limits, each a number of what Usage counts, or Unlimited.
type Quota struct{ Octets, Messages, Mailboxes uint64 }

// NoQuota limits nothing.
func NoQuota() Quota { return Quota{Unlimited, Unlimited, Unlimited} }

// QuotaLimit is a limit that may have been left to the configuration, as the zero
// value is.
type QuotaLimit struct {
	Given bool
	Most  uint64 // or Unlimited
}

// Or gives the limit, or what is configured where none was given.
func (l QuotaLimit) Or(configured uint64) uint64 {
	if l.Given {
		return l.Most
	}
	return configured
}

// OwnQuota are the limits that an account was given itself.
type OwnQuota struct{ Octets, Messages, Mailboxes QuotaLimit }

// Or gives the limits, with those configured where none was given.
func (q OwnQuota) Or(configured Quota) Quota {
	return Quota{q.Octets.Or(configured.Octets), q.Messages.Or(configured.Messages), q.Mailboxes.Or(configured.Mailboxes)}
}
