package account

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// Problem is something in a store that is not as it should be.
type Problem struct {
	Account mail.AccountID
	Mailbox mail.MailboxID // 0: the account as a whole
	Name    string         // of the mailbox, where it is known
	UID     mail.UID       // 0: no single message
	Message mail.MessageID // 0: likewise
	Harm    Harm
	Text    string // what was found
}

// String writes the problem for a report: where it is and what was found.
func (p Problem) String() string {
	at := fmt.Sprintf("account %d", p.Account)
	if p.Mailbox != 0 {
		at += fmt.Sprintf(", mailbox %d", p.Mailbox)
		if p.Name != "" {
			at += fmt.Sprintf(" (%s)", p.Name)
		}
	}
	if p.UID != 0 {
		at += fmt.Sprintf(", UID %d", p.UID)
	}
	return at + ": " + p.Text
}

// Harm is what a problem means for the owner of the mail, and so what is to be
// done about it.
type Harm uint8

// The harms, from the worst to none.
const (
	HarmAccount Harm = iota // what is known of the account's mailboxes contradicts itself
	HarmMessage             // one message cannot be read, or not in full
	HarmRoom                // no mail; room on the disk is not given back
	HarmIndex               // no mail; searches of text take longer until the index is made again
	HarmSharing             // no mail; somebody does not find a mailbox that was shared with them
)

// String says what is affected.
func (h Harm) String() string {
	switch h {
	case HarmMessage:
		return "the messages named cannot be read, or not in full; all other mail is served"
	case HarmSharing:
		return "no mail is affected; some accounts do not find the mailboxes of this one that they may use"
	case HarmIndex:
		return "no mail is affected; searches find everything and take longer"
	case HarmRoom:
		return "no mail is affected; some room on the disk is not given back"
	default:
		return "mail of this account may be missing or shown wrongly"
	}
}

// Remedy says what to do next.
func (h Harm) Remedy() string {
	switch h {
	case HarmMessage:
		return "fetch the messages from a backup, or delete them in a mail client (docs/backup.md, \"Single messages\")"
	case HarmSharing:
		return "run `postern mailbox acl list` for the account, which repairs it"
	case HarmIndex:
		return "run `postern index rebuild` for the account; a running server does it by itself when it meets the damage"
	case HarmRoom:
		return "nothing has to be done; please report it as a fault of Postern"
	default:
		return "keep a copy of the data directory as it is, and restore a backup that checks clean (docs/backup.md, \"When check finds something\")"
	}
}

// Checked is what a check went over.
type Checked struct {
	Accounts  int
	Mailboxes int
	Messages  int   // of all mailboxes, expunged ones still held among them
	Bodies    int   // read to their end
	Octets    int64 // of those bodies
}

// Add adds what another check went over.
func (c *Checked) Add(d Checked) {
	c.Accounts += d.Accounts
	c.Mailboxes += d.Mailboxes
	c.Messages += d.Messages
	c.Bodies += d.Bodies
	c.Octets += d.Octets
}

// Checker goes over accounts of a store: that every log and page can be read,
// pages equal a replay of the log as far as it reaches back, ModSeqs follow one
// another, every UID is below UIDNEXT and used once, counts are right, every row
// has its summary and every summary a row, every body can be read with the right
// checksum and size, and marks are those that summaries name. It trusts none of
// the code that keeps the living model: it has a plain one of its own.
//
// The store may be in use. What the checker finds wrong while an account changes
// counts only if it is still wrong when the account is looked at again; it holds
// no lock and delays nobody. Its memory grows with the largest account, by about
// 300 octets a message.
type Checker struct {
	Store  store.Store
	Report func(Problem) // what is wrong

	// Patience is how long what seems to be too much in the store is looked at
	// again before it is reported: a driver may show the summaries of a commit
	// that is on its way to the disk before it shows the record.
	Patience time.Duration

	// Progress, if not nil, is told how many octets of messages were gone over
	// since it was last called.
	Progress func(octets int64)
}

