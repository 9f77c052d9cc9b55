package search

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// TestNeedleInPieces looks for strings in texts cut anywhere: they are found where they are in
// the whole, however short or long the pieces.
func TestNeedleInPieces(t *testing.T) {
	unit := rapid.SampledFrom([]string{"A", "B", "AB", "AAB", strings.Repeat("A", 40), strings.Repeat("AB", 100)})
	draw := func(t *rapid.T, what string, most int) string {
		return strings.Join(rapid.SliceOfN(unit, 0, most).Draw(t, what), "")
	}
	rapid.Check(t, func(t *rapid.T) {
		text, what := draw(t, "text", 10), draw(t, "needle", 3)
		n := newNeedle(what, mail.Octet)
		matched, found := n.find(0, nil)
		for rest := []byte(text); len(rest) > 0 && !found; {
			k := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			matched, found = n.find(matched, rest[:k])
			rest = rest[k:]
		}
		if found != strings.Contains(text, what) {
			t.Fatalf("%q in %q: %t", what, text, found)
		}
	})
}

// TestCapitals compares what is done eight octets at a time with what is meant.
func TestCapitals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		want := make([]byte, len(text))
		ascii := len(text)
		for i, c := range text {
			if want[i] = c; 'a' <= c && c <= 'z' {
				want[i] = c - 'a' + 'A'
			}
			if c >= 0x80 {
				ascii = min(ascii, i)
			}
		}
		if n := asciiLen(text); n != ascii {
			t.Fatalf("%q begins with %d octets of ASCII, not %d", text, ascii, n)
		}
		if capitals(text); string(text) != string(want) {
			t.Fatalf("%q, want %q", text, want)
		}
	})
}
