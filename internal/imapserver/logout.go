package imapserver

import "postern/internal/imapwire"

// logout is the command LOGOUT (RFC 9051 6.1.3): BYE, then OK, then the end.
func (s *session) logout(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.deselect()
	s.w.Status("", imapwire.BYE, "", "see you")
	s.state = loggedOut
	return nil
}
