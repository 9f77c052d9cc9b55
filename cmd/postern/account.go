package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/auth"
	"postern/internal/importer"
	"postern/internal/mail"
	"postern/internal/store"
)

type accountGroup struct {
	Add    accountAddCommand    `cmd:"" help:"Add an account. The password is asked for, or read from standard input."`
	Import accountImportCommand `cmd:"" help:"Add the accounts of a passwd-file, as Dovecot has them, with their passwords."`
	List   accountListCommand   `cmd:"" help:"List accounts."`
	Passwd accountPasswdCommand `cmd:"" help:"Set an account's password and end its sessions."`
	Rename accountRenameCommand `cmd:"" help:"Give an account another address. Its mail stays."`
	Quota  accountQuotaCommand  `cmd:"" help:"Show what an account holds and may hold, and give it limits of its own."`
	Remove accountRemoveCommand `cmd:"" help:"Remove an account and all its mail, for good."`
	Erase  accountEraseCommand  `cmd:"" help:"Erase what an account deleted and could still be brought back."`
	App    appGroup             `cmd:"" help:"Passwords for single programs and devices, which can be taken back by themselves."`
}

type accountAddCommand struct {
	Address string `arg:"" help:"The account's name: an address."`
	Shared  bool   `help:"Nobody signs in to it and it has no password: its mailboxes are for those they are shared with, under Shared/."`
}

type accountListCommand struct{}

type accountPasswdCommand struct {
	Address string `arg:"" help:"The account."`
}

type accountRenameCommand struct {
	From string `arg:"" help:"The account."`
	To   string `arg:"" help:"Its new address."`
}

type accountRemoveCommand struct {
	Address string `arg:"" help:"The account."`
	Yes     bool   `help:"Do not ask."`
}

// named are the arguments of an operation on one account.
type named struct {
	Account  string
	To       string `json:",omitempty"`
	Password string `json:",omitempty"`
	Shared   bool   `json:",omitempty"`
}

// onAccount makes an operation of what is to be done with an account that is there.
func onAccount(do func(ctx context.Context, in *instance, identity store.Identity, args named, out *answer) error) operation {
	return func(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
		args, err := decode[named](raw)
		if err != nil {
			return err
		}
		identity, err := in.find(ctx, args.Account)
		if err != nil {
			return err
		}
		return do(ctx, in, identity, args, out)
	}
}

// Run adds the account.
func (a accountAddCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	args := named{Account: a.Address, Shared: a.Shared}
	if !a.Shared {
		var err error
		if args.Password, err = t.newPassword(a.Address); err != nil {
			return err
		}
	}
	return c.administer(ctx, "account-add", args, nil, t.printing)
}

func accountAdd(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[named](raw)
	if err != nil {
		return err
	}
	add := in.addAccount
	if args.Shared {
		add = func(ctx context.Context, address, _ string) (store.Identity, error) {
			return in.addShared(ctx, address)
		}
	}
	identity, err := add(ctx, args.Account, args.Password)
	if err != nil {
		return err
	}
	return out.printf("added %s", identity.Name)
}

// addShared makes an account nobody signs in to.
func (in *instance) addShared(ctx context.Context, address string) (store.Identity, error) {
	name, err := in.rules.Parse(address)
	if err != nil {
		return store.Identity{}, err
	}
	return in.create(ctx, store.Identity{Name: name.String(), Shared: true})
}

// addAccount makes an account with its mailboxes.
func (in *instance) addAccount(ctx context.Context, address, password string) (store.Identity, error) {
	name, err := in.rules.Parse(address)
	if err != nil {
		return store.Identity{}, err
	}
	if err := auth.Acceptable(password, name.String()); err != nil {
		return store.Identity{}, err
	}
	record, err := auth.SetPassword(nil, password, auth.DefaultArgon2(), in.cfg.Auth.ScramIterations)
	if err != nil {
		return store.Identity{}, err
	}
	return in.create(ctx, store.Identity{Name: name.String(), Credentials: record})
}

func (in *instance) create(ctx context.Context, identity store.Identity) (store.Identity, error) {
	name := identity.Name
	identity, err := in.store.Directory().Create(ctx, identity, time.Now())
	if err != nil {
		return store.Identity{}, about(name, err)
	}
	acct, err := in.pool.Open(ctx, identity.ID) // which makes its mailboxes
	if err != nil {
		return store.Identity{}, err
	}
	acct.Release()
	return identity, nil
}

