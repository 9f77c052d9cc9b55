package search

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/search/terms"
)

// indexed is messages and what an index says of them.
type indexed struct {
	segment *terms.Segment
	sources []*stored
}

// index makes a segment of messages.
func index(t *rapid.T, raws []string) *indexed {
	b := terms.NewBuilder(1)
	var texts Texts
	x := &indexed{}
	for i, raw := range raws {
		s := &stored{raw: raw}
		summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		x.sources = append(x.sources, s)
		b.Begin(uint64(i + 1))
		err = texts.Read(t.Context(), summary, strings.NewReader(raw), func(at Place, piece []byte) error {
			if piece == nil {
				b.EndText(int(at))
			} else {
				b.Text(int(at), piece)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	s, err := terms.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	x.segment = s
	return x
}

// known gives what the index says of each message.
func (x *indexed) known(t *rapid.T, p *Program) [][]Answer {
	all := make([][]Answer, len(x.sources))
	for _, l := range p.Lookups() {
		may, sure := terms.NewSet(len(all)), terms.NewSet(len(all))
		needle := terms.NewNeedle(l.Text, l.Superset)
		for _, at := range l.Places {
			if err := x.segment.Find(needle, int(at), may, sure); err != nil {
				t.Fatal(err)
			}
		}
		for i := range all {
			a := Unknown
			switch {
			case !may.Has(i):
				a = No
			case sure.Has(i) && !l.Superset && !l.Inexact:
				a = Yes
			}
			all[i] = append(all[i], a)
		}
	}
	return all
}

// TestKnownChangesNothing asks messages with what an index says of them and without: the
// answers are the same, by any collation, and those that letters of which all is known
// hold.
func TestKnownChangesNothing(t *testing.T) {
	helped := 0
	rapid.Check(t, func(t *rapid.T) {
		var letters []*letter
		var raws []string
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			l := drawLetter(t, 0)
			letters, raws = append(letters, l), append(raws, l.write(t, 0))
		}
		x := index(t, raws)
		for range 4 {
			c := drawCriteria(t, 2)
			compare := env
			compare.Collation = rapid.SampledFrom([]mail.Collation{mail.UnicodeCasemap, mail.ASCIICasemap, mail.Octet}).Draw(t, "collation")
			p, err := Compile(c, compare)
			if err != nil {
				t.Fatal(err)
			}
			known := x.known(t, p)
			e := p.Evaluator()
			for i, l := range letters {
				row := l.row
				want, err := e.Match(t.Context(), &row, x.sources[i])
				if err != nil {
					t.Fatal(err)
				}
				row.Known = known[i]
				got, err := e.Match(t.Context(), &row, x.sources[i])
				if got != want || err != nil {
					t.Fatalf("%+v: %t with an index that says %v, %t without (%v)\n%s", c, got, known[i], want, err, raws[i])
				}
				if a := p.MatchRow(&row); a != Unknown && (a == Yes) != want {
					t.Fatalf("%+v: the row says %d with an index that says %v, the message %t\n%s", c, a, known[i], want, raws[i])
				}
				for _, a := range known[i] {
					if a != Unknown {
						helped++
					}
				}
			}
		}
	})
	if helped == 0 {
		t.Error("the index never knew anything")
	}
}
