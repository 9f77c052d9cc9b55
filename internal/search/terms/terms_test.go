package terms

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// failer is a test, or a property of one.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// document is a message: its texts, by field.
type document [][]string

// write makes a segment of documents, whose texts it cuts into pieces of some length.
func write(t failer, ids []uint64, documents []document, piece int) []byte {
	t.Helper()
	b := NewBuilder(1)
	for i, d := range documents {
		b.Begin(ids[i])
		for field, texts := range d {
			for _, text := range texts {
				for len(text) > 0 {
					n := min(piece, len(text))
					b.Text(field, []byte(text[:n]))
					text = text[n:]
				}
				b.EndText(field)
			}
		}
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t failer, data []byte) *Segment {
	t.Helper()
	s, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var parts = []string{
	"A", "B", "AB", "BA", "ABC", "WORD", "42", " ", ".", "-", "\r\n", "E\u0301", "Ж", "ЖН", "微", "風", "迎客", "ก", "🙂", "\u1100\u1161",
	strings.Repeat("AB", 30), strings.Repeat("微風", 5), "\uFFFD", "\xff",
}

func drawText(t *rapid.T, label string, most int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, most).Draw(t, label), "")
}

// TestFindAgainstScan compares what segments say with what is in the texts: whatever has the
// string may have it, whatever certainly has it has it, and of what is one word nothing
// is left uncertain.
func TestFindAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "messages")
		var ids []uint64
		var documents []document
		id := uint64(rapid.IntRange(1, 1<<40).Draw(t, "first"))
		for range n {
			var d document
			for range 2 {
				d = append(d, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawText(t, "text", 6) }), 0, 3).Draw(t, "texts"))
			}
			documents, ids = append(documents, d), append(ids, id)
			id += uint64(rapid.IntRange(1, 2).Draw(t, "gap"))
		}
		piece := rapid.IntRange(1, 50).Draw(t, "piece")
		// One segment, or several that are merged without some of the messages.
		kept := map[uint64]bool{}
		var segments []*Segment
		for at := 0; at < n; {
			k := rapid.IntRange(1, n-at).Draw(t, "segment")
			segments = append(segments, open(t, write(t, ids[at:at+k], documents[at:at+k], piece)))
			at += k
		}
		for _, id := range ids {
			kept[id] = len(segments) == 1 || rapid.IntRange(0, 3).Draw(t, "kept") > 0
		}
		s := segments[0]
		if len(segments) > 1 {
			var out bytes.Buffer
			if _, err := Merge(&out, segments, func(id uint64) bool { return kept[id] }); err != nil {
				t.Fatal(err)
			}
			s = open(t, out.Bytes())
		}
		var needles []string
		for range 8 {
			needles = append(needles, drawText(t, "needle", 3))
			d := documents[rapid.IntRange(0, n-1).Draw(t, "message")]
			for _, texts := range d {
				for _, text := range texts {
					runes := []rune(text)
					from := rapid.IntRange(0, len(runes)).Draw(t, "from")
					needles = append(needles, string(runes[from:rapid.IntRange(from, len(runes)).Draw(t, "to")]))
				}
			}
		}
		for _, needle := range needles {
			for field := range 2 {
				for _, asciiOnly := range []bool{false, true} {
					compare(t, s, ids, documents, kept, needle, field, asciiOnly)
				}
			}
		}
	})
}

func compare(t *rapid.T, s *Segment, ids []uint64, documents []document, kept map[uint64]bool, needle string, field int, asciiOnly bool) {
	may, sure := NewSet(s.Messages()), NewSet(s.Messages())
	find := NewNeedle([]byte(needle), asciiOnly)
	if asciiOnly {
		sure = nil
	}
	if err := s.Find(find, field, may, sure); err != nil {
		t.Fatal(err)
	}
	places := 0
	for i, id := range ids {
		place, there := s.Place(id)
		if there != kept[id] {
			t.Fatalf("message %d is there: %t", id, there)
		}
		if !there {
			continue
		}
		places++
		if s.ID(place) != id {
			t.Fatalf("message %d is called %d", id, s.ID(place))
		}
		has := slices.ContainsFunc(documents[i][field], func(text string) bool { return strings.Contains(text, needle) })
		if has && needle != "" && !may.Has(place) {
			t.Fatalf("%q is in %q and is not found", needle, documents[i][field])
		}
		if sure != nil && sure.Has(place) && !has {
			t.Fatalf("%q is not in %q and is certainly found", needle, documents[i][field])
		}
	}
	if places != s.Messages() {
		t.Fatalf("%d messages, and there are %d", s.Messages(), places)
	}
}

