package search

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// reference is RFC 5051 by the stock routines: title case, then NFKD.
func reference(s string) string {
	return norm.NFKD.String(strings.Map(unicode.ToTitle, s))
}

func TestFoldEveryCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if got, want := string(foldString(string(r), 0)), reference(string(r)); got != want {
			t.Errorf("U+%04X folds to %q, want %q", r, got, want)
		}
	}
}

// Expected values are worked out from RFC 5051 2 and the code charts; the first
// is RFC 5051's own example.
func TestFold(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"the RFC's example", "\u01C4", "\u0044\u007A\u030C"},
		{"ASCII", "Hello, World 09 [az] @{}", "HELLO, WORLD 09 [AZ] @{}"},
		{"composed", "\u00e9", "E\u0301"},
		{"decomposed", "e\u0301", "E\u0301"},
		{"sharp s stays", "stra\u00dfe", "STRA\u00dfE"},
		{"final sigma", "\u03c2\u03c3\u03a3", "\u03a3\u03a3\u03a3"},
		{"dotless i", "\u0131", "I"},
		{"dotted I", "\u0130", "I\u0307"},
		{"a ligature's letters stay small", "\ufb01", "fi"},
		{"full width", "\uff21\uff42", "AB"},
		{"no-break space", "a\u00a0b", "A B"},
		{"hangul", "\ud55c", "\u1112\u1161\u11ab"},
		{"hangul without trail", "\uac00", "\u1100\u1161"},
		{"marks in another order", "\u00e2\u0323", "A\u0323\u0302"},
		{"the same composed", "\u1ead", "A\u0323\u0302"},
		{"marks of one class keep theirs", "a\u0301\u0302", "A\u0301\u0302"},
		{"not UTF-8", "a\xffb\xc3", "A\xffB\xc3"},
		{"wrong, then right", "\xe2\x82\u00e9", "\xe2\x82E\u0301"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(foldString(tt.in, 0)); got != tt.want {
				t.Errorf("got %+q, want %+q", got, tt.want)
			}
			var f folder
			var got []byte
			for i := range len(tt.in) {
				got = f.append(got, []byte{tt.in[i]})
			}
			if got = f.flush(got); string(got) != tt.want {
				t.Errorf("byte by byte: got %+q, want %+q", got, tt.want)
			}
		})
	}
}

func TestFoldKeepsMarksBounded(t *testing.T) {
	var f folder
	for range 10 * maxMarks {
		f.append(nil, []byte("\u0301\u0323"))
		if len(f.marks) > maxMarks {
			t.Fatalf("%d marks are held", len(f.marks))
		}
	}
}

func TestNeedle(t *testing.T) {
	tests := []struct {
		needle, text string
		want         bool
	}{
		{"", "", true}, {"", "x", true}, {"x", "", false},
		{"abc", "xxABCxx", true}, {"abc", "ab", false}, {"abc", "ababc", true},
		{"aabaaa", "aabaabaaa", true}, {"aaa", "aabaab", false},
		{"\u00e9t\u00e9", "L'E\u0301TE\u0301", true},
		{"e", "\u00e9", true},        // RFC 5051: a substring of E and its mark
		{"strasse", "straße", false}, // no title case mapping
		{"стол", "ЗА СТОЛОМ", true},
	}
	for _, tt := range tests {
		n := newNeedle(tt.needle, 0)
		folded := foldString(tt.text, 0)
		if _, got := n.find(0, folded); got != tt.want {
			t.Errorf("%q in %q: %t, want %t", tt.needle, tt.text, got, tt.want)
		}
		for cut := range len(folded) + 1 {
			matched, got := n.find(0, folded[:cut])
			if !got {
				_, got = n.find(matched, folded[cut:])
			}
			if got != tt.want {
				t.Errorf("%q in %q cut at %d: %t, want %t", tt.needle, tt.text, cut, got, tt.want)
			}
		}
	}
}

// FuzzContains compares the streaming search, with text cut anywhere, with
// strings.Contains on what was folded whole; and folding with the stock
// routines, where the text is UTF-8 with no more marks in a row than they keep
// in one.
func FuzzContains(f *testing.F) {
	f.Add("Grüße aus Köln", "ÜSSE", uint64(3))
	f.Add("a\u0323\u0302b", "\u1ead", uint64(1))
	f.Add("\xe2\x82\xe2\x82\xac", "\u20ac", uint64(0x123456))
	f.Add("aabaabaaab", "aabaaab", uint64(2))
	f.Add("한국어 메일", "국어", uint64(5))
	f.Fuzz(func(t *testing.T, text, what string, cuts uint64) {
		whole := foldString(text, 0)
		if utf8.ValidString(text) && longestMarks(text) < 30 {
			if want := reference(text); string(whole) != want {
				t.Fatalf("%+q folds to %+q, want %+q", text, whole, want)
			}
		}
		n := newNeedle(what, 0)
		want := strings.Contains(string(whole), string(foldString(what, 0)))
		var fold folder
		var all []byte
		matched, found := n.find(0, nil)
		see := func(piece []byte) {
			all = append(all, piece...)
			if !found {
				matched, found = n.find(matched, piece)
			}
		}
		for rest := text; len(rest) > 0; {
			size := min(int(cuts%7)+1, len(rest))
			cuts = cuts>>3 | cuts<<61
			see(fold.append(nil, []byte(rest[:size])))
			rest = rest[size:]
		}
		see(fold.flush(nil))
		if !bytes.Equal(all, whole) {
			t.Fatalf("%+q in pieces folds to %+q, whole to %+q", text, all, whole)
		}
		if found != want {
			t.Fatalf("%+q in %+q: %t, want %t", what, text, found, want)
		}
	})
}

// longestMarks is the length of the longest run of combining marks once text is
// decomposed.
func longestMarks(text string) int {
	longest, n := 0, 0
	for _, r := range text {
		for _, d := range string(norm.NFKD.AppendString(nil, string(unicode.ToTitle(r)))) {
			if norm.NFKD.PropertiesString(string(d)).CCC() == 0 {
				n = 0
				continue
			}
			n++
			longest = max(longest, n)
		}
	}
	return longest
}
