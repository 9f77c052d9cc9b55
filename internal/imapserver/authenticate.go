package imapserver

import (
	"errors"

	"postern/internal/imapwire"
)

// authenticate is the command AUTHENTICATE (RFC 9051 6.2.2), with the initial
// response of RFC 4959.
func (s *session) authenticate(c *command) error {
	if err := s.private(); err != nil {
		return err
	}
	var args imapwire.AuthenticateArgs
	if !s.r.ExpectAuthenticateArgs(&args) {
		return s.r.Err()
	}
	mechanism, err := s.srv.auth.Start(args.Mechanism, s.peer())
	if err != nil {
		return err
	}
	response := args.Initial
	if args.HasInitial && response == nil {
		response = []byte{} // "=" is a response without octets, not the lack of one
	}
	for {
		challenge, id, err := mechanism.Next(s.ctx, response)
		switch {
		case err != nil:
			return s.guessed(err)
		case id != nil:
			return s.signIn(c, *id)
		}
		if response, err = s.ask(challenge); err != nil {
			return err
		}
	}
}

// ask sends a challenge and reads what the client answers.
func (s *session) ask(challenge []byte) ([]byte, error) {
	s.w.Challenge(challenge)
	if err := s.flush(); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	data, cancelled, err := s.r.SASLResponse()
	switch {
	case err != nil:
		return nil, err
	case cancelled:
		return nil, errCancelled
	case data == nil:
		data = []byte{}
	}
	return data, nil
}

// errCancelled is the BAD that RFC 9051 6.2.2 wants for "*". The client did
// nothing wrong, so it is not counted.
var errCancelled = &refusal{reply: reply{statusBad, "", "authentication cancelled"}, blameless: true}

// isBlameless reports whether a BAD is not to be counted.
func isBlameless(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.blameless
}
