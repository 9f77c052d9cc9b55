package main

import (
	"context"
	"errors"
	"time"

	"postern/internal/auth"
	"postern/internal/imapserver"
	"postern/internal/mail"
	"postern/internal/store"
)

// Packages below declare the few methods they need of a directory and a shelf;
// here the store's become what they asked for.

// signInDirectory is the directory as package auth asks for it.
type signInDirectory struct{ store.Directory }

// SignIn finds the account behind its own name, or behind an alias that stands
// for it alone.
func (d signInDirectory) SignIn(ctx context.Context, address string) (auth.Entry, error) {
	found, err := d.Find(ctx, address)
	if err != nil {
		return auth.Entry{}, err
	}
	if len(found.Accounts) != 1 {
		return auth.Entry{}, mail.Errorf(mail.NotFound, "%s stands for several accounts", address)
	}
	id, err := d.Identity(ctx, found.Accounts[0])
	if err != nil {
		return auth.Entry{}, err
	}
	if id.Shared {
		return auth.Entry{}, mail.Errorf(mail.NotFound, "nobody signs in to %s", address)
	}
	return auth.Entry{Account: id.ID, Name: id.Name, Version: id.Version, Record: id.Credentials, Disabled: id.Disabled}, nil
}

// Rehash replaces credentials if nobody did meanwhile.
func (d signInDirectory) Rehash(ctx context.Context, id mail.AccountID, version uint64, record []byte) error {
	identity, err := d.Identity(ctx, id)
	if err != nil {
		return err
	}
	if identity.Version != version {
		return store.ErrStale
	}
	identity.Credentials = record
	_, err = d.Update(ctx, identity)
	return err
}

// urlOwners is the directory as package imapserver asks it for the owners of URLs.
type urlOwners struct {
	store.Directory
	rules auth.Rules
}

// Find finds the account behind an address, if it is one account that may sign in.
func (d urlOwners) Find(ctx context.Context, address string) (mail.AccountID, error) {
	name, err := d.rules.Parse(address)
	if err != nil {
		return 0, err
	}
	entry, err := signInDirectory{d.Directory}.SignIn(ctx, name.String())
	if err == nil && entry.Disabled {
		err = mail.Errorf(mail.NotFound, "%s may not sign in", name)
	}
	return entry.Account, err
}

// people is the directory as package imapserver asks for it.
type people struct {
	directory store.Directory
	rules     auth.Rules
}

var _ imapserver.People = people{}

// Named gives the account that an address is the name of.
func (p people) Named(ctx context.Context, name string) (imapserver.Person, error) {
	address, err := p.rules.Parse(name)
	if err != nil {
		return imapserver.Person{}, mail.Wrap(err, mail.NotFound, "there is no such account")
	}
	found, err := p.directory.Find(ctx, address.String())
	if err == nil && found.Alias {
		err = mail.Errorf(mail.NotFound, "%s is an alias", address)
	}
	if err != nil {
		return imapserver.Person{}, err
	}
	return p.Person(ctx, found.Accounts[0])
}

// Person gives the account of that ID.
func (p people) Person(ctx context.Context, id mail.AccountID) (imapserver.Person, error) {
	identity, err := p.directory.Identity(ctx, id)
	return imapserver.Person{Account: identity.ID, Name: identity.Name, Shared: identity.Shared}, err
}

// deliveryDirectory is the directory as package delivery asks for it.
type deliveryDirectory struct{ store.Directory }

// Accounts gives the accounts behind a name.
func (d deliveryDirectory) Accounts(ctx context.Context, name string) ([]mail.AccountID, error) {
	found, err := d.Find(ctx, name)
	return found.Accounts, err
}

// notes are values on the shelf that say something by being there.
type notes struct{ store.Shelf }

// Leave makes a note.
func (n notes) Leave(ctx context.Context, name string, expires time.Time) error {
	_, err := n.Put(ctx, name, nil, store.AnyVersion, expires)
	return err
}

// Take removes a note and says whether it was there.
func (n notes) Take(ctx context.Context, name string) (bool, error) {
	v, err := n.Get(ctx, name)
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = n.Delete(ctx, name, v.Version)
	if errors.Is(err, store.ErrStale) { // somebody took it just now
		return false, nil
	}
	return err == nil, err
}

// importNotes are what package importer keeps of imports: values on the shelf
// that stay.
type importNotes struct{ store.Shelf }

// Get gives a value, nil where there is none.
func (n importNotes) Get(ctx context.Context, name string) ([]byte, error) {
	v, err := n.Shelf.Get(ctx, name)
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return nil, nil
	}
	return v.Data, err
}

// Put writes a value.
func (n importNotes) Put(ctx context.Context, name string, data []byte) error {
	_, err := n.Shelf.Put(ctx, name, data, store.AnyVersion, time.Time{})
	return err
}
