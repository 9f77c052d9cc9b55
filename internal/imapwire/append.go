package imapwire

import "postern/internal/mail"

// AppendMessage is what APPEND says of one message before its octets
// (RFC 4466 3, append-message). Options of other extensions stand in Other.
type AppendMessage struct {
	Flags   mail.Flags
	Date    mail.InternalDate
	HasDate bool
	Other   []Param
	UTF8    bool // UTF8 (~{n}): the form of RFC 6855 4
	Literal Literal
}

// ExpectAppendMailbox demands the mailbox APPEND names. After it stands one
// message, and with RFC 3502 more:
//
//	ok := r.ExpectAppendMailbox(&name) && r.ExpectAppendMessage(&m)
//	// look the mailbox up, ask the quota for m.Literal.Size
//	body, err := r.AcceptLiteral()
//	// store what body gives
//	ok = r.ExpectAppendEnd(&m) && r.ExpectCRLF()
//
// Whatever is not read, End skips.
func (r *Reader) ExpectAppendMailbox(name *string) bool {
	return r.ExpectSP() && r.ExpectMailbox(name)
}

// ExpectAppendMessage demands what stands before a message's octets, the header
// of its literal included. A message beyond Limits.Message is refused (TooBig)
// before a waiting client is asked to send it.
func (r *Reader) ExpectAppendMessage(m *AppendMessage) bool {
	*m = AppendMessage{}
	if !r.ExpectSP() {
		return false
	}
	if r.next() == '(' && (!r.FlagList(&m.Flags) || !r.ExpectSP()) {
		return false
	}
	if r.next() == '"' {
		if m.HasDate = r.DateTime(&m.Date); !m.HasDate || !r.ExpectSP() {
			return false
		}
	}
	for startsName(r.next()) {
		var p Param
		if !r.item() || !r.paramName(&p.Name) || !r.ExpectSP() {
			return false
		}
		if p.Name == "UTF8" {
			m.UTF8 = true
			if !r.ExpectChar('(') {
				return false
			}
			break
		}
		p.Value = new(Value)
		if !r.value(p.Value) {
			return r.expected("an option's value")
		}
		if m.Other = append(m.Other, p); !r.ExpectSP() {
			return false
		}
	}
	if c := r.next(); c != '{' && c != '~' {
		return r.expected("a literal")
	}
	if !r.literalHeader(&m.Literal) {
		return false
	}
	switch lim := &r.Limits; {
	case m.Literal.Size > lim.Message:
		return r.refuseLiteral(mail.TooBig, "a message has at most %d octets", lim.Message)
	case m.Literal.NonSync && m.Literal.Size > lim.NonSync:
		return r.refuseLiteral(mail.TooBig, "a non-synchronizing literal has at most %d octets", lim.NonSync)
	}
	return true
}

// AcceptLiteral makes the message's octets come: a client that waits is sent a
// continuation request. Until it is called nothing but the literal's header has
// been read, and the command can still be answered NO.
func (r *Reader) AcceptLiteral() (*LiteralReader, error) {
	if r.err != nil || !r.acceptLiteral() {
		return nil, r.err
	}
	return &LiteralReader{r: r}, nil
}

// ExpectAppendEnd demands what stands behind a message's octets. It skips those
// that were not read.
func (r *Reader) ExpectAppendEnd(m *AppendMessage) bool {
	if r.err != nil || !r.skipLiteral() {
		return false
	}
	return !m.UTF8 || r.ExpectChar(')')
}

// MoreMessages reports whether another message stands behind this one (RFC 3502):
// ExpectAppendMessage reads it.
func (r *Reader) MoreMessages() bool { return r.next() == ' ' }
