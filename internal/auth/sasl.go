package auth

import (
	"bytes"
	"context"
	"unicode/utf8"

	"postern/internal/mail"
)

// Mechanism is the server's side of one SASL exchange (RFC 4422).
//
// Next takes what the client sent and gives either a challenge to send (it may
// be empty, but is not nil) or, when the exchange is over, who signed in. The
// first response is nil if the client sent none with its command; an empty
// initial response, "=" on the wire (RFC 4959 3), is empty and not nil. After an
// error the exchange is over; kinds of error are those of Login, and
// mail.Invalid for a response that is not what the mechanism asks for, and
// mail.NotAuthorized for an authorization identity that is not the user's own.
type Mechanism interface {
	Next(ctx context.Context, response []byte) (challenge []byte, id *Identity, err error)
}

// Mechanisms lists the names that Start knows, best first, for AUTH= capabilities.
// Some of them show the password to the server and need a private connection, which
// is for the conversation to see to.
func (a *Authenticator) Mechanisms(peer Peer) []string {
	var all []string
	if a.scramReady() {
		if peer.TLS != nil && !peer.NoBinding {
			all = append(all, mechScramPlus)
		}
		all = append(all, mechScram)
	}
	if a.tokens != nil {
		all = append(all, mechBearer, mechXOAuth2)
	}
	return append(all, "PLAIN", "LOGIN")
}

// Start begins an exchange. The name is in upper case. A mechanism we do not
// have is mail.Cannot.
func (a *Authenticator) Start(name string, peer Peer) (Mechanism, error) {
	switch name {
	case "PLAIN":
		return &plain{auth: a, peer: peer}, nil
	case "LOGIN":
		return &login{auth: a, peer: peer}, nil
	case mechScram, mechScramPlus:
		return a.startScram(name, peer)
	case mechBearer, mechXOAuth2:
		if a.tokens != nil {
			return &bearer{auth: a, peer: peer, name: name}, nil
		}
	}
	return nil, mail.Errorf(mail.Cannot, "authentication mechanism not supported")
}

// plain is PLAIN (RFC 4616): one message, which the client may send at once.
type plain struct {
	auth *Authenticator
	peer Peer
}

// Next takes the message.
func (m *plain) Next(ctx context.Context, response []byte) ([]byte, *Identity, error) {
	if response == nil {
		return []byte{}, nil, nil
	}
	authzid, authcid, password, ok := parsePlain(response)
	if !ok {
		return nil, nil, m.auth.malformed(ctx, m.peer, "PLAIN")
	}
	id, err := m.auth.attempt(ctx, m.peer, "PLAIN", authzid, authcid, password)
	if err != nil {
		return nil, nil, err
	}
	return nil, &id, nil
}

// parsePlain reads
//
//	message = [authzid] UTF8NUL authcid UTF8NUL passwd
//
// where the last two have one character at least and none is NUL (RFC 4616 2).
func parsePlain(message []byte) (authzid, authcid, password string, ok bool) {
	part := bytes.Split(message, []byte{0})
	if len(part) != 3 || len(part[1]) == 0 || len(part[2]) == 0 || !utf8.Valid(message) {
		return "", "", "", false
	}
	return string(part[0]), string(part[1]), string(part[2]), true
}

// login is LOGIN (draft-murchison-sasl-login): the name, then the password, each
// asked for. Clients with SASL-IR may send the name at once. It is there for
// clients that know nothing better, Outlook among them.
type login struct {
	auth  *Authenticator
	peer  Peer
	asked int // prompts sent
	user  string
}

// The prompts that clients expect to the letter; the draft's own differ.
const (
	promptUser     = "Username:"
	promptPassword = "Password:"
)

// Next takes the name, then the password.
func (m *login) Next(ctx context.Context, response []byte) ([]byte, *Identity, error) {
	switch {
	case m.asked == 0 && response == nil:
		m.asked = 1
		return []byte(promptUser), nil, nil
	case m.asked < 2:
		if len(response) == 0 || !fit(response) {
			return nil, nil, m.auth.malformed(ctx, m.peer, "LOGIN")
		}
		m.user, m.asked = string(response), 2
		return []byte(promptPassword), nil, nil
	}
	m.asked = 1 // after the end it could only begin anew
	if len(response) == 0 || !fit(response) {
		return nil, nil, m.auth.malformed(ctx, m.peer, "LOGIN")
	}
	id, err := m.auth.attempt(ctx, m.peer, "LOGIN", "", m.user, string(response))
	if err != nil {
		return nil, nil, err
	}
	return nil, &id, nil
}

func fit(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }
