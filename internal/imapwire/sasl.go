package imapwire

import (
	"encoding/base64"

	"postern/internal/mail"
)

// AuthenticateArgs are the arguments of AUTHENTICATE (RFC 9051 6.2.2).
type AuthenticateArgs struct {
	Mechanism  string // in capitals
	HasInitial bool   // an initial response came along (RFC 4959)
	Initial    []byte // decoded; empty for "="
}

// ExpectAuthenticateArgs demands the arguments of AUTHENTICATE.
func (r *Reader) ExpectAuthenticateArgs(a *AuthenticateArgs) bool {
	*a = AuthenticateArgs{}
	var w wordBuffer
	if !r.ExpectSP() {
		return false
	}
	mechanism := r.word(atomChar, &w)
	if len(mechanism) == 0 {
		return r.expected("an authentication mechanism")
	}
	a.Mechanism = string(mechanism)
	if r.SP() {
		a.HasInitial = true
		if !r.base64(&a.Initial) {
			return false
		}
	}
	return r.ExpectCRLF()
}

// base64 reads base64, or "=" for no octets at all.
func (r *Reader) base64(dst *[]byte) bool {
	text := r.span(valueChar)
	if len(text) > r.Limits.SASL {
		return r.fatal(saslTooLong())
	}
	if len(text) == 1 && text[0] == '=' {
		*dst = nil
		return true
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil || len(text) == 0 {
		return r.wrong("base64", "something else")
	}
	*dst = data[:n]
	return true
}

func saslTooLong() error {
	return &FatalError{Kind: mail.TooBig, Text: "authentication response too long"}
}

// SASLResponse reads the line a client answers a challenge with. cancelled says
// that it was "*" (RFC 9051 6.2.2). The error is as that of Err; after a
// *SyntaxError the line has been read.
func (r *Reader) SASLResponse() (data []byte, cancelled bool, err error) {
	r.beginLine(r.Limits.SASL + 2)
	if c := r.next(); c == '\r' || c == '\n' {
		return nil, false, r.endLine() // an empty response (RFC 4422 3, base64 of nothing)
	}
	if r.Char('*') {
		return nil, true, r.endLine()
	}
	r.base64(&data)
	return data, false, r.endLine()
}

// Done reads the DONE that ends an IDLE (RFC 9051 6.3.13). Anything else is a
// *SyntaxError, and the line has been read.
func (r *Reader) Done() error {
	r.beginLine(r.Limits.Line)
	var w wordBuffer
	if string(r.word(atomChar, &w)) != "DONE" {
		r.expected("DONE")
	}
	return r.endLine()
}

// beginLine starts a line that belongs to a command whose first line was read.
func (r *Reader) beginLine(limit int) {
	name := r.name
	r.begin()
	r.name, r.limit = name, limit
}

// endLine reads to the end of such a line.
func (r *Reader) endLine() error {
	if r.ExpectCRLF() {
		return nil
	}
	err := r.err
	if fatal := r.End(); fatal != nil {
		return fatal
	}
	return err
}
