package message

import (
	"strings"
)

// readContentFields takes over the MIME fields of the header just read.
func (p *Parser) readContentFields(part *Part, digest bool) {
	h := &p.header
	part.ID = h.value(fieldContentID)
	part.Description = h.value(fieldContentDescription)
	part.MD5 = h.value(fieldContentMD5)
	part.Location = withoutSpace(h.value(fieldContentLocation))
	part.Language = languageTags(h.value(fieldContentLanguage))
	part.Encoding = transferEncoding(h.value(fieldContentTransferEncoding))

	if v := h.value(fieldContentDisposition); v != "" {
		kind, rest := token(v)
		if kind != "" {
			part.Disposition = Disposition{Type: upper(kind), Params: p.readParams(rest)}
		}
	}
	if v := h.value(fieldContentType); v != "" {
		if t, sub, rest, ok := mediaType(v); ok {
			part.Type, part.Subtype, part.Params = t, sub, p.readParams(rest)
		}
	}
	if part.Type == "" {
		// RFC 2045 5.2, and RFC 2046 5.1.5 in a digest. A field that cannot be
		// read counts as absent.
		if digest {
			part.Type, part.Subtype = "MESSAGE", "RFC822"
		} else {
			part.Type, part.Subtype, part.Params = "TEXT", "PLAIN", usASCII()
		}
	}
	if h.cut {
		p.sum.Truncated = true
	}
}

func usASCII() []Param { return []Param{{Name: "CHARSET", Value: "US-ASCII"}} }

func (p *Parser) readParams(s string) []Param {
	list, cut := parseParams(s, min(MaxParams, MaxAllParams-p.params))
	p.params += len(list)
	if cut {
		p.sum.Truncated = true
	}
	return list
}

// ParseContentType reads the value of a Content-Type field (RFC 2045 5.1). Type
// and subtype come in upper case. It is not ok when there is no type/subtype to
// be read at the start; parameters never make it fail.
func ParseContentType(value string) (typ, subtype string, params []Param, ok bool) {
	typ, subtype, rest, ok := mediaType(value)
	if !ok {
		return "", "", nil, false
	}
	params, _ = parseParams(rest, MaxParams)
	return typ, subtype, params, true
}

func mediaType(s string) (typ, subtype, rest string, ok bool) {
	typ, s = token(s)
	s = skipCFWS(s)
	if typ == "" || s == "" || s[0] != '/' {
		return "", "", "", false
	}
	subtype, s = token(s[1:])
	if subtype == "" {
		return "", "", "", false
	}
	return upper(typ), upper(subtype), s, true
}

// token reads a token of RFC 2045 5.1 after white space and comments. It is
// empty if there is none.
func token(s string) (tok, rest string) {
	s = skipCFWS(s)
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

// skipCFWS removes white space and comments from the start of s. A comment that
// is not closed takes all of s.
func skipCFWS(s string) string {
	for s != "" {
		switch s[0] {
		case ' ', '\t', '\r', '\n':
			s = s[1:]
		case '(':
			s = s[commentEnd(s):]
		default:
			return s
		}
	}
	return s
}

// commentEnd is the length of the comment at the start of s, with the comments
// inside it. A backslash at the very end escapes nothing.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func transferEncoding(v string) string {
	v = skipCFWS(v)
	if i := strings.IndexAny(v, " \t\r\n(;"); i >= 0 {
		v = v[:i]
	}
	v = strings.Trim(v, `"`)
	if v == "" {
		return "7BIT" // RFC 2045 6.1
	}
	return upper(v)
}

func isIdentity(encoding string) bool {
	return encoding == "7BIT" || encoding == "8BIT" || encoding == "BINARY"
}

// languageTags reads a Content-Language field (RFC 3282): tags with commas
// between them.
func languageTags(v string) []string {
	var tags []string
	for v = skipCFWS(v); v != ""; v = skipCFWS(v) {
		if v[0] == ',' || v[0] == ';' {
			v = v[1:]
			continue
		}
		i := strings.IndexAny(v, ",; \t\r\n(")
		if i < 0 {
			i = len(v)
		}
		if len(tags) == MaxParams {
			break
		}
		tags = append(tags, v[:i])
		v = v[i:]
	}
	return tags
}

func withoutSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
}

// upper is strings.ToUpper for ASCII letters only, without an allocation for
// the words that mail is full of.
func upper(s string) string {
	for _, w := range [...]string{
		"TEXT", "PLAIN", "HTML", "MULTIPART", "ALTERNATIVE", "MIXED", "RELATED",
		"APPLICATION", "OCTET-STREAM", "PDF", "IMAGE", "JPEG", "PNG", "MESSAGE",
		"RFC822", "CHARSET", "NAME", "FILENAME", "BOUNDARY", "ATTACHMENT",
		"INLINE", "7BIT", "8BIT", "BASE64", "QUOTED-PRINTABLE", "SIZE", "FORMAT",
	} {
		if len(w) == len(s) && equalFoldASCII(w, s) {
			return w
		}
	}
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if toLower(a[i]) != toLower(b[i]) {
			return false
		}
	}
	return true
}