func find(t *testing.T, s *Segment, needle string) (may, sure []int) {
	t.Helper()
	m, c := NewSet(s.Messages()), NewSet(s.Messages())
	if err := s.Find(NewNeedle([]byte(needle), false), 0, m, c); err != nil {
		t.Fatal(err)
	}
	for i := range s.Messages() {
		if m.Has(i) {
			may = append(may, i)
		}
		if c.Has(i) {
			sure = append(sure, i)
		}
	}
	return may, sure
}

// TestSelective is what the index is for: few messages may have what few have.
func TestSelective(t *testing.T) {
	texts := []string{
		0: "THE GARDEN GATE",
		1: "A GARDENER, GATED",
		2: "微風迎客",
		3: "迎風",
		4: "🙂🙃",
		5: "🙂",
		6: strings.Repeat("X", 5000) + "NEEDLE" + strings.Repeat("Y", 5000),
		7: "FOO-BAR",
		8: "FOOD AND A BARN",
		9: "ДЕРЕВНЯ",
	}
	var documents []document
	var ids []uint64
	for i, text := range texts {
		documents, ids = append(documents, document{{text}}), append(ids, uint64(i+1))
	}
	s := open(t, write(t, ids, documents, 7))
	for _, tt := range []struct {
		needle    string
		may, sure []int
	}{
		{"GARDEN", []int{0, 1}, []int{0, 1}},
		{"ARDEN", []int{0, 1}, []int{0, 1}},
		{"GARDEN ", []int{0}, nil},
		{" GARDEN", []int{0, 1}, nil},
		{"GARDEN GATE", []int{0}, nil},
		{"GARDENG", nil, nil},
		{"GA", []int{0, 1}, []int{0, 1}},
		{"微風", []int{2}, []int{2}},
		{"風", []int{2, 3}, []int{2, 3}},
		{"風迎客", []int{2}, nil},
		{"🙂", []int{4, 5}, []int{4, 5}},
		{"NEEDLE", []int{6}, nil},
		{"FOO-BAR", []int{7}, nil},
		{"FOO", []int{7, 8}, []int{7, 8}},
		{"O-B", []int{7}, nil},
		{"ЕРЕВ", []int{9}, []int{9}},
		{"NOWHERE", nil, nil},
		{"-", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, nil},
	} {
		if may, sure := find(t, s, tt.needle); !slices.Equal(may, tt.may) || !slices.Equal(sure, tt.sure) {
			t.Errorf("%q: perhaps %v, certainly %v, want %v and %v", tt.needle, may, sure, tt.may, tt.sure)
		}
	}
}

// TestLongNeedles looks for strings of which only a part is looked up: more messages may have them
// than do, none certainly, and those that lack one of the longer words do not.
func TestLongNeedles(t *testing.T) {
	words := strings.Repeat("SOME OF THE WORDS ", 2000)
	long := strings.Repeat("微風迎客", 5000)
	documents := []document{{{words + "END"}}, {{words}}, {{long + "終"}}, {{"SOME WORDS"}}, {{"微風迎客"}}}
	s := open(t, write(t, []uint64{1, 2, 3, 4, 5}, documents, 999))
	for needle, want := range map[string][]int{
		words + "END": {0}, words: {0, 1}, long: {2}, long + "終": {2}, "NOT " + words: nil,
	} {
		may, sure := find(t, s, needle)
		if len(sure) > 0 || slices.Contains(may, 3) {
			t.Errorf("%.20q...: perhaps in %v, certainly in %v", needle, may, sure)
		}
		for _, i := range want {
			if !slices.Contains(may, i) {
				t.Errorf("%.20q...: perhaps in %v, and it is in %d", needle, may, i)
			}
		}
	}
}

