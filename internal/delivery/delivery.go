// Package delivery takes in one message for several recipients and gives each
// of them an outcome of its own. The body is stored and parsed once, whoever it
// is for; what differs between recipients (Return-Path, Delivered-To, Received)
// is kept apart from it, so that not a byte of the message is touched.
package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"slices"
	"time"

	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/mail"
)

// Options are what an Agent needs.
type Options struct {
	Pool      *account.Pool
	Directory Directory
	Notes     Notes
	Hostname  string     // in the Received field
	Rules     auth.Rules // about addresses
	Now       func() time.Time
	Log       *slog.Logger
}

// Directory says what a name stands for.
type Directory interface {
	// Accounts gives the accounts behind a canonical address, a catch-all's
	// name included; mail.NotFound if nobody bears the name.
	Accounts(ctx context.Context, name string) ([]mail.AccountID, error)
}

// Notes keeps short durable notes that all nodes of a store share.
type Notes interface {
	// Leave makes a note that lasts until expires.
	Leave(ctx context.Context, name string, expires time.Time) error

	// Take reports whether there is such a note, and removes it: of several who
	// take it at the same moment one gets true.
	Take(ctx context.Context, name string) (bool, error)
}

// Agent delivers mail.
type Agent struct{ o Options }

// New makes an Agent.
func New(o Options) *Agent {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{o}
}

// Mail is a message's envelope.
type Mail struct {
	From   string // reverse-path without brackets, empty for <>
	To     []Recipient
	Client string // name the client gave in LHLO
	Peer   string // its address
	ID     string // names the delivery in the Received field and in the log
	UTF8   bool   // the envelope is SMTPUTF8
}

// Deliver stores the message that body gives and appends it for every
// recipient. It calls outcome once for each, in order, as soon as it is known
// and those before it are: nil means that the message is durable for that
// recipient. An error that Deliver itself gives means that the message was not
// taken in, and outcome was not called.
//
// A recipient's failure does not touch the others.
func (a *Agent) Deliver(ctx context.Context, m Mail, body io.Reader, outcome func(i int, err error)) (Receipt, error) {
	m.To = slices.Clone(m.To)
	sum := sha256.New()
	content, err := a.o.Pool.Keep(ctx, io.TeeReader(body, sum))
	if err != nil {
		return Receipt{}, err
	}
	defer content.Abandon(context.WithoutCancel(ctx)) // if nobody took it; nothing otherwise
	keys := unsureKeys(sum, m)
	receipt := Receipt{agent: a}
	done := a.start(ctx, m, content, keys)
	for i := range m.To {
		stored, err := done[i].wait()
		for _, t := range stored {
			receipt.stored = append(receipt.stored, keys(t))
		}
		outcome(i, err)
	}
	return receipt, nil
}

// concurrent is how many recipients of one message are delivered to at a time:
// enough for their commits to share a sync.
const concurrent = 32

// pending is one recipient's delivery under way.
type pending struct {
	over   chan struct{}
	stored []target // where the message is now
	err    error
}

func (p *pending) wait() ([]target, error) {
	<-p.over
	return p.stored, p.err
}

// start begins the delivery to every recipient. One that has begun is not
// interrupted when ctx ends: its message is either there or not, and known.
func (a *Agent) start(ctx context.Context, m Mail, content *account.Content, keys func(target) string) []*pending {
	all := make([]*pending, len(m.To))
	for i := range all {
		all[i] = &pending{over: make(chan struct{})}
	}
	seen := map[target]int{}
	for i := range m.To { // the same account twice is two deliveries, told apart in what is unsure
		m.To[i].targets = slices.Clone(m.To[i].targets)
		for j, t := range m.To[i].targets {
			t.address = m.To[i].Address
			seen[t]++
			t.nth = seen[t]
			m.To[i].targets[j] = t
		}
	}
	slots := make(chan struct{}, concurrent)
	go func() {
		for i, r := range m.To {
			slots <- struct{}{}
			go func() {
				defer func() { <-slots; close(all[i].over) }()
				all[i].stored, all[i].err = a.deliverTo(context.WithoutCancel(ctx), m, r, content, keys)
			}()
		}
	}()
	return all
}

// deliverTo appends the message for every account that a recipient stands for.
// Where one of several fails, the recipient has failed and will be tried again;
// those that succeeded are noted as unsure, so that they do not get it twice.
func (a *Agent) deliverTo(ctx context.Context, m Mail, r Recipient, content *account.Content, keys func(target) string) (stored []target, err error) {
	for _, t := range r.targets {
		known, err := a.o.Notes.Take(ctx, keys(t))
		if err == nil && !known {
			err = a.appendTo(ctx, m, r, t, content)
		}
		if err != nil {
			return nil, errors.Join(err, a.noteUnsure(ctx, stored, keys))
		}
		stored = append(stored, t)
	}
	return stored, nil
}

// appendTo appends the message to one account.
func (a *Agent) appendTo(ctx context.Context, m Mail, r Recipient, t target, content *account.Content) error {
	acct, err := a.o.Pool.Open(ctx, t.account)
	if err != nil {
		return err
	}
	defer acct.Release()
	for tries := 0; ; tries++ {
		box, err := a.mailbox(acct, t.detail)
		if err != nil {
			return err
		}
		now := a.o.Now()
		_, err = box.Append(ctx, []account.NewMessage{{
			Content: content, Prefix: a.trace(m, r, now), Date: mail.NewInternalDate(now),
		}})
		if tries == lookups || mail.KindOf(err) != mail.NotFound || err == nil {
			return err
		}
		// Somebody deleted the mailbox, or put another in its place, since it
		// was looked up: that is no reason to bounce the mail.
	}
}

// lookups is how often a mailbox is looked up again that was deleted before the
// mail came in.
const lookups = 10

// mailbox gives the mailbox that a detail names where there is one to which mail
// may be delivered, and INBOX otherwise.
func (a *Agent) mailbox(acct *account.Account, detail string) (*account.Mailbox, error) {
	if detail != "" {
		box, err := acct.Mailbox(detail, mail.RightPost)
		if err == nil {
			return box, nil
		}
		if k := mail.KindOf(err); k != mail.NotFound && k != mail.Cannot && k != mail.NotPermitted {
			return nil, err
		}
	}
	return acct.Mailbox(mail.Inbox, mail.RightPost)
}

// trace is the header that delivery puts before the message (RFC 5321 4.4):
// where it came from, for whom, and by what way. What comes from outside has
// been checked to hold no line ends.
func (a *Agent) trace(m Mail, r Recipient, now time.Time) []byte {
	with := "LMTP"
	if m.UTF8 {
		with = "UTF8LMTP" // RFC 6531 4.3
	}
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: from %s\r\n\tby %s with %s id %s\r\n\tfor <%s>; %s\r\n",
		m.From, r.Address, m.Client, a.o.Hostname, with, m.ID, r.Address, now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// unsureKeys gives the function that names one delivery of these very octets.
func unsureKeys(body hash.Hash, m Mail) func(target) string {
	sum := body.Sum(nil)
	return func(t target) string {
		h := sha256.New()
		fmt.Fprintf(h, "%x\n%d %q %q %d\n%q", sum, t.account, t.detail, t.address, t.nth, m.From)
		return fmt.Sprintf("%s%x", unsurePrefix, h.Sum(nil))
	}
}
