package message

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"
)

// corpus returns the messages in testdata by name.
func corpus(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		messages[strings.TrimSuffix(filepath.Base(file), ".eml")] = string(b)
	}
	return messages
}

// What a reader of each message says is in it.
func TestCorpus(t *testing.T) {
	deep := strings.Repeat("mixed(", MaxDepth-1) + "application/octet-stream" + strings.Repeat(")", MaxDepth-1)
	tests := []struct{ name, outline, subject, sent, preview string }{
		{"plain", "text/plain", "Lunch on Thursday?", "2026-02-02 +0100",
			"Hello Bert, shall we have lunch on Thursday? The place by the river is open again. Ada -- Ada Example"},
		{"alternative", "alternative(text/plain text/html)", "Grüße aus Köln", "2026-02-02 +0100",
			"Schöne Grüße aus Köln! Diese Zeile ist so lang, dass sie umbrochen wird."},
		{"mixed", "mixed(related(text/html image/png) application/pdf)", "Report and picture", "2026-02-02 +0100", "See and the report, für dich."},
		{"forwarded", "mixed(text/plain message/rfc822(alternative(text/plain text/html)))", "Fwd: nested", "2026-02-02 +0100", "See below."},
		{"digest", "mixed(text/plain digest(message/rfc822(text/plain) message/rfc822(text/plain)) text/plain)", "list Digest, Vol 1", "2026-02-02 +0100", "Today's topics: two."},
		{"dsn", "report(text/plain message/delivery-status text/rfc822-headers)", "Undelivered Mail Returned to Sender", "2026-02-03 +0000", "Sorry: user unknown."},
		{"signed", "signed(mixed(text/plain) application/pgp-signature)", "signed", "2026-02-02 +0100", "Signed text with trailing space and dash: - --in"},
		{"broken-boundary", "mixed(alternative(text/plain text/html) application/octet-stream)", "broken", "2026-02-02 +0100", "never closed"},
		{"no-delimiter", "mixed(text/plain)", "multipart without parts", "2026-02-02 +0100", ""},
		{"eight-bit-header", "text/plain", "Grüße, ä in latin1", "2026-02-02 +0000", "Körper"},
		{"split-words", "text/plain", "これは長い件名です Re: 日本", "2026-02-02 +0900", "text"},
		{"names-2231", "mixed(application/octet-stream text/plain)", "names", "2026-02-02 +0100", ""},
		{"groups", "text/plain", "", "1969-02-13 -0330", "Testing. After RFC 5322 A.5."},
		{"no-header", "text/plain", "", "", "Only a body."},
		{"header-only", "text/plain", "no body follows", "", ""},
		{"nul", "text/plain", "nul \uFFFD here", "", "before after"},
		{"deep", deep, "very deep", "", ""},
		{"iso-2022-jp", "text/plain", "日本語", "2026-02-02 +0900", "日本語です。"},
		{"utf-16", "text/plain", "utf-16", "2026-02-02 +0100", "Grüße €"},
		{"winmail", "mixed(text/plain application/ms-tnef)", "Outlook", "2026-02-02 +0100", "“Quotes” and a dash – from Outlook."},
		{"calendar", "alternative(text/plain text/calendar)", "Invitation: planning", "2026-02-02 +0100", "You are invited."},
		{"encoded-message", "mixed(application/octet-stream)", "message in base64", "2026-02-02 +0100", ""},
		{"mbox-from", "text/plain", "came through an mbox", "2026-02-02 +0000", "body"},
		{"bare-lf", "mixed(text/plain text/html)", "bare LF", "", "one"},
		{"repeated-fields", "text/html", "two", "2026-02-02 +0100", "first type counts"},
		{"long-lines", "text/plain", strings.TrimSpace(strings.Repeat("long ", 500)), "", strings.Repeat("x", PreviewChars)},
		{"uuencode", "application/octet-stream", "uuencoded", "2026-02-02 +0100", ""},
		{"utf8-headers", "text/plain", "Grüße, 日本", "2026-02-02 +0100", "Body: 日本"},
	}
	messages := corpus(t)
	if len(messages) != len(tests) {
		t.Errorf("%d messages, %d tests", len(messages), len(tests))
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw, ok := messages[test.name]
			if !ok {
				t.Fatal("not there")
			}
			sum := parseRaw(t, raw)
			if got := outline(sum.Root); got != test.outline {
				t.Errorf("outline %s, want %s", got, test.outline)
			}
			if got := DecodeHeader(sum.Envelope.Subject.Value); got != test.subject {
				t.Errorf("subject %q, want %q", got, test.subject)
			}
			sent := ""
			if !sum.SentDate.IsZero() {
				sent = sum.SentDate.Format("2006-01-02 -0700")
			}
			if sent != test.sent {
				t.Errorf("sent %q, want %q", sent, test.sent)
			}
			if got, err := sum.Preview(strings.NewReader(raw)); err != nil || got != test.preview {
				t.Errorf("preview %q, %v, want %q", got, err, test.preview)
			}
			if sum.Truncated != (test.name == "deep") {
				t.Errorf("Truncated %v", sum.Truncated)
			}
		})
	}
}

