package observe

import (
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxUntrusted is how many bytes of something a stranger sent may reach a log.
const MaxUntrusted = 256

const cutMark = "…"

// Quote makes what a stranger sent fit for a log or an error text: in double
// quotes, valid UTF-8, everything that does not print (line ends, escape codes,
// marks that turn the direction of writing) escaped as in Go source, and at most
// MaxUntrusted bytes between the quotes. What is cut ends in "…".
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	escape(&b, s, MaxUntrusted, true)
	b.WriteByte('"')
	return b.String()
}

// Clean is Quote without the quotes, for values that a log handler quotes by
// itself.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	escape(&b, s, MaxUntrusted, false)
	return b.String()
}

// Untrusted is a string that a stranger chose. As the value of a log attribute
// it is cleaned, but only if the line is really written.
type Untrusted string

// LogValue gives the cleaned string.
func (u Untrusted) LogValue() slog.Value { return slog.StringValue(Clean(string(u))) }

// String gives the quoted string, so that %s and %v in an error text are safe.
func (u Untrusted) String() string { return Quote(string(u)) }

func plain(s string) bool {
	if len(s) > MaxUntrusted {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// escape writes at most room bytes of s, escaped, and never half a rune or half
// an escape; then "…" if there was more. It looks at no more of s than it writes.
func escape(b *strings.Builder, s string, room int, quoted bool) {
	var piece [16]byte
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		out := piece[:0]
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, '\\', 'x')
			out = append(out, "0123456789abcdef"[s[0]>>4], "0123456789abcdef"[s[0]&15])
		case r == '\\', r == '"':
			if quoted {
				out = append(out, '\\')
			}
			out = append(out, byte(r))
		default:
			out = strconv.AppendQuoteRune(out, r)
			out = out[1 : len(out)-1]
			if r == '\'' {
				out = append(piece[:0], '\'')
			}
		}
		if len(out) > room {
			b.WriteString(cutMark)
			return
		}
		b.Write(out)
		room -= len(out)
		s = s[size:]
	}
}
