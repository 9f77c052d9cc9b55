package imapserver

import "postern/internal/mail"

// close is the command CLOSE (RFC 9051 6.4.1): what bears \Deleted goes, without
// a word, if the mailbox was selected read-write. Who has not the right to expunge
// closes it all the same (RFC 4314 4).
func (s *session) close(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	if s.box.may()&mail.RightExpunge != 0 {
		gone, err := s.expungeWithin(nil)
		if err != nil && mail.KindOf(err) != mail.NotPermitted {
			return err
		}
		s.countExpunged(gone.Len())
	}
	s.deselect()
	return nil
}