// The addresses of RFC 5322 A.5 and some more.
func TestCorpusGroups(t *testing.T) {
	sum := parseRaw(t, corpus(t)["groups"])
	e := sum.Envelope
	from := []Address{mbox("Pete", "pete", "silly.test")}
	want := Envelope{
		Date:    Text{"Thu,      13        Feb          1969      23:32               -0330 (Newfoundland Time)", true},
		Subject: Text{"", true},
		From:    from, Sender: from, ReplyTo: from,
		To: group("A Group", mbox("Chris Jones", "c", "public.example"), mbox("", "joe", "example.org"), mbox("John", "jdoe", "one.test")),
		Cc: group("Hidden recipients"),
		Bcc: []Address{{ADL: "@route.example,@other.example", Mailbox: "routed", Host: "end.example"},
			mbox("", "quoted local", "x.example"), mbox("", "root", "")},
		MessageID: Text{"<testabcd.1234@silly.test>", true},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
}

func TestCorpusNames(t *testing.T) {
	messages := corpus(t)
	for _, test := range []struct {
		message string
		path    []uint32
		want    string
	}{
		{"mixed", []uint32{1, 2}, "pic.png"},
		{"mixed", []uint32{2}, "Bericht über alles.pdf"},
		{"names-2231", []uint32{1}, "€ rates.txt"},
		{"names-2231", []uint32{2}, "café.txt"},
		{"utf8-headers", []uint32{1}, "日.txt"},
	} {
		part, ok := parseRaw(t, messages[test.message]).Part(test.path)
		if !ok || part.Filename() != test.want {
			t.Errorf("%s %d: %q, %v, want %q", test.message, test.path, part.Filename(), ok, test.want)
		}
	}
	part, _ := parseRaw(t, messages["names-2231"]).Part([]uint32{1})
	if want := "über-lang und breit.txt"; findParam(part.Params, "NAME") != want {
		t.Errorf("name %q, want %q", part.Params, want)
	}
}

// Sections put together again are the message, and every path leads to the part
// Walk showed it for.
func TestCorpusSections(t *testing.T) {
	for name, raw := range corpus(t) {
		sum := parseRaw(t, raw)
		whole := sectionText(t, sum, raw, "HEADER") + sectionText(t, sum, raw, "TEXT")
		if whole != raw || sectionText(t, sum, raw, "") != raw {
			t.Errorf("%s: HEADER and TEXT are not the message", name)
		}
		sum.Walk(func(path []uint32, part *Part) bool {
			found, ok := sum.Part(path)
			inner := ok && found.IsMessage() && found.Parts[0] == part
			if !ok || found != part && !inner {
				t.Errorf("%s: %d leads elsewhere", name, path)
			}
			body := raw[part.BodyStart:part.BodyEnd]
			if got := int64(strings.Count(body, "\n")); got != part.Lines {
				t.Errorf("%s %d: %d lines, want %d", name, path, part.Lines, got)
			}
			size, err := part.ContentSize(strings.NewReader(raw))
			if err != nil {
				t.Errorf("%s %d: %v", name, path, err)
				return true
			}
			content, err := part.Content(strings.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(content); err != nil || int64(len(b)) != size {
				t.Errorf("%s %d: content of %d bytes, %v, size %d", name, path, len(b), err, size)
			}
			return true
		})
	}
}

// However the bytes arrive, the Summary is the same.
func TestChunking(t *testing.T) {
	for name, raw := range corpus(t) {
		want := parseRaw(t, raw)
		for _, size := range []int{1, 2, 3, 7, 64, 1000} {
			if got := parseChunks(t, raw, size); !reflect.DeepEqual(got, want) {
				t.Errorf("%s in pieces of %d: another Summary", name, size)
			}
		}
	}
}

func parseChunks(t *testing.T, raw string, size int) *Summary {
	t.Helper()
	p := NewParser()
	for b := []byte(raw); len(b) > 0; {
		n := min(size, len(b))
		piece := bytes.Clone(b[:n])
		if m, err := p.Write(piece); m != n || err != nil {
			t.Fatalf("Write: %d, %v", m, err)
		}
		clear(piece) // the parser must not have kept it
		b = b[n:]
	}
	sum, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// enmime is another reader of the same RFCs. It is asked about messages that
// obey them; what is broken each repairs in its own way. (In "signed" it takes
// "- --in" for a delimiter, which has to begin the line.)
func TestCorpusAgreesWithEnmime(t *testing.T) {
	messages := corpus(t)
	for _, name := range []string{"plain", "alternative", "mixed", "winmail", "calendar", "names-2231"} {
		root, err := enmime.ReadParts(strings.NewReader(messages[name]))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		var leaves func(p *enmime.Part)
		leaves = func(p *enmime.Part) {
			if p.FirstChild == nil {
				want = append(want, fmt.Sprintf("%s %q", p.ContentType, decoded(p)))
			}
			for c := p.FirstChild; c != nil; c = c.NextSibling {
				leaves(c)
			}
		}
		leaves(root)
		var got []string
		raw := messages[name]
		parseRaw(t, raw).Walk(func(_ []uint32, part *Part) bool {
			if len(part.Parts) > 0 {
				return true
			}
			content, err := part.Content(strings.NewReader(raw))
			if err == nil && part.IsText() {
				content = part.Text(strings.NewReader(raw))
			}
			b, err := io.ReadAll(content)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %q", strings.ToLower(part.Type+"/"+part.Subtype), normal(b)))
			return true
		})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot    %q\nenmime %q", name, got, want)
		}
	}
}

func decoded(p *enmime.Part) string { return normal(p.Content) }

// normal leaves out what enmime does not promise: the kind of line ends and those
// at the end.
func normal(b []byte) string {
	return strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
}
