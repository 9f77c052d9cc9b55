package imapwire

import "postern/internal/mail"

// AppendMessage is what APPEND and REPLACE say of one message before its octets
// (RFC 4466 3, append-message). Options of other extensions stand in Other.
type AppendMessage struct {
	Flags    mail.Flags
	Date     mail.InternalDate
	HasDate  bool
	Other    []Param
	UTF8     bool // UTF8 (~{n}: the form of RFC 6855 4
	Catenate bool // CATENATE (: the message comes in parts (RFC 4469), which ExpectPart reads
	Literal  Literal
}

// Part is one part of a message that is put together by CATENATE (RFC 4469 5,
// cat-part).
type Part struct {
	IsURL   bool
	URL     string // as the client wrote it: ParseURL reads it
	UTF8    bool   // UTF8 (~{n}: RFC 6855 4
	Literal Literal
}

// ExpectAppendMailbox demands the mailbox APPEND names. After it stands one
// message, and with RFC 3502 more:
//
//	ok := r.ExpectAppendMailbox(&name)
//	for more := true; ok && more; more = r.MoreMessages() {
//		ok = r.ExpectAppendMessage(&m)
//		// look the mailbox up, ask the quota for m.Literal.Size
//		body, err := r.AcceptLiteral()
//		// store what body gives
//		ok = r.ExpectAppendEnd(&m)
//	}
//	ok = ok && r.ExpectCRLF()
//
// The octets of one in parts come between ExpectAppendMessage and
// ExpectAppendEnd:
//
//	for more := true; ok && more; more = r.MoreParts() {
//		ok = r.ExpectPart(&p)
//		// if !p.IsURL: AcceptLiteral, store, and
//		ok = r.ExpectPartEnd(&p)
//	}
//
// Whatever is not read, End skips.
func (r *Reader) ExpectAppendMailbox(name *string) bool {
	return r.ExpectSP() && r.ExpectMailbox(name)
}

// ExpectReplaceArgs demands what stands before the message of REPLACE (RFC 8508
// 5): one message's number, which may be "*", and a mailbox.
func (r *Reader) ExpectReplaceArgs(a *CopyArgs) bool {
	if !r.ExpectSP() {
		return false
	}
	if !r.NumSet(&a.Set) || len(a.Set.Ranges) != 1 || a.Set.Ranges[0].From != a.Set.Ranges[0].To {
		return r.expected("the number of one message")
	}
	return r.ExpectSP() && r.ExpectMailbox(&a.Mailbox)
}

// ExpectAppendMessage demands what stands before a message's octets, the header
// of its literal included. A message beyond Limits.Message is refused (TooBig)
// before a waiting client is asked to send it. A command may bring many: the
// limits of its line and its lists are for each.
func (r *Reader) ExpectAppendMessage(m *AppendMessage) bool {
	*m = AppendMessage{}
	r.limit, r.items = r.used+r.pos+r.Limits.Line, 0
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
		if p.Name == "CATENATE" {
			m.Catenate = true
			return r.ExpectChar('(')
		}
		if p.Name == "UTF8" {
			m.UTF8 = true
			return r.ExpectChar('(') && r.messageLiteral(&m.Literal)
		}
		p.Value = new(Value)
		if !r.value(p.Value) {
			return r.expected("an option's value")
		}
		if m.Other = append(m.Other, p); !r.ExpectSP() {
			return false
		}
	}
	return r.messageLiteral(&m.Literal)
}

// messageLiteral demands the header of a literal that is a message or a part of
// one. RFC 6855 4 wants a literal8 within UTF8 (...); clients send the other too.
func (r *Reader) messageLiteral(l *Literal) bool {
	if c := r.next(); c != '{' && c != '~' {
		return r.expected("a literal")
	}
	if !r.literalHeader(l) {
		return false
	}
	switch lim := &r.Limits; {
	case l.Size > lim.Message:
		return r.refuseLiteral(mail.TooBig, "a message has at most %d octets", lim.Message)
	case l.NonSync && l.Size > lim.NonSync:
		return r.refuseLiteral(mail.TooBig, "a non-synchronizing literal has at most %d octets", lim.NonSync)
	}
	return true
}

// ExpectPart demands one part of a message in parts, up to the octets of its
// literal or to the end of its URL. Each of its literals is bounded as a message
// is; what they hold together is for the server to count.
func (r *Reader) ExpectPart(p *Part) bool {
	*p = Part{}
	var kind string
	if !r.item() || !r.paramName(&kind) {
		return r.expected("TEXT or URL")
	}
	switch kind {
	case "URL":
		p.IsURL = true
		return r.ExpectSP() && r.ExpectAString(&p.URL)
	case "TEXT":
		return r.ExpectSP() && r.messageLiteral(&p.Literal)
	case "UTF8":
		p.UTF8 = true
		return r.ExpectSP() && r.ExpectChar('(') && r.messageLiteral(&p.Literal)
	}
	return r.wrong("TEXT or URL", "an unknown kind of part")
}

// ExpectPartEnd demands what stands behind a part. It skips octets of its literal
// that were not read.
func (r *Reader) ExpectPartEnd(p *Part) bool {
	switch {
	case r.err != nil:
		return false
	case p.IsURL:
		return true
	}
	return r.skipLiteral() && (!p.UTF8 || r.ExpectChar(')'))
}

// MoreParts reports whether another part stands behind this one, and goes to it.
func (r *Reader) MoreParts() bool { return r.SP() }

// AcceptLiteral makes the message's octets come: a client that waits is sent a
// continuation request. Until it is called nothing but the literal's header has
// been read, and the command can still be answered NO.
func (r *Reader) AcceptLiteral() (*LiteralReader, error) {
	if r.err != nil || !r.acceptLiteral() {
		return nil, r.err
	}
	return &LiteralReader{r: r}, nil
}

// ExpectAppendEnd demands what stands behind a message's octets, or behind its
// last part. It skips octets that were not read.
func (r *Reader) ExpectAppendEnd(m *AppendMessage) bool {
	switch {
	case r.err != nil:
		return false
	case m.Catenate:
		return r.ExpectChar(')')
	}
	return r.skipLiteral() && (!m.UTF8 || r.ExpectChar(')'))
}

// MoreMessages reports whether another message stands behind this one (RFC 3502):
// ExpectAppendMessage reads it.
func (r *Reader) MoreMessages() bool { return r.err == nil && r.next() == ' ' }
