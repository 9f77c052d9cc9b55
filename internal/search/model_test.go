package search

import (
	"encoding/base64"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"postern/internal/mail"
)

// letter is a message as its sender sees it. It is written down in whatever
// encodings the test draws; the plain evaluator below looks at what is here.
type letter struct {
	row    Row
	sent   mail.CivilDate // zero: no Date field
	fields []written      // of the message
	parts  []section
}

type written struct{ name, value string }

// section is a body part, or with nested a message that is one.
type section struct {
	fields []written
	isText bool
	text   string
	nested *letter
}

// words are such as do not occur in field names and Content-Type fields.
var words = []string{"", "ж", "жня", "Ännchen", "straße", "ГОД", "год", "éa", "ж ш", "жн", "нжж", "жнжня", "\u1ead", "\u00e2\u0323"}

func drawText(t *rapid.T) string {
	return strings.TrimSpace(strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 4).Draw(t, "text"), " "))
}

func drawDay(t *rapid.T) mail.CivilDate {
	return mail.CivilDate{Year: 2026, Month: rapid.IntRange(1, 2).Draw(t, "month"), Day: rapid.IntRange(1, 4).Draw(t, "day")}
}

func drawLetter(t *rapid.T, depth int) *letter {
	l := &letter{row: Row{Recent: rapid.Bool().Draw(t, "recent")}}
	l.row.UID = mail.UID(rapid.IntRange(1, 6).Draw(t, "uid"))
	l.row.Size = uint32(rapid.IntRange(0, 5).Draw(t, "size"))
	l.row.ModSeq = mail.ModSeq(rapid.IntRange(1, 5).Draw(t, "modseq"))
	l.row.Flags.System = mail.SystemFlags(rapid.IntRange(0, int(mail.AllSystem)).Draw(t, "system"))
	if rapid.Bool().Draw(t, "keyword") {
		l.row.Flags.Keywords = []string{"Key"}
	}
	arrived := drawDay(t)
	zone := time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600)
	l.row.Date = mail.NewInternalDate(time.Date(arrived.Year, time.Month(arrived.Month), arrived.Day, rapid.IntRange(0, 23).Draw(t, "hour"), 0, 0, 0, zone))
	if rapid.Bool().Draw(t, "dated") {
		l.sent = drawDay(t)
		month := time.Month(l.sent.Month).String()[:3]
		l.fields = append(l.fields, written{"Date", fmt.Sprintf("%d %s %d 23:%02d:00 %+03d00", l.sent.Day, month, l.sent.Year, 5, rapid.IntRange(-12, 12).Draw(t, "sent zone"))})
	}
	for _, name := range []string{"Subject", "X-Some", "X-Some"} {
		if rapid.Bool().Draw(t, "field") {
			l.fields = append(l.fields, written{name, drawText(t)})
		}
	}
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		s := section{text: drawText(t), isText: rapid.IntRange(0, 3).Draw(t, "type") > 0}
		if depth < 2 && rapid.IntRange(0, 4).Draw(t, "nest") == 0 {
			s = section{nested: drawLetter(t, depth+1)}
		}
		if rapid.Bool().Draw(t, "described") {
			s.fields = append(s.fields, written{"Content-Description", drawText(t)})
		}
		l.parts = append(l.parts, s)
	}
	return l
}

