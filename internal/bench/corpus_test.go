package bench

import (
	"bytes"
	"encoding/base64"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
)

// What a letter is said to hold is what a mail library reads in it.
func TestLetters(t *testing.T) {
	c := newCorpus(7, 6<<10, "run")
	attachments, encoded, answers := 0, 0, 0
	for i := range 200 {
		l := c.letter(i)
		if !bytes.Equal(l.raw, newCorpusLetter(c, i)) {
			t.Fatalf("letter %d is another the second time", i)
		}
		if bytes.Contains(bytes.ReplaceAll(l.raw, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(l.raw, []byte("\r\n"), nil), []byte("\r")) {
			t.Fatalf("letter %d has bare line ends", i)
		}
		for line := range bytes.Lines(l.raw) {
			if len(line) > 1000 { // RFC 5322 2.1.1
				t.Fatalf("letter %d has a line of %d octets", i, len(line))
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(l.raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != l.subject {
			t.Errorf("subject %q, %v, want %q", subject, err, l.subject)
		}
		if date, err := m.Header.Date(); err != nil || !date.Equal(l.date) {
			t.Errorf("date %v, %v, want %v", date, err, l.date)
		}
		if m.Header.Get("X-Postern-Bench") != "run" {
			t.Error("the run is not named")
		}
		if m.Header.Get("References") != "" {
			answers++
		}
		text, more := firstText(t, m)
		if text != l.text {
			t.Fatalf("letter %d: text %q, want %q", i, text, l.text)
		}
		if more {
			attachments++
		}
		if strings.Contains(l.text, "süß") {
			encoded++
		}
	}
	if attachments == 0 || attachments == 200 || encoded == 0 || answers == 0 {
		t.Errorf("%d with attachments, %d beyond ASCII, %d answers, of 200", attachments, encoded, answers)
	}
}

func newCorpusLetter(c *corpus, i int) []byte { return newCorpus(c.seed, c.mean, c.run).letter(i).raw }

// firstText decodes the text of a message, and says whether there is more than the text.
func firstText(t *testing.T, m *mail.Message) (text string, more bool) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		return decode(t, m.Body, m.Header.Get("Content-Transfer-Encoding")), false
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	part, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	text = decode(t, part, part.Header.Get("Content-Transfer-Encoding"))
	part, err = parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	decode(t, part, part.Header.Get("Content-Transfer-Encoding"))
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("a third part: %v", err)
	}
	return text, true
}

func decode(t *testing.T, r io.Reader, encoding string) string {
	t.Helper()
	switch encoding {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Sizes are on average what was asked for, and exact where that was asked for.
func TestSizes(t *testing.T) {
	c := newCorpus(1, 26<<10, "run")
	sum := 0
	for i := range 3000 {
		sum += len(c.letter(i).raw)
	}
	if mean := float64(sum) / 3000; math.Abs(mean/(26<<10)-1) > 0.1 { // log-normal: the mean of 3,000 is within 3 % or so
		t.Errorf("%.0f octets on average", mean)
	}
	for _, size := range []int{10240, 10241, 5000, 2048} {
		if l := c.exact(3, size); len(l.raw) != size || !bytes.HasSuffix(l.raw, []byte("\r\n")) {
			t.Errorf("%d octets, want %d", len(l.raw), size)
		}
	}
}

// A needle's messages are those a search in the raw text finds, and there are needles of every kind.
func TestNeedles(t *testing.T) {
	const n = 400
	c := newCorpus(3, 2000, "run")
	h, err := newHaystack(t.Context(), c, n, 4, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for kind, list := range map[string][]*needle{"rare": h.rare, "half": h.half, "none": h.none, "subjects": h.subjects} {
		if len(list) != 4 {
			t.Errorf("%d needles: %s", len(list), kind)
		}
		for _, needle := range list {
			var body []int
			for i := range n {
				if m, err := mail.ReadMessage(bytes.NewReader(c.letter(i).raw)); err != nil {
					t.Fatal(err)
				} else if text, _ := firstText(t, m); strings.Contains(strings.ToLower(text), needle.word) {
					body = append(body, i+1)
				}
			}
			if !slices.Equal(body, needle.body) {
				t.Errorf("%s is in %v, a scan says %v", needle.word, body, needle.body)
			}
			if kind == "none" && len(body) > 0 || kind == "half" && len(body) < n/3 || kind == "subjects" && len(needle.subject) == 0 {
				t.Errorf("%s %q is in %d of %d", kind, needle.word, len(body), n)
			}
		}
	}
	if len(h.unseen) < n/3 || len(h.unseen) > n*2/3 {
		t.Errorf("%d of %d are unseen", len(h.unseen), n)
	}
	if first, ok := take(&h.half); !ok || len(h.half) != 3 || slices.Contains(h.half, first) {
		t.Error("a needle can be used twice")
	}
}
