package message

import (
	"strings"
)

// ParseAddressList reads the value of an address field (RFC 5322 3.4 and its
// obsolete forms 4.4), unfolded, as far as MaxAddresses. It takes what can be
// taken from a list that is wrong. See the decisions, "Addresses".
func ParseAddressList(value string) []Address {
	list, _ := parseAddressList(value, MaxAddresses)
	return list
}

// word is a lexical token inside one element of the list.
type word struct {
	text  string
	kind  byte // 'w' for an atom or quoted string, '[' for a domain literal, '.', '@', ',' or ':'
	space bool // white space or a comment stood before it
}

// addressParser reads one list from left to right. Every byte is looked at once
// by the lexer, and once more when words become strings.
type addressParser struct {
	in      string
	space   bool   // before the token last read
	words   []word // of the element so far
	comment string // last comment of the element
	inGroup bool
	angle   int // index in out of the element's <address>, or -1

	out     []Address
	limit   int
	cut     bool // limit was met
	dropped bool // words of an element were dropped
}

// maxWords is the number of words kept of one element. The rest of it is
// dropped, so that a field of dots does not become a million words.
const maxWords = 4096

func (p *addressParser) addWord(w word) {
	if len(p.words) >= maxWords {
		p.dropped = true
		return
	}
	p.words = append(p.words, w)
}

// parseAddressList reads at most limit structures, and one more for the end of
// a group that the limit left open.
func parseAddressList(s string, limit int) (list []Address, cut bool) {
	if limit <= 0 {
		return nil, true
	}
	var small [8]word
	p := addressParser{in: s, limit: limit, angle: -1, words: small[:0]}
	for !p.cut {
		w := p.next()
		switch w.kind {
		case 0:
			p.endElement()
			p.endGroup()
			return p.out, p.cut || p.dropped
		case ',':
			p.endElement()
		case ';':
			// Outside a group a ";" is a comma that Outlook users write.
			p.endElement()
			p.endGroup()
		case ':':
			p.colon()
		case '<':
			p.angleAddress()
		case '>', ')':
		default:
			p.addWord(w)
		}
	}
	p.endGroup()
	return p.out, true
}

// next reads a token. Its kind is 0 at the end of the list.
func (p *addressParser) next() word {
	p.space = false
	for p.in != "" {
		switch c := p.in[0]; c {
		case ' ', '\t', '\r', '\n':
			p.in = p.in[1:]
			p.space = true
		case '(':
			n := commentEnd(p.in)
			if text := commentText(p.in[:n]); text != "" {
				p.comment = text
			}
			p.in = p.in[n:]
			p.space = true
		case '<', '>', ',', ';', ':', '@', '.', ')':
			w := word{text: p.in[:1], kind: c, space: p.space}
			p.in = p.in[1:]
			return w
		case '"':
			text, rest := quotedString(p.in)
			p.in = rest
			return word{text: text, kind: 'w', space: p.space}
		case '[':
			return p.domainLiteral()
		default:
			i := 1
			for i < len(p.in) && !isAddressSpecial(p.in[i]) {
				i++
			}
			w := word{text: p.in[:i], kind: 'w', space: p.space}
			p.in = p.in[i:]
			return w
		}
	}
	return word{}
}

func isAddressSpecial(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '(', ')', '<', '>', ',', ';', ':', '@', '.', '"', '[':
		return true
	}
	return false
}

// domainLiteral reads "[...]". Without its "]" the bracket is an atom, so that
// it cannot swallow the rest of the list.
func (p *addressParser) domainLiteral() word {
	i := strings.IndexAny(p.in[1:], "[]<>,") + 1
	w := word{kind: '[', space: p.space}
	if i == 0 || p.in[i] != ']' {
		i = 0
		w.kind = 'w'
	}
	w.text, p.in = p.in[:i+1], p.in[i+1:]
	return w
}

