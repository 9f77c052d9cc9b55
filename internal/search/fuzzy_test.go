package search

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

func roughly(c criteria) criteria {
	return criteria{Op: mail.SearchFuzzy, Children: []criteria{c}}
}

// matches says whether a message matches and how relevant it is.
func graded(t *testing.T, raw string, c criteria) (bool, uint8) {
	t.Helper()
	asking := env
	asking.Relevancy = true
	p, err := Compile(c, asking)
	if err != nil {
		t.Fatal(err)
	}
	e := p.Evaluator()
	ok, err := e.Match(t.Context(), &Row{}, &stored{raw: raw})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Compile(c, env)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := plain.Evaluator().Match(t.Context(), &Row{}, &stored{raw: raw}); err != nil || again != ok {
		t.Errorf("%+v: %t when graded and %t (%v) when not", c, ok, again, err)
	}
	return ok, e.Relevancy()
}

// TestFuzzyTexts is what people mean by the words they write.
func TestFuzzyTexts(t *testing.T) {
	for _, tt := range []struct {
		what, text string
		want       bool
	}{
		{"Helo", "hello", true}, {"Helo", "help", true}, {"Helo", "halo there", true}, // RFC 6203 4
		{"Helo", "held up", true}, {"Helo", "world", false}, {"Helo", "he lo", false},
		{"Muller", "Grüße an Müller", true}, {"Müller", "MULLER", true}, {"Mueller", "Müller", true},
		{"Strasse", "Straße", true}, {"Straße", "STRASSE", true}, {"Soren", "Søren", true}, {"Lodz", "Łódź", true},
		{"Tolstoi", "Толстой", false}, {"толстои", "Толстой", true}, {"ελλαδα", "Ελλάδα", true}, {"istanbul", "ıstanbul", true},
		{"quarterly report", "report for the third quarterly review", true},
		{"quartely reprot", "the report of this quarterly", true}, // two words, a mistake in each
		{"quarterly report", "the report", false},
		{"acommodation", "accommodation", true}, {"acomodation", "accommodation", true}, {"akomodation", "accommodation", false},
		{"cat", "car", false}, {"cat", "the cats", true}, {"cat", "concat", true}, // as the exact key has it
		{"at a", "a cat at home", true}, {"at b", "bat at", true}, {"at z", "at home", false},
		{"port", "airports", true}, {"invoice-2026", "2026: invoice", true},
		{"日本語", "これは日本語です", true}, {"語日", "これは日本語です", false},
		{"???", "what???", true}, {"???", "what", false}, {"", "anything", true},
		{strings.Repeat("x", 70), strings.Repeat("x", 71), true}, {strings.Repeat("x", 70), strings.Repeat("x", 69), false},
		{strings.Repeat("a b ", 20), strings.Repeat("b a ", 20), false}, // too many words: only as it is written
	} {
		for _, message := range []struct {
			raw string
			c   criteria
		}{
			{"Subject: " + tt.text + "\r\n\r\n", header("Subject", tt.what)},
			{"X-Other: " + tt.text + "\r\n\r\n", header("X-Other", tt.what)},
			{"Subject: " + tt.text + "\r\n\r\n", text(tt.what)},
			{"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + tt.text, body(tt.what)},
			// A text is cut into pieces where a word is.
			{"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat(".", chunk-2) + " " + tt.text, text(tt.what)},
		} {
			if got, _ := graded(t, message.raw, roughly(message.c)); got != tt.want {
				t.Errorf("FUZZY %q in %q: %t (%s %d)", tt.what, tt.text, got, message.c.Field, message.c.Op)
			}
		}
		if tt.what != "" {
			raw := "From: " + tt.text + " <someone@example.org>\r\n\r\n"
			if strings.ContainsAny(tt.text, "?:") {
				continue // no phrase
			}
			if got, _ := graded(t, raw, roughly(header("From", tt.what))); got != tt.want {
				t.Errorf("FUZZY FROM %q in %q: %t", tt.what, tt.text, got)
			}
		}
	}
}

// Words of one address are looked for together, those of two are not.
func TestFuzzyAddresses(t *testing.T) {
	const raw = "From: a@example.org\r\nTo: \"Jon Smith\" <jsmith@example.net>, Anne Boleyn <anne@tower.example>\r\n\r\n"
	for what, want := range map[string]bool{
		"smith jon": true, "smth jon": true, "jon exampel.net": true, "anne smith": false, "anna boleyn": true, "ane boleyn": false, "jon tower": false,
	} {
		if got, _ := graded(t, raw, roughly(header("To", what))); got != want {
			t.Errorf("%q: %t", what, got)
		}
	}
}

// TestRelevancy has messages that should come before others: as written before
// misspelt, the subject before the text, the text before some other field.
func TestRelevancy(t *testing.T) {
	const mime = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
	for _, tt := range []struct {
		c        criteria
		messages []string // the most relevant first
	}{
		{text("Garden"), []string{
			"Subject: the garden\r\n\r\n", "From: garden@example.org\r\n\r\n", "X-Some: x\r\n" + mime + "\r\nin a garden",
			mime + "\r\nthe gardn", "X-List: the gardn\r\n\r\n"}},
		// The best place decides, wherever it comes.
		{text("garden"), []string{"X-List: gardn\r\nSubject: garden\r\n\r\n", mime + "X-List: gardn\r\n\r\ngarden", "X-List: garden\r\n\r\n"}},
		{header("Subject", "second garden"), []string{
			"Subject: second garden\r\n\r\n", "Subject: garden, the second\r\n\r\n", "Subject: gardens, the second\r\n\r\n", "Subject: gardne, the second\r\n\r\n",
			"Subject: gardne, the secnod\r\n\r\n"}},
		{body("wonderland"), []string{mime + "\r\nwonderland", mime + "\r\nwonderlnd", mime + "\r\nwnderlnd"}},
		{all(header("Subject", "garden"), body("flowers")), []string{
			"Subject: garden\r\n" + mime + "\r\nflowers", "Subject: gardn\r\n" + mime + "\r\nflowers", "Subject: gardn\r\n" + mime + "\r\nflowrs"}},
		{either(header("Subject", "garden"), header("Subject", "meadow")), []string{"Subject: gardn meadow\r\n\r\n", "Subject: medow\r\n\r\n"}},
	} {
		last := uint8(bestScore + 1)
		for _, raw := range tt.messages {
			ok, score := graded(t, raw, roughly(tt.c))
			if !ok || score >= last || score < 1 {
				t.Errorf("%+v: %t, %d after %d: %q", tt.c, ok, score, last, raw)
			}
			last = score
		}
	}
	// The whole range is used (RFC 6203 4).
	if _, score := graded(t, "Subject: garden\r\n\r\n", roughly(header("Subject", "garden"))); score != 100 {
		t.Errorf("the best is %d", score)
	}
	if _, score := graded(t, "X-List: wnderlnd\r\n\r\n", roughly(text("wonderland"))); score != 1 {
		t.Errorf("the worst is %d", score)
	}
	// What is not fuzzy is certain.
	for _, c := range []criteria{text("garden"), roughly(unflag(mail.Seen)), either(unflag(mail.Seen), roughly(text("meadow")))} {
		if ok, score := graded(t, "X-List: garden\r\n\r\n", c); !ok || score != 100 {
			t.Errorf("%+v: %t %d", c, ok, score)
		}
	}
}

// TestFuzzyBounds: FUZZY is about the key behind it; below NOT it is exact.
func TestFuzzyBounds(t *testing.T) {
	const raw = "Subject: gardn\r\n\r\n"
	for _, tt := range []struct {
		c    criteria
		want bool
	}{
		{header("Subject", "garden"), false},
		{roughly(header("Subject", "garden")), true},
		{all(roughly(unflag(mail.Seen)), header("Subject", "garden")), false},
		{roughly(all(unflag(mail.Seen), header("Subject", "garden"))), true},
		{roughly(not(header("Subject", "garden"))), true},
		{not(roughly(header("Subject", "garden"))), false},
		{roughly(roughly(header("Subject", "garden"))), true},
	} {
		if got, _ := graded(t, raw, tt.c); got != tt.want {
			t.Errorf("%+v: %t", tt.c, got)
		}
	}
	if _, err := Compile(criteria{Op: mail.SearchFuzzy}, env); mail.KindOf(err) != mail.Invalid {
		t.Errorf("FUZZY without a key: %v", err)
	}
}

// TestFuzzyFindsAllThatExactFinds over random messages and criteria.
func TestFuzzyFindsAllThatExactFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := drawLetter(rt, 0)
		raw := l.write(rt, 0)
		c := drawCriteria(rt, 0)
		asking := Env{Relevancy: rapid.Bool().Draw(rt, "graded"), Resolve: func(set mail.NumSet, _ bool) (mail.UIDSet, error) {
			return mail.NewUIDSet(1, 3), nil
		}}
		match := func(c mail.Criteria) (bool, uint8) {
			p, err := Compile(c, asking)
			if err != nil {
				rt.Fatal(err)
			}
			e := p.Evaluator()
			ok, err := e.Match(t.Context(), &l.row, &stored{raw: raw})
			if err != nil {
				rt.Fatal(err)
			}
			return ok, e.Relevancy()
		}
		exactly, _ := match(c)
		fuzzily, score := match(roughly(c))
		if exactly && !fuzzily || fuzzily && (score < 1 || score > 100) {
			rt.Fatalf("exact %t, fuzzy %t with %d\n%+v\n%s", exactly, fuzzily, score, c, raw)
		}
	})
}

