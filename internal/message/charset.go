package message

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// KnownCharset tells whether DecodeCharset can decode a charset of this name, in
// any case. It is what decides about BADCHARSET.
func KnownCharset(name string) bool {
	_, ok := charsetDecoder(name)
	return ok
}

// DecodeCharset turns b, which is in the named charset, into UTF-8. Bytes that
// are wrong in the charset become U+FFFD; it is not ok only when the charset is
// not known.
//
// Two charsets are read as what senders mean by them: ISO-8859-1 as
// windows-1252, as browsers do, and US-ASCII, which holds no 8-bit bytes, as
// UTF-8 where it is that and windows-1252 elsewhere.
func DecodeCharset(name string, b []byte) (string, bool) {
	t, ok := charsetDecoder(name)
	if !ok {
		return "", false
	}
	if _, isUndeclared := t.(undeclared); isUndeclared && utf8.Valid(b) {
		return string(b), true
	}
	out, _, err := transform.Bytes(t, b)
	if err != nil {
		// Decoders replace what they cannot read; one that gives up instead
		// has said all it can.
		return strings.ToValidUTF8(string(out), "\uFFFD") + "\uFFFD", true
	}
	return string(out), true
}

// decodeUndeclared reads bytes of which nobody says what charset they are in.
func decodeUndeclared(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out, _, err := transform.Bytes(undeclared{}, b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}

// charsetReader is r turned into UTF-8. A charset that is not known is read as
// undeclared text, so that its ASCII at least is found.
func charsetReader(name string, r io.Reader) io.Reader {
	t, ok := charsetDecoder(name)
	if !ok {
		t = undeclared{}
	}
	if isUTF8(name, t) {
		return &utf8Reader{r: r, t: t}
	}
	return transform.NewReader(r, t)
}

// isUTF8 reports whether a decoder leaves UTF-8 as it is.
func isUTF8(name string, t transform.Transformer) bool {
	if _, ok := t.(undeclared); ok {
		return true
	}
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	return name == "utf-8" || name == "utf8"
}

// utf8Reader passes on what is UTF-8 already, which most text is, and leaves the rest to
// a transformer, from the first byte on that is wrong.
type utf8Reader struct {
	r    io.Reader
	t    transform.Transformer
	rest []byte    // the beginning of a character
	slow io.Reader // not nil: everything comes from here
}

// leastRead is the shortest buffer for which it is worth it.
const leastRead = 64

func (u *utf8Reader) Read(b []byte) (int, error) {
	if u.slow == nil && len(b) < leastRead {
		u.slow = transform.NewReader(io.MultiReader(bytes.NewReader(u.rest), u.r), u.t)
	}
	for u.slow == nil {
		k := copy(b, u.rest)
		n, err := u.r.Read(b[k:])
		got := b[:k+n]
		whole := got
		if err == nil { // what a character has so far waits for the rest of it
			whole = got[:len(got)-partial(got)]
		}
		if !utf8.Valid(whole) {
			after := u.r
			if err != nil {
				after = failing{err}
			}
			u.slow = transform.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(got)), after), u.t)
			break
		}
		u.rest = append(u.rest[:0], got[len(whole):]...)
		if len(whole) > 0 || err != nil {
			return len(whole), err
		}
	}
	return u.slow.Read(b)
}

// partial is the length of the character that b ends within, 0 if it does not.
func partial(b []byte) int {
	for k := 1; k <= min(len(b), utf8.UTFMax-1); k++ {
		if c := b[len(b)-k]; utf8.RuneStart(c) {
			if utf8.FullRune(b[len(b)-k:]) {
				return 0
			}
			return k
		}
	}
	return 0
}

// failing is a reader that gives an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// charsetDecoder finds the decoder of a charset. The empty name, that of a text
// part without charset parameter, is US-ASCII (RFC 2046 4.1.2).
func charsetDecoder(name string) (transform.Transformer, bool) {
	name = strings.Trim(name, " \t\"'")
	if name == "" {
		return undeclared{}, true
	}
	if len(name) > 64 {
		return nil, false
	}
	switch strings.ToLower(name) {
	case "us-ascii", "ascii", "ansi_x3.4-1968":
		return undeclared{}, true
	case "utf-8", "utf8":
		return unicode.UTF8.NewDecoder(), true
	case "utf-7", "unicode-1-1-utf-7":
		return &utf7Decoder{}, true
	case "utf-16":
		// RFC 2781 4.3: big-endian if there is no byte order mark.
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder(), true
	case "utf-32":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM).NewDecoder(), true
	case "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM).NewDecoder(), true
	case "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM).NewDecoder(), true
	}
	// The names of the WHATWG first: they are those of mail in the world, with
	// its leniencies. It replaces some charsets by an error; IANA's names and
	// all of x/text come second.
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e.NewDecoder(), true
	}
	for _, index := range []*ianaindex.Index{ianaindex.MIME, ianaindex.IANA} {
		if e, err := index.Encoding(name); err == nil && e != nil {
			return e.NewDecoder(), true
		}
	}
	return nil, false
}

// undeclared passes valid UTF-8 and reads each other byte as windows-1252.
type undeclared struct{ transform.NopResetter }

var _ transform.Transformer = undeclared{}

func (undeclared) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if c := src[nSrc]; c < utf8.RuneSelf {
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			dst[nDst] = c
			nDst++
			nSrc++
			continue
		}
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && size == 1 {
			r = charmap.Windows1252.DecodeByte(src[nSrc])
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}
