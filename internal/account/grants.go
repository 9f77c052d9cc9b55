package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// Who may do what is in the logs of the mailboxes' owners and nowhere else. Beside
// that the shelf has notes of who was ever granted anything by whom, so that LIST
// need not open every account there is, and so that nobody makes us open an account
// by guessing at its name. A note is made before the grant is and stays when the
// grant goes: it may say too much, which costs a look, and never too little. They go
// with the owner's account, and are made anew from the logs by NoteGrants.
const grantNotes = "grants/"

func grantNote(who, owner mail.AccountID) string {
	return fmt.Sprintf("%s%d/%d", grantNotes, who, owner)
}

// noteGrant notes that an account, or anyone, is granted something by another.
func (p *Pool) noteGrant(ctx context.Context, who, owner mail.AccountID) error {
	_, err := p.store.Shelf().Put(ctx, grantNote(who, owner), nil, store.AnyVersion, time.Time{})
	return err
}

// granted reports whether there is such a note.
func (p *Pool) granted(ctx context.Context, who, owner mail.AccountID) (bool, error) {
	_, err := p.store.Shelf().Get(ctx, grantNote(who, owner))
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Invited reports whether an account may find something in the account of another:
// if not, that one need not be opened.
func (p *Pool) Invited(ctx context.Context, who, owner mail.AccountID) (bool, error) {
	if who == owner {
		return true, nil
	}
	own, err := p.granted(ctx, who, owner)
	if err != nil || own {
		return own, err
	}
	return p.granted(ctx, mail.Anyone, owner)
}

// Hosts gives the accounts in which another may find something, ascending.
func (p *Pool) Hosts(ctx context.Context, who mail.AccountID) ([]mail.AccountID, error) {
	var hosts []mail.AccountID
	for _, grantee := range []mail.AccountID{who, mail.Anyone} {
		prefix := fmt.Sprintf("%s%d/", grantNotes, grantee)
		for v, err := range p.store.Shelf().List(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			owner, err := strconv.ParseUint(v.Key[len(prefix):], 10, 64)
			if err != nil {
				return nil, mail.Errorf(mail.Corrupt, "the shelf has a note %q", v.Key)
			}
			if id := mail.AccountID(owner); id != who {
				hosts = append(hosts, id)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// forgetGrants takes out the notes of what an account that is gone has granted. Those
// of what it was granted stay, as the entries in the lists do: its number is never
// given to another.
func (p *Pool) forgetGrants(ctx context.Context, id mail.AccountID) error {
	var gone []string
	own := strconv.FormatUint(uint64(id), 10)
	for v, err := range p.store.Shelf().List(ctx, grantNotes) {
		if err != nil {
			return err
		}
		if _, owner, _ := strings.Cut(v.Key[len(grantNotes):], "/"); owner == own {
			gone = append(gone, v.Key)
		}
	}
	for _, key := range gone {
		if err := p.store.Shelf().Delete(ctx, key, store.AnyVersion); err != nil {
			return err
		}
	}
	return nil
}

// NoteGrants makes the notes that an account's mailboxes call for, and says how
// many it made. There are none to make unless the shelf was lost.
func (p *Pool) NoteGrants(ctx context.Context, id mail.AccountID) (made int, err error) {
	err = p.visit(ctx, id, func(a *Account) error {
		for who := range a.grantees() {
			there, err := p.granted(ctx, who, id)
			if err == nil && !there {
				made++
				err = p.noteGrant(ctx, who, id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// grantees gives who has been granted anything on a mailbox of the account.
func (a *Account) grantees() map[mail.AccountID]bool {
	all := map[mail.AccountID]bool{}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, box := range a.model.names {
		for _, g := range box.acl {
			if !g.Negative {
				all[g.Account] = true
			}
		}
	}
	return all
}
