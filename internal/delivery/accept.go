package delivery

import (
	"context"

	"postern/internal/mail"
)

// Recipient is an address that mail is accepted for.
type Recipient struct {
	Address string // as the client gave it
	targets []target
}

// target is one place that a recipient's mail goes to.
type target struct {
	account mail.AccountID
	detail  string // mailbox asked for by user+detail; empty: INBOX

	// What tells this delivery from others of the same mail when it is repeated:
	// the client may ask for some of the recipients only, and in other company.
	address string // the recipient's
	nth     int    // which of those that are the same in all else
}

// try is a name to look for in the directory.
type try struct{ name, detail string }

// Accept says whether there is such a recipient: mail.NotFound if not, another
// kind if it cannot be told now. An address is looked for as it is, then without
// its detail, then as its domain's catch-all.
func (a *Agent) Accept(ctx context.Context, address string) (Recipient, error) {
	parsed, err := a.o.Rules.Parse(address)
	var tries []try
	if err == nil {
		tries = append(tries, try{name: parsed.String()})
		if parsed.Detail != "" {
			tries = append(tries, try{parsed.UserAddress(), parsed.Detail})
		}
	}
	if parsed.Domain != "" { // also where the local part is none we know
		tries = append(tries, try{name: parsed.CatchAll()})
	}
	for _, try := range tries {
		accounts, err := a.o.Directory.Accounts(ctx, try.name)
		if err != nil && mail.KindOf(err) == mail.NotFound {
			continue
		}
		if err != nil {
			return Recipient{}, err
		}
		r := Recipient{Address: address}
		for _, id := range accounts {
			r.targets = append(r.targets, target{account: id, detail: try.detail})
		}
		return r, nil
	}
	return Recipient{}, mail.Errorf(mail.NotFound, "no such recipient")
}
