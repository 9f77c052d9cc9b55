package imapwire

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"postern/internal/mail"
)

func TestMUTF7(t *testing.T) {
	for wire, name := range map[string]string{
		"":                                "",
		"INBOX":                           "INBOX",
		"&-":                              "&",
		"a&-b&-":                          "a&b&",
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語", // RFC 3501 5.1.3
		"&U,BTF2XlZyyKng-":                "台北日本語",              // RFC 3501 5.1.3
		"&Jjo-!":                          "☺!",                 // RFC 3501 5.1.3
		"caf&AOk-":                        "café",
		"&2D3eAA-":                        "😀", // a surrogate pair
		"&AOk-&-":                         "é&",
		"&AAoACQ-":                        "\n\t",
		"&AH8-":                           "\x7f",
	} {
		got, ok := DecodeMUTF7([]byte(wire))
		if !ok || got != name {
			t.Errorf("%s is read as %q, %v", wire, got, ok)
		}
		if back := string(AppendMUTF7(nil, name)); back != wire {
			t.Errorf("%q is written as %s, want %s", name, back, wire)
		}
	}
	for _, wire := range []string{
		"&", "a&", "&AOk", "&Jjo!", // never shifted back
		"&AGE-", "&AOkAYQ-", "&ACY-", // needless
		"&U,BTFw-&ZeVnLIqe-",                     // a superfluous shift: RFC 3501 5.1.3
		"&2AA-", "&3AA-", "&2D3YPQ-", "&2D0A6Q-", // half a surrogate pair
		"&A-", "&AO-", "&AOk=-", "&AOl-", "&AOkA-", "&AOk/-", // not base64 of 16-bit units, or bits left over
		"&A\nOk-", "caf\xc3\xa9", "\x01", "\x7f", // not printable ASCII
	} {
		if name, ok := DecodeMUTF7([]byte(wire)); ok {
			t.Errorf("%q is read as %q", wire, name)
		}
	}
}

func FuzzMUTF7(f *testing.F) {
	for _, s := range []string{"&U,BTFw-/&ZeVnLIqe-", "&-", "&AGE-", "café", "😀a\x00", "&2AA-", "a&AOk-&-b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, ok := DecodeMUTF7([]byte(text)); ok {
			if back := string(AppendMUTF7(nil, name)); back != text {
				t.Fatalf("%q is read as %q, which is written %q", text, name, back)
			}
			if !utf8.ValidString(name) {
				t.Fatalf("%q is read as %q", text, name)
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		wire := AppendMUTF7(nil, text)
		if name, ok := DecodeMUTF7(wire); !ok || name != text {
			t.Fatalf("%q is written %q, which is read as %q", text, wire, name)
		}
	})
}

func TestMailboxNames(t *testing.T) {
	tests := []struct {
		wire   string
		inUTF8 bool
		name   string // "!" stands for Cannot
	}{
		{"iNbOx", false, "INBOX"}, {`"inbox"`, true, "INBOX"}, {"{5+}\r\ninbox", false, "INBOX"},
		{"inbox2", false, "inbox2"}, {"inbox/x", false, "inbox/x"}, {`""`, false, ""}, {"a]b", false, "a]b"},
		{`"caf&AOk-"`, false, "café"}, {`"caf&AOk-"`, true, "caf&AOk-"}, {"&-", false, "&"}, {"&-", true, "&-"},
		{"\"caf\xc3\xa9\"", true, "café"}, {"\"caf\xc3\xa9\"", false, "café"}, {"{5+}\r\ncaf\xc3\xa9", false, "café"},
		{"\"cafe\xcc\x81\"", true, "café"}, {"cafe&AwE-", false, "café"}, // NFC
		{"\"R\xc3\xa9&D\"", false, "Ré&D"}, // no modified UTF-7, so UTF-8
		{"&", false, "!"}, {"&AGE-", false, "!"}, {"&2AA-", false, "!"}, {"{1+}\r\n\xe9", false, "!"}, {"{1+}\r\n\xe9", true, "!"},
	}
	for _, test := range tests {
		r := reader("a DELETE " + test.wire + "\r\nb NOOP\r\n")
		r.UTF8 = test.inUTF8
		var name string
		if _, err := r.Command(); err != nil {
			t.Fatal(err)
		}
		if !r.ExpectMailboxArgs(&name) {
			if name = "error"; mail.KindOf(r.Err()) == mail.Cannot {
				name = "!"
			}
		}
		if name != test.name {
			t.Errorf("%q (UTF8 %v) is read as %q (%v), want %q", test.wire, test.inUTF8, name, r.Err(), test.name)
		}
		if cmd, err := r.Command(); err != nil || cmd.Tag != "b" {
			t.Errorf("%q: then %+v %v", test.wire, cmd, err)
		}
	}
}

