package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/mail"
)

type mailboxGroup struct {
	List   mailboxListCommand   `cmd:"" help:"List an account's mailboxes."`
	Status mailboxStatusCommand `cmd:"" help:"Show what is in an account's mailboxes."`
	Create mailboxCreateCommand `cmd:"" help:"Make a mailbox."`
	Rename mailboxRenameCommand `cmd:"" help:"Rename a mailbox and those below it."`
	Delete mailboxDeleteCommand `cmd:"" help:"Delete a mailbox and its messages."`
	Limit  mailboxLimitCommand  `cmd:"" help:"Say how large a message may be that clients put into a mailbox."`
	ACL    mailboxACLGroup      `cmd:"" name:"acl" help:"Show and change who else may use a mailbox."`
}

type mailboxListCommand struct {
	Account string `arg:"" help:"The account."`
}

type mailboxStatusCommand struct {
	Account string `arg:"" help:"The account."`
	Mailbox string `arg:"" optional:"" help:"One mailbox; all without it."`
}

type mailboxCreateCommand struct {
	Account string `arg:"" help:"The account."`
	Mailbox string `arg:"" help:"The mailbox, levels separated by /."`
	Use     string `help:"Special use, as in --use='\\Archive'."`
}

type mailboxRenameCommand struct {
	Account string `arg:"" help:"The account."`
	From    string `arg:"" help:"The mailbox."`
	To      string `arg:"" help:"Its new name."`
}

type mailboxDeleteCommand struct {
	Account string `arg:"" help:"The account."`
	Mailbox string `arg:"" help:"The mailbox."`
}

type mailboxLimitCommand struct {
	Account string `arg:"" help:"The account."`
	Mailbox string `arg:"" help:"The mailbox."`
	Size    string `arg:"" help:"The size, as in '5 MiB'; 0B lets clients put nothing there; none takes the limit away."`
}

type mailboxArgs struct {
	Account string
	Mailbox string `json:",omitempty"`
	To      string `json:",omitempty"`
	Use     string `json:",omitempty"`
	Limit   string `json:",omitempty"`
}

// Run lists the mailboxes.
func (m mailboxListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-list", mailboxArgs{Account: m.Account}, nil, t.printing)
}

// Run shows the mailboxes' figures.
func (m mailboxStatusCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-status", mailboxArgs{Account: m.Account, Mailbox: m.Mailbox}, nil, t.printing)
}

// Run makes the mailbox.
func (m mailboxCreateCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-create", mailboxArgs{Account: m.Account, Mailbox: m.Mailbox, Use: m.Use}, nil, t.printing)
}

// Run renames the mailbox.
func (m mailboxRenameCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-rename", mailboxArgs{Account: m.Account, Mailbox: m.From, To: m.To}, nil, t.printing)
}

// Run deletes the mailbox.
func (m mailboxDeleteCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-delete", mailboxArgs{Account: m.Account, Mailbox: m.Mailbox}, nil, t.printing)
}

// Run limits the mailbox.
func (m mailboxLimitCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "mailbox-limit", mailboxArgs{Account: m.Account, Mailbox: m.Mailbox, Limit: m.Size}, nil, t.printing)
}

// open opens the account of that address. It wants a Release.
func (in *instance) open(ctx context.Context, address string) (*account.Account, error) {
	identity, err := in.find(ctx, address)
	if err != nil {
		return nil, err
	}
	return in.pool.Open(ctx, identity.ID)
}

// onMailboxes makes an operation of what is to be done with an open account.
func onMailboxes(do func(ctx context.Context, acct *account.Account, args mailboxArgs, out *answer) error) operation {
	return func(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
		args, err := decode[mailboxArgs](raw)
		if err != nil {
			return err
		}
		acct, err := in.open(ctx, args.Account)
		if err != nil {
			return err
		}
		defer acct.Release()
		return about(args.Mailbox, do(ctx, acct, args, out))
	}
}

var (
	mailboxList = onMailboxes(func(_ context.Context, acct *account.Account, _ mailboxArgs, out *answer) error {
		for _, m := range acct.Mailboxes() {
			if err := out.printf("%s%s", m.Name, uses(m)); err != nil {
				return err
			}
		}
		return nil
	})

	mailboxStatus = onMailboxes(func(_ context.Context, acct *account.Account, args mailboxArgs, out *answer) error {
		list := acct.Mailboxes()
		if args.Mailbox != "" {
			box, err := acct.Mailbox(args.Mailbox, mail.RightLookup)
			if err != nil {
				return err
			}
			list = []account.Info{box.Info()}
		}
		for _, m := range list {
			err := out.printf("%s%s\tmessages %d\tunseen %d\toctets %d\tuidnext %d\tuidvalidity %d\thighestmodseq %d%s",
				m.Name, uses(m), m.Counts.Messages, m.Counts.Unseen, m.Counts.Bytes, m.Counts.UIDNext, m.Validity, m.HighestModSeq, ownLimit(m))
			if err != nil {
				return err
			}
		}
		return nil
	})

	mailboxCreate = onMailboxes(func(ctx context.Context, acct *account.Account, args mailboxArgs, out *answer) error {
		use := mail.SpecialUseNamed(args.Use)
		if args.Use != "" && use == 0 {
			return mail.Errorf(mail.Invalid, "%s is no special use that a mailbox can be given", args.Use)
		}
		m, err := acct.CreateMailbox(ctx, args.Mailbox, use)
		if err != nil {
			return err
		}
		return out.printf("made %s", m.Name)
	})

	mailboxRename = onMailboxes(func(ctx context.Context, acct *account.Account, args mailboxArgs, out *answer) error {
		if err := acct.RenameMailbox(ctx, args.Mailbox, args.To); err != nil {
			return err
		}
		return out.printf("%s is now %s", args.Mailbox, args.To)
	})

	mailboxDelete = onMailboxes(func(ctx context.Context, acct *account.Account, args mailboxArgs, out *answer) error {
		if err := acct.DeleteMailbox(ctx, args.Mailbox); err != nil {
			return err
		}
		return out.printf("deleted %s", args.Mailbox)
	})
)

// mailboxLimit sets the limit of RFC 7889. What is announced to a session that has
// asked for the capabilities already is found out by STATUS.
var mailboxLimit = onMailboxes(func(ctx context.Context, acct *account.Account, args mailboxArgs, out *answer) error {
	box, err := acct.Mailbox(args.Mailbox, mail.RightLookup)
	if err != nil {
		return err
	}
	if args.Limit == "none" {
		if err := box.SetAppendLimit(ctx, mail.AppendLimit{}); err != nil {
			return err
		}
		return out.printf("%s has no limit of its own", box.Info().Name)
	}
	size, err := config.ParseSize(args.Limit)
	if err != nil || size > config.LargestMessage {
		return mail.Errorf(mail.Invalid, "%q is no size for a message: write a number and B, KiB, MiB or GiB, no more than %s, or none", args.Limit, config.LargestMessage)
	}
	if err := box.SetAppendLimit(ctx, mail.AppendLimit{Own: true, Octets: uint32(size)}); err != nil {
		return err
	}
	return out.printf("%s takes messages of at most %s", box.Info().Name, size)
})

func ownLimit(m account.Info) string {
	if !m.AppendLimit.Own {
		return ""
	}
	return fmt.Sprintf("\tappendlimit %d", m.AppendLimit.Octets)
}

func uses(m account.Info) string {
	if m.Use == 0 {
		return ""
	}
	return "\t" + strings.Join(m.Use.Names(), " ")
}