// write writes the letter as an RFC 5322 message.
func (l *letter) write(t *rapid.T, depth int) string {
	var b strings.Builder
	writeFields(t, &b, l.fields)
	boundary := fmt.Sprintf("=boundary=%d", depth)
	fmt.Fprintf(&b, "Content-Type: multipart/mixed;\r\n boundary=%q\r\n\r\n", boundary)
	for _, s := range l.parts {
		b.WriteString("--" + boundary + "\r\n")
		writeFields(t, &b, s.fields)
		switch {
		case s.nested != nil:
			b.WriteString("Content-Type: message/rfc822\r\n\r\n" + s.nested.write(t, depth+1))
		case s.isText:
			writeContent(t, &b, "text/plain", s.text)
		default:
			writeContent(t, &b, "image/png", s.text)
		}
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.String()
}

func writeFields(t *rapid.T, b *strings.Builder, fields []written) {
	for _, f := range fields {
		value := f.value
		switch rapid.IntRange(0, 2).Draw(t, "header encoding") {
		case 0:
			value = mime.QEncoding.Encode("utf-8", value)
		case 1:
			value = mime.BEncoding.Encode("utf-8", value)
		}
		b.WriteString(f.name + ": " + strings.Replace(value, " ", "\r\n ", 1) + "\r\n")
	}
}

func writeContent(t *rapid.T, b *strings.Builder, mediaType, text string) {
	charset := "utf-8"
	if koi8, err := charmap.KOI8R.NewEncoder().String(text); err == nil && rapid.Bool().Draw(t, "koi8-r") {
		charset, text = "koi8-r", koi8
	}
	fmt.Fprintf(b, "Content-Type: %s; charset=%s\r\n", mediaType, charset)
	switch rapid.IntRange(0, 2).Draw(t, "transfer encoding") {
	case 0:
		b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text)))
	case 1:
		b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
		w := quotedprintable.NewWriter(b)
		fmt.Fprint(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n\r\n" + text)
	}
}

func drawCriteria(t *rapid.T, depth int) mail.Criteria {
	ops := []mail.SearchOp{
		mail.SearchUID, mail.SearchFlag, mail.SearchRecent, mail.SearchNew, mail.SearchOld,
		mail.SearchBefore, mail.SearchOn, mail.SearchSince, mail.SearchSentBefore, mail.SearchSentOn, mail.SearchSentSince,
		mail.SearchLarger, mail.SearchSmaller, mail.SearchModSeq, mail.SearchHeader, mail.SearchHeader,
		mail.SearchBody, mail.SearchBody, mail.SearchText, mail.SearchText,
	}
	if depth < 4 {
		ops = append(ops, mail.SearchAnd, mail.SearchOr, mail.SearchNot, mail.SearchAnd, mail.SearchOr, mail.SearchNot)
	}
	c := mail.Criteria{Op: rapid.SampledFrom(ops).Draw(t, "op")}
	switch c.Op {
	case mail.SearchNot:
		c.Children = []mail.Criteria{drawCriteria(t, depth+1)}
	case mail.SearchAnd, mail.SearchOr:
		least := 0
		if c.Op == mail.SearchOr {
			least = 2
		}
		for range rapid.IntRange(least, 3).Draw(t, "children") {
			c.Children = append(c.Children, drawCriteria(t, depth+1))
		}
	case mail.SearchUID:
		for range rapid.IntRange(0, 2).Draw(t, "ranges") {
			from := uint32(rapid.IntRange(1, 6).Draw(t, "from"))
			c.Set.Ranges = append(c.Set.Ranges, mail.NumRange{From: from, To: from + 1})
		}
	case mail.SearchFlag:
		c.Without = rapid.Bool().Draw(t, "without")
		c.Flags.System = rapid.SampledFrom([]mail.SystemFlags{0, mail.Seen, mail.Draft}).Draw(t, "flag")
		if c.Flags.System == 0 {
			c.Flags.Keywords = []string{rapid.SampledFrom([]string{"KEY", "other"}).Draw(t, "keyword")}
		}
	case mail.SearchHeader:
		c.Field = rapid.SampledFrom([]string{"subject", "X-SOME", "Content-Description", "X-None"}).Draw(t, "field")
		c.Text = drawText(t)
	case mail.SearchBody, mail.SearchText:
		c.Text = drawText(t)
	default:
		c.Date = drawDay(t)
		c.Number = uint64(rapid.IntRange(0, 5).Draw(t, "number"))
	}
	return c
}