// TestUndo takes a message out of a builder as if it had never been there.
func TestUndo(t *testing.T) {
	b := NewBuilder(1)
	for id, text := range []string{"ONE TWO", "TWO THREE", "TWO FOUR"} {
		b.Begin(uint64(id + 1))
		b.Text(0, []byte(text))
		if id != 1 {
			b.EndText(0)
		} else {
			b.Undo()
		}
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	want := write(t, []uint64{1, 3}, []document{{{"ONE TWO"}}, {{"TWO FOUR"}}}, 100)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("the segment is not what it would be without the message")
	}
}

// TestDamage changes every octet of a segment in turn: it is noticed, or changes nothing.
func TestDamage(t *testing.T) {
	var documents []document
	var ids []uint64
	for i := range 40 {
		documents = append(documents, document{{fmt.Sprintf("COMMON WORD%d %d", i, i%3)}, {"微風迎客"}})
		ids = append(ids, uint64(2*i+1))
	}
	data := write(t, ids, documents, 100)
	answers := func(data []byte) (string, error) {
		s, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return "", err
		}
		var all strings.Builder
		for _, needle := range []string{"COMMON", "WORD3", "2", "風"} {
			for field := range 2 {
				may, sure := NewSet(s.Messages()), NewSet(s.Messages())
				if err := s.Find(NewNeedle([]byte(needle), false), field, may, sure); err != nil {
					return "", err
				}
				fmt.Fprint(&all, may, sure)
			}
		}
		_, err = Merge(&bytes.Buffer{}, []*Segment{s}, func(uint64) bool { return true })
		return all.String(), err
	}
	want, err := answers(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 0x15
		switch got, err := answers(broken); {
		case err == nil && got != want:
			t.Fatalf("octet %d of %d is another, and so are the answers", i, len(data))
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Fatalf("octet %d: %v", i, err)
		case err == nil && i >= len(magic):
			t.Fatalf("octet %d of %d is another, and nobody notices", i, len(data))
		}
	}
	for n := range data {
		if _, err := Open(bytes.NewReader(data[:n]), int64(n)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d of %d: %v", n, len(data), err)
		}
	}
}

// FuzzSegment reads whatever there is, with checksums that agree where they are asked to.
func FuzzSegment(f *testing.F) {
	f.Add(write(f, []uint64{1, 2, 5}, []document{{{"ONE TWO"}, {"微風"}}, {{"TWO"}}, {{"THREE"}}}, 100), []byte("TW"))
	f.Add([]byte(magic), []byte("A"))
	f.Fuzz(func(t *testing.T, data, needle []byte) {
		for _, d := range [][]byte{data, sealed(data)} {
			s, err := Open(bytes.NewReader(d), int64(len(d)))
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatal(err)
				}
				continue
			}
			for field := range 2 {
				may, sure := NewSet(s.Messages()), NewSet(s.Messages())
				if err := s.Find(NewNeedle(needle, false), field, may, sure); err != nil && !errors.Is(err, ErrDamaged) {
					t.Fatal(err)
				}
			}
			if _, err := Merge(&bytes.Buffer{}, []*Segment{s}, func(id uint64) bool { return id%2 == 0 }); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		}
	})
}

// sealed makes the checksums of a segment's ends agree, so that a fuzzer comes behind them.
func sealed(data []byte) []byte {
	if len(data) < len(magic)+trailerSize {
		return data
	}
	d := bytes.Clone(data)
	t := d[len(d)-trailerSize:]
	for i := range 2 {
		at := t[i*16:]
		from, octets := be64(at), be32(at[8:])
		if from <= uint64(len(d)) && uint64(octets) <= uint64(len(d))-from {
			putBE32(at[12:], sum(d[from:from+uint64(octets)]))
		}
	}
	putBE32(t[32:], version)
	putBE32(t[40:], sum(t[:40]))
	copy(t[44:], magic)
	return d
}
