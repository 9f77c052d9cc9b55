package imapserver

// close is the command CLOSE (RFC 9051 6.4.1): what bears \Deleted goes, without
// a word, if the mailbox was selected read-write.
func (s *session) close(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	if !s.box.readOnly {
		gone, err := s.expungeWithin(nil)
		if err != nil {
			return err
		}
		s.countExpunged(gone.Len())
	}
	s.deselect()
	return nil
}
