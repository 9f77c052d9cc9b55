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
		{"a part that says nothing", "Content-Type: multipart/alternative; boundary=b\n\n--b\n\n \t\n\n--b\nContent-Type: text/html\n\n<b>html</b>\n--b--", "html"},
		{"nothing but quoted", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n> old\n--b\n\nbelow\n--b--", "below"},
		{"an attachment after nothing", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\n--b\nContent-Disposition: attachment\n\nx\n--b--", ""},
		{"nothing at all", "\n", ""},
		{"a charset", "Content-Type: text/plain; charset=iso-8859-15\n\n5 \xa4", "5 €"},
		{"a charset of HTML", "Content-Type: text/html; charset=koi8-r\nContent-Transfer-Encoding: quoted-printable\n\n<p>=CD=C9=D2", "мир"},
		{"encrypted by PGP/MIME", "Content-Type: multipart/encrypted; boundary=b\n\n--b\n\nVersion: 1\n--b\n\nx\n--b--", ""},
		{"encrypted by S/MIME", "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n\nMIAG", ""},
		{"encrypted in place", "\nSee:\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n=1\n-----END PGP MESSAGE-----", "See:"},
		{"signed in place", "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n-----BEGIN PGP SIGNATURE-----\n\niQE\n-----END PGP SIGNATURE-----", "hello"},
		{"signed", "Content-Type: multipart/signed; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n--b--", "hello"},
		{"a message within", "Content-Type: message/rfc822\n\n\ninner", ""},
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
