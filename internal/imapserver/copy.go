package imapserver

import (
	"context"
	"strconv"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// copy is the commands COPY and UID COPY (RFC 9051 6.4.7).
func (s *session) copy(c *command) error {
	uids, to, err := s.transfer(c)
	if err != nil || uids.Empty() {
		return err
	}
	if err := s.mayCopy(uids); err != nil {
		return err
	}
	copied, err := patiently(s.ctx, s, func(ctx context.Context) (account.Copied, error) {
		return s.box.sel.Copy(ctx, uids, to)
	})
	if err != nil {
		return tryCreate(err)
	}
	s.noteOwn(to, copied.To)
	if !copied.From.Empty() && !copied.Abroad {
		c.done(copyUID(copied), "copied")
	}
	return nil
}

// transfer reads the arguments of COPY and MOVE and looks up what they name.
func (s *session) transfer(c *command) (mail.UIDSet, *account.Mailbox, error) {
	var args imapwire.CopyArgs
	if !s.r.ExpectCopyArgs(&args) {
		return nil, nil, s.r.Err()
	}
	uids, err := s.box.view.Resolve(args.Set, c.spec.byUID)
	if err != nil {
		return nil, nil, err
	}
	to, err := s.mailbox(args.Mailbox, mail.RightInsert)
	if err != nil {
		return nil, nil, tryCreate(err)
	}
	return uids, to, nil
}

// copyUID is the response code COPYUID (RFC 4315 3). Copies to another account's
// mailbox have none: the messages there are new, with an EMAILID of their own, and
// "the server MUST return the same EMAILID ... for the matching destination message
// in the COPYUID pairing" (RFC 8474 5.1).
func copyUID(c account.Copied) string {
	return "COPYUID " + strconv.FormatUint(uint64(c.Validity), 10) + " " + c.From.String() + " " + c.To.String()
}
