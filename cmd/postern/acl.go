package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"postern/internal/account"
	"postern/internal/mail"
)

type mailboxACLGroup struct {
	List   aclListCommand   `cmd:"" help:"Show who else may do what with an account's mailboxes."`
	Set    aclSetCommand    `cmd:"" help:"Give somebody rights on a mailbox. Put -- before arguments that begin with a dash."`
	Remove aclRemoveCommand `cmd:"" help:"Take somebody's entry out of a mailbox's list."`
}

type aclListCommand struct {
	Account string `arg:"" help:"The account whose mailboxes they are."`
	Mailbox string `arg:"" optional:"" help:"One mailbox; all without it."`
}

type aclSetCommand struct {
	Account string `arg:"" help:"The account whose mailbox it is."`
	Mailbox string `arg:"" help:"The mailbox, as the account calls it."`
	Who     string `arg:"" help:"An account, or \"anyone\"; with - before it, what is taken from what others give."`
	Rights  string `arg:"" help:"Letters of RFC 4314: l look up, r read, s seen, w write flags, i insert, k create below, x delete the mailbox, t delete messages, e expunge, a administer. +LETTERS adds, -LETTERS removes."`
}

type aclRemoveCommand struct {
	Account string `arg:"" help:"The account whose mailbox it is."`
	Mailbox string `arg:"" help:"The mailbox."`
	Who     string `arg:"" help:"Whose entry goes: an account, or \"anyone\"; with - before it the negative one."`
}

type aclArgs struct {
	Account string
	Mailbox string `json:",omitempty"`
	Who     string `json:",omitempty"`
	Rights  string `json:",omitempty"`
}

// Run lists the entries.
func (a aclListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "acl-list", aclArgs{Account: a.Account, Mailbox: a.Mailbox}, nil, t.printing)
}

// Run changes an entry.
func (a aclSetCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "acl-set", aclArgs(a), nil, t.printing)
}

// Run takes an entry out.
func (a aclRemoveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "acl-set", aclArgs{Account: a.Account, Mailbox: a.Mailbox, Who: a.Who}, nil, t.printing)
}

// onACLs makes an operation of what is to be done with the mailboxes of an account.
func onACLs(do func(ctx context.Context, in *instance, acct *account.Account, args aclArgs, out *answer) error) operation {
	return func(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
		args, err := decode[aclArgs](raw)
		if err != nil {
			return err
		}
		acct, err := in.open(ctx, args.Account)
		if err != nil {
			return err
		}
		defer acct.Release()
		return do(ctx, in, acct, args, out)
	}
}

// aclList shows access control lists. It also repairs the notes by which others find
// what they were granted.
var aclList = onACLs(func(ctx context.Context, in *instance, acct *account.Account, args aclArgs, out *answer) error {
	made, err := in.pool.NoteGrants(ctx, acct.ID())
	if err != nil {
		return err
	}
	if made > 0 {
		if err := out.printf("repaired: %d accounts did not find what they may use", made); err != nil {
			return err
		}
	}
	list := acct.Mailboxes()
	if args.Mailbox != "" {
		box, err := acct.Mailbox(args.Mailbox, 0)
		if err != nil {
			return err
		}
		list = []account.Info{box.Info()}
	}
	for _, m := range list {
		if err := in.showACL(ctx, acct, m.Name, out); err != nil {
			return err
		}
	}
	return nil
})

func (in *instance) showACL(ctx context.Context, acct *account.Account, name string, out *answer) error {
	box, err := acct.Mailbox(name, 0)
	if err != nil {
		return err
	}
	acl, err := box.ACL()
	if err != nil {
		return err
	}
	for _, g := range acl {
		who := "anyone"
		if g.Account != mail.Anyone {
			identity, err := in.store.Directory().Identity(ctx, g.Account)
			switch {
			case err == nil:
				who = identity.Name
			case mail.KindOf(err) == mail.NotFound:
				continue // removed; an account's number is never given to another
			default:
				return err
			}
		}
		if g.Negative {
			who = "-" + who
		}
		if err := out.printf("%s\t%s\t%s", name, who, g.Rights); err != nil {
			return err
		}
	}
	return nil
}

// aclSet changes an entry; without rights it goes.
var aclSet = onACLs(func(ctx context.Context, in *instance, acct *account.Account, args aclArgs, out *answer) error {
	name, negative := strings.CutPrefix(args.Who, "-")
	who := mail.Anyone
	if !strings.EqualFold(name, "anyone") {
		identity, err := in.find(ctx, name)
		if err != nil {
			return err
		}
		who, name = identity.ID, identity.Name
	}
	op, letters := mail.SetRights, args.Rights
	if after, ok := strings.CutPrefix(letters, "+"); ok {
		op, letters = mail.AddRights, after
	} else if after, ok := strings.CutPrefix(letters, "-"); ok {
		op, letters = mail.RemoveRights, after
	}
	rights, err := mail.ParseRights(letters)
	if err != nil {
		return err
	}
	box, err := acct.Mailbox(args.Mailbox, 0)
	if err != nil {
		return err
	}
	if err := box.Grant(ctx, who, negative, op, rights); err != nil {
		return err
	}
	acl, err := box.ACL()
	if err != nil {
		return err
	}
	if negative {
		name = "-" + name
	}
	now := "no entry"
	if has := acl.Get(who, negative); has != 0 {
		now = fmt.Sprint(has)
	}
	return out.printf("%s\t%s\t%s", box.Info().Name, name, now)
})