// holds is the definition of the keys in RFC 9051 6.4.4, written down for a
// letter without a thought for speed.
func (l *letter) holds(c *mail.Criteria) bool {
	in := func(s string) bool { return strings.Contains(reference(s), reference(c.Text)) }
	arrived := l.row.Date.Time()
	internal := mail.CivilDate{Year: arrived.Year(), Month: int(arrived.Month()), Day: arrived.Day()}.Compare(c.Date)
	sent, hasSent := l.sent.Compare(c.Date), l.sent.Year != 0
	switch c.Op {
	case mail.SearchAnd:
		for i := range c.Children {
			if !l.holds(&c.Children[i]) {
				return false
			}
		}
		return true
	case mail.SearchOr:
		for i := range c.Children {
			if l.holds(&c.Children[i]) {
				return true
			}
		}
		return false
	case mail.SearchNot:
		return !l.holds(&c.Children[0])
	case mail.SearchUID:
		for _, r := range c.Set.Ranges {
			if mail.UID(r.From) <= l.row.UID && l.row.UID <= mail.UID(r.To) {
				return true
			}
		}
		return false
	case mail.SearchFlag:
		if c.Flags.System == 0 {
			has := len(l.row.Flags.Keywords) == 1 && c.Flags.Keywords[0] == "KEY"
			return has != c.Without
		}
		return (l.row.Flags.System&c.Flags.System != 0) != c.Without
	case mail.SearchRecent:
		return l.row.Recent
	case mail.SearchNew:
		return l.row.Recent && l.row.Flags.System&mail.Seen == 0
	case mail.SearchOld:
		return !l.row.Recent
	case mail.SearchBefore:
		return internal < 0
	case mail.SearchOn:
		return internal == 0
	case mail.SearchSince:
		return internal >= 0
	case mail.SearchSentBefore:
		return hasSent && sent < 0
	case mail.SearchSentOn:
		return hasSent && sent == 0
	case mail.SearchSentSince:
		return hasSent && sent >= 0
	case mail.SearchLarger:
		return uint64(l.row.Size) > c.Number
	case mail.SearchSmaller:
		return uint64(l.row.Size) < c.Number
	case mail.SearchModSeq:
		return uint64(l.row.ModSeq) >= c.Number
	case mail.SearchHeader:
		for _, f := range l.fields {
			if strings.EqualFold(f.name, c.Field) && in(f.value) {
				return true
			}
		}
		return false
	case mail.SearchBody:
		return c.Text == "" || l.bodyHas(in)
	default:
		return c.Text == "" || l.headerHas(in) || l.bodyHas(in)
	}
}

func (l *letter) bodyHas(in func(string) bool) bool {
	for _, s := range l.parts {
		if s.isText && in(s.text) || s.nested != nil && s.nested.bodyHas(in) {
			return true
		}
	}
	return false
}

// headerHas leaves out what no text that is drawn can be in.
func (l *letter) headerHas(in func(string) bool) bool {
	has := func(fields []written) bool {
		for _, f := range fields {
			if in(f.value) {
				return true
			}
		}
		return false
	}
	for _, s := range l.parts {
		if has(s.fields) || s.nested != nil && s.nested.headerHas(in) {
			return true
		}
	}
	return has(l.fields)
}

func TestAgainstPlainEvaluator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLetter(t, 0)
		raw := l.write(t, 0)
		c := drawCriteria(t, 0)
		p, err := Compile(c, Env{Resolve: func(set mail.NumSet, _ bool) (mail.UIDSet, error) {
			var out mail.UIDSet
			for _, r := range set.Ranges {
				out = out.Union(mail.UIDSet{{First: mail.UID(r.From), Last: mail.UID(r.To)}})
			}
			return out, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := l.holds(&c)
		e := p.Evaluator()
		for range 2 { // an Evaluator keeps nothing of the message before
			if got, err := e.Match(t.Context(), &l.row, &stored{raw: raw}); err != nil || got != want {
				t.Fatalf("got %t (%v), want %t\n%+v\n%s", got, err, want, c, raw)
			}
		}
		if a := p.MatchRow(&l.row); a != Unknown && (a == Yes) != want {
			t.Fatalf("MatchRow says %d, want %t", a, want)
		}
		if here := mail.NewUIDSet(l.row.UID); want && !p.Bound(here).Equal(here) {
			t.Fatal("Bound leaves out a message that matches")
		}
	})
}
