package message

import (
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
	return transform.NewReader(r, t)
}

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
