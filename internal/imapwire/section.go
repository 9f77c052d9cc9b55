package imapwire

// SectionText is the end of a section specification that is no number
// (RFC 9051 9, section-text).
type SectionText uint8

// The section texts.
const (
	SectionWhole           SectionText = iota // nothing: the message or the part's body
	SectionHeader                             // HEADER
	SectionHeaderFields                       // HEADER.FIELDS
	SectionHeaderFieldsNot                    // HEADER.FIELDS.NOT
	SectionBody                               // TEXT
	SectionMIME                               // MIME
)

var sectionTexts = [...]string{"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"}

// MaxPartDepth bounds the numbers of a part's number: messages are not parsed
// deeper.
const MaxPartDepth = 100

// Section is what stands in the brackets of BODY[...] (RFC 9051 6.4.5.1).
type Section struct {
	Part   []uint32 // 1.2.3; empty is the message
	Text   SectionText
	Fields []string // of SectionHeaderFields and SectionHeaderFieldsNot, as the client wrote them
}

// section reads a section with its brackets.
func (r *Reader) section(s *Section) bool {
	if !r.ExpectChar('[') {
		return false
	}
	dot := false
	if !r.partNumber(&s.Part, &dot) {
		return false
	}
	if r.Char(']') {
		return !dot || r.wrong("the end of a section", "a dot before it")
	}
	if len(s.Part) > 0 && !dot {
		return r.expected(`"." or "]"`)
	}
	var w wordBuffer
	text := string(r.word(labelChar, &w))
	for i, name := range sectionTexts {
		if i > 0 && name == text {
			s.Text = SectionText(i)
		}
	}
	switch {
	case text == "":
		return r.expected("a section")
	case s.Text == SectionWhole, s.Text == SectionMIME && len(s.Part) == 0:
		return r.wrong("a section", "an unknown one")
	case s.Text == SectionHeaderFields || s.Text == SectionHeaderFieldsNot:
		ok := r.ExpectSP() && r.list("header fields", false, func() bool {
			s.Fields = append(s.Fields, "")
			return r.ExpectAString(&s.Fields[len(s.Fields)-1])
		})
		if !ok {
			return false
		}
	}
	return r.ExpectChar(']')
}

// partNumber reads 1.2.3; dot says that a dot was read behind it.
func (r *Reader) partNumber(part *[]uint32, dot *bool) bool {
	for {
		c := r.next()
		if c < '0' || c > '9' {
			return r.err == nil
		}
		var n uint32
		if !r.ExpectNZNumber(&n) {
			return false
		}
		if len(*part) == MaxPartDepth {
			return r.wrong("a part", "one that is nested too deep")
		}
		*part = append(*part, n)
		if *dot = r.Char('.'); !*dot {
			return r.err == nil
		}
	}
}

// append writes the section with its brackets, as FETCH answers it.
func (s *Section) append(dst []byte) []byte {
	dst = append(dst, '[')
	for i, n := range s.Part {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendUint(dst, uint64(n))
	}
	if s.Text != SectionWhole {
		if len(s.Part) > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, sectionTexts[s.Text]...)
	}
	if len(s.Fields) > 0 {
		dst = append(dst, " ("...)
		for i, f := range s.Fields {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendAString(dst, f)
		}
		dst = append(dst, ')')
	}
	return append(dst, ']')
}
