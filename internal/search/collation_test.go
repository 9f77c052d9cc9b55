package search

import (
	"slices"
	"testing"

	"postern/internal/mail"
)

// TestCollations is what each collation finds: RFC 5051 (case, however the marks are
// written), RFC 4790 9.2 (case of ASCII) and 9.3 (octets).
func TestCollations(t *testing.T) {
	for _, tt := range []struct {
		what, in                string
		unicode, ascii, byOctet bool
	}{
		{"garden", "the garden", true, true, true},
		{"GARDEN", "the garden", true, true, false},
		{"été", "un été chaud", true, true, true},
		{"ÉTÉ", "un été chaud", true, false, false},
		{"e\u0301te\u0301", "un été chaud", true, false, false},
		{"UN", "un été chaud", true, true, false},
		{"год", "ГОД", true, false, false},
		{"zz", "zebra", false, false, false},
		{"", "x", true, true, true},
	} {
		raw := "Subject: " + tt.in + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + tt.in
		for collation, want := range map[mail.Collation]bool{mail.UnicodeCasemap: tt.unicode, mail.ASCIICasemap: tt.ascii, mail.Octet: tt.byOctet} {
			for _, c := range []criteria{header("SUBJECT", tt.what), text(tt.what), body(tt.what)} {
				compare := env
				compare.Collation = collation
				p, err := Compile(c, compare)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := p.Evaluator().Match(t.Context(), &Row{}, &stored{raw: raw}); got != want || err != nil {
					t.Errorf("%s: %q in %q: %t (%v)", collation, tt.what, tt.in, got, err)
				}
			}
			// What the exact key finds FUZZY finds, by any collation.
			compare := env
			compare.Collation = collation
			p, err := Compile(roughly(text(tt.what)), compare)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.Evaluator().Match(t.Context(), &Row{}, &stored{raw: raw}); want && !got || err != nil {
				t.Errorf("%s: FUZZY %q in %q: %t (%v)", collation, tt.what, tt.in, got, err)
			}
		}
	}
}

func sortedBy(t *testing.T, by mail.Comparator, reverse bool, subjects ...string) []mail.UID {
	t.Helper()
	s := NewSorter([]mail.SortCriterion{{Key: mail.SortSubject, Reverse: reverse}}, by)
	for i, subject := range subjects {
		if err := s.Add(mail.UID(i+1), &Heading{Subject: subject}); err != nil {
			t.Fatal(err)
		}
	}
	return s.Sorted()
}

func TestSortByCollations(t *testing.T) {
	subjects := []string{"b", "A", "a", "B", "é", "Ö", "o", "ö"}
	for _, tt := range []struct {
		by      mail.Comparator
		reverse bool
		want    []mail.UID
	}{
		{mail.Comparator{}, false, []mail.UID{2, 3, 1, 4, 5, 7, 6, 8}}, // A=a, B=b, E+mark, O, O+mark
		{mail.Comparator{Collation: mail.ASCIICasemap}, false, []mail.UID{2, 3, 1, 4, 7, 6, 5, 8}},
		{mail.Comparator{Collation: mail.Octet}, false, []mail.UID{2, 4, 3, 1, 7, 6, 5, 8}}, // Ö is C3 96, é C3 A9, ö C3 B6
		{mail.Comparator{Descending: true}, false, []mail.UID{6, 8, 7, 5, 1, 4, 2, 3}},
		{mail.Comparator{Descending: true}, true, []mail.UID{2, 3, 1, 4, 5, 7, 6, 8}},
	} {
		if got := sortedBy(t, tt.by, tt.reverse, subjects...); !slices.Equal(got, tt.want) {
			t.Errorf("%s, reverse %t: %v, want %v", tt.by, tt.reverse, got, tt.want)
		}
	}
}

// TestSortBrokenTexts is the example of RFC 5255 4.6: (4) (2) (3) (1), where the
// first and the third are not what their charset says.
func TestSortBrokenTexts(t *testing.T) {
	subjects := []string{
		"=?UTF-8?Q?=D0=C0=D0=BD=D0=B4=D1=80=D0=B5=D0=B9?=",
		"=?UTF-8?Q?=D1=81=D0=95=D0=A0=D0=93=D0=95=D0=99?=",
		"=?UTF-8?Q?=D0=92=D0=B0=D1=81=D0=B8=D0=BB=D0=B8=FF=B9?=",
		"=?KOI8-R?Q?=E1=CC=C5=CB=D3=C5=CA?=",
	}
	if got := sortedBy(t, mail.Comparator{}, false, subjects...); !slices.Equal(got, []mail.UID{4, 2, 3, 1}) {
		t.Errorf("sorted: %v", got)
	}
	// Turned round, the texts are; what is none still comes after them, by octets.
	if got := sortedBy(t, mail.Comparator{Descending: true}, false, subjects...); !slices.Equal(got, []mail.UID{2, 4, 3, 1}) {
		t.Errorf("turned round: %v", got)
	}
}

func TestThreadByCollations(t *testing.T) {
	for collation, want := range map[mail.Collation]int{mail.UnicodeCasemap: 1, mail.ASCIICasemap: 2, mail.Octet: 3} {
		threader := NewThreader(mail.ThreadOrderedSubject, collation)
		for i, subject := range []string{"Été", "Re: ÉTÉ", "Re: ÉtÉ"} {
			if err := threader.Add(mail.UID(i+1), &Heading{Subject: subject, Sent: int64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		threads := threader.Threads()
		got := 0
		for at := threads.First; at != mail.NoThread; at = threads.Nodes[at].Next {
			got++
		}
		if got != want {
			t.Errorf("%s: %d threads, want %d", collation, got, want)
		}
	}
}
