package imapserver

import (
	"context"

	"postern/internal/account"
)

// move is the commands MOVE and UID MOVE (RFC 6851, RFC 9051 6.4.8). COPYUID goes
// out before the EXPUNGE responses, which the exit writes, so that a client can
// tell where a message went before it forgets it.
func (s *session) move(c *command) error {
	uids, to, err := s.transfer(c)
	if err != nil {
		return err
	}
	if err := s.box.writable(); err != nil {
		return err
	}
	if uids = s.newest(c, uids); uids.Empty() {
		return nil
	}
	moved, err := patiently(s.ctx, s, func(ctx context.Context) (account.Copied, error) {
		return s.box.sel.Move(ctx, uids, to)
	})
	if err != nil {
		return tryCreate(err)
	}
	s.noteOwn(to, moved.To)
	if !moved.From.Empty() && !moved.Abroad {
		s.w.Status("", "OK", copyUID(moved), "moved")
	}
	c.expunges = !moved.From.Empty()
	s.link.raise(mailboxChanged)
	return nil
}