func TestAppendMailbox(t *testing.T) {
	for name, want := range map[string][2]string{
		"INBOX":  {"INBOX", "INBOX"},
		"inbox":  {`"inbox"`, `"inbox"`},
		"":       {`""`, `""`},
		`a"b\c`:  {`"a\"b\\c"`, `"a\"b\\c"`},
		"R&D":    {`"R&-D"`, `"R&D"`},
		"café":   {`"caf&AOk-"`, `"café"`},
		"a\r\nb": {`"a&AA0ACg-b"`, "{4}\r\na\r\nb"},
		"x\x7fy": {`"x&AH8-y"`, "{3}\r\nx\x7fy"},
	} {
		got := [2]string{string(AppendMailbox(nil, name, false)), string(AppendMailbox(nil, name, true))}
		if got != want {
			t.Errorf("%q is written %q, want %q", name, got, want)
		}
	}
}

func TestPattern(t *testing.T) {
	names := []string{"INBOX", "INBOX/a", "a", "a/b", "a/b/c", "ab", "abc", "b", "café", "100", "Inboxes"}
	for pattern, want := range map[string]string{
		"*":       "INBOX INBOX/a a a/b a/b/c ab abc b café 100 Inboxes",
		"%":       "INBOX a ab abc b café 100 Inboxes",
		"%/%":     "INBOX/a a/b",
		"a":       "a",
		"a*":      "a a/b a/b/c ab abc",
		"a%":      "a ab abc",
		"*c":      "a/b/c abc",
		"%c":      "abc",
		"a/%":     "a/b",
		"a/*":     "a/b a/b/c",
		"*/b*":    "a/b a/b/c",
		"a*c":     "a/b/c abc",
		"a%c":     "abc",
		"a%*c":    "a/b/c abc",
		"inbox":   "INBOX",
		"iNb%":    "INBOX",
		"inbox/*": "INBOX/a",
		"in*":     "INBOX INBOX/a",
		"In*":     "INBOX INBOX/a Inboxes",
		"A":       "",
		"":        "",
		"caf%":    "café",
		"*é":      "café",
		"1%%0":    "100",
		"*%*%*%a": "INBOX/a a",
	} {
		p := NewPattern("", pattern)
		var got []string
		for _, n := range names {
			if p.Match(n) {
				got = append(got, n)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s matches %v, want %s", pattern, got, want)
		}
	}
	if p := NewPattern("a/", "%"); !p.Match("a/b") || p.Match("b") || p.Text != "a/%" {
		t.Error("the reference is not before the pattern")
	}
	if p := NewPattern("a", ""); !p.Empty {
		t.Error("an empty pattern is not known as such")
	}
}

func TestListArgs(t *testing.T) {
	for args, want := range map[string]string{
		`"" *`:                                 `0 0 0 false  "*" false`,
		`"" ""`:                                `0 0 0 false  "" false`,
		`a/ {1+}` + "\r\n%":                    `0 0 0 false a/ "a/%" false`,
		`() "" %`:                              `0 0 0 true  "%" false`,
		`(SUBSCRIBED RECURSIVEMATCH) "" (a b)`: fmt.Sprint(SelectSubscribed|SelectRecursiveMatch) + ` 0 0 true  "a" false "b" false`,
		`"" * RETURN ()`:                       `0 0 0 true  "*" false`,
		`"" * RETURN (CHILDREN STATUS (SIZE) SPECIAL-USE SUBSCRIBED)`: fmt.Sprint(ListSelect(0), ReturnChildren|ReturnStatus|
			ReturnSpecialUse|ReturnSubscribed, StatusSize) + ` true  "*" false`,
		`"" "&AOk-*"`:     `0 0 0 false  "é*" false`,
		`"" ("&AGE-" b)`:  `0 0 0 true  "" true "b" false`, // no name is so, and none matches
		`"&" (a b)`:       `0 0 0 true  "" true "" true`,
		`"" ("{" "*\"%")`: `0 0 0 true  "{" false "*\"%" false`,
	} {
		r := reader("a LIST " + args + "\r\n")
		cmd, _ := r.Command()
		got, ok := readArgs(r, cmd.Name)
		if !ok || got != want {
			t.Errorf("%s: %v, %v, want %v", args, got, r.Err(), want)
		}
	}
}

func TestPatternLimit(t *testing.T) {
	for n, fine := range map[int]bool{MaxPatterns: true, MaxPatterns + 1: false} {
		_, _, _, err := readOne("a LIST \"\" ("+strings.Repeat("a ", n-1)+"b)\r\n", LoggedIn(1000))
		if fine && err != nil || !fine && mail.KindOf(err) != mail.Limit {
			t.Errorf("%d patterns: %v", n, err)
		}
	}
}

// matchSlow is the definition of a match, tabulated.
func matchSlow(pattern, name string) bool {
	at := make([]bool, len(name)+1) // the pattern so far matches name[:i]
	at[0] = true
	for _, p := range []byte(pattern) {
		next := make([]bool, len(name)+1)
		for i := range next {
			switch {
			case p == '*' || p == '%':
				next[i] = at[i] || i > 0 && next[i-1] && (p == '*' || name[i-1] != '/')
			case i > 0:
				next[i] = at[i-1] && name[i-1] == p
			}
		}
		at = next
	}
	return at[len(name)]
}

// TestMatchesBelow asks whether names with a beginning can match.
func TestMatchesBelow(t *testing.T) {
	for _, c := range []struct {
		pattern, prefix string
		want            bool
	}{
		{"*", "Other Users/", true}, {"%", "Other Users/", false}, {"%/%", "Other Users/", true}, {"O*", "Other Users/", true},
		{"Other Users/bob/INBOX", "Other Users/", true}, {"INBOX", "Other Users/", false}, {"INBOX*", "Other Users/", false},
		{"Other Users", "Other Users/", false}, {"", "Other Users/", false}, {"Other Users/", "Other Users/", true},
	} {
		p := NewPattern("", c.pattern)
		if got := p.MatchesBelow(c.prefix); got != c.want {
			t.Errorf("%q below %q: %v", c.pattern, c.prefix, got)
		}
	}
}

func FuzzListMatch(f *testing.F) {
	f.Add("*%*%a", "bbba/a")
	f.Add("a/%/*c", "a/b/bc/c")
	f.Add(strings.Repeat("*a", 100), strings.Repeat("a", 200))
	f.Add("INBOX", "x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 2000 || len(name) > 2000 || inboxPrefix(name) > 0 {
			return
		}
		p := NewPattern("", pattern)
		if got := p.Match(name); got != matchSlow(pattern, name) {
			t.Fatalf("%q matches %q: %v", pattern, name, got)
		}
		// The budget: one step for each octet of the name and each 64 of the pattern.
		if p.words != p.literals/64+1 || p.literals > len(pattern) {
			t.Fatalf("%q takes %d words", pattern, p.words)
		}
		for cut := range len(name) + 1 {
			if p.Match(name) && !p.MatchesBelow(name[:cut]) {
				t.Fatalf("%q matches %q and nothing that begins with %q", pattern, name, name[:cut])
			}
		}
		if p.words <= 16 {
			if n := testing.AllocsPerRun(1, func() { p.Match(name) }); n > 0 {
				t.Fatalf("%v allocations", n)
			}
		}
	})
}
