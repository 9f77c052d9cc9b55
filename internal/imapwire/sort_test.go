package imapwire

import (
	"reflect"
	"strings"
	"testing"

	"postern/internal/mail"
)

func readSort(text string) (r *Reader, a SortArgs, ok bool) {
	r = reader("a SORT " + text + "\r\nb NOOP\r\n")
	if _, err := r.Command(); err != nil {
		return r, a, false
	}
	ok = r.ExpectSortArgs(&a)
	return r, a, ok
}

func TestSortArgs(t *testing.T) {
	up := func(k mail.SortKey) mail.SortCriterion { return mail.SortCriterion{Key: k} }
	down := func(k mail.SortKey) mail.SortCriterion { return mail.SortCriterion{Key: k, Reverse: true} }
	seen := flagCriteria(mail.Seen, false)
	for text, want := range map[string]SortArgs{
		"(SUBJECT) UTF-8 SEEN":                {Order: []mail.SortCriterion{up(mail.SortSubject)}, SearchArgs: SearchArgs{Charset: "UTF-8", Criteria: seen}},
		`(subject reverse date) "us-ascii" 1`: {Order: []mail.SortCriterion{up(mail.SortSubject), down(mail.SortDate)}, SearchArgs: SearchArgs{Charset: "us-ascii", Criteria: seqKey(mail.NumRange{From: 1, To: 1})}},
		"(ARRIVAL CC FROM SIZE TO DISPLAYFROM REVERSE DISPLAYTO) UTF-8 ALL": {Order: []mail.SortCriterion{up(mail.SortArrival), up(mail.SortCc), up(mail.SortFrom),
			up(mail.SortSize), up(mail.SortTo), up(mail.SortDisplayFrom), down(mail.SortDisplayTo)}, SearchArgs: SearchArgs{Charset: "UTF-8", Criteria: and()}},
		"RETURN () (DATE) UTF-8 SEEN 1": {Order: []mail.SortCriterion{up(mail.SortDate)},
			SearchArgs: SearchArgs{HasReturn: true, Return: ReturnAll, Charset: "UTF-8", Criteria: and(seen, seqKey(mail.NumRange{From: 1, To: 1}))}},
		"return (min count save) (DATE) UTF-8 OLDER 3": {Order: []mail.SortCriterion{up(mail.SortDate)},
			SearchArgs: SearchArgs{HasReturn: true, Return: ReturnMin | ReturnCount | ReturnSave, Charset: "UTF-8", Uses: UsesWithin, Criteria: mail.Criteria{Op: mail.SearchOlder, Number: 3}}},
		"(DATE) KOI8-R TEXT {2+}\r\n\xcb\xcc": {Order: []mail.SortCriterion{up(mail.SortDate)}, SearchArgs: SearchArgs{Charset: "KOI8-R", Criteria: mail.Criteria{Op: mail.SearchText, Text: "кл"}}},
	} {
		r, a, ok := readSort(text)
		if !ok || !reflect.DeepEqual(a, want) {
			t.Errorf("%q: %+v, %v, want %+v", text, a, r.Err(), want)
		}
		if err := r.End(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if next, err := r.Command(); err != nil || next.Name != "NOOP" {
			t.Errorf("%q: then %+v, %v", text, next, err)
		}
	}
	for _, text := range []string{
		"", "DATE UTF-8 ALL", "() UTF-8 ALL", "(DATE REVERSE) UTF-8 ALL", "(REVERSE REVERSE DATE) UTF-8 ALL", "(REVERSE (DATE)) UTF-8 ALL",
		"(DATE)", "(DATE) UTF-8", "(DATE) UTF-8 ", "(DATE) ALL", "(NAME) UTF-8 ALL", "(DATE,SIZE) UTF-8 ALL", "(DATE  SIZE) UTF-8 ALL", "(DATE)UTF-8 ALL",
		"RETURN (DATE) UTF-8 ALL", "RETURN (MIN)(DATE) UTF-8 ALL", "RETURNS () (DATE) UTF-8 ALL", "(DATE) UTF-8 CHARSET UTF-8 ALL", "(DATE) UTF-8 ALL ",
	} {
		r, a, ok := readSort(text)
		if ok {
			t.Errorf("%q is %+v", text, a)
		}
		if _, isSyntax := r.Err().(*SyntaxError); !isSyntax {
			t.Errorf("%q: %v", text, r.Err())
		}
	}
	if r, _, ok := readSort("(DATE) X-NOTHING ALL"); ok || mail.KindOf(r.Err()) != mail.BadCharset {
		t.Errorf("an unknown charset: %v", r.Err())
	}
}

func TestThreadArgs(t *testing.T) {
	read := func(text string) (*Reader, ThreadArgs, bool) {
		r := reader("a UID THREAD " + text + "\r\n")
		var a ThreadArgs
		if _, err := r.Command(); err != nil {
			return r, a, false
		}
		return r, a, r.ExpectThreadArgs(&a)
	}
	for text, algorithm := range map[string]mail.ThreadAlgorithm{
		"ORDEREDSUBJECT UTF-8 SEEN": mail.ThreadOrderedSubject, "references us-ascii SEEN": mail.ThreadReferences, `Refs "utf-8" SEEN`: mail.ThreadRefs,
	} {
		r := reader("a UID THREAD " + text + "\r\n")
		var a ThreadArgs
		if _, err := r.Command(); err != nil {
			t.Fatal(err)
		}
		if !r.ExpectThreadArgs(&a) || a.Algorithm != algorithm || !reflect.DeepEqual(a.Criteria, flagCriteria(mail.Seen, false)) {
			t.Errorf("%q: %+v, %v", text, a, r.Err())
		}
	}
	for _, text := range []string{"", "REFERENCES", "REFERENCES UTF-8", "JWZ UTF-8 ALL", "(REFS) UTF-8 ALL", "RETURN () REFS UTF-8 ALL", "REFS UTF-8 NONSENSE"} {
		if r, a, ok := read(text); ok || r.Err() == nil {
			t.Errorf("%q is %+v, %v", text, a, r.Err())
		}
	}
	if r, _, ok := read("REFS X-NOTHING ALL"); ok || mail.KindOf(r.Err()) != mail.BadCharset {
		t.Errorf("an unknown charset: %v", r.Err())
	}
}

// The first are examples of RFC 5256 4, RFC 7162 3.1.6 and RFC 5267 3.3.
func TestSortResponses(t *testing.T) {
	for want, write := range map[string]func(w *Writer){
		"* SORT 2 3 6\r\n":                  func(w *Writer) { w.Sort([]uint32{2, 3, 6}, 0) },
		"* SORT\r\n":                        func(w *Writer) { w.Sort(nil, 0) },
		"* SORT 2 3 6 (MODSEQ 117)\r\n":     func(w *Writer) { w.Sort([]uint32{2, 3, 6}, 117) },
		"* ESEARCH (TAG \"a\") COUNT 0\r\n": func(w *Writer) { w.ESort(&ESort{Tag: "a", Return: ReturnMin | ReturnMax | ReturnAll | ReturnCount}) },
		"* ESEARCH (TAG \"E01\") UID ALL 23765,23764,23763,23761\r\n": func(w *Writer) {
			w.ESort(&ESort{Tag: "E01", UID: true, Return: ReturnAll, Sorted: []uint32{23765, 23764, 23763, 23761}})
		},
		"* ESEARCH (TAG \"C2\") ALL 5,10,1 RELEVANCY (99 42 4)\r\n": func(w *Writer) { // RFC 6203 6
			w.ESort(&ESort{Tag: "C2", Return: ReturnAll | ReturnRelevancy, Sorted: []uint32{5, 10, 1}, Scores: []uint8{99, 42, 4}})
		},
		"* ESEARCH (TAG \"B1\") ALL 1,5,10 RELEVANCY (4 99 42)\r\n* ESEARCH (TAG \"B2\") RELEVANCY ()\r\n": func(w *Writer) { // RFC 6203 4, 7
			w.ESearch(&ESearch{Tag: "B1", Return: ReturnAll | ReturnRelevancy, Found: mail.NewUIDSet(1, 5, 10), Scores: []uint8{4, 99, 42}})
			w.ESearch(&ESearch{Tag: "B2", Return: ReturnRelevancy})
		},
		"* ESEARCH (TAG \"b\") MIN 9 MAX 1 ALL 9,4:6,8,7,1 COUNT 7 MODSEQ 5\r\n": func(w *Writer) {
			w.ESort(&ESort{Tag: "b", Return: ReturnMin | ReturnMax | ReturnAll | ReturnCount, Sorted: []uint32{9, 4, 5, 6, 8, 7, 1}, ModSeq: 5})
		},
	} {
		if got := written(t, write); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// grow adds a message with its replies to threads and gives its index.
func grow(t *mail.Threads, num uint32, replies ...int32) int32 {
	t.Nodes = append(t.Nodes, mail.ThreadNode{Num: num, Child: chain(t, replies), Next: mail.NoThread})
	return int32(len(t.Nodes) - 1)
}

// chain makes siblings and gives the first.
func chain(t *mail.Threads, siblings []int32) int32 {
	if len(siblings) == 0 {
		return mail.NoThread
	}
	for i, at := range siblings[1:] {
		t.Nodes[siblings[i]].Next = at
	}
	return siblings[0]
}

// Examples of RFC 5256 3 and 4.
func TestThreadsResponse(t *testing.T) {
	for want, make := range map[string]func(t *mail.Threads) []int32{
		"* THREAD\r\n":                    func(*mail.Threads) []int32 { return nil },
		"* THREAD (166)(167)\r\n":         func(t *mail.Threads) []int32 { return []int32{grow(t, 166), grow(t, 167)} },
		"* THREAD ((3)(5))\r\n":           func(t *mail.Threads) []int32 { return []int32{grow(t, 0, grow(t, 3), grow(t, 5))} },
		"* THREAD (205 206 207)(208)\r\n": func(t *mail.Threads) []int32 { return []int32{grow(t, 205, grow(t, 206, grow(t, 207))), grow(t, 208)} },
		"* THREAD ((194)(195 196))(197)\r\n": func(t *mail.Threads) []int32 {
			return []int32{grow(t, 0, grow(t, 194), grow(t, 195, grow(t, 196))), grow(t, 197)}
		},
		"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n": func(t *mail.Threads) []int32 {
			return []int32{grow(t, 2), grow(t, 3, grow(t, 6, grow(t, 4, grow(t, 23)), grow(t, 44, grow(t, 7, grow(t, 96)))))}
		},
		"* THREAD ((177)(183)(182)(188 (184)(189))(185 186)(187))\r\n": func(t *mail.Threads) []int32 {
			return []int32{grow(t, 0, grow(t, 177), grow(t, 183), grow(t, 182), grow(t, 188, grow(t, 184), grow(t, 189)), grow(t, 185, grow(t, 186)), grow(t, 187))}
		},
	} {
		var threads mail.Threads
		threads.First = chain(&threads, make(&threads))
		if got := written(t, func(w *Writer) { w.Threads(&threads) }); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Threads nest as deep as there are messages.
func TestDeepThreads(t *testing.T) {
	const depth = 100_000
	var threads mail.Threads
	at := grow(&threads, depth)
	for n := depth - 1; n > 0; n-- {
		at = grow(&threads, uint32(n), at, grow(&threads, uint32(n+depth)))
	}
	threads.First = at
	got := written(t, func(w *Writer) { w.Threads(&threads) })
	if open, shut := strings.Count(got, "("), strings.Count(got, ")"); open != shut || open != 2*depth-1 {
		t.Errorf("%d and %d parentheses", open, shut)
	}
	if want := "* THREAD (1 (2 (3 (4 "; !strings.HasPrefix(got, want) {
		t.Errorf("it begins %q", got[:len(want)])
	}
}
