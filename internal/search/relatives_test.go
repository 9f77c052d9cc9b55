package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/mail"
)

func TestRelatives(t *testing.T) {
	of := func(id string) uint64 { r := RelativesOf(id, "", ""); return r.Own }
	a, b, c := of("<a@x>"), of("<b@x>"), of("<c@x>")
	if a == 0 || a == b || b == c || a>>63 != 0 {
		t.Fatal(a, b, c)
	}
	for _, test := range []struct {
		messageID, inReplyTo, references string
		own                              uint64
		refs                             []uint64
	}{
		{"", "", "", 0, nil},
		{"nonsense", "none", "nor here", 0, nil},
		{`<"a"@x>`, "", "", a, nil}, // RFC 5256 3: quoting is no difference
		{"<a@x>", "<b@x>", "", a, []uint64{b}},
		{"<a@x>", "Your mail of <b@x> <c@x>", "", a, []uint64{b}},
		{"<a@x>", "<c@x>", "<b@x>", a, []uint64{b}}, // In-Reply-To only if there are no References
		{"<a@x>", "<c@x>", "<c@x> (x)\r\n <b@x>", a, []uint64{c, b}},
	} {
		got := RelativesOf(test.messageID, test.inReplyTo, test.references)
		if got.Own != test.own || !slices.Equal(got.Refs, test.refs) {
			t.Errorf("%+v: %+v", test, got)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "<%d@x> ", i)
	}
	got := RelativesOf("", "", many.String())
	if len(got.Refs) != maxRelatives || got.Refs[0] != of("<0@x>") || got.Refs[1] != of("<969@x>") || got.Refs[31] != of("<999@x>") {
		t.Errorf("%d of 1,000 references, first %x", len(got.Refs), got.Refs[0])
	}
}

// TestThreadKey searches by a THREADID that the source knows.
func TestThreadKey(t *testing.T) {
	for text, want := range map[string]bool{"T2a": true, "T2b": false, "T02a": false, "M2a": false, "t2a": false} {
		for _, not := range []bool{false, true} {
			c := mail.Criteria{Op: mail.SearchThreadID, Text: text}
			if not {
				c = mail.Criteria{Op: mail.SearchNot, Children: []mail.Criteria{c}}
			}
			p, err := Compile(c, Env{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Evaluator().Match(t.Context(), &Row{}, &stored{thread: 0x2a})
			if err != nil || got != (want != not) {
				t.Errorf("%s, not %v: %v, %v", text, not, got, err)
			}
		}
	}
}
