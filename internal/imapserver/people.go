package imapserver

import (
	"context"

	"postern/internal/mail"
)

// People says who else has an account here: whom mailboxes can be shared with, and
// whose mailboxes they are.
type People interface {
	// Named gives the account of that name, however its address is written, or
	// mail.NotFound. An alias is nobody.
	Named(ctx context.Context, name string) (Person, error)
	// Person gives the account of that ID, or mail.NotFound.
	Person(ctx context.Context, id mail.AccountID) (Person, error)
}

// Person is somebody who has an account.
type Person struct {
	Account mail.AccountID
	Name    string // the one form in which the name is told and stored
	Shared  bool   // nobody signs in to it: its mailboxes are in the namespace of shared ones
}

// nobody is People where nobody can share anything.
type nobody struct{}

func (nobody) Named(context.Context, string) (Person, error) {
	return Person{}, mail.Errorf(mail.NotFound, "there is no such account")
}

func (nobody) Person(context.Context, mail.AccountID) (Person, error) {
	return Person{}, mail.Errorf(mail.NotFound, "there is no such account")
}
