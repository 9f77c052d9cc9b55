package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/message"
)

func TestBound(t *testing.T) {
	everything := mail.NewUIDSet(10, 20, 30, 40)
	some, others := numbered(mail.SearchUID, 10, 20), numbered(mail.SearchSeq, 2, 3)
	tests := []struct {
		name string
		c    criteria
		want string
	}{
		{"AND", all(some, others, text("x")), "20"},
		{"OR", either(some, others), "10,20,30"},
		{"OR with what may be anywhere", either(some, text("x")), "10,20,30,40"},
		{"NOT", not(some), "10,20,30,40"},
		{"nothing", not(all()), ""},
	}
	for _, tt := range tests {
		p, err := Compile(tt.c, env)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Bound(everything).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAsksForNoMoreThanItNeeds(t *testing.T) {
	tests := []struct {
		name              string
		c                 criteria
		uid               mail.UID
		needs             Needs
		summaries, bodies int
	}{
		{"row", flag(mail.Seen), 10, Needs{}, 0, 0},
		{"row decides before text", all(text("fox"), flag(mail.Deleted)), 10, Needs{Summary: true, Body: true}, 0, 0},
		{"row decides an OR", either(text("none"), flag(mail.Seen)), 10, Needs{Summary: true, Body: true}, 0, 0},
		{"subject", header("Subject", "x"), 10, Needs{Summary: true}, 1, 0},
		{"address", header("From", "smith"), 10, Needs{Summary: true}, 1, 0},
		{"address as written", header("From", "<john@"), 10, Needs{Summary: true, Body: true}, 1, 1},
		{"other field", header("X-Folded", "x"), 10, Needs{Summary: true, Body: true}, 1, 1},
		{"sent", dated(mail.SearchSentOn, day(1994, 2, 2)), 10, Needs{Summary: true}, 1, 0},
		{"summary decides before text", all(text("fox"), header("Subject", "x")), 10, Needs{Summary: true, Body: true}, 1, 0},
		{"many keys, one summary and one body",
			all(text("fox"), body("quick"), header("Subject", "aus"), header("From", "john"), header("X-Folded", "second"), not(body("none"))),
			10, Needs{Summary: true, Body: true}, 1, 1},
		{"keys that fell away", either(all(), text("fox"), header("Subject", "x"), dated(mail.SearchSentOn, day(1, 1, 1))), 10, Needs{}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile(tt.c, env)
			if err != nil {
				t.Fatal(err)
			}
			if p.Needs() != tt.needs {
				t.Errorf("needs %+v, want %+v", p.Needs(), tt.needs)
			}
			for i := range mailbox {
				if m := &mailbox[i]; m.row.UID == tt.uid {
					s := &stored{raw: m.raw}
					if _, err := p.Evaluator().Match(t.Context(), &m.row, s); err != nil {
						t.Fatal(err)
					}
					if s.summaries != tt.summaries || s.bodies != tt.bodies {
						t.Errorf("%d summaries, %d bodies; want %d and %d", s.summaries, s.bodies, tt.summaries, tt.bodies)
					}
				}
			}
		})
	}
}

// A Summary that is not complete does not answer for the header.
func TestTruncatedSummary(t *testing.T) {
	raw := "From: ann@example.com, bob@example.com\r\nSubject: all of it\r\n\r\n"
	summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	summary.Truncated, summary.Envelope.From, summary.Envelope.Subject.Value = true, summary.Envelope.From[:1], "all"
	for _, c := range []criteria{header("From", "bob@"), header("Subject", "of it")} {
		p, err := Compile(c, env)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.Evaluator().Match(t.Context(), &Row{}, &fixed{summary, strings.NewReader(raw)}); !ok || err != nil {
			t.Errorf("%+v: %t, %v", c, ok, err)
		}
	}
}

// A body is read no further than the answer takes.
func TestStopsReadingWhenCertain(t *testing.T) {
	raw := "Subject: x\r\n\r\nneedle " + strings.Repeat("hay ", 1<<20)
	summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []criteria{body("needle"), not(text("needle")), either(body("never"), text("needle")), text("subject: x")} {
		p, err := Compile(c, env)
		if err != nil {
			t.Fatal(err)
		}
		r := &countingReader{r: strings.NewReader(raw)}
		if _, err := p.Evaluator().Match(t.Context(), &Row{}, &fixed{summary, r}); err != nil {
			t.Fatal(err)
		}
		if r.n > 128<<10 {
			t.Errorf("%+v: read %d bytes of %d", c, r.n, len(raw))
		}
	}
}

type fixed struct {
	summary *message.Summary
	body    io.ReaderAt
}

func (f *fixed) Summary(context.Context) (*message.Summary, error) { return f.summary, nil }
func (f *fixed) Thread(context.Context) (mail.ThreadID, error)     { return 1, nil }
func (f *fixed) Body(context.Context) (io.ReaderAt, error)         { return f.body, nil }

type countingReader struct {
	r io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(b, off)
	c.n += n
	return n, err
}

// A string that lies across the borders of what is read at once is found.
func TestFindsAcrossChunks(t *testing.T) {
	p, err := Compile(body("überall"), env)
	if err != nil {
		t.Fatal(err)
	}
	e := p.Evaluator()
	for before := chunk - 20; before < chunk+4; before++ {
		raw := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("x", before) + "u\u0308BERALL" + strings.Repeat("y", 100)
		ok, err := e.Match(t.Context(), &Row{}, &stored{raw: raw})
		if err != nil || !ok {
			t.Errorf("not found at %d (%v)", before, err)
		}
		// What a text ends with must not match together with the next one's beginning.
		raw = "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("x", before) + "über"
		if _, err := e.Match(t.Context(), &Row{}, &stored{raw: raw}); err != nil {
			t.Error(err)
		}
		if ok, err := e.Match(t.Context(), &Row{}, &stored{raw: "\r\nall"}); ok || err != nil {
			t.Errorf("a match across messages (%v)", err)
		}
	}
}

func TestErrors(t *testing.T) {
	deep := all()
	for range maxDepth + 1 {
		deep = not(deep)
	}
	tests := []struct {
		name string
		c    criteria
		want mail.Kind
	}{
		{"zero", criteria{}, mail.Invalid},
		{"unknown", only(200), mail.Invalid},
		{"NOT of nothing", only(mail.SearchNot), mail.Invalid},
		{"NOT of two", criteria{Op: mail.SearchNot, Children: []criteria{all(), all()}}, mail.Invalid},
		{"OR of nothing", either(), mail.Invalid},
		{"no flag", only(mail.SearchFlag), mail.Invalid},
		{"two keywords", criteria{Op: mail.SearchFlag, Flags: mail.NewFlags(0, "a", "b")}, mail.Invalid},
		{"save date", saved(3, day(1, 1, 1)), mail.Invalid},
		{"wrong inside", either(all(), not(only(0))), mail.Invalid},
		{"number of no message", numbered(mail.SearchSeq, 5, 5), mail.Invalid},
		{"too deep", deep, mail.Limit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile(tt.c, env); err == nil || mail.KindOf(err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	gone := fmt.Errorf("gone: %w", mail.Errorf(mail.NotFound, "message is gone"))
	for _, c := range []criteria{text("x"), header("Subject", "x"), header("X-Y", "x"), dated(mail.SearchSentOn, day(1, 1, 1))} {
		p, err := Compile(c, env)
		if err != nil {
			t.Fatal(err)
		}
		e := p.Evaluator()
		if ok, err := e.Match(t.Context(), &Row{}, &stored{err: gone}); ok || !errors.Is(err, gone) {
			t.Errorf("%+v: %t, %v", c, ok, err)
		}
		if ok, err := e.Match(t.Context(), &Row{}, &stored{raw: "X-Y: x\r\nSubject: x\r\nDate: 1 Jan 0001 00:00 +0000\r\n\r\nx"}); err != nil || !ok && c.Op != mail.SearchSentOn {
			t.Errorf("%+v: the evaluator is spoilt: %t, %v", c, ok, err)
		}
	}
	p, err := Compile(text("x"), env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Evaluator().Match(ctx, &Row{}, &stored{raw: "\r\n"}); mail.KindOf(err) != mail.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	cut := &fixed{&message.Summary{Root: &message.Part{Type: "TEXT", Subtype: "PLAIN", Encoding: "7BIT", BodyEnd: 100}}, brokenReader{}}
	if _, err := p.Evaluator().Match(t.Context(), &Row{}, cut); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

var errBroken = errors.New("disk is broken")

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

// canceling is a Source during whose Body the client goes away.
type canceling struct {
	stored
	cancel context.CancelFunc
}

func (c *canceling) Body(ctx context.Context) (io.ReaderAt, error) {
	c.cancel()
	return c.stored.Body(ctx)
}

func TestGivesUpInTheMiddle(t *testing.T) {
	for _, c := range []criteria{text("never"), body("never"), header("X-Y", "never")} {
		p, err := Compile(c, env)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		source := &canceling{stored{raw: "X-Z: a\r\nX-Y: b\r\n\r\nbody"}, cancel}
		if ok, err := p.Evaluator().Match(ctx, &Row{}, source); ok || mail.KindOf(err) != mail.Canceled {
			t.Errorf("%+v: %t, %v", c, ok, err)
		}
	}
}
