package imapwire

import (
	"unicode/utf8"
)

// class is a set of classes of octets that tokens are made of (RFC 9051 9).
type class uint8

const (
	atomChar    class = 1 << iota // ATOM-CHAR
	astringChar                   // ASTRING-CHAR: ATOM-CHAR and "]"
	listChar                      // list-char: ASTRING-CHAR and the wildcards
	tagChar                       // ASTRING-CHAR without "+"
	labelChar                     // tagged-label-char, which names of items and keys are made of too
	digitChar                     // DIGIT
	setChar                       // what a sequence set is made of
	valueChar                     // a bare value of an extension's parameter
)

// classes is a table that is never changed: which classes an octet is in.
var classes = func() (t [256]class) {
	for c := range 256 {
		t[c] = classify(byte(c))
	}
	return t
}()

func classify(c byte) class {
	if c <= ' ' || c >= 0x7f || c == '(' || c == ')' || c == '{' || c == '"' {
		return 0
	}
	out := valueChar
	switch c {
	case '\\':
		return out
	case '%':
		return out | listChar
	case '*':
		return out | listChar | setChar
	case ']':
		return out | astringChar | listChar | tagChar
	}
	out |= atomChar | astringChar | listChar
	if c != '+' {
		out |= tagChar
	}
	switch {
	case c >= '0' && c <= '9':
		out |= digitChar | labelChar | setChar
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_', c == '.':
		out |= labelChar
	case c == ':':
		out |= labelChar | setChar
	case c == ',', c == '$':
		out |= setChar
	}
	return out
}

// next gives the octet that is next, 0 if there is an error. No production
// begins with 0.
func (r *Reader) next() byte {
	if r.err != nil || r.broken || r.ended {
		return 0
	}
	c, _ := r.peek()
	return c
}

// span reads octets of a class as far as they go. What it gives is good until
// the next octet is looked at; nothing was of the class, or the connection
// failed, if it is empty.
func (r *Reader) span(k class) []byte {
	if r.next() == 0 {
		return nil
	}
	start := r.pos
	for r.pos < len(r.buf) && classes[r.buf[r.pos]]&k != 0 {
		r.pos++
	}
	if r.pos < len(r.buf) {
		return r.buf[start:r.pos]
	}
	r.scratch = append(r.scratch[:0], r.buf[start:r.pos]...)
	for {
		c, ok := r.peek()
		if !ok {
			return nil
		}
		if classes[c]&k == 0 {
			return r.scratch
		}
		r.scratch = append(r.scratch, c)
		r.pos++
	}
}

// word reads octets of a class as far as they go, in capitals, as the grammar
// compares its words. What it gives is good until the next word is read; it is
// empty if there is no word.
func (r *Reader) word(k class, dst *wordBuffer) []byte {
	return dst.set(r.span(k))
}

// wordBuffer holds a word in capitals. No word of the grammar is longer.
type wordBuffer [48]byte

func (w *wordBuffer) set(word []byte) []byte {
	if len(word) > len(w) {
		word = word[:len(w)] // equal to no word of the grammar all the same
	}
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		w[i] = c
	}
	return w[:len(word)]
}

// Char reads the octet c.
func (r *Reader) Char(c byte) bool {
	if r.next() != c || c == 0 {
		return false
	}
	r.pos++
	return true
}

// ExpectChar demands the octet c.
func (r *Reader) ExpectChar(c byte) bool {
	return r.Char(c) || r.expected(describe(c))
}

// SP reads exactly one space: the grammar knows no other (RFC 9051 9).
func (r *Reader) SP() bool { return r.Char(' ') }

// ExpectSP demands a space.
func (r *Reader) ExpectSP() bool { return r.SP() || r.expected("a space") }

// CRLF reads the end of the line, with which the command is over. A bare LF is
// taken for CRLF, as Dovecot does: no line can hold one, so nothing else can be
// meant, and people type at openssl s_client. A bare CR is not.
func (r *Reader) CRLF() bool {
	switch r.next() {
	case '\n':
	case '\r':
		r.pos++
		if c, ok := r.peek(); !ok || c != '\n' {
			return r.wrong("the end of the line", "a bare CR")
		}
	default:
		return false
	}
	r.pos++
	r.ended = true
	r.release()
	return true
}

// ExpectCRLF demands the end of the line.
func (r *Reader) ExpectCRLF() bool { return r.CRLF() || r.expected("the end of the line") }

// Atom reads an atom.
func (r *Reader) Atom(dst *string) bool { return r.token(atomChar, dst) }

// ExpectAtom demands an atom.
func (r *Reader) ExpectAtom(dst *string) bool { return r.Atom(dst) || r.expected("an atom") }

func (r *Reader) token(k class, dst *string) bool {
	tok := r.span(k)
	if len(tok) == 0 {
		return false
	}
	*dst = string(tok)
	return true
}

// String reads a quoted string or a literal. Octets above 0x7f are valid UTF-8
// in a quoted string and may be anything in a literal.
func (r *Reader) String(dst *string) bool {
	var b []byte
	if !r.stringBytes(&b) {
		return false
	}
	*dst = string(b)
	return true
}

// ExpectString demands a quoted string or a literal.
func (r *Reader) ExpectString(dst *string) bool { return r.String(dst) || r.expected("a string") }

// AString reads an astring: an atom that may hold "]", a quoted string or a
// literal.
func (r *Reader) AString(dst *string) bool {
	return r.token(astringChar, dst) || r.String(dst)
}

