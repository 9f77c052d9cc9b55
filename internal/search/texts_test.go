package search

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"postern/internal/message"
)

// TestTextsStayTheSame holds what an index is made of: whoever makes it another has to raise
// textsVersion, or indexes that were built before would answer for texts that are read otherwise now.
func TestTextsStayTheSame(t *testing.T) {
	raw := crlf(`
From: =?utf-8?q?J=C3=BCrgen?= Groß (at work) <j.gross@example.org>, "Team, the" <team@example.org>
To: undisclosed-recipients:;
Cc: <@a.example,@b.example:route@example.org>
Subject: =?iso-8859-1?q?=C9t=E9?= and
 =?utf-8?b?5b6u6aKo?=
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: quoted-printable

=C7=CF=C4 soft=
 line
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

` + base64.StdEncoding.EncodeToString([]byte("<p>ﬁne ẹ̀ \xff🙂</p>")) + `
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: image/png

not text
--b--
`)
	summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var texts Texts
	err = texts.Read(t.Context(), summary, strings.NewReader(raw), func(at Place, piece []byte) error {
		if piece == nil {
			all.WriteString("\n")
		} else {
			fmt.Fprintf(&all, "%d %+q", at, piece)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`2 "E\u0301TE\u0301 AND \u5fae\u98a8"`, // InSubject, folded and decomposed
		`3 "J.GROSS@EXAMPLE.ORG"`, `3 "TEAM, THE"`, `5 "@A.EXAMPLE,@B.EXAMPLE"`,
		`0 "\u0413\u041e\u0414 SOFT LINE"`, `1 "SUBJECT: INNER"`,
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s is not among\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "NOT TEXT") || strings.Contains(all.String(), "PREAMBLE") {
		t.Errorf("what is no text is among\n%s", all.String())
	}
	const version, sum = 1, "65ef08edc3f71126"
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(all.String())))[:16]; got != sum || textsVersion != version {
		t.Errorf("the texts are others (%s): raise textsVersion, and write here what it is now\n%s", got, all.String())
	}
}
