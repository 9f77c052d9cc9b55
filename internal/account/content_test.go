package account

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/store"
)

func scope(info Info) store.Scope { return store.Scope(info.ID) }

// summaryText reads a whole message, in pieces.
func summaryText(t testing.TB, s *Selection, uid mail.UID) string {
	t.Helper()
	rows, _ := s.Rows(make([]Row, 0, 1), set(uid))
	var got strings.Builder
	err := s.Summaries(t.Context(), rows, func(_ int, m *Summary) error {
		b, err := s.Body(t.Context(), m)
		if err != nil {
			return err
		}
		buf := make([]byte, 7)
		_, err = io.CopyBuffer(&got, onlyReader{io.NewSectionReader(b, 0, b.Size())}, buf)
		return errors.Join(err, b.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

type onlyReader struct{ io.Reader }

func TestKeepBounds(t *testing.T) {
	w := newWorld(t)
	w.pool.o.Limits.MessageSize = 100
	for n, want := range map[int]bool{0: true, 99: true, 100: true, 101: false, 100_000: false} {
		c, err := w.pool.Keep(t.Context(), strings.NewReader(strings.Repeat("x", n)))
		if want != (err == nil) {
			t.Errorf("%d octets: %v", n, err)
			continue
		}
		if err != nil {
			wantKind(t, err, mail.TooBig)
		} else if c.Size() != int64(n) {
			t.Errorf("%d octets are %d", n, c.Size())
		}
	}
	broken := errors.New("the client went away")
	_, err := w.pool.Keep(t.Context(), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	w := newWorld(t)
	inbox := box(t, w.open(), "INBOX")
	c := w.content(mailText(1))
	many := make([]string, 300)
	for i := range many {
		many[i] = "k" + strings.Repeat("x", i)
	}
	for _, x := range []struct {
		what string
		msg  []NewMessage
		kind mail.Kind
	}{
		{"nothing", nil, mail.Invalid},
		{"a prefix without line end", []NewMessage{{Content: c, Prefix: []byte("X: y")}}, mail.Invalid},
		{"a keyword with a space", []NewMessage{{Content: c, Flags: mail.Flags{Keywords: []string{"a b"}}}}, mail.Invalid},
		{"a keyword that is a flag", []NewMessage{{Content: c, Flags: mail.Flags{Keywords: []string{`\Recent`}}}}, mail.Invalid},
		{"too many keywords", []NewMessage{{Content: c, Flags: mail.NewFlags(0, many...)}}, mail.Limit},
		{"falling UIDs", []NewMessage{{Content: c, UID: 5}, {Content: c, UID: 5}}, mail.Invalid},
		{"the last UID", []NewMessage{{Content: c, UID: 1<<32 - 1}}, mail.Limit},
	} {
		_, err := inbox.Append(t.Context(), x.msg)
		if err == nil || mail.KindOf(err) != x.kind {
			t.Errorf("%s: got %v, want %v", x.what, err, x.kind)
		}
	}
	if got := inbox.Info().Counts; got.Messages != 0 || got.UIDNext != 1 {
		t.Errorf("%+v", got)
	}
	done, err := inbox.Append(t.Context(), []NewMessage{{Content: c, UID: 10}, {Content: w.content(mailText(2))}})
	if err != nil || !done.UIDs.Equal(span(10, 11)) || inbox.Info().Counts.UIDNext != 12 {
		t.Errorf("%+v, %v", done, err)
	}
	s := sel(t, inbox)
	// 256 keywords of up to 256 octets are allowed; k and 255 x are 256.
	_, err = s.StoreFlags(t.Context(), StoreRequest{UIDs: set(10), Op: mail.AddFlags, Flags: mail.NewFlags(0, many[:256]...)})
	if err != nil {
		t.Error(err)
	}
	_, err = s.StoreFlags(t.Context(), StoreRequest{UIDs: set(10), Op: mail.AddFlags, Flags: mail.NewFlags(0, "another")})
	wantKind(t, err, mail.Limit)
}

func TestReadOnlySelection(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 2)
	ro, err := inbox.Select(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	// EXAMINE looks at \Recent and takes nothing (RFC 3501 6.3.2).
	if got := ro.Start().Recent; !got.Equal(span(1, 2)) || inbox.Info().Recent != 2 {
		t.Errorf("%v", got)
	}
	rw := sel(t, inbox)
	if got := rw.Start().Recent; !got.Equal(span(1, 2)) || inbox.Info().Recent != 0 {
		t.Errorf("%v", got)
	}
	if got := sel(t, inbox).Start().Recent; !got.Empty() {
		t.Errorf("%v are \\Recent twice", got)
	}
	w.fill(inbox, 1)
	if got := ro.Claim(set(3)); !got.Equal(set(3)) {
		t.Errorf("%v", got)
	}
	if got := rw.Claim(set(3)); !got.Equal(set(3)) {
		t.Errorf("%v", got)
	}
	if got := ro.Claim(set(3)); !got.Empty() {
		t.Errorf("%v", got)
	}
	_, err = ro.StoreFlags(t.Context(), StoreRequest{UIDs: set(1), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)})
	wantKind(t, err, mail.ReadOnly)
	_, err = ro.Expunge(t.Context(), nil)
	wantKind(t, err, mail.ReadOnly)
	_, err = ro.Move(t.Context(), set(1), box(t, a, "Trash"))
	wantKind(t, err, mail.ReadOnly)
	if _, err := ro.Copy(t.Context(), set(1), box(t, a, "Trash")); err != nil {
		t.Error(err)
	}
}

// TestSummaryGivesBackWhatTheParserFound compares a summary that was stored with
// the parser's own and with what imapwire writes of it.
func TestSummaryGivesBackWhatTheParserFound(t *testing.T) {
	text := strings.ReplaceAll(`From: "A. Sender" <a@example.org>
To: b@example.org, group: c@example.org;
Subject: =?utf-8?q?caf=C3=A9?=
Date: Mon, 2 Nov 2026 23:30:00 -0500
References: <1@example.org> <2@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: text/plain; charset=utf-8

Hello
--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=inner

--inner

one
--inner
Content-Type: text/html
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=x.html

PGI+
--inner--
--outer--
`, "\n", "\r\n")
	want, err := message.Parse(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "Return-Path: <>\r\nReceived: by x;\r\n\tMon, 2 Nov 2026\r\n"} {
		w := newWorld(t)
		inbox := box(t, w.open(), "INBOX")
		if _, err := inbox.Append(t.Context(), []NewMessage{{Content: w.content(text), Prefix: []byte(prefix)}}); err != nil {
			t.Fatal(err)
		}
		m := summaryOf(t, inbox, 1)
		structure, cuts := imapwire.AppendBodyStructure(nil, want.Root)
		if string(m.Envelope()) != string(imapwire.AppendEnvelope(nil, &want.Envelope)) || string(m.Structure()) != string(structure) ||
			string(m.AppendBody([]byte("BODY "))) != string(imapwire.AppendBody([]byte("BODY "), structure, cuts, imapwire.CutExtension)) {
			t.Error("the wire text is not what imapwire writes")
		}
		shape, err := m.Shape()
		if err != nil {
			t.Fatal(err)
		}
		if !shape.SentDate.Equal(want.SentDate) || shape.SentDate.Format("-0700") != "-0500" || shape.References != want.References ||
			shape.Lines != want.Lines+int64(strings.Count(prefix, "\n")) || shape.Size != int64(len(prefix)+len(text)) {
			t.Errorf("%+v", shape)
		}
		compareParts(t, shape.Root, want.Root, int64(len(prefix)), true)
	}
}

func compareParts(t *testing.T, got, want *message.Part, shift int64, root bool) {
	t.Helper()
	start := want.HeaderStart + shift
	if root {
		start = 0
	}
	if got.HeaderStart != start || got.BodyStart != want.BodyStart+shift || got.BodyEnd != want.BodyEnd+shift ||
		got.Lines != want.Lines || got.Type != want.Type || got.Subtype != want.Subtype || got.Encoding != want.Encoding ||
		got.Charset() != want.Charset() || got.Filename() != want.Filename() || got.IsMessage() != want.IsMessage() ||
		len(got.Parts) != len(want.Parts) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want.Parts {
		compareParts(t, got.Parts[i], want.Parts[i], shift, false)
	}
}

func TestKeywordsKeepTheirFirstSpelling(t *testing.T) {
	w := newWorld(t)
	inbox := box(t, w.open(), "INBOX")
	w.add(inbox, 1, mail.NewFlags(0, "FooBar"))
	w.add(inbox, 2, mail.NewFlags(0, "foobar", "$Junk"))
	s := sel(t, inbox)
	if got := flagsOf(s, 2); got != "($Junk FooBar)" {
		t.Errorf("got %s", got)
	}
	r, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(1), Op: mail.AddFlags, Flags: mail.NewFlags(0, "FOOBAR")})
	if err != nil || !r.Changed.Empty() {
		t.Errorf("a keyword in another spelling is the same: %+v, %v", r, err)
	}
	if got := strings.Join(s.Keywords(), " "); got != "$Junk FooBar" {
		t.Errorf("got %s", got)
	}
}
