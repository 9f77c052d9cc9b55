package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

type accountImportCommand struct {
	File    string `arg:"" help:"The passwd-file: lines of user:password, as Dovecot and others keep them; - is standard input."`
	Domain  string `placeholder:"DOMAIN" help:"The domain of users who are named without one."`
	Scheme  string `default:"CRYPT" help:"The scheme of passwords that name none, as Dovecot's default_pass_scheme."`
	Replace bool   `help:"Give accounts that are there already the passwords of the file, and end their sessions. Otherwise they stay as they are."`
	DryRun  bool   `help:"Change nothing, and say what would be done."`
}

// accountImportArgs are the arguments of the operation; the file is its body.
type accountImportArgs struct {
	File    string // for people
	Domain  string
	Scheme  string
	Replace bool
	DryRun  bool
}

// Run reads the file here, with the rights of whoever runs the command: it is root's
// alone, or should be.
func (a accountImportCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	body, name := t.in, "standard input"
	if a.File != "-" {
		f, err := os.Open(a.File)
		if err != nil {
			return err
		}
		defer f.Close()
		body, name = f, a.File
	}
	if a.Domain != "" {
		if _, err := auth.Domain(a.Domain); err != nil {
			return fmt.Errorf("--domain %s: %w", a.Domain, err)
		}
	}
	m := t.meter()
	defer m.done()
	args := accountImportArgs{File: name, Domain: a.Domain, Scheme: a.Scheme, Replace: a.Replace, DryRun: a.DryRun}
	return c.operate(ctx, "account-import", args, body, m.each)
}

// accountImport makes an account of each line of a passwd-file. Lines that cannot be
// taken over are named, and the rest is done. What was done stays where it is
// interrupted: run again, it finds those accounts and goes on behind them.
func accountImport(ctx context.Context, in *instance, raw json.RawMessage, body io.Reader, out *answer) error {
	args, err := decode[accountImportArgs](raw)
	if err != nil {
		return err
	}
	p := passwdImport{in: in, args: args, out: out, first: map[string]int{}}
	if err := readPasswdFile(body, func(e passwdEntry, mistake error) error {
		if mistake == nil {
			mistake = p.take(ctx, e)
		}
		p.lines++
		switch mail.KindOf(mistake) {
		case mail.Invalid, mail.AlreadyExists, mail.NotFound, mail.NotPermitted, mail.Limit, mail.Corrupt:
			if mistake != nil {
				p.left++
				return p.say(e, "left out: %s", mistake)
			}
		}
		return errors.Join(mistake, out.progress(int64(p.lines), 0, "lines read"))
	}); err != nil {
		return err
	}
	return p.report()
}

// passwdImport is one run of it.
type passwdImport struct {
	in    *instance
	args  accountImportArgs
	out   *answer
	first map[string]int // the line of each name

	lines, added, replaced, present, left int
}

// say tells of a line what is to be known. The user is quoted: whoever wrote the
// file may have put anything there.
func (p *passwdImport) say(e passwdEntry, format string, args ...any) error {
	return p.out.printf("%s:%d: %q: %s", p.args.File, e.line, e.user, fmt.Sprintf(format, args...))
}

// take makes the account of an entry.
func (p *passwdImport) take(ctx context.Context, e passwdEntry) error {
	user := e.user
	if !strings.Contains(user, "@") {
		if p.args.Domain == "" {
			return mail.Errorf(mail.Invalid, "the name has no domain: say --domain")
		}
		user += "@" + p.args.Domain
	}
	name, err := p.in.rules.Parse(user)
	if err != nil {
		return err
	}
	if before := p.first[name.String()]; before > 0 {
		return mail.Errorf(mail.Invalid, "line %d is of the same account", before)
	}
	p.first[name.String()] = e.line
	found, err := p.in.find(ctx, name.String())
	if err != nil && mail.KindOf(err) != mail.NotFound {
		return err
	}
	there := err == nil
	if there && (!p.args.Replace || e.locked) {
		p.present++
		return nil
	}
	if there && found.Shared {
		return mail.Errorf(mail.Invalid, "the account is shared: nobody signs in to it")
	}
	identity := store.Identity{Name: name.String()}
	if there {
		identity = found
	}
	identity.Disabled = identity.Disabled || e.refused != ""
	if !e.locked {
		iterations := p.in.cfg.Auth.ScramIterations
		if p.args.DryRun {
			iterations = 0 // they take time, and nobody keeps what they give
		}
		identity.Credentials, err = auth.SetImported(identity.Credentials, e.password, p.args.Scheme, auth.DefaultArgon2(), iterations)
		if err != nil {
			return err
		}
	}
	if err := p.keep(ctx, identity, there); err != nil {
		return err
	}
	return p.note(e)
}

// keep writes the account, unless it is only to be said what would be done.
func (p *passwdImport) keep(ctx context.Context, identity store.Identity, there bool) error {
	count, event := &p.added, "account-add"
	if there {
		count, event = &p.replaced, "account-passwd"
	}
	if !p.args.DryRun {
		var err error
		if there {
			_, err = p.in.store.Directory().Update(ctx, identity)
			p.in.endSessions(identity.ID)
		} else {
			_, err = p.in.create(ctx, identity)
		}
		if err != nil {
			return err
		}
		if p.in.audit != nil {
			p.in.audit.record(ctx, event, slog.String("by", "administrator"), slog.Int64("uid", administratorOf(ctx)),
				slog.String("outcome", "done"), slog.Group("arguments", observe.Text("Account", identity.Name)))
		}
	}
	*count++
	return nil
}

// note tells what of an entry did not come along.
func (p *passwdImport) note(e passwdEntry) error {
	var err error
	if e.locked {
		err = p.say(e, "has no password: nobody can sign in until it gets one")
	}
	if e.refused != "" {
		err = errors.Join(err, p.say(e, "is disabled: its line says %s", e.refused))
	}
	if len(e.noted) > 0 {
		err = errors.Join(err, p.say(e, "left aside: %s", strings.Join(e.noted, ", ")))
	}
	return err
}

// report says what was done in all, and is an error if some was left out.
func (p *passwdImport) report() error {
	would := ""
	if p.args.DryRun {
		would = "would be "
	}
	text := fmt.Sprintf("%d accounts %sadded", p.added, would)
	if p.args.Replace {
		text += fmt.Sprintf(", %d %sgiven their password", p.replaced, would)
	}
	if err := p.out.printf("%s, %d there already, %d lines left out", text, p.present, p.left); err != nil {
		return err
	}
	if p.left > 0 {
		return mail.Errorf(mail.Invalid, "%d lines were left out, for the reasons above", p.left)
	}
	return nil
}
