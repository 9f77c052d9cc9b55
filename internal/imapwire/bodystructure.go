package imapwire

import (
	"strings"

	"postern/internal/message"
)

// Cut is a range of a body structure's text that some sessions are not shown.
// From and To are octets from its beginning.
type Cut struct {
	From, To int
	Kind     CutKind
}

// CutKind says why a range is left out; as a set, what to leave out.
type CutKind uint8

const (
	// CutExtension is extension data, which BODY does not have (RFC 9051 9,
	// body-ext-1part).
	CutExtension CutKind = 1 << iota
	// CutGlobal is the envelope, structure and line count of a message/global
	// part. RFC 3501 has them for message/rfc822 alone, so a session that has
	// enabled neither IMAP4rev2 nor UTF8=ACCEPT sees a part like any other
	// (RFC 9051 9, media-message; RFC 9755).
	CutGlobal
)

// AppendBodyStructure writes the structure of a message, whose root part is given,
// as BODYSTRUCTURE with everything there is (RFC 9051 7.5.2). cuts are the
// ranges that AppendBody can leave out, in ascending order of From; they may lie
// within one another. Strings with octets above 0x7f go as literals, so one text
// serves every session and is stored.
//
// The depth of the recursion is that of the parts, which package message bounds.
func AppendBodyStructure(dst []byte, root *message.Part) (out []byte, cuts []Cut) {
	b := bodyWriter{dst: dst, start: len(dst)}
	b.part(root)
	return b.dst, b.cuts
}

// AppendBody writes a stored structure without the ranges of the given kinds.
func AppendBody(dst, structure []byte, cuts []Cut, leaveOut CutKind) []byte {
	at := 0
	for _, c := range cuts {
		if c.Kind&leaveOut == 0 || c.From < at {
			continue // wanted, or within a range that was left out
		}
		dst = append(dst, structure[at:c.From]...)
		at = c.To
	}
	return append(dst, structure[at:]...)
}

// bodyWriter writes one structure and notes where it may be cut.
type bodyWriter struct {
	dst   []byte
	start int
	cuts  []Cut
}

func (b *bodyWriter) raw(text string)    { b.dst = append(b.dst, text...) }
func (b *bodyWriter) string(text string) { b.dst = AppendString(b.dst, text, false) }
func (b *bodyWriter) number(n int64)     { b.dst = appendUint(b.dst, uint64(max(n, 0))) }

// nstring writes a string, NIL if it is empty.
func (b *bodyWriter) nstring(text string) { b.dst = AppendNString(b.dst, text, text != "", false) }

// begin notes that a range begins here; end is called with what it gives.
func (b *bodyWriter) begin(kind CutKind) int {
	b.cuts = append(b.cuts, Cut{From: len(b.dst) - b.start, Kind: kind})
	return len(b.cuts) - 1
}

func (b *bodyWriter) end(cut int) { b.cuts[cut].To = len(b.dst) - b.start }

func (b *bodyWriter) part(p *message.Part) {
	if p.IsMultipart() && len(p.Parts) > 0 {
		b.multipart(p)
		return
	}
	typ, subtype := p.Type, p.Subtype
	isMessage := p.IsMessage() && len(p.Parts) == 1
	if !isMessage && (typ == "MULTIPART" || typ == "MESSAGE" && (subtype == "RFC822" || subtype == "GLOBAL")) {
		// The grammar has no such thing without what is inside; package message
		// makes none.
		typ, subtype = "APPLICATION", "OCTET-STREAM"
	}
	b.raw("(")
	b.string(typ)
	b.raw(" ")
	b.string(subtype)
	b.raw(" ")
	b.params(p.Params)
	b.raw(" ")
	b.nstring(p.ID)
	b.raw(" ")
	b.nstring(p.Description)
	b.raw(" ")
	b.encoding(p.Encoding)
	b.raw(" ")
	b.number(p.Size())
	switch {
	case isMessage:
		b.message(p)
	case typ == "TEXT":
		b.raw(" ")
		b.number(p.Lines)
	}
	cut := b.begin(CutExtension)
	b.raw(" ")
	b.nstring(p.MD5)
	b.rest(p)
	b.end(cut)
	b.raw(")")
}

// multipart writes the parts without a space between them: the grammar has none
// (RFC 9051 9, body-type-mpart), and Outlook for iOS insists.
func (b *bodyWriter) multipart(p *message.Part) {
	b.raw("(")
	for _, child := range p.Parts {
		b.part(child)
	}
	b.raw(" ")
	b.string(p.Subtype)
	cut := b.begin(CutExtension)
	b.raw(" ")
	b.params(p.Params)
	b.rest(p)
	b.end(cut)
	b.raw(")")
}

// message writes what a message within the message adds.
func (b *bodyWriter) message(p *message.Part) {
	cut := -1
	if p.Subtype == "GLOBAL" {
		cut = b.begin(CutGlobal)
	}
	b.dst = AppendEnvelope(append(b.dst, ' '), p.Envelope)
	b.raw(" ")
	b.part(p.Parts[0])
	b.raw(" ")
	b.number(p.Lines)
	if cut >= 0 {
		b.end(cut)
	}
}

// encoding writes the transfer encoding in small letters, however the message has
// it: Outlook for iOS does not decode what is told in capitals.
func (b *bodyWriter) encoding(e string) {
	if e == "" {
		e = "7bit"
	}
	b.string(strings.ToLower(e))
}

func (b *bodyWriter) params(params []message.Param) {
	if len(params) == 0 {
		b.raw("NIL")
		return
	}
	for i, p := range params {
		if i == 0 {
			b.raw("(")
		} else {
			b.raw(" ")
		}
		b.string(p.Name)
		b.raw(" ")
		b.string(p.Value)
	}
	b.raw(")")
}

// rest writes the extension data that all parts have: disposition, language and
// location.
func (b *bodyWriter) rest(p *message.Part) {
	b.raw(" ")
	if p.Disposition.Type == "" {
		b.raw("NIL")
	} else {
		b.raw("(")
		b.string(p.Disposition.Type)
		b.raw(" ")
		b.params(p.Disposition.Params)
		b.raw(")")
	}
	b.raw(" ")
	switch len(p.Language) {
	case 0:
		b.raw("NIL")
	case 1:
		b.string(p.Language[0])
	default:
		for i, tag := range p.Language {
			if i == 0 {
				b.raw("(")
			} else {
				b.raw(" ")
			}
			b.string(tag)
		}
		b.raw(")")
	}
	b.raw(" ")
	b.nstring(p.Location)
}
