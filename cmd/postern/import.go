package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postern/internal/importer"
	"postern/internal/mail"
)

type importGroup struct {
	Account string `required:"" placeholder:"ADDRESS" help:"The account the mail goes to."`
	Mailbox string `default:"INBOX" help:"The mailbox that an mbox file, or the maildir itself, goes to."`

	Mbox    importMboxCommand    `cmd:"" help:"Import an mbox file."`
	Maildir importMaildirCommand `cmd:"" help:"Import a maildir with its folders: Maildir++ or fs layout."`
}

type importMboxCommand struct {
	File string `arg:"" help:"The file."`
}

type importMaildirCommand struct {
	Dir string `arg:"" help:"The directory that has cur and new in it."`
}

// Run imports the file.
func (m importMboxCommand) Run(ctx context.Context, g *importGroup, c *commands, t *terminal) error {
	return c.importFrom(ctx, t, g.Account, importer.Mbox{File: m.File, Mailbox: g.Mailbox})
}

// Run imports the maildir.
func (m importMaildirCommand) Run(ctx context.Context, g *importGroup, c *commands, t *terminal) error {
	return c.importFrom(ctx, t, g.Account, importer.Maildir{Dir: m.Dir, Mailbox: g.Mailbox})
}

// importArgs are the arguments of both steps of an import.
type importArgs struct {
	Account string
	Source  string   `json:",omitempty"`
	Folders []string `json:",omitempty"`
}

// importFrom reads a source here, with the rights of whoever runs the command,
// and streams it to where the store is open.
func (c *commands) importFrom(ctx context.Context, t *terminal, account string, src importer.Source) error {
	folders, err := src.Folders(ctx)
	if err != nil {
		return err
	}
	args := importArgs{Account: account, Source: src.Name()}
	for i := range folders {
		args.Folders = append(args.Folders, folders[i].Name)
	}
	var done importer.Done
	if err := c.operate(ctx, "import-plan", args, nil, into(&done)); err != nil {
		return err
	}
	m := t.meter()
	defer m.done()
	body, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := importer.Send(ctx, src.Name(), folders, done, w)
		w.CloseWithError(err) // nil ends the stream as it should
		sent <- err
	}()
	var result importer.Result
	take := into(&result)
	err = c.operate(ctx, "import", importArgs{Account: account}, body, func(l answerLine) error {
		if l.Data != nil {
			return take(l)
		}
		return m.each(l)
	})
	body.CloseWithError(io.ErrClosedPipe) // nobody reads any more
	if sendErr := <-sent; sendErr != nil && !errors.Is(sendErr, io.ErrClosedPipe) {
		err = sendErr // the cause of whatever the other side says
	}
	m.done()
	return errors.Join(t.report(result, "imported"), err)
}

// into takes the line of an answer whose data is v as JSON.
func into(v any) func(answerLine) error {
	return func(l answerLine) error {
		if l.Data == nil {
			return nil
		}
		return json.Unmarshal(l.Data, v)
	}
}

// give answers with v as data.
func (a *answer) give(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.emit(answerLine{Data: data})
}

func importPlan(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[importArgs](raw)
	if err != nil {
		return err
	}
	identity, err := in.find(ctx, args.Account)
	if err != nil {
		return err
	}
	done, err := in.imports.Plan(ctx, identity.ID, args.Source, args.Folders)
	if err != nil {
		return err
	}
	return out.give(done)
}

func importMail(ctx context.Context, in *instance, raw json.RawMessage, body io.Reader, out *answer) error {
	args, err := decode[importArgs](raw)
	if err != nil {
		return err
	}
	identity, err := in.find(ctx, args.Account)
	if err != nil {
		return err
	}
	var unheard error
	result, err := in.imports.Receive(ctx, identity.ID, body, func(p importer.Progress) {
		if e := out.progress(int64(p.Messages), int64(max(p.Total, 0)), "imported"); e != nil {
			unheard = e
		}
	})
	return errors.Join(err, unheard, out.give(result))
}

// report prints what an import or export did, and gives an error if some of it
// could not be done.
func (t *terminal) report(r importer.Result, did string) error {
	sum := r.Sum()
	for _, f := range r.Folders {
		if f.Messages+f.Present+f.Refused == 0 && len(f.Notes) == 0 {
			continue
		}
		line := fmt.Sprintf("%s\t%d %s", f.Mailbox, f.Messages, did)
		for _, x := range []struct {
			n    int
			text string
		}{{f.Present, "there already"}, {f.Broken, "with a broken header, kept as it is"},
			{f.Keywords, "keywords dropped"}, {f.Refused, "left out"}} {
			if x.n > 0 {
				line += fmt.Sprintf(", %d %s", x.n, x.text)
			}
		}
		if f.UIDs != importer.UIDsUnknown {
			line += ", UIDs " + string(f.UIDs)
		}
		if _, err := fmt.Fprintln(t.out, line); err != nil {
			return err
		}
		for _, n := range f.Notes {
			fmt.Fprintf(t.out, "\tnote: %s\n", n) // the line before went through
		}
		for _, s := range f.Skipped {
			fmt.Fprintf(t.err, "postern: left out %s of %s: %s\n", s.Key, f.Name, s.Reason)
		}
	}
	if _, err := fmt.Fprintf(t.out, "%d messages %s, %s\n", sum.Messages, did, octets(sum.Bytes)); err != nil {
		return err
	}
	if sum.Refused > 0 {
		return mail.Errorf(mail.Invalid, "%d messages were left out, for the reasons above", sum.Refused)
	}
	return nil
}
