package imapserver

import (
	"errors"
	"time"

	"postern/internal/imapwire"
)

// idle is the command IDLE (RFC 2177, RFC 9051 6.3.13). Everything the session
// knows while it waits is in the session: waiting is one call of await, without
// buffers.
func (s *session) idle(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.w.Continue("idling") // Dovecot's word: Mail::IMAPTalk takes no other
	began := time.Now()
	for s.r.Buffered() == 0 {
		if err := s.push(); err != nil {
			return err
		}
		if err := s.rest(began.Add(s.srv.limits.Idle)); err != nil {
			return err
		}
	}
	if err := s.listen(); err != nil {
		return err
	}
	err := s.r.Done()
	var syntax *imapwire.SyntaxError
	if errors.As(err, &syntax) {
		// A client that sends something else believes to be somewhere else in the
		// protocol. To carry it out would be a guess.
		return &ending{reason: endNotDone, say: "expected DONE", answer: reply{statusBad, "", "expected DONE"}}
	}
	return err
}

// push tells the client what came in, and sends what is written.
func (s *session) push() error {
	if s.box != nil {
		if s.link.raised(mailboxChanged) {
			s.srv.count.pushes.Add()
		}
		if err := s.tell(true); err != nil {
			return err
		}
	}
	s.tellMetadata()
	s.tellOthers() // RFC 5465 4
	return s.flush()
}

// rest waits until there is something to do: the client has sent something, the
// mailbox has changed, or it is time for a sign of life. No IDLE lasts longer
// than until.
func (s *session) rest(until time.Time) error {
	s.release()
	still := time.Now().Add(s.still())
	wanted := s.news() | s.metadataNews() | serverDraining | sessionRevoked | mailboxClosed
	if s.box != nil {
		wanted |= mailboxChanged // what nobody takes would keep the session awake
	}
	err := s.link.await(sooner(still, until), wanted)
	s.acquire()
	switch {
	case err == nil:
		// acquire gave an empty buffer: make it hold what came in.
		return s.fill()
	case errors.Is(err, errWoken):
		if end := s.called(); end != nil {
			return end
		}
		return nil
	case !isTimeout(err):
		return s.lost(err)
	case !still.Before(until):
		return &ending{reason: endIdle, say: "autologout; idle for too long"}
	}
	s.stillHere()
	return nil
}

// stillHere is a sign of life for what is between the client and us.
func (s *session) stillHere() { s.w.Star().Raw("OK Still here").CRLF() }

// fill makes the reader's buffer hold what came in while the session waited.
func (s *session) fill() error {
	if _, err := s.br.Peek(1); err != nil {
		return s.lost(err)
	}
	return nil
}