// TestDistance compares with the definition, written as a recursion.
func TestDistance(t *testing.T) {
	var define func(a, b []rune) int
	define = func(a, b []rune) int {
		n, m := len(a), len(b)
		if n == 0 || m == 0 {
			return n + m
		}
		if a[n-1] == b[m-1] {
			return define(a[:n-1], b[:m-1])
		}
		d := 1 + min(define(a[:n-1], b), define(a, b[:m-1]), define(a[:n-1], b[:m-1]))
		if n > 1 && m > 1 && a[n-1] == b[m-2] && a[n-2] == b[m-1] {
			d = min(d, 1+define(a[:n-2], b[:m-2]))
		}
		return d
	}
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]rune("abcé")), 0, 7)
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		if got, want := distance(a, []byte(string(b))), define(a, b); got != want {
			t.Fatalf("%q to %q: %d, want %d", string(a), string(b), got, want)
		}
	})
}

// BenchmarkFuzzyText is a search of ordinary text for three words.
func BenchmarkFuzzyText(b *testing.B) {
	raw := "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds.\r\n", 2000)
	p, err := Compile(roughly(text("garden flowers wonderland")), env)
	if err != nil {
		b.Fatal(err)
	}
	e := p.Evaluator()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := e.Match(b.Context(), &Row{}, &stored{raw: raw}); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
