package imapserver

import (
	"context"

	"postern/internal/mail"
)

// expunge is the commands EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (RFC 4315
// 2.1). The EXPUNGE responses are written by the exit, with those of other
// sessions.
func (s *session) expunge(c *command) error {
	var set mail.NumSet
	if c.spec.byUID {
		if !s.r.ExpectNumSetArgs(&set) {
			return s.r.Err()
		}
	} else if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	if err := s.box.writable(); err != nil {
		return err
	}
	var within *mail.UIDSet
	if c.spec.byUID {
		uids, err := s.box.view.Resolve(set, true)
		if err != nil {
			return err
		}
		uids = s.newestDeleted(c, uids)
		within = &uids
	}
	gone, err := s.expungeWithin(within)
	if err != nil {
		return err
	}
	s.countExpunged(gone.Len())
	c.expunges = !gone.Empty()
	s.link.raise(mailboxChanged)
	return nil
}

// expungeWithin is Expunge of the selected mailbox, patiently.
func (s *session) expungeWithin(within *mail.UIDSet) (mail.UIDSet, error) {
	return patiently(s.ctx, s, func(ctx context.Context) (mail.UIDSet, error) {
		return s.box.sel.Expunge(ctx, within)
	})
}

func (s *session) countExpunged(n int) {
	s.tally.expunged += uint64(n)
	s.srv.count.expunged.AddN(uint64(n))
}
