package account

import (
	"context"
	"log/slog"
	"time"

	"postern/internal/mail"
)

// Options are what a Pool is made with. Zero fields take the defaults named.
type Options struct {
	Now func() time.Time // time.Now
	Log *slog.Logger     // discards

	// ExpungeHold is how long an expunged message stays readable for sessions
	// that still show it. 24 hours.
	ExpungeHold time.Duration

	// Rules gives the rules for an account's mail; nil are none. It is asked by housekeeping, and each
	// answer may be used for ten minutes unless Pool.NewRules is called.
	Rules func(context.Context, mail.AccountID) (Rules, error)

	// Linger is how long an account that nobody holds stays in memory. 5 minutes.
	Linger time.Duration

	// RowsLinger is how long the rows of a mailbox nobody has selected stay in
	// memory. 1 minute.
	RowsLinger time.Duration

	// Every is how often the pool looks for rows and accounts to let go of and
	// for expunged mail to free. 30 seconds; negative means that only
	// Pool.Housekeep does, as tests want it.
	Every time.Duration

	// Defaults are made with a new account, beside INBOX, which every account
	// has. Nil means DefaultMailboxes.
	Defaults []DefaultMailbox

	// Quota are the limits of accounts that have none of their own. Nil means none.
	Quota *mail.Quota

	Limits Limits
}

// DefaultMailbox is a mailbox that a new account is given.
type DefaultMailbox struct {
	Name       string
	Use        mail.SpecialUse
	Subscribed bool
}

// DefaultMailboxes are those a new account has unless Options says otherwise.
func DefaultMailboxes() []DefaultMailbox {
	return []DefaultMailbox{
		{Name: mail.Inbox, Subscribed: true},
		{Name: "Drafts", Use: mail.UseDrafts, Subscribed: true},
		{Name: "Sent", Use: mail.UseSent, Subscribed: true},
		{Name: "Archive", Use: mail.UseArchive, Subscribed: true},
		{Name: "Junk", Use: mail.UseJunk, Subscribed: true},
		{Name: "Trash", Use: mail.UseTrash, Subscribed: true},
	}
}

// Limits bound what an account may hold. Zero fields take the defaults named.
type Limits struct {
	Mailboxes     int   // in one account; 10,000
	Subscriptions int   // names in one account; 10,000
	MessageSize   int64 // octets of one message with its prefix; 4 GiB - 1 at most, 128 MiB unless set
	Keywords      int   // on one message; 256

	// MailboxKeywords is how many keywords a client may bring into one mailbox;
	// 1,024.
	MailboxKeywords int
}

// MaxNameBytes and MaxNameDepth bound a mailbox name: octets of UTF-8, and
// levels of hierarchy.
const (
	MaxNameBytes = 1024
	MaxNameDepth = 32
)

// Bounds of metadata. RFC 5464 4.1 wants a value of 1,024 octets and ten entries at
// least. All of an account's are in memory while it is open.
const (
	MaxMetadataValue   = 64 << 10 // octets of one value
	MaxMetadataEntries = 256      // of a mailbox, or of the server: shared, and as many of each reader
	MaxMetadataBytes   = 1 << 20  // names and values, of an account in all
)

// MaxKeywordBytes bounds one keyword.
const MaxKeywordBytes = 256

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.ExpungeHold = orDuration(o.ExpungeHold, 24*time.Hour)
	o.Linger = orDuration(o.Linger, 5*time.Minute)
	o.RowsLinger = orDuration(o.RowsLinger, time.Minute)
	o.Every = orDuration(o.Every, 30*time.Second)
	if o.Defaults == nil {
		o.Defaults = DefaultMailboxes()
	}
	if o.Quota == nil {
		none := mail.NoQuota()
		o.Quota = &none
	}
	l := &o.Limits
	l.Mailboxes = orInt(l.Mailboxes, 10_000)
	l.Subscriptions = orInt(l.Subscriptions, 10_000)
	l.Keywords = orInt(l.Keywords, 256)
	l.MailboxKeywords = orInt(l.MailboxKeywords, 1024)
	if l.MessageSize == 0 {
		l.MessageSize = 128 << 20
	}
	l.MessageSize = min(l.MessageSize, 1<<32-1)
	return o
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func orInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
