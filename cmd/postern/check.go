package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store"
)

type checkCommand struct {
	Account string `placeholder:"ADDRESS" help:"Go over this account only."`
	Sweep   bool   `help:"Then remove bodies that belong to nobody, which happens by itself in a server that runs."`
}

type checkArgs struct {
	Account string `json:",omitempty"`
	Sweep   bool   `json:",omitempty"`
}

// Run goes over the store and says what it found.
func (k checkCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.reach(ctx, t, "check", checkArgs(k), !k.Sweep)
}

// checkRun is one check.
type checkRun struct {
	in       *instance
	out      *answer
	stop     context.CancelCauseFunc // nobody hears us any more
	names    map[mail.AccountID]string
	problems int
	checked  account.Checked
	unneeded store.Swept
}

// checkStore goes over the whole store, or one account.
func checkStore(ctx context.Context, in *instance, raw json.RawMessage, body io.Reader, out *answer) error {
	args, err := decode[checkArgs](raw)
	if err != nil {
		return err
	}
	if err := drain(body); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &checkRun{in: in, out: out, stop: stop, names: map[mail.AccountID]string{}}
	ids, err := r.scope(ctx, args.Account)
	if err == nil && args.Account == "" {
		err = r.checkStorage(ctx)
	}
	if err == nil {
		err = r.checkAccounts(ctx, ids)
	}
	if err == nil {
		err = r.conclude(ctx, args.Sweep)
	}
	if err != nil && context.Cause(ctx) != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}

