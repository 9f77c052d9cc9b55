package message

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Param is one parameter of a Content-Type or Content-Disposition field, RFC
// 2231 continuations joined and charsets decoded.
type Param struct {
	// Name is upper-case and without the "*" of RFC 2231.
	Name string
	// Value is the value. If Encoded is set it is UTF-8; otherwise it is what
	// the header holds, 8-bit bytes and encoded words included.
	Value string
	// Encoded is, for a value that came in the extended form of RFC 2231 (with
	// a charset), the joined value still in that form, all ASCII:
	// "utf-8''na%C3%AFve.pdf". It is what can be shown, under the name
	// Name+"*", to a client that is not ready for UTF-8. Empty otherwise.
	Encoded string
}

// ParseParams reads the parameters that follow the first word of a Content-Type
// or Content-Disposition value, beginning at the ";" (RFC 2045 5.1, RFC 2231).
// It reads at most MaxParams.
func ParseParams(s string) []Param {
	list, _ := parseParams(s, MaxParams)
	return list
}

func findParam(params []Param, name string) string {
	for _, p := range params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// segment is one attribute=value pair as it stands in the header.
type segment struct {
	name     string // upper-case, without section and "*"
	section  int    // number after "*", or -1
	extended bool   // name ended in "*": value is percent-encoded
	raw      string // the attribute as written, for a segment that joins nothing
	value    string
}

// parseParams is ParseParams for at most limit segments; cut tells that there
// were more.
func parseParams(s string, limit int) (list []Param, cut bool) {
	var small [8]segment
	segments, cut := splitParams(small[:0], s, limit)
	if len(segments) == 0 {
		return nil, cut
	}
	plain := true
	for i := range segments {
		if segments[i].section >= 0 || segments[i].extended {
			plain = false
		}
	}
	if plain && len(segments) <= len(small) {
		list = make([]Param, 0, len(segments))
		for _, g := range segments {
			if findParamIndex(list, g.name) < 0 {
				list = append(list, Param{Name: g.name, Value: g.value})
			}
		}
		return list, cut
	}
	return joinSegments(segments), cut
}

func findParamIndex(list []Param, name string) int {
	return slices.IndexFunc(list, func(p Param) bool { return p.Name == name })
}

// splitParams reads attribute=value pairs. What is no such pair is skipped up to
// the next ";".
func splitParams(segments []segment, s string, limit int) (_ []segment, cut bool) {
	for {
		s = skipCFWS(s)
		if s == "" {
			return segments, false
		}
		if s[0] == ';' {
			s = s[1:]
			continue
		}
		name, rest := paramName(s)
		rest = skipCFWS(rest)
		if name == "" || rest == "" || rest[0] != '=' {
			// From rest, not from s: a comment is read over once only.
			i := strings.IndexByte(rest, ';')
			if i < 0 {
				return segments, false
			}
			s = rest[i:]
			continue
		}
		if len(segments) >= limit {
			return segments, true
		}
		g := newSegment(name)
		g.value, s = paramValue(rest[1:])
		segments = append(segments, g)
	}
}

func paramName(s string) (name, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// paramValue reads a quoted string, or a value up to the next ";" or comment.
// Unquoted values are taken more freely than RFC 2045 has them: names with
// spaces, slashes and the like are common without quotes.
func paramValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if s != "" && s[0] == '(' {
		s = skipCFWS(s)
	}
	if s != "" && s[0] == '"' {
		return quotedString(s)
	}
	i := 0
	for i < len(s) && s[i] != ';' {
		if s[i] == '(' && i > 0 && (s[i-1] == ' ' || s[i-1] == '\t') {
			break
		}
		i++
	}
	return strings.TrimRight(s[:i], " \t\r\n"), s[i:]
}

// quotedString reads the quoted string s begins with and undoes its quoting. One
// that is not closed goes on to the end.
func quotedString(s string) (value, rest string) {
	end := 1
	escaped := false
	for end < len(s) && s[end] != '"' {
		if s[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	end = min(end, len(s))
	value, rest = s[1:end], s[min(end+1, len(s)):]
	if !escaped {
		return value, rest
	}
	var b strings.Builder
	b.Grow(len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b.WriteByte(value[i])
	}
	return b.String(), rest
}

// newSegment splits attribute["*" section]["*"]. A section has no leading zeros
// and at most four digits, for there are never more segments than that; any
// other is part of the name.
func newSegment(attribute string) segment {
	g := segment{raw: attribute, section: -1}
	name := attribute
	if len(name) > 1 && strings.HasSuffix(name, "*") {
		g.extended = true
		name = name[:len(name)-1]
	}
	if i := strings.LastIndexByte(name, '*'); i > 0 {
		digits := name[i+1:]
		n, err := strconv.ParseUint(digits, 10, 16)
		if err == nil && len(digits) <= 4 && (digits == "0" || digits[0] != '0') {
			g.section = int(n)
			name = name[:i]
		}
	}
	g.name = upper(name)
	return g
}

// joinSegments makes parameters of segments, in the order in which their names
// first appear. Of several forms of one name, those with a charset go before
// those without, and one in one piece before one in segments.
func joinSegments(segments []segment) []Param {
	order := make([]string, 0, len(segments))
	byName := make(map[string][]segment, len(segments))
	for _, g := range segments {
		if _, seen := byName[g.name]; !seen {
			order = append(order, g.name)
		}
		byName[g.name] = append(byName[g.name], g)
	}
	list := make([]Param, 0, len(order))
	for _, name := range order {
		list = appendJoined(list, byName[name])
	}
	return list
}

// appendJoined appends the parameter that segments of one name make.
func appendJoined(list []Param, all []segment) []Param {
	var plain, extended *segment
	var numbered []segment
	for i := range all {
		switch g := &all[i]; {
		case g.section >= 0:
			numbered = append(numbered, *g)
		case g.extended && extended == nil:
			extended = g
		case !g.extended && plain == nil:
			plain = g
		}
	}
	slices.SortStableFunc(numbered, func(a, b segment) int { return cmp.Compare(a.section, b.section) })
	run := contiguous(numbered)
	switch {
	case extended != nil:
		return append(list, decodeExtended([]segment{*extended}))
	case len(run) > 0 && run[0].extended:
		return append(list, decodeExtended(run))
	case plain != nil:
		return append(list, Param{Name: plain.name, Value: plain.value})
	case len(run) > 0:
		return append(list, decodeExtended(run))
	default:
		// Without segment 0 nothing can be joined: shown as they are.
		for _, g := range numbered {
			list = append(list, Param{Name: upper(g.raw), Value: g.value})
		}
		return list
	}
}

// contiguous is the run 0, 1, 2, ... at the start of sorted segments, without
// duplicates. A gap ends it: what follows cannot be put in its place.
func contiguous(sorted []segment) []segment {
	run := sorted[:0:0]
	for _, g := range sorted {
		switch {
		case g.section == len(run):
			run = append(run, g)
		case g.section > len(run):
			return run
		}
	}
	return run
}

// decodeExtended joins the segments of one parameter. The first, if extended,
// begins with charset'language'.
func decodeExtended(run []segment) Param {
	p := Param{Name: run[0].name}
	charset, language := "", ""
	var raw []byte
	for i, g := range run {
		v := g.value
		if i == 0 && g.extended {
			if c, rest, ok := strings.Cut(v, "'"); ok {
				if l, rest, ok := strings.Cut(rest, "'"); ok {
					charset, language, v = c, l, rest
				}
			}
		}
		if g.extended {
			raw = appendUnescaped(raw, v)
		} else {
			raw = append(raw, v...)
		}
	}
	if !run[0].extended {
		p.Value = string(raw)
		return p
	}
	if charset == "" || !isAttribute(charset) {
		charset = "us-ascii" // RFC 2231 4: left empty, it is not known
	}
	if !isAttribute(language) {
		language = ""
	}
	value, ok := DecodeCharset(charset, raw)
	if !ok {
		value = decodeUndeclared(raw)
	}
	p.Value = strings.ReplaceAll(value, "\x00", "\uFFFD")
	p.Encoded = encodeExtended(charset, language, raw)
	return p
}

// appendUnescaped undoes %XX. What is no such triplet stays as it is.
func appendUnescaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, ok := unhex(s[i+1], s[i+2]); ok {
				dst = append(dst, c)
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

func unhex(hi, lo byte) (byte, bool) {
	h, l := hexValue(hi), hexValue(lo)
	return h<<4 | l&0xf, h < 16 && l < 16
}

func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// isAttribute tells whether s consists of attribute-chars (RFC 2231 7).
func isAttribute(s string) bool {
	for i := range len(s) {
		if !isAttributeByte(s[i]) {
			return false
		}
	}
	return true
}

func isAttributeByte(c byte) bool {
	return isTokenByte(c) && c != '*' && c != '\'' && c != '%'
}

// encodeExtended writes an extended-initial-value (RFC 2231 7). The charset and
// language consist of attribute-chars.
func encodeExtended(charset, language string, raw []byte) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(charset + "'" + language + "'")
	for _, c := range raw {
		if isAttributeByte(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&0xf]})
	}
	return b.String()
}
