package imapwire

import (
	"strings"
	"unicode/utf8"
)

// maxQuoted is the longest string that is written in quotes: some clients read
// lines into buffers, and no line should be long without need.
const maxQuoted = 1024

// AppendString writes text as a string: in quotes if it can stand there, as a
// literal otherwise. Octets above 0x7f may stand in quotes only if inUTF8 says
// that the client has enabled that (RFC 9755 3, RFC 9051 4.3); as a literal every
// client reads them. NUL, which no string can hold, becomes U+FFFD.
func AppendString(dst []byte, text string, inUTF8 bool) []byte {
	if canQuote(text, inUTF8) {
		return appendQuoted(dst, text)
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	dst = AppendLiteralHeader(dst, int64(len(text)))
	return append(dst, text...)
}

// AppendNString writes text as a string, or NIL if it is absent.
func AppendNString(dst []byte, text string, present, inUTF8 bool) []byte {
	if !present {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, text, inUTF8)
}

// AppendAString writes text as an atom if it can be one, as a string otherwise.
// NIL is written in quotes: an atom of that name is easily taken for nothing.
func AppendAString(dst []byte, text string) []byte {
	if len(text) == 0 || len(text) > maxQuoted || strings.EqualFold(text, "NIL") {
		return AppendString(dst, text, false)
	}
	for i := range len(text) {
		if classes[text[i]]&astringChar == 0 {
			return AppendString(dst, text, false)
		}
	}
	return append(dst, text...)
}

// AppendLiteralHeader writes what stands before a literal of size octets.
func AppendLiteralHeader(dst []byte, size int64) []byte {
	dst = append(dst, '{')
	dst = appendUint(dst, uint64(size))
	return append(dst, "}\r\n"...)
}

// canQuote reports whether text can stand in quotes. The grammar allows control
// characters there; they are kept out all the same, for the sake of terminals and
// of clients that take them for a broken line.
func canQuote(text string, inUTF8 bool) bool {
	if len(text) > maxQuoted {
		return false
	}
	eightBit := false
	for i := range len(text) {
		c := text[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
		eightBit = eightBit || c >= utf8.RuneSelf
	}
	return !eightBit || inUTF8 && utf8.ValidString(text)
}

// appendQuoted writes text in quotes.
func appendQuoted(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		if c := text[i]; c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

// appendText writes text for people (RFC 9051 9, text): what is not printable
// ASCII becomes "?", and it does not begin like a response code.
func appendText(dst []byte, text string) []byte {
	for i, c := range text {
		switch {
		case c < ' ' || c >= 0x7f:
			dst = append(dst, '?')
		case i == 0 && c == '[':
			dst = append(dst, '(')
		default:
			dst = append(dst, byte(c))
		}
	}
	return dst
}
