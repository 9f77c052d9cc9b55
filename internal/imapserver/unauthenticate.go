package imapserver

import (
	"time"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// unauthenticate is the command UNAUTHENTICATE (RFC 8437): the connection is as new
// but for TLS. What the client said with ID stays, as the RFC leaves to us, because
// it is about the program and not about who uses it; and so does what counts
// against the connection: failed logins, and bad commands in all. "A NO response is not
// permitted", since a login may follow in the same pipeline.
func (s *session) unauthenticate(c *command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.signOut()
	s.reset()
	s.w.Status(c.tag, imapwire.OK, s.capabilityCode(), "signed out")
	if err := s.flush(); err != nil {
		return err
	}
	if s.link.compressed() {
		if s.r.Buffered() > 0 { // the layer ends with this command, and they came through it
			return &ending{reason: endDamaged, say: "nothing may be compressed behind UNAUTHENTICATE"}
		}
		s.link.layer.stop()
	}
	return errAnswered
}

// signOut lets go of the account, if there is one.
func (s *session) signOut() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	s.stopNotify()
	s.deselect()
	s.forgetMetadata()
	s.letGo()
	if s.account == nil {
		return
	}
	s.srv.census.dismiss(s.account.ID())
	s.account.Release()
	s.account = nil
}

// reset forgets what a login and ENABLE have brought (RFC 8437 4.1). Every
// extension with a state of the session's has its line here.
func (s *session) reset() {
	s.state = notAuthenticated
	s.user = ""
	s.findRules()
	s.accountID.Store(0)
	s.app.Store(0)
	s.by.Store(0)
	s.readOnly = false
	s.compare = mail.Comparator{}
	s.utf8, s.rev2, s.utf8Accept, s.condstore, s.qresync = false, false, false, false, false
	s.uidOnly = false
	s.link.take(sessionRevoked) // it was about the other account
	s.link.open = false         // what comes may be a password
	s.link.trace = s.srv.trace.Open(s.conn.ID(), s.conn.Remote().Addr(), "")
	s.nobody, s.badSignedIn = time.Now(), s.bad
}