// find gives the account that an address is the name of.
func (in *instance) find(ctx context.Context, address string) (store.Identity, error) {
	name, err := in.rules.Parse(address)
	if err != nil {
		return store.Identity{}, err
	}
	found, err := in.store.Directory().Find(ctx, name.String())
	if err != nil {
		return store.Identity{}, about(name.String(), err)
	}
	if found.Alias {
		return store.Identity{}, mail.Errorf(mail.Invalid, "%s is an alias: name the account itself", name)
	}
	return in.store.Directory().Identity(ctx, found.Accounts[0])
}

// Run lists the accounts.
func (accountListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "account-list", struct{}{}, nil, t.printing)
}

func accountList(ctx context.Context, in *instance, _ json.RawMessage, _ io.Reader, out *answer) error {
	for identity, err := range in.store.Directory().Identities(ctx) {
		if err != nil {
			return err
		}
		state := ""
		if identity.Disabled {
			state = "\tdisabled"
		}
		if identity.Shared {
			state += "\tshared"
		}
		if scheme := auth.ImportedScheme(identity.Credentials); scheme != "" {
			state += "\timported " + scheme
		}
		if err := out.printf("%s%s", identity.Name, state); err != nil {
			return err
		}
	}
	return nil
}

// Run sets the password.
func (a accountPasswdCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	password, err := t.newPassword(a.Address)
	if err != nil {
		return err
	}
	return c.administer(ctx, "account-passwd", named{Account: a.Address, Password: password}, nil, t.printing)
}

func accountPasswd(ctx context.Context, in *instance, identity store.Identity, args named, out *answer) error {
	if identity.Shared {
		return mail.Errorf(mail.Invalid, "%s is shared: nobody signs in to it", identity.Name)
	}
	if err := auth.Acceptable(args.Password, identity.Name); err != nil {
		return err
	}
	record, err := auth.SetPassword(identity.Credentials, args.Password, auth.DefaultArgon2(), in.cfg.Auth.ScramIterations)
	if err != nil {
		return err
	}
	identity.Credentials = record
	if _, err := in.store.Directory().Update(ctx, identity); err != nil {
		return err
	}
	in.endSessions(identity.ID)
	return out.printf("%s has a new password; its sessions were ended", identity.Name)
}

// endSessions ends an account's sessions, if a server runs.
func (in *instance) endSessions(id mail.AccountID) {
	if in.revoke != nil {
		in.revoke(id)
	}
}

// Run renames the account.
func (a accountRenameCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "account-rename", named{Account: a.From, To: a.To}, nil, t.printing)
}

func accountRename(ctx context.Context, in *instance, identity store.Identity, args named, out *answer) error {
	to, err := in.rules.Parse(args.To)
	if err != nil {
		return err
	}
	from := identity.Name
	if in.policies.of(from).LegalHold && !in.policies.of(to.String()).LegalHold {
		return mail.Errorf(mail.NotPermitted, "%s is under a legal hold and %s would not be: name that in the rule first", from, to)
	}
	identity.Name = to.String()
	if _, err := in.store.Directory().Update(ctx, identity); err != nil {
		return about(to.String(), err)
	}
	in.endSessions(identity.ID)
	return out.printf("%s is now %s", from, to)
}

// Run removes the account, having asked.
func (a accountRemoveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	if !a.Yes {
		if err := t.confirm(fmt.Sprintf("Remove %s and all its mail for good? Type its address again: ", a.Address), a.Address); err != nil {
			return err
		}
	}
	return c.administer(ctx, "account-remove", named{Account: a.Address}, nil, t.printing)
}

func accountRemove(ctx context.Context, in *instance, identity store.Identity, args named, out *answer) error {
	if in.policies.of(identity.Name).LegalHold {
		return mail.Errorf(mail.NotPermitted, "%s is under a legal hold: postern policy explain tells which rule says so", identity.Name)
	}
	// The name first, so that nobody signs in and no mail comes while it goes.
	if err := in.store.Directory().Remove(ctx, identity.ID); err != nil {
		return err
	}
	in.endSessions(identity.ID)
	if err := errors.Join(in.pool.Destroy(ctx, identity.ID), in.forgetNotes(ctx, importer.NotesOf(identity.ID)),
		in.forgetNotes(ctx, usesOf(identity.ID))); err != nil {
		return fmt.Errorf("%s is removed, but not all of its mail: %w", identity.Name, err)
	}
	return out.printf("removed %s", identity.Name)
}

// forgetNotes removes what was noted of an account, by what its keys begin with.
func (in *instance) forgetNotes(ctx context.Context, prefix string) error {
	shelf := in.store.Shelf()
	var notes []string
	for note, err := range shelf.List(ctx, prefix) {
		if err != nil {
			return err
		}
		notes = append(notes, note.Key)
	}
	for _, key := range notes {
		if err := shelf.Delete(ctx, key, store.AnyVersion); err != nil {
			return err
		}
	}
	return nil
}
