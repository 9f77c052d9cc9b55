package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store"
)

type restoreDeletedCommand struct {
	Address string   `arg:"" help:"The account."`
	List    bool     `help:"Only list what could be brought back."`
	Since   string   `placeholder:"TIME" help:"Only what was deleted since then: a time as \"2026-11-20\" or \"2026-11-20 14:30\", or how long ago, as \"36h\" or \"7d\"."`
	Mailbox []string `placeholder:"NAME" help:"Only what was deleted from that mailbox; may be given several times."`
	Into    string   `placeholder:"NAME" help:"Bring everything back into that mailbox, which is made where it is missing; otherwise into the mailbox it was in."`
}

type deletedArgs struct {
	Account   string
	Since     time.Time
	Mailboxes []string `json:",omitempty"`
	Into      string   `json:",omitempty"`
}

// Run lists, or brings back.
func (r restoreDeletedCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	since, err := sinceWhen(r.Since, time.Now())
	if err != nil {
		return err
	}
	args := deletedArgs{Account: r.Address, Since: since, Mailboxes: r.Mailbox, Into: r.Into}
	if r.List {
		return c.administer(ctx, "deleted-list", args, nil, t.printing)
	}
	m := t.meter()
	defer m.done()
	return c.administer(ctx, "deleted-back", args, nil, m.each)
}

// sinceWhen reads a time or how long ago; nothing is long ago.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0), nil
	}
	if ago, err := config.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since: %q is no time: write \"2026-11-20\", \"2026-11-20 14:30\", or how long ago, as \"36h\" or \"7d\"", text)
}

// onDeleted makes an operation of what is to be done with what was deleted in an account.
func onDeleted(do func(ctx context.Context, a *account.Account, found []account.Deleted, args deletedArgs, out *answer) error) operation {
	return func(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
		args, err := decode[deletedArgs](raw)
		if err != nil {
			return err
		}
		a, err := in.open(ctx, args.Account)
		if err != nil {
			return err
		}
		defer a.Release()
		found, err := a.Deleted(ctx, args.Since)
		if err != nil {
			return err
		}
		for _, name := range args.Mailboxes {
			if !slices.ContainsFunc(found, func(d account.Deleted) bool { return d.Name == name }) {
				return mail.Errorf(mail.NotFound, "nothing that was deleted from %s is kept; --list shows what is", name)
			}
		}
		if len(args.Mailboxes) > 0 {
			found = slices.DeleteFunc(found, func(d account.Deleted) bool { return !slices.Contains(args.Mailboxes, d.Name) })
		}
		if len(found) == 0 {
			return out.printf("nothing that was deleted is kept: mail goes for good some time after it was deleted, postern policy explain %s tells when", args.Account)
		}
		return do(ctx, a, found, args, out)
	}
}

func deletedList(_ context.Context, _ *account.Account, found []account.Deleted, _ deletedArgs, out *answer) error {
	for i := range found {
		d := &found[i]
		gone := ""
		if d.Gone {
			gone = "\tthe mailbox was deleted"
		}
		if err := out.printf("%s\t%s\t%s\tdeleted %s to %s%s", d.Name, counted(d.Messages, "message"), roughly(d.Octets),
			d.First.Format(time.DateTime), d.Last.Format(time.DateTime), gone); err != nil {
			return err
		}
	}
	return nil
}

// deletedBack brings mail back. What fails in the middle can be done again: what is back already is not brought again.
func deletedBack(ctx context.Context, a *account.Account, found []account.Deleted, args deletedArgs, out *answer) error {
	total, done := 0, 0
	for i := range found {
		total += found[i].Messages
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	progress := out.paced("brought back", cancel)
	for i := range found {
		d := &found[i]
		name := args.Into
		if name == "" {
			name = d.Name
		}
		to, err := madeMailbox(ctx, a, name)
		if err != nil {
			return about(name, err)
		}
		err = a.Undelete(ctx, d, to, func(n int) { progress(int64(done+n), int64(total)) })
		if err != nil {
			return fmt.Errorf("%s: %w; what is back already stays, and the rest comes when this is run again", d.Name, err)
		}
		done += d.Messages
		if err := out.printf("%s from %s to %s", counted(d.Messages, "message"), d.Name, to.Info().Name); err != nil {
			return err
		}
	}
	return nil
}

// madeMailbox gives a mailbox, made where it is missing.
func madeMailbox(ctx context.Context, a *account.Account, name string) (*account.Mailbox, error) {
	to, err := a.Mailbox(name, 0)
	if mail.KindOf(err) != mail.NotFound {
		return to, err
	}
	if _, err := a.CreateMailbox(ctx, name, 0); err != nil {
		return nil, err
	}
	return a.Mailbox(name, 0)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// roughly writes a number of octets for people.
func roughly(octets uint64) string {
	const units = "KMGT"
	if octets < 1024 {
		return fmt.Sprintf("%d B", octets)
	}
	size, unit := float64(octets)/1024, 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

type accountEraseCommand struct {
	Address string `arg:"" help:"The account."`
	Yes     bool   `help:"Do not ask."`
}

// Run erases, having asked.
func (e accountEraseCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	if !e.Yes {
		ask := fmt.Sprintf("Erase for good what %s deleted and could still be brought back? Type its address again: ", e.Address)
		if err := t.confirm(ask, e.Address); err != nil {
			return err
		}
	}
	return c.administer(ctx, "account-erase", named{Account: e.Address}, nil, t.printing)
}

func accountErase(ctx context.Context, in *instance, identity store.Identity, _ named, out *answer) error {
	a, err := in.pool.Open(ctx, identity.ID)
	if err != nil {
		return err
	}
	defer a.Release()
	if err := a.Erase(ctx); err != nil {
		return about(identity.Name, err)
	}
	return out.printf("what %s had deleted is erased: only a backup can bring it back", identity.Name)
}
