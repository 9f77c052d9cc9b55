package imapserver

import (
	"bytes"
	"strconv"

	"postern/internal/mail"
	"postern/internal/message"
)

// readEnvelope reads an ENVELOPE as it is stored, in the form in which it goes
// out, back into its parts: searching wants those. It is written by imapwire, so
// what does not follow the grammar is mail.Corrupt.
func readEnvelope(wire []byte, e *message.Envelope) error {
	r := envelopeReader{rest: wire}
	r.open()
	e.Date = r.text()
	e.Subject = r.text()
	for _, list := range []*[]message.Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		*list = r.addresses()
	}
	e.InReplyTo = r.text()
	e.MessageID = r.text()
	r.take(')')
	if r.failed || len(r.rest) > 0 {
		return mail.Errorf(mail.Corrupt, "an envelope cannot be read")
	}
	return nil
}

// envelopeReader reads the productions of RFC 9051 9 that an envelope is made of.
// Once it has failed it gives nothing.
type envelopeReader struct {
	rest   []byte
	failed bool
}

func (r *envelopeReader) fail() { r.failed, r.rest = true, nil }

// take reads one octet that must be c.
func (r *envelopeReader) take(c byte) {
	if len(r.rest) == 0 || r.rest[0] != c {
		r.fail()
		return
	}
	r.rest = r.rest[1:]
}

// open reads the parenthesis before the first of several values.
func (r *envelopeReader) open() { r.take('(') }

// space passes over the space between values.
func (r *envelopeReader) space() {
	if len(r.rest) > 0 && r.rest[0] == ' ' {
		r.rest = r.rest[1:]
	}
}

// none reads NIL if it is next.
func (r *envelopeReader) none() bool {
	rest, ok := bytes.CutPrefix(r.rest, []byte("NIL"))
	if ok {
		r.rest = rest
	}
	return ok
}

// text reads an nstring.
func (r *envelopeReader) text() message.Text {
	r.space()
	if r.none() {
		return message.Text{}
	}
	return message.Text{Value: r.str(), Present: !r.failed}
}

// str reads a quoted string or a literal.
func (r *envelopeReader) str() string {
	if len(r.rest) > 0 && r.rest[0] == '"' {
		return r.quoted()
	}
	return string(r.literal())
}

// literal reads a literal and gives its octets, which are the envelope's own.
func (r *envelopeReader) literal() []byte {
	if len(r.rest) > 0 && r.rest[0] == '{' {
		digits, rest, ok := bytes.Cut(r.rest[1:], []byte("}\r\n"))
		n, err := strconv.ParseUint(string(digits), 10, 31)
		if ok && err == nil && n <= uint64(len(rest)) {
			r.rest = rest[n:]
			return rest[:n]
		}
	}
	r.fail()
	return nil
}

func (r *envelopeReader) quoted() string {
	text := make([]byte, 0, 64)
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '"':
			r.rest = r.rest[i+1:]
			return string(text)
		case c == '\\' && i+1 < len(r.rest):
			i++
			text = append(text, r.rest[i])
		default:
			text = append(text, c)
		}
	}
	r.fail()
	return ""
}

// addresses reads a list of addresses, or NIL.
func (r *envelopeReader) addresses() []message.Address {
	r.space()
	if r.none() {
		return nil
	}
	r.take('(')
	var list []message.Address
	for !r.failed && len(r.rest) > 0 && r.rest[0] == '(' {
		list = append(list, r.address())
		r.space()
	}
	r.take(')')
	return list
}

// address reads one address.
func (r *envelopeReader) address() message.Address {
	r.take('(')
	name, adl, mailbox, host := r.text(), r.text(), r.text(), r.text()
	r.take(')')
	a := message.Address{Name: name.Value, ADL: adl.Value, Mailbox: mailbox.Value, Host: host.Value}
	switch { // RFC 9051 7.5.2: NIL as host is the syntax of groups
	case !host.Present && mailbox.Present:
		a.Kind = message.GroupStart
	case !host.Present:
		a.Kind = message.GroupEnd
	}
	return a
}

// skip passes over the next value, whatever it is: NIL, a string or a list, and
// takes no memory for it.
func (r *envelopeReader) skip() {
	r.space()
	for depth := 0; !r.failed; {
		switch {
		case r.none():
		case len(r.rest) == 0:
			r.fail()
		case r.rest[0] == ' ' && depth > 0:
			r.rest = r.rest[1:]
			continue
		case r.rest[0] == '(':
			depth++
			r.rest = r.rest[1:]
			continue
		case r.rest[0] == ')' && depth > 0:
			depth--
			r.rest = r.rest[1:]
		default:
			r.skipString()
		}
		if depth == 0 {
			return
		}
	}
}

// skipString passes over a quoted string or a literal.
func (r *envelopeReader) skipString() {
	if r.rest[0] != '"' {
		r.literal()
		return
	}
	for i := 1; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '"':
			r.rest = r.rest[i+1:]
			return
		case '\\':
			i++
		}
	}
	r.fail()
}
