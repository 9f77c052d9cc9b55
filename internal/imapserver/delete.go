package imapserver

import (
	"context"

	"postern/internal/imapwire"
)

// deleteMailbox is the command DELETE (RFC 9051 6.3.5). Who deletes the mailbox
// they have selected is back in the authenticated state, which CLOSED says.
func (s *session) deleteMailbox(*command) error {
	var name string
	if !s.r.ExpectMailboxArgs(&name) {
		return s.r.Err()
	}
	supplied := s.r.Denormalized()
	own := s.box != nil && s.box.sel.Info().Name == name
	guest, inner, err := s.place(name)
	if err != nil {
		return err
	}
	_, err = patiently(s.ctx, s, func(ctx context.Context) (without, error) {
		return without{}, guest.DeleteMailbox(ctx, inner)
	})
	if err != nil {
		return err
	}
	s.knowsDeleted(name)
	if supplied != "" && s.rev2 {
		e := listEntry{name: name, oldName: supplied} // RFC 9051 6.3.5: \NonExistent
		s.w.List(e.data())
	}
	if own {
		s.deselect()
		s.w.Status("", imapwire.OK, "CLOSED", "the selected mailbox is deleted")
	}
	return nil
}
