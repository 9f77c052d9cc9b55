package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPreview(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "\n Hello,\n\n  wörld\t!\n", "Hello, wörld !"},
		{"none", "Content-Type: image/png\n\nx", ""},
		{"attached text is not the message", "Content-Type: text/plain\nContent-Disposition: attachment\n\nx", ""},
		{"quoted lines", "\n> old\n>> older\nnew\n> old\n", "new"},
		{"html", "Content-Type: text/html\n\n<html><head><title>T</title><style>p{}</style></head><body><p>One</p><p>t<b>w</b>o &amp; <!-- c -->3<script>x<y</script>", "One two & 3"},
		{"html first in alternative", "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>html</b>\n--b\n\nplain\n--b--", "plain"},
		{"html only in alternative", "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>html</b>\n--b\nContent-Type: image/png\n\nx\n--b--", "html"},
		{"empty first part", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\n--b\n\nsecond\n--b--", "second"},
		{"line breaks that were encoded", "Content-Transfer-Encoding: quoted-printable\n\na=0D=0A* BYE=00b", "a * BYE b"},
	}
	for _, test := range tests {
		sum, raw := parse(t, test.in)
		got, err := sum.Preview(strings.NewReader(raw))
		if err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestPreviewLength(t *testing.T) {
	for _, word := range []string{"é", "éé ", "<b>日</b> ", "\x00é"} {
		for _, header := range []string{"\n", "Content-Type: text/html; charset=utf-8\n\n"} {
			sum, raw := parse(t, header+strings.Repeat(word, 1000))
			got, err := sum.Preview(strings.NewReader(raw))
			if n := utf8.RuneCountInString(got); err != nil || n > PreviewChars || n < PreviewChars-1 {
				t.Errorf("%q repeated: %d characters, %v", word, n, err)
			}
		}
	}
}
