package dialogue

import "testing"

func TestMatchLine(t *testing.T) {
	cases := []struct {
		name    string
		pattern string
		line    string
		want    bool
	}{
		// Status responses: the code is compared, the words for people are free where the pattern says so.
		{"tagged", "a1 OK ...", "a1 OK done", true},
		{"tagged with a code nobody asked about", "a1 OK ...", "a1 OK [READ-ONLY] done", true},
		{"tagged with another tag", "a1 OK ...", "a2 OK done", false},
		{"NO for OK", "a1 OK ...", "a1 NO done", false},
		{"a code is asked for", "a1 OK [READ-WRITE] ...", "a1 OK done", false},
		{"another code", "a1 OK [READ-WRITE] ...", "a1 OK [READ-ONLY] done", false},
		{"a code with a capture", "* OK [UIDNEXT {n=[0-9]+}] ...", "* OK [UIDNEXT 17] next", true},
		{"permanent flags in another order", `* OK [PERMANENTFLAGS (\Seen \*)] ...`, `* OK [PERMANENTFLAGS (\* \Seen)] x`, true},
		{"a permanent flag too many", `* OK [PERMANENTFLAGS (\Seen)] ...`, `* OK [PERMANENTFLAGS (\Seen \*)] x`, false},
		{"any charsets, or none", "a NO [BADCHARSET ...] ...", "a NO [BADCHARSET] x", true},
		{"no charset where one must be", "a NO [BADCHARSET (X)] ...", "a NO [BADCHARSET] x", false},
		{"either of two", "a1 {=NO|BAD} ...", "a1 BAD x", true},
		{"neither of two", "a1 {=NO|BAD} ...", "a1 OK x", false},
		{"a code with args in order", "a OK [COPYUID 1 2:3 4:5] ...", "a OK [COPYUID 1 2:3 5:4] x", false},
		{"capabilities, at least", "* OK [CAPABILITY IMAP4rev1 ...] ...", "* OK [CAPABILITY ID IMAP4rev1] hi", true},

		// Untagged data.
		{"number", "* 3 EXISTS", "* 4 EXISTS", false},
		{"flags in another order", `* FLAGS (\Seen \Draft)`, `* FLAGS (\Draft \Seen)`, true},
		{"system flags have no case", `* FLAGS (\Seen)`, `* FLAGS (\SEEN)`, true},
		{"keywords keep theirs", `* FLAGS ($Work)`, `* FLAGS ($work)`, false},
		{"a flag missing", `* FLAGS (\Seen \Draft)`, `* FLAGS (\Seen)`, false},
		{"a flag twice", `* FLAGS (\Seen)`, `* FLAGS (\Seen \Seen)`, false},
		{"a flag that may be missing", `* 1 FETCH (FLAGS (\Seen \Recent?))`, `* 1 FETCH (FLAGS (\Seen))`, true},
		{"a flag that may be there", `* 1 FETCH (FLAGS (\Seen \Recent?))`, `* 1 FETCH (FLAGS (\Recent \Seen))`, true},
		{"a capability that must be missing", `* CAPABILITY A !STARTTLS ...`, `* CAPABILITY A B`, true},
		{"a capability that must be missing and is not", `* CAPABILITY A !STARTTLS ...`, `* CAPABILITY B STARTTLS A`, false},
		{"any more flags", `* FLAGS (\Seen ...)`, `* FLAGS (\Seen $A $B)`, true},
		{"fetch items in another order", `* 1 FETCH (UID 4 FLAGS ())`, `* 1 FETCH (FLAGS () UID 4)`, true},
		{"a fetch item too many", `* 1 FETCH (UID 4)`, `* 1 FETCH (FLAGS () UID 4)`, false},
		{"a fetch item that differs", `* 1 FETCH (UID 4 FLAGS ())`, `* 1 FETCH (UID 5 FLAGS ())`, false},
		{"a fetch item that may be missing", `* 1 FETCH (UID 4 MODSEQ? {=.*})`, `* 1 FETCH (UID 4)`, true},
		{"a string is a string", `* 1 FETCH (BODY[TEXT] "hello")`, "* 1 FETCH (BODY[TEXT] {5}\r\nhello)", true},
		{"and so the other way", "* 1 FETCH (BODY[TEXT] {5}\r\nhello)", `* 1 FETCH (BODY[TEXT] "hello")`, true},
		{"a string of another value", "* 1 FETCH (BODY[TEXT] {5}\r\nhello)", "* 1 FETCH (BODY[TEXT] {5}\r\nhallo)", false},
		{"NIL is no string", `* 1 FETCH (BODY[TEXT] NIL)`, `* 1 FETCH (BODY[TEXT] "NIL")`, false},
		{"a literal with brackets and quotes", "* 1 FETCH (BODY[] {4}\r\n)(\"x)", "* 1 FETCH (BODY[] {4}\r\n)(\"x)", true},
		{"a section with a list in it", "* 1 FETCH (BODY[HEADER.FIELDS (FROM)] {2}\r\n\r\n)", "* 1 FETCH (BODY[HEADER.FIELDS (FROM)] {2}\r\n\r\n)", true},
		{"body structures have no case", `* 1 FETCH (BODY ("TEXT" "PLAIN" NIL))`, `* 1 FETCH (BODY ("text" "plain" NIL))`, true},
		{"envelopes do", `* 1 FETCH (ENVELOPE ("TEXT"))`, `* 1 FETCH (ENVELOPE ("text"))`, false},
		{"multiparts have no space between parts", `* 1 FETCH (BODY (("a")("b") "mixed"))`, `* 1 FETCH (BODY (("a") ("b") "mixed"))`, false},
		{"mailbox names have a value", `* LIST () "/" INBOX`, `* LIST () "/" "INBOX"`, true},
		{"delimiters do not", `* LIST () "/" INBOX`, `* LIST () NIL INBOX`, false},
		{"a tag of extended data is an astring", `* LIST () "/" a ("CHILDINFO" ("X"))`, `* LIST () "/" a (CHILDINFO ("X"))`, true},
		{"extended data in another order", `* LIST () "/" a (A ("X") B ("Y"))`, `* LIST () "/" a ("B" ("Y") "A" ("X"))`, true},
		{"another value of extended data", `* LIST () "/" a ("CHILDINFO" ("X"))`, `* LIST () "/" a ("CHILDINFO" ("Y"))`, false},
		{"extended data nobody asked about", `* LIST () "/" a`, `* LIST () "/" a ("CHILDINFO" ("X"))`, false},
		{"extended data that is missing", `* LIST () "/" a ("CHILDINFO" ("X"))`, `* LIST () "/" a`, false},
		{"list attributes in another order", `* LIST (\Marked \HasNoChildren) "/" a`, `* LIST (\HasNoChildren \Marked) "/" a`, true},
		{"status in another order", `* STATUS a (MESSAGES 1 UNSEEN 2)`, `* STATUS "a" (UNSEEN 2 MESSAGES 1)`, true},
		{"metadata in another order", `* METADATA a (/b "1" "/c d" NIL)`, `* METADATA "a" ("/c d" NIL /b "1")`, true},
		{"metadata of another value", `* METADATA a (/b "1" /c NIL)`, `* METADATA a (/b NIL /c "1")`, false},
		{"names of metadata as strings", `* METADATA a (/b "1")`, `* METADATA a ("/b" "1")`, true},
		{"names of metadata", `* METADATA "" /b /c`, `* METADATA "" /c /b`, true},
		{"one name too many", `* METADATA "" /b`, `* METADATA "" /b /c`, false},
		{"quota", `* QUOTA r (STORAGE 1 2 MESSAGE 3 4)`, `* QUOTA "r" (STORAGE 1 2 MESSAGE 3 4)`, true},
		{"quota of another value", `* QUOTA r (STORAGE 1 2 MESSAGE 3 4)`, `* QUOTA r (STORAGE 1 4 MESSAGE 3 2)`, false},
		{"quota roots", `* QUOTAROOT a "r"`, `* QUOTAROOT "a" r`, true},
		{"another quota root", `* QUOTAROOT a r`, `* QUOTAROOT a s`, false},
		{"a quota root missing", `* QUOTAROOT a r`, `* QUOTAROOT a`, false},
		{"status of another value", `* STATUS a (MESSAGES 1 UNSEEN 2)`, `* STATUS a (UNSEEN 1 MESSAGES 2)`, false},
		{"what is about rights is astrings", `* ACL a b lr`, `* ACL "a" "b" {2}` + "\r\nlr", true},
		{"no rights", `* LISTRIGHTS a b "" l r`, `* LISTRIGHTS a b "" l r`, true},
		{"other rights", `* MYRIGHTS a lr`, `* MYRIGHTS a lrs`, false},
		{"rights too many", `* LISTRIGHTS a b "" l`, `* LISTRIGHTS a b "" l r`, false},
		{"search results in another order", `* SEARCH 1 2 3`, `* SEARCH 3 1 2`, true},
		{"a search result too many", `* SEARCH 1 2`, `* SEARCH 1 2 3`, false},
		{"no search results", `* SEARCH`, `* SEARCH`, true},
		{"esearch in another order", `* ESEARCH (TAG "a") UID MIN 1 COUNT 2`, `* ESEARCH (TAG "a") UID COUNT 2 MIN 1`, true},
		{"esearch without UID", `* ESEARCH (TAG "a") UID MIN 1`, `* ESEARCH (TAG "a") MIN 1`, false},
		{"esearch with nothing found", `* ESEARCH (TAG "a")`, `* ESEARCH (TAG "a")`, true},
		{"id in another order", `* ID ("a" "1" "b" NIL)`, `* ID ("b" NIL "a" "1")`, true},

		// What no server may send.
		{"two spaces", `* 3 EXISTS`, `* 3  EXISTS`, false},
		{"a space at the end", `* 3 EXISTS`, `* 3 EXISTS `, false},
		{"a list that does not end", `* FLAGS (\Seen)`, `* FLAGS (\Seen`, false},
		{"no text after a continuation is fine", "+ ...", "+ ", true},
		{"a continuation", "+ ...", "+ go on", true},
		{"a continuation with a challenge", "+ Zm9v", "+ YmFy", false},
		{"data for a continuation", "+ ...", "* 3 EXISTS", false},

		// A capture may stand for a whole value.
		{"any value", `* 1 FETCH (ENVELOPE {=.*})`, `* 1 FETCH (ENVELOPE (NIL "x" (("a" NIL "b" "c"))))`, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := checkPattern(c.pattern); err != nil {
				t.Fatalf("the pattern is refused: %v", err)
			}
			got, why, err := matchLine(Expectation{Pattern: c.pattern}, c.line, variables{})
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%q with %q: %v (%s)", c.pattern, c.line, got, why)
			}
			if !got && why == "" {
				t.Errorf("%q with %q: no reason is given", c.pattern, c.line)
			}
		})
	}
}

