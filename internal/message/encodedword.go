package message

import (
	"strings"
	"unicode/utf8"
)

// DecodeHeader turns the raw value of a header field, unfolded, into UTF-8 by
// decoding its encoded words (RFC 2047) once. It is for searching, sorting and
// display; ENVELOPE carries the raw value.
//
// White space between two encoded words vanishes, and neighbours in the same
// charset are joined before that is decoded, because senders split characters
// between them. A word that is broken, or in a charset that is not known, stays
// as it is. Bytes outside words that are not UTF-8 are read as windows-1252.
// CR, LF and NUL that come out of a word become spaces.
func DecodeHeader(raw string) string {
	if !strings.Contains(raw, "=?") {
		return plainText(raw)
	}
	d := wordDecoder{raw: raw, end: -1}
	d.out.Grow(len(raw))
	d.run()
	return d.out.String()
}

// plainText is text outside encoded words, in UTF-8.
func plainText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return decodeUndeclared([]byte(s))
}

// encodedWord is where a word stands in the raw text, and what is in it.
type encodedWord struct {
	start, end int // from "=?" to after "?="
	charset    string
	encoding   byte // 'B' or 'Q'
	text       string
}

// wordDecoder goes over raw once. Words wait in pending until it is known that
// the next one is not to be joined with them.
type wordDecoder struct {
	raw string
	end int // a "?=" that was found, the first after what wordAt looked at last
	out strings.Builder

	waits   bool   // there are words that wait
	charset string // of the words that wait
	pending []byte // their bytes
}

func (d *wordDecoder) run() {
	done := 0 // raw[:done] is written or waits
	for i := 0; ; {
		next := strings.Index(d.raw[i:], "=?")
		if next < 0 {
			break
		}
		i += next
		w, ok := d.wordAt(i)
		if !ok {
			i += 2
			continue
		}
		between := d.raw[done:w.start]
		joins := d.waits && isFoldingSpace(between)
		switch {
		case joins && strings.EqualFold(w.charset, d.charset):
			// The same character may go on in this word.
		case joins:
			d.flush()
		default:
			d.flush()
			d.out.WriteString(plainText(between))
		}
		if !d.waits {
			d.waits, d.charset = true, w.charset
		}
		d.pending = appendWord(d.pending, w)
		i, done = w.end, w.end
	}
	d.flush()
	d.out.WriteString(plainText(d.raw[done:]))
}

// flush writes the words that wait. Their charset is known.
func (d *wordDecoder) flush() {
	if !d.waits {
		return
	}
	text, _ := DecodeCharset(d.charset, d.pending)
	d.out.WriteString(lineBreaksToSpaces.Replace(text))
	d.waits, d.pending = false, d.pending[:0]
}

// lineBreaksToSpaces keeps a decoded word from becoming two lines of anything.
var lineBreaksToSpaces = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\x00", " ")

// wordAt reads the encoded word at offset i, where "=?" stands. White space and
// "?" in the text, which RFC 2047 2 forbids, are taken; the length is not
// limited to 75.
func (d *wordDecoder) wordAt(i int) (w encodedWord, ok bool) {
	const maxCharset = 80
	rest := d.raw[i+2:]
	q := strings.IndexByte(rest[:min(len(rest), maxCharset)], '?')
	if q <= 0 || len(rest) < q+3 || rest[q+2] != '?' {
		return w, false
	}
	w.charset, _, _ = strings.Cut(rest[:q], "*") // RFC 2231 5: charset*language
	switch rest[q+1] {
	case 'b', 'B':
		w.encoding = 'B'
	case 'q', 'Q':
		w.encoding = 'Q'
	default:
		return w, false
	}
	if w.charset == "" || strings.ContainsAny(w.charset, " \t\"()<>@,;:/[]=") {
		return w, false
	}
	start := i + 2 + q + 3
	if d.end < start {
		// Looked for once: many beginnings before one end, or none, stay linear.
		n := strings.Index(d.raw[start:], "?=")
		if n < 0 {
			n = len(d.raw)
		}
		d.end = start + n
	}
	if d.end >= len(d.raw) {
		return w, false
	}
	w.text = d.raw[start:d.end]
	if strings.Contains(w.text, "=?") {
		return w, false // this one has no end; a later one does
	}
	if !(d.waits && strings.EqualFold(w.charset, d.charset)) && !KnownCharset(w.charset) {
		return w, false
	}
	w.start, w.end = i, d.end+2
	return w, true
}

func isFoldingSpace(s string) bool {
	return strings.Trim(s, " \t\r\n") == ""
}

// appendWord undoes the encoding of a word.
func appendWord(dst []byte, w encodedWord) []byte {
	if w.encoding == 'B' {
		var b base64Decoder
		for i := range len(w.text) {
			dst = b.append(dst, w.text[i])
		}
		return b.flush(dst)
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(w.text):
			if v, ok := unhex(w.text[i+1], w.text[i+2]); ok {
				c = v
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}
