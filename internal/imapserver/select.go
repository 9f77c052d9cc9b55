package imapserver

import (
	"context"
	"fmt"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/view"
)

// selectMailbox is the command SELECT (RFC 9051 6.3.2).
func (s *session) selectMailbox(c *command) error { return s.open(c, !s.readOnly) }

// examine is the command EXAMINE (RFC 9051 6.3.3).
func (s *session) examine(c *command) error { return s.open(c, false) }

// open selects a mailbox. The one selected before is closed whether it succeeds
// or not.
func (s *session) open(c *command, readWrite bool) error {
	var args imapwire.SelectArgs
	if !s.r.ExpectSelectArgs(&args) {
		return s.r.Err()
	}
	if err := s.selectAllowed(c, &args); err != nil {
		return err
	}
	supplied := s.r.Denormalized()
	if s.box != nil {
		s.deselect()
		s.w.Status("", imapwire.OK, "CLOSED", "the mailbox selected before is closed")
	}
	mailbox, err := s.mailbox(args.Mailbox, mail.RightRead)
	if err != nil {
		return err
	}
	sel, err := patiently(s.ctx, s, func(ctx context.Context) (*account.Selection, error) {
		return mailbox.Select(ctx, readWrite)
	})
	if err != nil {
		return err
	}
	s.condstore = s.condstore || args.CondStore
	s.enterBox(sel, !readWrite, supplied)
	if args.QResync != nil {
		s.resync(args.QResync)
	}
	if code := access(s.box.rights); code == "READ-WRITE" {
		c.done(code, "selected")
	} else {
		c.done(code, "selected read-only")
	}
	return nil
}

// selectAllowed checks the parameters (RFC 7162 3.1.8, 3.2.5).
func (s *session) selectAllowed(c *command, args *imapwire.SelectArgs) error {
	switch {
	case len(args.Other) > 0:
		return bad("unknown parameter of %s", c.spec.name)
	case args.QResync != nil && s.uidOnly && len(args.QResync.Numbers.Ranges) > 0:
		return uidRequired() // RFC 9586 3.6
	case args.QResync != nil:
		return s.qresyncEnabled()
	case args.CondStore:
		return s.condStoreOffered()
	}
	return nil
}

// enterBox makes a mailbox the selected one and tells what is in it. supplied is
// its name as the client wrote it, if that was not normalised.
func (s *session) enterBox(sel *account.Selection, examined bool, supplied string) {
	start := sel.Start()
	b := &openBox{name: start.Info.Name, examined: examined, host: s.keepHost(sel.Account()), sel: sel,
		view: view.New(start.UIDs, start.At), keywords: start.Keywords, keyAt: start.Info.KeyAt}
	b.view.AddRecent(start.Recent)
	s.box, s.state = b, selected
	b.rights = b.may()
	s.link.take(mailboxChanged | mailboxClosed)
	sel.Watch(s.wakeFor(b))

	s.writeMailboxFlags()
	s.w.Exists(b.view.Len())
	s.w.Status("", imapwire.OK, s.mailboxIDCode(&start.Info), "whatever it is called") // RFC 8474 4.2
	if !s.rev2 {
		// RFC 9051 Appendix E dropped both.
		s.w.Recent(uint32(b.view.Recent().Len()))
		if seq, ok := b.view.Seq(start.FirstUnseen); ok && !s.uidOnly {
			s.w.Status("", imapwire.OK, fmt.Sprintf("UNSEEN %d", seq), "the first that was not seen")
		}
	}
	s.w.Status("", imapwire.OK, fmt.Sprintf("UIDVALIDITY %d", start.Info.Validity), "UIDs are valid")
	s.w.Status("", imapwire.OK, fmt.Sprintf("UIDNEXT %d", start.Info.Counts.UIDNext), "the next UID")
	s.w.Status("", imapwire.OK, s.highestCode(), "the highest mod-sequence") // RFC 7162 3.1.2.1: NOMODSEQ never
	if b.keyAt != 0 && s.srv.offersURLAuth() {
		s.w.Status("", imapwire.OK, urlMechanism, "URLs can be made good for others") // RFC 4467 7, to who uses that
	}
	if s.rev2 {
		e := listEntry{name: start.Info.Name, info: &start.Info, oldName: supplied}
		s.w.List(e.data())
	}
	// Start has used up what was new: it told RECENT above.
	b.view.Tell(false)
}

// wakeFor gives what is called when the selected mailbox changes. A guest who may
// not read it any more is to hear of that at once, in IDLE or not.
func (s *session) wakeFor(b *openBox) func() {
	if b.host == nil {
		return func() { s.link.raise(mailboxChanged) }
	}
	sel := b.sel
	return func() {
		s.link.raise(mailboxChanged)
		if sel.Rights()&mail.RightRead == 0 {
			s.link.raise(mailboxClosed)
		}
	}
}

// deselect goes back to the authenticated state, if a mailbox is selected.
func (s *session) deselect() {
	if s.box == nil {
		return
	}
	s.box.sel.Watch(nil)
	s.leaveBox()
	s.box.sel.Close()
	if s.box.host != nil {
		s.box.host.Release()
	}
	s.box = nil
	s.state = authenticated
}
