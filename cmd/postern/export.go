package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"postern/internal/importer"
)

type exportGroup struct {
	Account string   `required:"" placeholder:"ADDRESS" help:"The account."`
	Mailbox []string `placeholder:"NAME" help:"A mailbox; may be given several times. All without it."`

	Maildir exportMaildirCommand `cmd:"" help:"Write a Maildir++ with UIDs, keywords and subscriptions as Dovecot keeps them."`
	Mbox    exportMboxCommand    `cmd:"" help:"Write one mailbox (INBOX unless --mailbox names another) as an mbox file."`
}

type exportMaildirCommand struct {
	Dir string `arg:"" help:"A directory that is empty or not there."`
}

type exportMboxCommand struct {
	File string `arg:"" help:"A file that is not there."`
	Bare bool   `help:"Leave flags out: otherwise each message gets Status, X-Status and X-Keywords fields."`
}

// Run writes the maildir.
func (m exportMaildirCommand) Run(ctx context.Context, g *exportGroup, c *commands, t *terminal) error {
	return c.exportTo(ctx, t, exportArgs{g.Account, g.Mailbox}, func(ctx context.Context, r io.Reader, p func(importer.Progress)) (importer.Result, error) {
		return importer.SaveMaildir(ctx, r, m.Dir, p)
	})
}

// Run writes the file.
func (m exportMboxCommand) Run(ctx context.Context, g *exportGroup, c *commands, t *terminal) error {
	args := exportArgs{g.Account, g.Mailbox}
	if len(args.Mailboxes) == 0 {
		args.Mailboxes = []string{"INBOX"}
	}
	return c.exportTo(ctx, t, args, func(ctx context.Context, r io.Reader, p func(importer.Progress)) (importer.Result, error) {
		return importer.SaveMbox(ctx, r, m.File, importer.MboxOptions{Bare: m.Bare}, p)
	})
}

type exportArgs struct {
	Account   string
	Mailboxes []string `json:",omitempty"`
}

// exportTo has the mail streamed from where the store is open, and writes it
// here, with the rights of whoever runs the command.
func (c *commands) exportTo(ctx context.Context, t *terminal, args exportArgs, save func(context.Context, io.Reader, func(importer.Progress)) (importer.Result, error)) error {
	m := t.meter()
	defer m.done()
	r, w := io.Pipe()
	streamed := make(chan error, 1)
	go func() {
		err := c.operate(ctx, "export", args, nil, func(l answerLine) error {
			_, err := w.Write(l.Data)
			return err
		})
		w.CloseWithError(err)
		streamed <- err
	}()
	result, err := save(ctx, r, func(p importer.Progress) {
		// What cannot be shown does not keep mail from being written.
		_ = m.each(answerLine{Progress: true, Done: int64(p.Messages), Total: int64(max(p.Total, 0)), Text: "exported"})
	})
	r.CloseWithError(io.ErrClosedPipe)
	if streamErr := <-streamed; streamErr != nil && !errors.Is(streamErr, io.ErrClosedPipe) {
		err = streamErr
	}
	m.done()
	return errors.Join(t.report(result, "exported"), err)
}

func exportMail(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[exportArgs](raw)
	if err != nil {
		return err
	}
	acct, err := in.open(ctx, args.Account)
	if err != nil {
		return err
	}
	defer acct.Release()
	source := importer.Mailboxes{Account: acct, Only: args.Mailboxes}
	folders, err := source.Folders(ctx)
	if err != nil {
		return err
	}
	return importer.Send(ctx, source.Name(), folders, nil, answerWriter{out})
}

// answerWriter writes a stream as the data of an answer.
type answerWriter struct{ out *answer }

// Write sends p in a line of its own; the stream is buffered above.
func (w answerWriter) Write(p []byte) (int, error) {
	if err := w.out.emit(answerLine{Data: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}
