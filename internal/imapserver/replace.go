package imapserver

import (
	"context"
	"errors"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// replace is the commands REPLACE and UID REPLACE (RFC 8508): APPEND and the
// expunge of one message in one step. Which message is meant is settled before the
// new one comes in: its number means what the client was told by then. APPENDUID
// goes out before the EXPUNGE response, which the exit writes, as section 4.3 wants
// it.
func (s *session) replace(c *command) error {
	var args imapwire.CopyArgs
	if !s.r.ExpectReplaceArgs(&args) {
		return s.r.Err()
	}
	supplied := s.r.Denormalized()
	old, err := s.toReplace(c, args.Set)
	if err != nil {
		return err
	}
	mailbox, err := s.mailbox(args.Mailbox, mail.RightInsert)
	if err != nil {
		return tryCreate(err)
	}
	in := s.arrivalsIn(mailbox)
	in.freed = mail.Usage{Octets: uint64(old.Size), Messages: 1}
	defer in.abandon()
	if err := in.next(); err != nil {
		return err
	}
	if !s.r.ExpectCRLF() { // RFC 8508 4.7: one message, whatever MULTIAPPEND says
		return s.r.Err()
	}
	added, err := patiently(s.ctx, s, func(ctx context.Context) (account.Appended, error) {
		return s.box.sel.Replace(ctx, old.UID, mailbox, in.messages[0])
	})
	if err != nil {
		if errors.Is(err, account.ErrReplaced) {
			return expungeIssued(err)
		}
		return tryCreate(err)
	}
	s.noteOwn(mailbox, added.UIDs)
	info := mailbox.Info()
	s.tellOldName(supplied, &info)
	s.countAppended(1)
	s.countExpunged(1)
	s.w.Status("", imapwire.OK, appendUID(added), "replaced")
	c.expunges = true
	s.link.raise(mailboxChanged)
	return nil
}

// toReplace finds the message that is to be replaced. One that was expunged
// elsewhere is not replaced, although the session still shows it.
func (s *session) toReplace(c *command, set mail.NumSet) (account.Row, error) {
	if err := s.box.writable(); err != nil {
		return account.Row{}, err
	}
	uids, err := s.box.view.Resolve(set, c.spec.byUID)
	if err != nil {
		return account.Row{}, err
	}
	if uids.Empty() {
		return account.Row{}, mail.Errorf(mail.NotFound, "there is no such message")
	}
	var room [1]account.Row
	rows, _ := s.box.sel.Rows(room[:0], uids)
	if len(rows) == 0 || rows[0].Expunged {
		return account.Row{}, expungeIssued(account.ErrReplaced)
	}
	return rows[0], nil
}

// expungeIssued is the refusal of what is to be done with a message that another
// session has expunged (RFC 5530 3, EXPUNGEISSUED).
func expungeIssued(err error) error {
	return &refusal{reply: reply{statusNo, "EXPUNGEISSUED", err.Error()}, cause: err}
}
