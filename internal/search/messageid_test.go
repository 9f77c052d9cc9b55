package search

import (
	"slices"
	"strings"
	"testing"
)

func readAll(field string) (ids []string) {
	m := messageIDs{rest: field}
	for {
		id, ok := m.next()
		if !ok {
			return ids
		}
		ids = append(ids, string(id))
	}
}

func TestMessageIDs(t *testing.T) {
	for field, want := range map[string][]string{
		"":                   nil,
		"<a@b>":              {"a@b"},
		" <a@b>\t<c@d><e@f>": {"a@b", "c@d", "e@f"},
		// RFC 5256 3: these two are the same.
		`<"01KF8JCEOCBS0045PS"@xxx.yyy.com>`: {"01KF8JCEOCBS0045PS@xxx.yyy.com"},
		`<01KF8JCEOCBS0045PS@xxx.yyy.com>`:   {"01KF8JCEOCBS0045PS@xxx.yyy.com"},
		`<"a\"b"@c>`:                         {`a"b@c`},
		`<"a>b"@c>`:                          {"a>b@c"}, // qtext may be an angle bracket
		`<a@[1.2.3\.4]>`:                     {"a@[1.2.3.4]"},
		"<a b\r\n @c>":                       {"ab@c"}, // obsolete syntax, and folding
		"<A@b> <a@B>":                        {"A@b", "a@B"},
		"<no-at>":                            nil, // RFC 5322 3.6.4 wants both sides
		"<@b> <a@> <a@b>":                    {"a@b"},
		"<a <b@c>":                           {"b@c"},
		"<a@b":                               nil,
		`<"broken@x> <good@y>`:               {`"broken@x`, "good@y"}, // a quote without end is none
		`Your message of "today" <a@b> from <me@here>`: {"a@b", "me@here"},
		"<é@ü>": {"é@ü"},
	} {
		if got := readAll(field); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}

// However a field is broken, reading it takes time in proportion to its length:
// each of these has a million octets that an attempt could go over again.
func TestMessageIDsInLinearTime(t *testing.T) {
	for _, unit := range []string{"<", "<a", "<\"", "<\"a", "<a@b", "\\<", "<\"\\\"", "<a\"<b@c"} {
		readAll(strings.Repeat(unit, 1<<20/len(unit)))
	}
}
