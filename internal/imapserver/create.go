package imapserver

import (
	"context"

	"postern/internal/account"
	"postern/internal/imapwire"
)

// create is the command CREATE (RFC 9051 6.3.4) with the special uses of RFC 6154
// 3. A name that ends with the separator is created like another: every mailbox
// of ours can have mailboxes below it and hold messages too.
func (s *session) create(c *command) error {
	var args imapwire.CreateArgs
	if !s.r.ExpectCreateArgs(&args) {
		return s.r.Err()
	}
	if len(args.Other) > 0 {
		return bad("unknown parameter %s", args.Other[0].Name)
	}
	if args.UnknownUse != "" {
		return no("USEATTR", "no mailbox here can be used for that") // RFC 6154 3
	}
	supplied := s.r.Denormalized()
	if err := reserved(args.Mailbox); err != nil {
		return err
	}
	guest, name, err := s.place(args.Mailbox)
	if err != nil {
		return err
	}
	if args.Use != 0 && !guest.IsOwner() {
		return no("USEATTR", "mailboxes of others have no special use")
	}
	info, err := patiently(s.ctx, s, func(ctx context.Context) (account.Info, error) {
		return guest.CreateMailbox(ctx, name, args.Use)
	})
	if err != nil {
		return err
	}
	s.createdMyself(&info)
	s.knowsCreated(&info)
	s.tellOldName(supplied, &info)
	c.done(s.mailboxIDCode(&info), "created") // RFC 8474 4.1
	return nil
}
