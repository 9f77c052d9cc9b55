package search

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/message"
)

func sorted(t testing.TB, mailbox []Heading, order ...mail.SortCriterion) []mail.UID {
	t.Helper()
	s := NewSorter(order, mail.Comparator{})
	for i := range mailbox {
		if err := s.Add(mail.UID(i+1), &mailbox[i]); err != nil {
			t.Fatal(err)
		}
	}
	return s.Sorted()
}

func by(k mail.SortKey) mail.SortCriterion   { return mail.SortCriterion{Key: k} }
func down(k mail.SortKey) mail.SortCriterion { return mail.SortCriterion{Key: k, Reverse: true} }

func box(mailbox, host string) message.Address {
	return message.Address{Mailbox: mailbox, Host: host}
}

func TestSort(t *testing.T) {
	mailbox := []Heading{
		{Subject: "Re: zebra", Sent: 30, Date: 5 << 12, Size: 10, From: box("carol", "z"), To: message.Address{Name: "=?utf-8?q?=C3=A9mile?=", Mailbox: "x", Host: "y"}},
		{Subject: "apple", Sent: 10, Date: 7 << 12, Size: 30, From: box("Bob", "a"), To: box("f", "a"), Cc: box("a", "b")},
		{Subject: "ZEBRA", Sent: 20, Date: 6 << 12, Size: 20, From: box("alice", "m"), To: message.Address{Name: "Eve", Mailbox: "q", Host: "r"}},
		{Sent: -40, Date: 8 << 12, Size: 20, To: message.Address{Kind: message.GroupStart, Mailbox: "dwarves"}},
	}
	tests := []struct {
		name  string
		order []mail.SortCriterion
		want  []mail.UID
	}{
		{"ARRIVAL", []mail.SortCriterion{by(mail.SortArrival)}, []mail.UID{1, 3, 2, 4}},
		{"DATE", []mail.SortCriterion{by(mail.SortDate)}, []mail.UID{4, 2, 3, 1}}, // before 1970 too
		{"REVERSE DATE", []mail.SortCriterion{down(mail.SortDate)}, []mail.UID{1, 3, 2, 4}},
		{"SIZE", []mail.SortCriterion{by(mail.SortSize)}, []mail.UID{1, 3, 4, 2}},
		// RFC 5256 3: REVERSE does not turn the sequence numbers round.
		{"REVERSE SIZE", []mail.SortCriterion{down(mail.SortSize)}, []mail.UID{2, 3, 4, 1}},
		{"SUBJECT", []mail.SortCriterion{by(mail.SortSubject)}, []mail.UID{4, 2, 1, 3}},
		{"SUBJECT DATE", []mail.SortCriterion{by(mail.SortSubject), by(mail.SortDate)}, []mail.UID{4, 2, 3, 1}},
		{"SUBJECT REVERSE DATE", []mail.SortCriterion{by(mail.SortSubject), down(mail.SortDate)}, []mail.UID{4, 2, 1, 3}},
		{"REVERSE SUBJECT", []mail.SortCriterion{down(mail.SortSubject)}, []mail.UID{1, 3, 2, 4}},
		{"FROM", []mail.SortCriterion{by(mail.SortFrom)}, []mail.UID{4, 3, 2, 1}}, // the mailbox, not the host, in any case
		{"CC", []mail.SortCriterion{by(mail.SortCc)}, []mail.UID{1, 3, 4, 2}},
		{"TO", []mail.SortCriterion{by(mail.SortTo)}, []mail.UID{4, 2, 3, 1}}, // dwarves f q x
		// RFC 5051: É is E and a mark, whose octets come after those of V: D, EV, E and mark, F.
		{"DISPLAYTO", []mail.SortCriterion{by(mail.SortDisplayTo)}, []mail.UID{4, 3, 1, 2}},
		{"DISPLAYFROM", []mail.SortCriterion{by(mail.SortDisplayFrom)}, []mail.UID{4, 3, 2, 1}},
		{"one key twice", []mail.SortCriterion{by(mail.SortSize), down(mail.SortSize)}, []mail.UID{1, 3, 4, 2}},
	}
	for _, tt := range tests {
		if got := sorted(t, mailbox, tt.order...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := sorted(t, nil, by(mail.SortSubject)); len(got) != 0 {
		t.Errorf("nothing sorted is %v", got)
	}
}

// TestDisplay is RFC 5957 3, case by case.
func TestDisplay(t *testing.T) {
	for want, a := range map[string]message.Address{
		"Ada Lovelace": {Name: "Ada Lovelace", Mailbox: "ada", Host: "example.org"},
		"Zoë":          {Name: "=?iso-8859-1?q?Zo=EB?=", Mailbox: "z", Host: "example.org"},
		"ada@example":  {Mailbox: "ada", Host: "example"},
		"dwarves":      {Kind: message.GroupStart, Mailbox: "dwarves"},
		"":             {Kind: message.GroupEnd},
	} {
		if got := string(appendDisplay(nil, &a)); got != want {
			t.Errorf("%+v: %q, want %q", a, got, want)
		}
	}
	if got := appendDisplay(nil, &message.Address{}); len(got) != 0 {
		t.Errorf("no address: %q", got)
	}
}

// plainValue is what a message is compared by, as RFC 5256 3 and RFC 5957 3 say: a
// number, or octets after i;unicode-casemap by the stock routines.
func plainValue(k mail.SortKey, h *Heading) (int64, string) {
	fold := func(s string) string { return reference(message.DecodeHeader(s)) }
	display := func(a message.Address) string {
		switch {
		case message.DecodeHeader(a.Name) != "":
			return fold(a.Name)
		case a.Mailbox != "" && a.Kind == message.Mailbox:
			return fold(a.Mailbox + "@" + a.Host)
		}
		return fold(a.Mailbox)
	}
	switch k {
	case mail.SortArrival:
		return h.Date.Unix(), ""
	case mail.SortDate:
		return h.Sent, ""
	case mail.SortSize:
		return int64(h.Size), ""
	case mail.SortSubject:
		base, _ := plainBaseSubject(h.Subject)
		return 0, reference(base)
	case mail.SortFrom:
		return 0, fold(h.From.Mailbox)
	case mail.SortTo:
		return 0, fold(h.To.Mailbox)
	case mail.SortCc:
		return 0, fold(h.Cc.Mailbox)
	case mail.SortDisplayFrom:
		return 0, display(h.From)
	default:
		return 0, display(h.To)
	}
}

func TestSortAgainstAPlainOne(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) message.Address {
		if rapid.IntRange(0, 4).Draw(t, "none") == 0 {
			return message.Address{}
		}
		return message.Address{
			Name:    rapid.SampledFrom([]string{"", "", "ada", "Ädä", "adam the first", "adam the second", "=?utf-8?q?=41da?="}).Draw(t, "name"),
			Mailbox: rapid.SampledFrom([]string{"a", "B", "b", "élan", "longer than eight", "longer than EIGHT octets"}).Draw(t, "mailbox"),
			Host:    rapid.SampledFrom([]string{"", "x", "Y"}).Draw(t, "host"),
		}
	})
	heading := rapid.Custom(func(t *rapid.T) Heading {
		return Heading{
			Sent: int64(rapid.IntRange(-3, 3).Draw(t, "sent")), Date: mail.InternalDate(rapid.IntRange(-3, 3).Draw(t, "date")) << 12,
			Size: uint32(rapid.IntRange(0, 3).Draw(t, "size")), Subject: drawSubject(t),
			From: address.Draw(t, "from"), To: address.Draw(t, "to"), Cc: address.Draw(t, "cc"),
		}
	})
	criterion := rapid.Custom(func(t *rapid.T) mail.SortCriterion {
		return mail.SortCriterion{Key: mail.SortKey(rapid.IntRange(1, int(mail.SortDisplayTo)).Draw(t, "key")), Reverse: rapid.Bool().Draw(t, "reverse")}
	})
	rapid.Check(t, func(t *rapid.T) {
		mailbox := rapid.SliceOfN(heading, 0, 12).Draw(t, "mailbox")
		order := rapid.SliceOfN(criterion, 1, 4).Draw(t, "order")
		want := make([]mail.UID, len(mailbox))
		for i := range want {
			want[i] = mail.UID(i + 1)
		}
		slices.SortStableFunc(want, func(a, b mail.UID) int {
			for _, c := range order {
				x, s := plainValue(c.Key, &mailbox[a-1])
				y, u := plainValue(c.Key, &mailbox[b-1])
				if d := cmp.Or(cmp.Compare(x, y), bytes.Compare([]byte(s), []byte(u))); d != 0 {
					if c.Reverse {
						return -d
					}
					return d
				}
			}
			return 0
		})
		s := NewSorter(order, mail.Comparator{})
		for i := range mailbox {
			if err := s.Add(mail.UID(i+1), &mailbox[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Sorted(); !slices.Equal(got, want) {
			t.Fatalf("%v: %v, want %v", order, got, want)
		}
	})
}

// Comparing takes no memory, whatever is compared.
func TestCompareAllocatesNothing(t *testing.T) {
	s := NewSorter([]mail.SortCriterion{by(mail.SortSubject), down(mail.SortFrom), by(mail.SortDate)}, mail.Comparator{})
	for i := range 10 {
		h := Heading{Subject: "the same long subject", From: box("the same sender as ever", "x"), Sent: int64(i)}
		if err := s.Add(mail.UID(i+1), &h); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.compare(3, 4) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// manyHeadings are like a mailbox of 100,000 messages: threads of five.
func manyHeadings() []Heading {
	mailbox := make([]Heading, 100_000)
	for i := range mailbox {
		h := &mailbox[i]
		thread := i / 5
		h.Sent, h.Date, h.Size = int64(i)*61%1_000_003, mail.InternalDate(i)<<20, uint32(i*7919%50_000)
		h.Subject = fmt.Sprintf("Minutes of meeting number %d", thread*7919%20_000)
		h.MessageID = fmt.Sprintf("<%d.%d@mail.example.org>", i, i*31)
		h.From = box(fmt.Sprintf("someone%d", i%997), "example.org")
		if i%5 > 0 {
			h.Subject = "Re: " + h.Subject
			h.InReplyTo = fmt.Sprintf("<%d.%d@mail.example.org>", i-1, (i-1)*31)
			for j := thread * 5; j < i; j++ {
				h.References += fmt.Sprintf("<%d.%d@mail.example.org> ", j, j*31)
			}
		}
	}
	return mailbox
}

func BenchmarkSort(b *testing.B) {
	mailbox := manyHeadings()
	for _, bb := range []struct {
		name  string
		order []mail.SortCriterion
	}{
		{"REVERSE DATE", []mail.SortCriterion{down(mail.SortDate)}},
		{"SUBJECT", []mail.SortCriterion{by(mail.SortSubject)}},
		{"FROM SUBJECT DATE", []mail.SortCriterion{by(mail.SortFrom), by(mail.SortSubject), by(mail.SortDate)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sorted(b, mailbox, bb.order...)
			}
		})
	}
}

func BenchmarkThread(b *testing.B) {
	mailbox := manyHeadings()
	for name, a := range map[string]mail.ThreadAlgorithm{
		"ORDEREDSUBJECT": mail.ThreadOrderedSubject, "REFERENCES": mail.ThreadReferences, "REFS": mail.ThreadRefs,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				threadsOf(b, a, mailbox)
			}
		})
	}
}