// commentText is what stands in a comment, quoting undone.
func commentText(s string) string {
	s = strings.TrimPrefix(s, "(")
	s = strings.TrimSuffix(s, ")")
	s = strings.Trim(s, " \t\r\n")
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (p *addressParser) emit(a Address) {
	if len(p.out) >= p.limit {
		p.cut = true
		return
	}
	p.out = append(p.out, a)
}

// colon begins a group. Groups do not nest (RFC 5322 3.4): a second name inside
// one is dropped, its members belong to the first.
func (p *addressParser) colon() {
	if p.angle >= 0 || lastAt(p.words) >= 0 {
		p.endElement() // a colon where a comma was meant
		return
	}
	if !p.inGroup && len(p.words) > 0 {
		p.emit(Address{Kind: GroupStart, Mailbox: phrase(p.words)})
		p.inGroup = true
	}
	p.words = p.words[:0]
	p.comment = ""
}

func (p *addressParser) endGroup() {
	if p.inGroup {
		p.out = append(p.out, Address{Kind: GroupEnd})
		p.inGroup = false
	}
}

// endElement takes what was read since the last comma.
func (p *addressParser) endElement() {
	defer func() {
		p.words, p.comment, p.angle = p.words[:0], "", -1
	}()
	if p.angle >= 0 {
		// Words behind an <address> mean nothing; a comment may be its name.
		if a := &p.out[p.angle]; a.Name == "" {
			a.Name = p.comment
		}
		return
	}
	if len(p.words) == 0 {
		return
	}
	at := lastAt(p.words)
	if at < 0 {
		a := Address{Name: p.comment}
		if start := dotAtomStart(p.words); start == 0 {
			a.Mailbox = phrase(p.words)
		} else {
			a.Name = phrase(p.words)
		}
		p.emit(a)
		return
	}
	start := dotAtomStart(p.words[:at])
	a := Address{
		Name:    phrase(p.words[:start]),
		Mailbox: concat(p.words[start:at]),
		Host:    concat(p.words[at+1 : at+1+dotAtomEnd(p.words[at+1:])]),
	}
	if a.Name == "" {
		a.Name = p.comment
	}
	p.emit(a)
}

// angleAddress reads the route and address after "<", up to ">".
func (p *addressParser) angleAddress() {
	a := Address{Name: phrase(p.words)}
	p.words = p.words[:0]
	route := false
	for done := false; !done; {
		before := p.in
		w := p.next()
		switch w.kind {
		case 0, '>':
			done = true
		case '<', ')':
		case ':':
			if route {
				a.ADL = concat(p.words)
				p.words, route = p.words[:0], false
				continue
			}
			p.addWord(w)
		case ',', ';':
			if route && w.kind == ',' {
				p.addWord(w)
				continue
			}
			p.in = before // ">" is missing
			done = true
		default:
			if w.kind == '@' && len(p.words) == 0 && a.ADL == "" {
				route = true
			}
			p.addWord(w)
		}
	}
	if at := lastAt(p.words); at >= 0 {
		a.Mailbox, a.Host = localPart(p.words[:at]), concat(p.words[at+1:])
	} else {
		a.Mailbox = localPart(p.words)
	}
	p.words = p.words[:0]
	p.emit(a)
	if !p.cut {
		p.angle = len(p.out) - 1
	}
}

func lastAt(words []word) int {
	for i := len(words) - 1; i >= 0; i-- {
		if words[i].kind == '@' {
			return i
		}
	}
	return -1
}

// glued tells whether b continues a's atom: a dot or "@" on either side, with
// white space or not (RFC 5322 4.4), or nothing between them.
func glued(a, b word) bool {
	return !b.space || a.kind == '.' || b.kind == '.' || a.kind == '@' || b.kind == '@'
}

// dotAtomStart is where the dot-atom begins that words end with.
func dotAtomStart(words []word) int {
	i := len(words)
	for i > 0 && (i == len(words) || glued(words[i-1], words[i])) {
		i--
	}
	return i
}

// dotAtomEnd is the length of the dot-atom that words begin with.
func dotAtomEnd(words []word) int {
	i := 0
	for i < len(words) && (i == 0 || glued(words[i-1], words[i])) {
		i++
	}
	return i
}

// concat joins words with nothing between them.
func concat(words []word) string {
	if len(words) == 1 {
		return words[0].text
	}
	n := 0
	for _, w := range words {
		n += len(w.text)
	}
	var b strings.Builder
	b.Grow(n)
	for _, w := range words {
		b.WriteString(w.text)
	}
	return b.String()
}

// phrase joins words with one space wherever there was white space.
func phrase(words []word) string {
	return join(words, func(_, b word) bool { return b.space })
}

// localPart joins the words before an "@". White space around dots means
// nothing (RFC 5322 4.4); other white space there is wrong, and kept.
func localPart(words []word) string {
	return join(words, func(a, b word) bool { return !glued(a, b) })
}

func join(words []word, apart func(a, b word) bool) string {
	if len(words) == 1 {
		return words[0].text
	}
	n := 0
	for _, w := range words {
		n += len(w.text) + 1
	}
	var b strings.Builder
	b.Grow(n)
	for i, w := range words {
		if i > 0 && apart(words[i-1], w) {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}
