package imapwire

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

// mutf7Base64 is the alphabet of modified UTF-7: that of base64 with "," for "/"
// and without padding (RFC 3501 5.1.3). It is never changed.
var mutf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

// DecodeMUTF7 turns modified UTF-7 into UTF-8. It is strict: there is one way to
// write a name, and what else there is is no name. So a printable ASCII
// character in base64 ("&AGE-"), a shift where none is needed ("&Jjo-&Jjo-"), a
// shift that is not closed, half a surrogate pair and bits left over are all
// refused (RFC 3501 5.1.3). A name that could be written in two ways would be two
// names to the client and one to the server.
func DecodeMUTF7(text []byte) (string, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		c := text[i]
		if c < ' ' || c >= 0x7f {
			return "", false
		}
		i++
		if c != '&' {
			out = append(out, c)
			continue
		}
		end := i
		for end < len(text) && text[end] > ' ' && text[end] != '-' {
			end++
		}
		if end == len(text) || text[end] != '-' { // package base64 would skip a line end
			return "", false
		}
		if end == i {
			out = append(out, '&')
		} else {
			var ok bool
			if out, ok = appendShifted(out, text[i:end]); !ok {
				return "", false
			}
			// "-&" between two shifts is superfluous, unless it is "-&-".
			if rest := text[end+1:]; len(rest) > 0 && rest[0] == '&' && (len(rest) == 1 || rest[1] != '-') {
				return "", false
			}
		}
		i = end + 1
	}
	return string(out), true
}

// appendShifted adds what base64 says: UTF-16, big endian.
func appendShifted(dst, text []byte) ([]byte, bool) {
	units := make([]byte, mutf7Base64.DecodedLen(len(text)))
	n, err := mutf7Base64.Decode(units, text)
	if err != nil || n%2 != 0 {
		return dst, false
	}
	for i := 0; i < n; i += 2 {
		c := rune(units[i])<<8 | rune(units[i+1])
		if c >= ' ' && c < 0x7f {
			return dst, false // it can represent itself
		}
		if utf16.IsSurrogate(c) {
			if i+3 >= n {
				return dst, false
			}
			i += 2
			c = utf16.DecodeRune(c, rune(units[i])<<8|rune(units[i+1]))
			if c == utf8.RuneError {
				return dst, false
			}
		}
		dst = utf8.AppendRune(dst, c)
	}
	return dst, true
}

// AppendMUTF7 writes a name in modified UTF-7. Octets that are not UTF-8 become
// U+FFFD; no name that was read by this package has any.
func AppendMUTF7(dst []byte, name string) []byte {
	for i := 0; i < len(name); {
		if c := name[i]; c == '&' {
			dst = append(dst, "&-"...)
			i++
			continue
		} else if c >= ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		var units []byte
		for i < len(name) && (name[i] < ' ' || name[i] >= 0x7f) {
			c, size := utf8.DecodeRuneInString(name[i:])
			i += size
			if hi, lo := utf16.EncodeRune(c); hi != utf8.RuneError {
				units = append(units, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
			} else {
				units = append(units, byte(c>>8), byte(c))
			}
		}
		dst = append(dst, '&')
		dst = mutf7Base64.AppendEncode(dst, units)
		dst = append(dst, '-')
	}
	return dst
}