// scope reads the directory and gives the accounts to be gone over.
func (r *checkRun) scope(ctx context.Context, address string) (ids []mail.AccountID, err error) {
	if address != "" {
		identity, err := r.in.find(ctx, address)
		r.names[identity.ID] = identity.Name
		return []mail.AccountID{identity.ID}, err
	}
	if err := r.damage(r.checkDirectory(ctx), "the list of accounts and aliases cannot be read",
		"these accounts, which nobody can sign in to and no mail reaches", account.HarmAccount.Remedy()); err != nil {
		return nil, err
	}
	for id, err := range r.in.store.Accounts(ctx) {
		if err := r.damage(err, "the list of logs cannot be read", "mail of accounts not checked below", account.HarmAccount.Remedy()); err != nil {
			return nil, err
		}
		if err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// checkDirectory looks every name up.
func (r *checkRun) checkDirectory(ctx context.Context) error {
	d := r.in.store.Directory()
	for identity, err := range d.Identities(ctx) {
		if err != nil {
			return err
		}
		r.names[identity.ID] = identity.Name
	}
	for id, name := range r.names {
		found, err := d.Find(ctx, name)
		if err == nil && !found.Alias && slices.Equal(found.Accounts, []mail.AccountID{id}) {
			continue
		}
		if now, gone := d.Identity(ctx, id); gone != nil || now.Name != name { // removed or renamed meanwhile
			continue
		}
		if err := r.damageless(ctx, err); err != nil {
			return err
		}
		r.problem(fmt.Sprintf("account %d is called %s, and that name does not lead to it (%v)", id, name, err))
		r.advise("this account, which nobody can sign in to and no mail reaches", "postern account rename "+name+" to another address and back")
	}
	for alias, err := range d.Aliases(ctx) {
		if err != nil {
			return err
		}
		for _, id := range alias.Accounts {
			if _, known := r.names[id]; known {
				continue
			}
			if _, err := d.Identity(ctx, id); mail.KindOf(err) != mail.NotFound || err == nil {
				continue // made meanwhile
			}
			if now, err := d.Find(ctx, alias.Name); err != nil || !slices.Contains(now.Accounts, id) {
				continue // removed meanwhile
			}
			r.problem(fmt.Sprintf("the alias %s stands for account %d, which is not there", alias.Name, id))
			r.advise("mail to this alias", "postern alias remove "+alias.Name+", and add it anew")
		}
	}
	return nil
}

// damageless gives the errors that end a check rather than being its finding.
func (r *checkRun) damageless(ctx context.Context, err error) error {
	switch kind := mail.KindOf(err); {
	case err == nil, kind == mail.NotFound, kind == mail.Corrupt:
		return ctx.Err()
	}
	return err
}

// damage makes a finding of damaged data and gives back any other error.
func (r *checkRun) damage(err error, what, affected, next string) error {
	if mail.KindOf(err) != mail.Corrupt || err == nil {
		return err
	}
	r.problem(fmt.Sprintf("%s: %v", what, err))
	r.advise(affected, next)
	return nil
}

// checkStorage verifies what the driver has written, needed or not.
func (r *checkRun) checkStorage(ctx context.Context) error {
	if err := r.checkSums(ctx); err != nil {
		return err
	}
	v, ok := r.in.store.(store.Verifier)
	if !ok {
		return nil
	}
	found := 0
	done, err := v.Verify(ctx, func(text string) {
		found++
		r.problem("storage: " + text)
	}, r.out.paced("storage files", r.stop))
	if err != nil {
		return err
	}
	if found > 0 {
		r.advise("the mail named below, if any is: what is damaged may be needed by nobody",
			"look at the disk's health (smartctl, the kernel's log); "+account.HarmAccount.Remedy())
	}
	r.unneeded = done.Unclaimed
	return r.out.printf("storage: %d files with %s, %d bodies", done.Files, octets(done.Octets), done.Bodies)
}

// checkSums compares the files of a backup with their sums.
func (r *checkRun) checkSums(ctx context.Context) error {
	kept, sealed, err := readSums(r.in.cfg.Data)
	if mail.KindOf(err) == mail.Corrupt {
		r.problem(err.Error())
		r.advise("this backup: nothing can be said about the rest of it by its sums", "take another backup")
		return nil
	}
	if err != nil || !sealed {
		return err
	}
	wrong, err := kept.verify(ctx, r.in.cfg.Data, r.out.paced("files of the backup", r.stop))
	if err != nil {
		return err
	}
	for _, text := range wrong {
		r.problem("backup: " + text)
	}
	if len(wrong) > 0 {
		r.advise("this backup: mail in it may be damaged or missing", "take another backup, and look at the health of the disk this one is on")
		return nil
	}
	return r.out.printf("backup: all %d files are as they were when it was made", len(kept))
}

// checkAccounts goes over accounts, one after another.
func (r *checkRun) checkAccounts(ctx context.Context, ids []mail.AccountID) error {
	var found []account.Problem
	var done, total int64
	progress := r.out.paced("mail", r.stop)
	k := &account.Checker{
		Store: r.in.store, Patience: slowCommit, Report: func(p account.Problem) { found = append(found, p) },
		Progress: func(octets int64) { done += octets; progress(min(done, total), total) },
	}
	for _, id := range ids {
		total += k.Octets(ctx, id)
	}
	for _, id := range ids {
		checked, err := k.Account(ctx, id)
		if err != nil {
			return err
		}
		r.checked.Add(checked)
		r.tell(id, found)
		found = found[:0]
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	progress(total, max(total, 1))
	return nil
}

// slowCommit is how long a commit may be on its way to the disk without anybody
// calling its mail damaged.
const slowCommit = 5 * time.Second

// problemsShown is how many problems of one kind are shown of an account.
const problemsShown = 50

// tell says what is wrong with an account, the worst first.
func (r *checkRun) tell(id mail.AccountID, found []account.Problem) {
	name := r.names[id]
	if name == "" {
		name = fmt.Sprintf("account %d, which has no name", id)
	}
	for _, harm := range []account.Harm{account.HarmAccount, account.HarmMessage, account.HarmSharing, account.HarmRoom} {
		shown, hidden := 0, 0
		for _, p := range found {
			switch {
			case p.Harm != harm:
			case shown == problemsShown:
				hidden++
				r.problems++
			default:
				shown++
				r.problem(describe(name, p))
			}
		}
		if hidden > 0 {
			r.say("and %d more of this kind", hidden)
		}
		if shown > 0 {
			r.advise(harm.String(), harm.Remedy())
		}
	}
}

// describe writes a problem with the names people use.
func describe(name string, p account.Problem) string {
	if p.Mailbox != 0 {
		box := p.Name
		if box == "" {
			box = fmt.Sprintf("number %d", p.Mailbox)
		}
		name += ", mailbox " + box
	}
	if p.UID != 0 {
		name += fmt.Sprintf(", UID %d", p.UID)
	}
	return name + ": " + p.Text
}

func (r *checkRun) say(format string, args ...any) {
	if err := r.out.printf(format, args...); err != nil {
		r.stop(err)
	}
}

func (r *checkRun) problem(text string) {
	r.problems++
	text, _, _ = strings.Cut(text, "\n") // the engine's errors go on for lines
	r.say("problem: %s", text)
}

// advise says what problems mean and what to do about them.
func (r *checkRun) advise(affected, next string) {
	r.say("  affected: %s", affected)
	r.say("  next: %s", next)
}

// conclude sweeps if told to, and sums up.
func (r *checkRun) conclude(ctx context.Context, sweep bool) error {
	if sweep && r.problems > 0 {
		r.say("not swept: what belongs to nobody may belong to what is damaged")
	} else if sweep {
		swept, err := r.in.store.Bodies().Sweep(ctx)
		if err != nil {
			return err
		}
		r.say("swept: %d bodies with %s", swept.Bodies, octets(swept.Bytes))
	} else if r.unneeded.Bodies > 0 {
		r.say("%d bodies with %s belong to nobody: a server removes them in the background, and --sweep now", r.unneeded.Bodies, octets(r.unneeded.Bytes))
	}
	c := r.checked
	r.say("checked %d accounts, %d mailboxes, %d messages, %d bodies with %s", c.Accounts, c.Mailboxes, c.Messages, c.Bodies, octets(c.Octets))
	switch r.problems {
	case 0:
		r.say("no problem found")
		return context.Cause(ctx)
	case 1:
		return mail.Errorf(mail.Corrupt, "1 problem found, see above")
	}
	return mail.Errorf(mail.Corrupt, "%d problems found, see above", r.problems)
}
