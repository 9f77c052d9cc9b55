package imapserver

// noop is the command NOOP (RFC 9051 6.1.2): it has no arguments and does
// nothing, but like every command it tells what came in.
func (s *session) noop(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	return nil
}

// check is the command CHECK of RFC 3501 6.4.1. There is nothing to checkpoint:
// what was acknowledged is durable.
func (s *session) check(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	return nil
}
