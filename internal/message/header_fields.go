package message

import (
	"bytes"
	"strings"
)

// field is a header field whose value goes into the Summary.
type field uint8

const (
	fieldDate field = iota
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldReferences
	fieldContentType
	fieldContentTransferEncoding
	fieldContentID
	fieldContentDescription
	fieldContentMD5
	fieldContentDisposition
	fieldContentLanguage
	fieldContentLocation
	numFields
	noField = numFields
)

// lookupField finds the field of a lower-case name.
func lookupField(name []byte) field {
	switch string(name) {
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "references":
		return fieldReferences
	case "content-type":
		return fieldContentType
	case "content-transfer-encoding":
		return fieldContentTransferEncoding
	case "content-id":
		return fieldContentID
	case "content-description":
		return fieldContentDescription
	case "content-md5":
		return fieldContentMD5
	case "content-disposition":
		return fieldContentDisposition
	case "content-language":
		return fieldContentLanguage
	case "content-location":
		return fieldContentLocation
	}
	return noField
}

// repetition says what a field given more than once means. RFC 5322 3.6 forbids
// it for all of these; see the decisions, "Repeated fields".
type repetition uint8

const (
	lastWins  repetition = iota // text fields
	joined                      // address fields: nobody's address is hidden
	firstWins                   // MIME fields
)

func (f field) repetition() repetition {
	switch {
	case f >= fieldFrom && f <= fieldBcc:
		return joined
	case f >= fieldContentType:
		return firstWins
	default:
		return lastWins
	}
}

// headerFields collects the wanted fields of the one header that is being read.
// Its buffers are used again for the next header.
type headerFields struct {
	values  [numFields][]byte
	present [numFields]bool
	current field // where bytes go, or noField
	budget  int   // bytes that may still be kept in this message
	cut     bool  // bytes were dropped because of a limit

	// small holds short values, so that ordinary headers need no buffers.
	small [numFields][64]byte
}

// reset forgets all values. What was kept of them stays spent.
func (h *headerFields) reset() {
	h.current = noField
	for f := range h.values {
		h.values[f] = h.values[f][:0]
	}
	h.present = [numFields]bool{}
}

func (h *headerFields) keeping() bool { return h.current != noField }

func (h *headerFields) end() { h.current = noField }

// begin starts the field called name and tells whether its value is wanted.
// Message fields are wanted in the header of a message only, MIME fields in any.
func (h *headerFields) begin(name []byte, isMessage bool) bool {
	h.current = noField
	var lower [32]byte
	name = bytes.TrimRight(name, " \t") // obs-syntax: white space before the colon
	if len(name) > len(lower) {
		return false
	}
	for i, c := range name {
		lower[i] = toLower(c)
	}
	f := lookupField(lower[:len(name)])
	if f == noField || f < fieldContentType && !isMessage {
		return false
	}
	if h.present[f] {
		switch f.repetition() {
		case firstWins:
			return false
		case lastWins:
			h.budget += len(h.values[f])
			h.values[f] = h.values[f][:0]
		case joined:
			h.current = f
			h.add([]byte(", "))
		}
	}
	if h.values[f] == nil {
		h.values[f] = h.small[f][:0]
	}
	h.present[f] = true
	h.current = f
	return true
}

// add appends to the current value what the limits allow.
func (h *headerFields) add(b []byte) {
	v := &h.values[h.current]
	room := max(0, min(MaxField-len(*v), h.budget))
	if len(b) > room {
		b = b[:room]
		h.cut = true
	}
	h.budget -= len(b)
	*v = append(*v, b...)
}

// unfold removes the CR of a line end from the current value; the LF was not
// added.
func (h *headerFields) unfold() {
	v := &h.values[h.current]
	if n := len(*v); n > 0 && (*v)[n-1] == '\r' {
		*v = (*v)[:n-1]
	}
}

// text is the value of a field as a Text.
func (h *headerFields) text(f field) Text {
	return Text{Value: h.value(f), Present: h.present[f]}
}

// value is a field's value without the white space around it and without NULs.
func (h *headerFields) value(f field) string {
	return cleanValue(h.values[f])
}

func cleanValue(b []byte) string {
	b = bytes.Trim(b, " \t\r\n")
	if bytes.IndexByte(b, 0) >= 0 {
		return strings.ReplaceAll(string(b), "\x00", "\uFFFD")
	}
	return string(b)
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// readEnvelope makes the envelope of the header just read.
func (p *Parser) readEnvelope() Envelope {
	h := &p.header
	e := Envelope{
		Date:      h.text(fieldDate),
		Subject:   h.text(fieldSubject),
		From:      p.addresses(fieldFrom),
		Sender:    p.addresses(fieldSender),
		ReplyTo:   p.addresses(fieldReplyTo),
		To:        p.addresses(fieldTo),
		Cc:        p.addresses(fieldCc),
		Bcc:       p.addresses(fieldBcc),
		InReplyTo: h.text(fieldInReplyTo),
		MessageID: h.text(fieldMessageID),
	}
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
	if h.cut {
		p.sum.Truncated = true
	}
	return e
}

func (p *Parser) addresses(f field) []Address {
	v := p.header.value(f)
	if v == "" {
		return nil
	}
	list, cut := parseAddressList(v, MaxAddresses-p.addrs)
	p.addrs += len(list)
	if cut {
		p.sum.Truncated = true
	}
	return list
}