// Check goes over every account of a store, one after another. The error is why
// it could not go on, such as ctx having ended; what it finds wrong goes to
// report.
func Check(ctx context.Context, s store.Store, report func(Problem)) error {
	c := &Checker{Store: s, Report: report}
	for id, err := range s.Accounts(ctx) {
		if err != nil {
			return err
		}
		if _, err := c.Account(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Octets estimates how much there is to be gone over in an account.
func (c *Checker) Octets(ctx context.Context, id mail.AccountID) int64 {
	var octets int64
	err := c.Store.Account(id).Heads(ctx, func(h store.Head) error {
		if h.Scope == 0 {
			return nil
		}
		state, err := decodeMailbox(h.Data)
		if err == nil {
			octets += int64(state.counts.Bytes)
		}
		return nil // Account will tell
	})
	if err != nil {
		return 0 // likewise
	}
	return octets
}

// Account goes over one account.
func (c *Checker) Account(ctx context.Context, id mail.AccountID) (Checked, error) {
	k := &accountCheck{c: c, id: id, account: c.Store.Account(id)}
	if err := k.run(ctx); err != nil {
		return Checked{}, err
	}
	k.checked.Accounts = 1
	k.checked.Mailboxes = len(k.state.boxes)
	for _, box := range k.state.boxes {
		k.checked.Messages += len(box.rows) + len(box.gone)
	}
	for _, p := range k.found {
		if box := k.state.boxes[p.Mailbox]; box != nil {
			p.Name = box.name
		}
		c.Report(p)
	}
	return k.checked, nil
}

// accountCheck looks at one account.
type accountCheck struct {
	c       *Checker
	id      mail.AccountID
	account store.Account
	found   []Problem
	checked Checked

	state *plainAccount // from pages, then with the log's tail
	blind bool          // some of it could not be read, so nothing can be said to be too much
}

// run lists summaries and marks first and reads pages and log then, so that a
// summary or mark without a row is one whose row was purged meanwhile, in the
// same commit that took it away, or should not be there. What is found missing
// afterwards is missing only if its row still is there at the end.
func (k *accountCheck) run(ctx context.Context) error {
	summaries, err := collect(k.account.SummaryIDs(ctx))
	if err = k.unreadable(err, 0, "the list of summaries"); err != nil {
		return err
	}
	if err := k.checkNotes(ctx, summaries); err != nil {
		return err
	}
	marks, err := collect(k.account.Marked(ctx))
	if err = k.unreadable(err, 0, "the list of marks"); err != nil {
		return err
	}
	if err := k.readState(ctx); err != nil {
		return err
	}
	if err := k.checkGrants(ctx); err != nil {
		return err
	}
	return k.checkMessages(ctx, summaries, marks)
}

// checkGrants looks for the notes by which others find what they were granted. A
// note is made before the grant.
func (k *accountCheck) checkGrants(ctx context.Context) error {
	seen := map[mail.AccountID]bool{}
	for _, box := range k.state.boxes {
		for _, g := range box.acl {
			if g.Negative || seen[g.Account] {
				continue
			}
			seen[g.Account] = true
			_, err := k.c.Store.Shelf().Get(ctx, grantNote(g.Account, k.id))
			switch {
			case err == nil:
			case mail.KindOf(err) == mail.NotFound:
				k.found = append(k.found, Problem{Account: k.id, Mailbox: box.id, Harm: HarmSharing,
					Text: fmt.Sprintf("account %d has rights on it and is not noted to have any", g.Account)})
			default:
				return err
			}
		}
	}
	return nil
}

func (k *accountCheck) problem(box mail.MailboxID, format string, args ...any) {
	k.found = append(k.found, Problem{Account: k.id, Mailbox: box, Text: fmt.Sprintf(format, args...)})
}

// unreadable makes a problem of an error that is the data's fault, and gives
// back any other.
func (k *accountCheck) unreadable(err error, box mail.MailboxID, what string) error {
	if err == nil || !isDamage(err) {
		return err
	}
	k.blind = true
	k.problem(box, "%s cannot be read: %v", what, err)
	return nil
}

// isDamage reports whether an error is that of stored data, rather than why the
// check cannot go on. A sector that the disk cannot read any more is damage.
func isDamage(err error) bool {
	switch mail.KindOf(err) {
	case mail.Canceled:
		return false
	case mail.Unavailable:
		return errors.Is(err, syscall.EIO)
	default:
		return true
	}
}

// collect gathers what an iteration gives, up to its first error.
func collect[T comparable](seq func(yield func(T, error) bool)) (map[T]bool, error) {
	all := map[T]bool{}
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all[v] = true
	}
	return all, nil
}
