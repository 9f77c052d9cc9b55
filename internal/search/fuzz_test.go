package search

import (
	"testing"

	"postern/internal/mail"
)

// FuzzMatch searches any octets for any string. There is no error, whatever they
// are, and the keys agree: what BODY finds TEXT finds, NOT is the opposite, and an
// OR with a key that a row answers changes nothing.
func FuzzMatch(f *testing.F) {
	for i := range mailbox {
		f.Add(mailbox[i].raw, "köln")
		f.Add(mailbox[i].raw, "a")
	}
	f.Add("Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: base64\r\n\r\n+/v8-", "\x00")
	f.Add("Content-Type: multipart/digest; boundary=\"\"\r\n\r\n--\r\n\r\nSubject: =?x?q?=?=\r\n\r\n--", "=?")
	f.Fuzz(func(t *testing.T, raw, what string) {
		match := func(c mail.Criteria) bool {
			t.Helper()
			p, err := Compile(c, env)
			if err != nil {
				t.Fatal(err)
			}
			ok, err := p.Evaluator().Match(t.Context(), &Row{}, &stored{raw: raw})
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		inText := match(text(what))
		if match(body(what)) && !inText {
			t.Error("BODY finds what TEXT does not")
		}
		if match(not(text(what))) == inText {
			t.Error("NOT TEXT is as TEXT")
		}
		if match(either(text(what), flag(mail.Seen))) != inText || match(all(unflag(mail.Seen), text(what))) != inText {
			t.Error("a key that a row answers changes the answer")
		}
		if match(header("X-Any", what)) && !inText {
			t.Error("HEADER finds what TEXT does not")
		}
		if inText && !match(roughly(text(what))) {
			t.Error("TEXT finds what FUZZY TEXT does not")
		}
		for _, field := range []string{"Subject", "From", "To", "X-Any"} {
			if match(header(field, what)) && !match(roughly(header(field, what))) {
				t.Errorf("%s finds what FUZZY does not", field)
			}
		}
	})
}