// A value that was caught holds from then on; a line that does not match changes nothing.
func TestMatchLineVariables(t *testing.T) {
	vars := variables{}
	match := func(pattern, line string) bool {
		t.Helper()
		ok, _, err := matchLine(Expectation{Pattern: pattern}, line, vars)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if match("* {n=[0-9]+} EXISTS", "* 3 RECENT") || len(vars) > 0 {
		t.Fatalf("a line that does not match left %v", vars)
	}
	if !match("* {n=[0-9]+} EXISTS", "* 3 EXISTS") || vars["n"] != "3" {
		t.Fatalf("n is %q", vars["n"])
	}
	if match("* {n} EXISTS", "* 4 EXISTS") || !match("* {n} EXISTS", "* 3 EXISTS") {
		t.Error("{n} does not stand for 3")
	}
	if match("* {n=[0-9]+} EXISTS", "* 4 EXISTS") {
		t.Error("a second {n=...} caught another value")
	}
	if _, _, err := matchLine(Expectation{Pattern: "* {nowhere} EXISTS"}, "* 4 EXISTS", vars); err == nil {
		t.Error("a variable nobody set is no error")
	}
}

func TestPut(t *testing.T) {
	vars := variables{"user": "fred", "password": "secret"}
	cases := []struct{ line, want string }{
		{"a LOGIN {user} {password}", "a LOGIN fred secret"},
		{"a LOGIN {4} {4+}", "a LOGIN {4} {4+}"},
		{`{base64:\x00{user}\x00{password}}`, "AGZyZWQAc2VjcmV0"}, // "\0fred\0secret"
	}
	for _, c := range cases {
		got, err := vars.put(c.line)
		if err != nil || got != c.want {
			t.Errorf("%s becomes %q (%v), want %q", c.line, got, err, c.want)
		}
	}
	if _, err := vars.put("{nobody}"); err == nil {
		t.Error("an unknown variable is no error")
	}
}
