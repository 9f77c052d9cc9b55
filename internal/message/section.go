package message

import (
	"io"
)

// Specifier is the non-numeric end of a section specification (RFC 9051
// 6.4.5.1). HEADER.FIELDS and HEADER.FIELDS.NOT are Header with [FilterHeader]
// over it.
type Specifier uint8

const (
	// Whole is a section without specifier: the message, or a part's body.
	Whole Specifier = iota
	// Header is the RFC 5322 header of the message or an encapsulated one.
	Header
	// TextOnly is the body of the message or an encapsulated one (TEXT).
	TextOnly
	// MIME is the MIME header of a part.
	MIME
)

// Section is a range of the message's bytes.
type Section struct{ Offset, Length int64 }

// Reader reads the section's bytes from the message.
func (s Section) Reader(message io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(message, s.Offset, s.Length)
}

// Partial is the octets of s that <start.length> selects (RFC 9051 6.4.5): none
// if start lies beyond the end.
func (s Section) Partial(start, length int64) Section {
	start = max(0, min(start, s.Length))
	return Section{s.Offset + start, max(0, min(length, s.Length-start))}
}

// Part finds a part by its number path. The empty path is the whole message.
// The rules of RFC 9051 6.4.5.1: a message that is no multipart has one part, 1,
// which is its body; the parts of an encapsulated message are numbered below the
// part that holds it, by the same rule.
func (s *Summary) Part(path []uint32) (*Part, bool) {
	part := s.Root
	for i, n := range path {
		switch {
		case i == 0:
			part = numbered(s.Root, n)
		case part.IsMultipart():
			part = numbered(part, n)
		case part.IsMessage():
			part = numbered(part.Parts[0], n)
		default:
			return nil, false
		}
		if part == nil {
			return nil, false
		}
	}
	return part, true
}

// numbered is part n of the message whose root is given, or of a multipart.
func numbered(root *Part, n uint32) *Part {
	switch {
	case root.IsMultipart() && n >= 1 && int64(n) <= int64(len(root.Parts)):
		return root.Parts[n-1]
	case !root.IsMultipart() && n == 1:
		return root
	}
	return nil
}

// Section finds the bytes of BODY[path.specifier]. It is not ok if the message
// has no such part, or the specifier means nothing there: HEADER and TEXT behind
// numbers need an encapsulated message, MIME needs numbers.
func (s *Summary) Section(path []uint32, spec Specifier) (Section, bool) {
	part, ok := s.Part(path)
	if !ok {
		return Section{}, false
	}
	if len(path) == 0 && spec == Whole {
		return Section{0, s.Size}, true
	}
	if len(path) > 0 && (spec == Header || spec == TextOnly) {
		if !part.IsMessage() {
			return Section{}, false
		}
		part = part.Parts[0]
	}
	switch spec {
	case Whole, TextOnly:
		return Section{part.BodyStart, part.Size()}, true
	case MIME:
		if len(path) == 0 {
			return Section{}, false
		}
	}
	return Section{part.HeaderStart, part.HeaderSize()}, true
}

// Walk calls visit for every part, parents first, with the path that Part finds
// it by, until visit returns false. A multipart that is a whole message has no
// number of its own (RFC 9051 6.4.5.1): as the message's root it has the empty
// path, as the root of an encapsulated message the path of the part that holds
// it. A path is good during the call only.
func (s *Summary) Walk(visit func(path []uint32, part *Part) bool) {
	if s.Root.IsMultipart() {
		walk(nil, s.Root, visit)
		return
	}
	walk([]uint32{1}, s.Root, visit)
}

// walk descends no deeper than MaxDepth, which bounds the tree.
func walk(path []uint32, part *Part, visit func([]uint32, *Part) bool) bool {
	if !visit(path, part) {
		return false
	}
	path = path[:len(path):len(path)]
	for i, child := range part.Parts {
		at := append(path, uint32(i+1))
		if part.IsMessage() && child.IsMultipart() {
			at = path // its parts are numbered below the message's own number
		}
		if !walk(at, child, visit) {
			return false
		}
	}
	return true
}
