package imapserver

// unselect is the command UNSELECT (RFC 3691): CLOSE without the expunge.
func (s *session) unselect(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.deselect()
	return nil
}
