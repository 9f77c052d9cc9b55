package imapwire

import (
	"bytes"
	"strconv"

	"postern/internal/mail"
	"postern/internal/message"
)

// ReadEnvelope reads what AppendEnvelope wrote back into its parts: searching wants
// those. What does not follow the grammar is mail.Corrupt.
func ReadEnvelope(wire []byte, e *message.Envelope) error {
	r := NewEnvelopeReader(wire)
	e.Date = r.text()
	e.Subject = r.text()
	for _, list := range []*[]message.Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		*list = r.addresses()
	}
	e.InReplyTo = r.text()
	e.MessageID = r.text()
	r.take(')')
	if len(r.rest) > 0 {
		r.fail()
	}
	return r.Err()
}

// EnvelopeReader reads an envelope value by value, by the productions of RFC 9051 9.
// Once it has failed it gives nothing.
type EnvelopeReader struct {
	rest   []byte
	failed bool
}

// NewEnvelopeReader begins to read what AppendEnvelope wrote.
func NewEnvelopeReader(wire []byte) EnvelopeReader {
	r := EnvelopeReader{rest: wire}
	r.open()
	return r
}

// Err is mail.Corrupt if what was read is no envelope.
func (r *EnvelopeReader) Err() error {
	if r.failed {
		return mail.Errorf(mail.Corrupt, "an envelope cannot be read")
	}
	return nil
}

func (r *EnvelopeReader) fail() { r.failed, r.rest = true, nil }

// take reads one octet that must be c.
func (r *EnvelopeReader) take(c byte) {
	if len(r.rest) == 0 || r.rest[0] != c {
		r.fail()
		return
	}
	r.rest = r.rest[1:]
}

// open reads the parenthesis before the first of several values.
func (r *EnvelopeReader) open() { r.take('(') }

// space passes over the space between values.
func (r *EnvelopeReader) space() {
	if len(r.rest) > 0 && r.rest[0] == ' ' {
		r.rest = r.rest[1:]
	}
}

// none reads NIL if it is next.
func (r *EnvelopeReader) none() bool {
	rest, ok := bytes.CutPrefix(r.rest, []byte("NIL"))
	if ok {
		r.rest = rest
	}
	return ok
}

// text reads an nstring.
func (r *EnvelopeReader) text() message.Text {
	r.space()
	if r.none() {
		return message.Text{}
	}
	return message.Text{Value: r.str(), Present: !r.failed}
}

// str reads a quoted string or a literal.
func (r *EnvelopeReader) str() string {
	if len(r.rest) > 0 && r.rest[0] == '"' {
		return r.quoted()
	}
	return string(r.literal())
}

// literal reads a literal and gives its octets, which are the envelope's own.
func (r *EnvelopeReader) literal() []byte {
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

func (r *EnvelopeReader) quoted() string {
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
func (r *EnvelopeReader) addresses() []message.Address {
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
func (r *EnvelopeReader) address() message.Address {
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

// Skip passes over the next value, whatever it is: NIL, a string or a list, and
// takes no memory for it.
func (r *EnvelopeReader) Skip() {
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
func (r *EnvelopeReader) skipString() {
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

// TextIf reads an nstring, or passes over it.
func (r *EnvelopeReader) TextIf(wanted bool, dst *string) {
	if !wanted {
		r.Skip()
		return
	}
	*dst = r.text().Value
}

// FirstIf reads the first address of a list and passes over the others, or over all.
func (r *EnvelopeReader) FirstIf(wanted bool, dst *message.Address) {
	if r.space(); !wanted || len(r.rest) < 2 || r.rest[0] != '(' {
		r.Skip()
		return
	}
	list := r.rest
	r.open()
	*dst = r.address()
	if !r.failed {
		r.rest = list
		r.Skip()
	}
}
