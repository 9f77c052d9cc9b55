package imapserver

import "postern/internal/imapwire"

// startTLS is the command STARTTLS (RFC 9051 6.2.1). What was learnt of the
// client before is forgotten, the count of its failures apart. Octets that came
// in behind the command were not protected: somebody in between may have put
// them there to be read as if they were (CVE-2021-33515), so they end the
// connection, and so do octets that are on their way, because the handshake takes
// them for its own.
func (s *session) startTLS(c *command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	if !s.conn.CanUpgrade() {
		if s.conn.TLS() != nil {
			return bad("TLS is active already")
		}
		return bad("there is no TLS here")
	}
	if s.r.Buffered() > 0 {
		return &ending{reason: endInjection, say: "nothing may follow STARTTLS before TLS is active"}
	}
	s.w.Status(c.tag, imapwire.OK, "", "begin TLS now")
	if err := s.flush(); err != nil {
		return err
	}
	s.release()
	if err := s.conn.Upgrade(); err != nil {
		return &ending{reason: endHandshake}
	}
	s.acquire()
	s.client, s.first = "", ""
	s.findRules()
	return errAnswered
}