// ExpectAString demands an astring.
func (r *Reader) ExpectAString(dst *string) bool {
	return r.AString(dst) || r.expected("a string or an atom")
}

// NString reads a string or NIL; isNil says which.
func (r *Reader) NString(dst *string, isNil *bool) bool {
	*isNil = false
	if r.String(dst) {
		return true
	}
	if c := r.next(); c != 'N' && c != 'n' {
		return false
	}
	var w wordBuffer
	if string(r.word(atomChar, &w)) != "NIL" {
		return r.wrong("a string or NIL", "an atom")
	}
	*dst, *isNil = "", true
	return true
}

// ExpectNString demands a string or NIL.
func (r *Reader) ExpectNString(dst *string, isNil *bool) bool {
	return r.NString(dst, isNil) || r.expected("a string or NIL")
}

// stringBytes reads a string into memory that is good until the next octet is
// looked at.
func (r *Reader) stringBytes(dst *[]byte) bool {
	switch r.next() {
	case '"':
		return r.quoted(dst)
	case '{':
		return r.memoryLiteral(dst)
	}
	return false
}

// astringBytes is stringBytes for an astring, with the atom's octets of class k.
func (r *Reader) astringBytes(k class, dst *[]byte) bool {
	if tok := r.span(k); len(tok) > 0 {
		*dst = tok
		return true
	}
	return r.stringBytes(dst)
}

// quoted reads a quoted string. A backslash stands before a quote or a backslash
// and before nothing else: a client that sends "DOMAIN\user" is told so here
// rather than that its password is wrong.
func (r *Reader) quoted(dst *[]byte) bool {
	r.pos++
	r.scratch = r.scratch[:0]
	for {
		c, ok := r.peek()
		if !ok {
			return false
		}
		switch c {
		case '"':
			r.pos++
			if !utf8.Valid(r.scratch) { // RFC 9755 3, RFC 9051 9 uQUOTED-CHAR
				return r.wrong("UTF-8 in a quoted string", "other octets")
			}
			*dst = r.scratch
			return true
		case '\\':
			r.pos++
			if c, ok = r.peek(); !ok {
				return false
			}
			if c != '"' && c != '\\' {
				return r.expected(`" or \ behind a backslash`)
			}
		case 0, '\r', '\n':
			for _, c := range r.scratch {
				r.scan.next(c) // the line may still end like a literal's header: see drain
			}
			return r.expected("the end of a quoted string")
		}
		r.scratch = append(r.scratch, c)
		r.pos++
	}
}

// Number reads an unsigned 32-bit number.
func (r *Reader) Number(dst *uint32) bool {
	var n uint64
	if !r.number(1<<32-1, &n) {
		return false
	}
	*dst = uint32(n)
	return true
}

// ExpectNumber demands an unsigned 32-bit number.
func (r *Reader) ExpectNumber(dst *uint32) bool { return r.Number(dst) || r.expected("a number") }

// ExpectNZNumber demands an unsigned 32-bit number that is not zero and has no
// leading zero.
func (r *Reader) ExpectNZNumber(dst *uint32) bool {
	if r.next() == '0' {
		return r.expected("a number above zero")
	}
	return r.Number(dst) || r.expected("a number above zero")
}

// Number64 reads an unsigned 63-bit number (RFC 9051 9, number64).
func (r *Reader) Number64(dst *uint64) bool { return r.number(1<<63-1, dst) }

// ExpectNumber64 demands an unsigned 63-bit number.
func (r *Reader) ExpectNumber64(dst *uint64) bool { return r.Number64(dst) || r.expected("a number") }

func (r *Reader) number(most uint64, dst *uint64) bool {
	digits := r.span(digitChar)
	if len(digits) == 0 {
		return false
	}
	n, ok := parseNumber(digits, most)
	if !ok {
		return r.wrong("a number", "one that is too large")
	}
	*dst = n
	return true
}

// parseNumber reads digits as a number that is at most most.
func parseNumber(digits []byte, most uint64) (n uint64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (most-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(digits) > 0
}

// open reads the parenthesis that begins a list.
func (r *Reader) open() bool {
	if !r.Char('(') {
		return false
	}
	return r.enter()
}

func (r *Reader) expectOpen(what string) bool {
	return r.open() || r.expected(what)
}

// shut reads the parenthesis that ends a list.
func (r *Reader) shut() bool {
	if !r.Char(')') {
		return false
	}
	r.depth--
	return true
}

// enter goes one level deeper, into parentheses or a search key's own keys.
func (r *Reader) enter() bool {
	if r.depth++; r.depth > r.Limits.Depth {
		return r.wrong("less nesting", "more than the server allows")
	}
	return true
}

// item counts one element of a list.
func (r *Reader) item() bool {
	if r.items++; r.items > r.Limits.Items {
		return r.wrong("fewer items", "more than the server allows")
	}
	return r.err == nil
}

// list reads a parenthesised list whose elements each reads. what names an
// element, for errors; none says whether the list may be empty.
func (r *Reader) list(what string, none bool, each func() bool) bool {
	if !r.expectOpen(`"(" before ` + what) {
		return false
	}
	if none && r.shut() {
		return true
	}
	return r.rest(each)
}

// rest reads the elements of a list whose parenthesis is open, and the one that
// ends it.
func (r *Reader) rest(each func() bool) bool {
	for {
		if !r.item() || !each() {
			return false
		}
		if r.shut() {
			return true
		}
		if !r.SP() {
			return r.expected(`a space or ")"`)
		}
	}
}
