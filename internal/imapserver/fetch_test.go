package imapserver

import (
	"fmt"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", `(\Seen) `, sample(1))
	c.append("INBOX", `($Work) `, sample(2))
	c.append("INBOX", `(\Flagged) `, sample(3))
	if got := c.ok("EXAMINE inbox", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work)`,
		`* OK [PERMANENTFLAGS ()] ...`, "* 3 EXISTS", "* OK [MAILBOXID (...)] ...", "* 3 RECENT", "* OK [UNSEEN 2] ...",
		"* OK [UIDVALIDITY ...] ...", "* OK [UIDNEXT 4] ...", "* OK [HIGHESTMODSEQ ...] ..."); !strings.HasPrefix(got, "OK [READ-ONLY] ") {
		t.Errorf("EXAMINE: %s", got)
	}
	if got := c.ok("SELECT INBOX", "* OK [CLOSED] ...", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work)`,
		`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work \*)] ...`, "* 3 EXISTS", "* OK [MAILBOXID (...)] ...", "* 3 RECENT",
		"* OK [UNSEEN 2] ...", "* OK [UIDVALIDITY ...] ...", "* OK [UIDNEXT 4] ...", "* OK [HIGHESTMODSEQ ...] ..."); !strings.HasPrefix(got, "OK [READ-WRITE] ") {
		t.Errorf("SELECT: %s", got)
	}
	c.reply("SELECT Nowhere", "NO [NONEXISTENT] ...", "* OK [CLOSED] ...")
	c.reply("FETCH 1 FLAGS", "BAD FETCH is not possible before a mailbox is selected")
	c.reply("SELECT INBOX (CONDENSED)", "BAD ...")

	c.ok("ENABLE IMAP4rev2", "* ENABLED IMAP4rev2")
	c.ok("SELECT INBOX", `* FLAGS ...`, `* OK [PERMANENTFLAGS ...`, "* 3 EXISTS", "* OK [MAILBOXID (...)] ...", "* OK [UIDVALIDITY ...",
		"* OK [UIDNEXT 4] ...", "* OK [HIGHESTMODSEQ ...] ...", `* LIST (\HasNoChildren) "/" INBOX`)
	c.ok("FETCH 1:3 FLAGS", `* 1 FETCH (FLAGS (\Seen))`, `* 2 FETCH (FLAGS ($Work))`, `* 3 FETCH (FLAGS (\Flagged))`)
}

func TestFetchItems(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	text := sample(1)
	c.append("INBOX", `(\Flagged) "17-Jul-1996 02:44:25 -0700" `, text)
	c.ok("SELECT INBOX", anything)
	header, body, _ := strings.Cut(text, "\r\n\r\n")
	header += "\r\n\r\n"
	literal := func(s string) string { return fmt.Sprintf("{%d}\r\n%s", len(s), s) }
	envelope := `("Mon, 7 Feb 1994 21:52:25 -0800" "message 1" (("Fred" NIL "fred" "example.org")) ` +
		`(("Fred" NIL "fred" "example.org")) (("Fred" NIL "fred" "example.org")) ((NIL NIL "ada" "example.org")) ` +
		`NIL NIL NIL "<1@example.org>")`
	structure := fmt.Sprintf(`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" %d 1`, len(body))
	const recent = `(\Flagged \Recent)`
	for _, f := range []struct{ items, want string }{
		{"UID", "UID 1"},
		{"(FLAGS UID)", "UID 1 FLAGS " + recent}, // many clients want the UID first
		{"INTERNALDATE", `INTERNALDATE "17-Jul-1996 02:44:25 -0700"`},
		{"RFC822.SIZE", fmt.Sprintf("RFC822.SIZE %d", len(text))},
		{"ENVELOPE", "ENVELOPE " + envelope},
		{"BODY", "BODY " + structure + ")"},
		{"BODYSTRUCTURE", "BODYSTRUCTURE " + structure + " NIL NIL NIL NIL)"},
		{"FAST", fmt.Sprintf(`FLAGS %s INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE %d`, recent, len(text))},
		{"BODY.PEEK[]", "BODY[] " + literal(text)},
		{"BODY.PEEK[]<5.7>", "BODY[]<5> " + literal(text[5:12])},
		{"BODY.PEEK[]<5.100000>", "BODY[]<5> " + literal(text[5:])},
		{"BODY.PEEK[]<4294967295.4294967295>", `BODY[]<4294967295> ""`},
		{"BODY.PEEK[HEADER]", "BODY[HEADER] " + literal(header)},
		{"BODY.PEEK[TEXT]", "BODY[TEXT] " + literal(body)},
		{"BODY.PEEK[1]", "BODY[1] " + literal(body)},
		{"BODY.PEEK[1.MIME]", "BODY[1.MIME] " + literal(header)},
		{"BODY.PEEK[2]", "BODY[2] NIL"},
		{"BODY.PEEK[1.HEADER]", "BODY[1.HEADER] NIL"},
		{"BODY.PEEK[HEADER.FIELDS (subject)]", "BODY[HEADER.FIELDS (subject)] " + literal("Subject: message 1\r\n\r\n")},
		{"BODY.PEEK[HEADER.FIELDS.NOT (from to date message-id)]<3.2>",
			"BODY[HEADER.FIELDS.NOT (from to date message-id)]<3> " + literal("je")},
		{"BINARY.PEEK[1]", "BINARY[1] " + literal(body)},
		{"BINARY.SIZE[1]", fmt.Sprintf("BINARY.SIZE[1] %d", len(body))},
		{"RFC822.HEADER", "RFC822.HEADER " + literal(header)},
		{"(UID BODY.PEEK[TEXT] FLAGS)", "UID 1 BODY[TEXT] " + literal(body) + " FLAGS " + recent},
		// What sets \Seen says so, and only once.
		{"BODY[1]", `FLAGS (\Flagged \Seen \Recent) BODY[1] ` + literal(body)},
		{"BODY[1]", `BODY[1] ` + literal(body)},
		{"(FLAGS RFC822)", `FLAGS (\Flagged \Seen \Recent) RFC822 ` + literal(text)},
	} {
		c.ok("FETCH 1 "+f.items, "* 1 FETCH ("+f.want+")")
	}
	c.ok("UID FETCH 1 FLAGS", `* 1 FETCH (UID 1 FLAGS (\Flagged \Seen \Recent))`)
	c.ok("UID FETCH 2:* FLAGS", `* 1 FETCH (UID 1 FLAGS (\Flagged \Seen \Recent))`)
	c.ok("UID FETCH 2 FLAGS")
	for _, f := range []string{"FETCH 2 FLAGS", "FETCH 1 (FLAGS) (CHANGEDLATELY 1)", "FETCH 1 PREVIEW (EAGER)",
		"FETCH 1 FROB", "FETCH 0 FLAGS", "FETCH 1 BODY[MIME]", "FETCH 1"} {
		c.reply(f, "BAD ...")
	}
	c.ok("ENABLE IMAP4rev2", anything)
	c.reply("FETCH 1 RFC822", "BAD ...")
	c.ok("FETCH 1 RFC822.SIZE", "* 1 FETCH (RFC822.SIZE "+fmt.Sprint(len(text))+")")
}

func TestFetchSetsSeenOnlyIfItMay(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(2)
	c.ok("EXAMINE INBOX", anything)
	c.ok("FETCH 1 BODY[TEXT]", "* 1 FETCH (BODY[TEXT] ...)")
	c.ok("FETCH 1 FLAGS", `* 1 FETCH (FLAGS (\Recent))`)
	c.ok("SELECT INBOX", anything)
	c.ok("UID FETCH 1:2 BODY[TEXT]", `* 1 FETCH (UID 1 FLAGS (\Seen \Recent) BODY[TEXT] ...)`, `* 2 FETCH (UID 2 FLAGS (\Seen \Recent) BODY[TEXT] ...)`)
	c.ok("NOOP")
	c.ok("STATUS INBOX (UNSEEN)", "* STATUS INBOX (UNSEEN 0)")
}

// TestBinary fetches parts with their transfer encoding undone (RFC 3516).
func TestBinary(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	text := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n" +
		"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n" +
		"--b\r\nContent-Transfer-Encoding: x-mystery\r\n\r\nzzz\r\n--b--\r\n"
	c.append("INBOX", "", text)
	c.ok("SELECT INBOX", anything)
	c.ok("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2])", "* 1 FETCH (BINARY.SIZE[1] 4 BINARY.SIZE[2] 3)")
	c.ok("FETCH 1 BINARY.PEEK[1]", "* 1 FETCH (BINARY[1] ~{4}\r\n\x00\x01\x02\x03)")
	c.ok("FETCH 1 BINARY.PEEK[1]<1.2>", "* 1 FETCH (BINARY[1]<1> ~{2}\r\n\x01\x02)")
	c.ok("FETCH 1 BINARY.PEEK[2]", "* 1 FETCH (BINARY[2] {3}\r\na=b)")
	c.ok("FETCH 1 BINARY.PEEK[4]", "* 1 FETCH (BINARY[4] NIL)")
	c.reply("FETCH 1 BINARY.PEEK[3]", "NO [UNKNOWN-CTE] ...")
	c.ok("FETCH 1 BODY.PEEK[3]", "* 1 FETCH (BODY[3] {3}\r\nzzz)")

	// APPEND of a literal8.
	c.send("x APPEND INBOX ~{7+}\r\n\r\na\x00b\r\n\r\n")
	c.until("x")
	c.ok("FETCH 2 BODY.PEEK[]", "* 2 FETCH (BODY[] {7}\r\n\r\na\x00b\r\n)")
}

// TestLongHeader asks for fields that do not fit between two readings.
func TestLongHeader(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	long := "X-Long: " + strings.Repeat("word ", 40_000) + "\r\n"
	c.append("INBOX", "", "Subject: a\r\n"+long+"To: b@example.org\r\n\r\nbody\r\n")
	c.ok("SELECT INBOX", anything)
	want := long + "\r\n"
	c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (x-long)]", fmt.Sprintf("* 1 FETCH (BODY[HEADER.FIELDS (x-long)] {%d}\r\n%s)", len(want), want))
	c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (to)]<100005.9>",
		fmt.Sprintf("* 1 FETCH (BODY[HEADER.FIELDS.NOT (to)]<100005> {9}\r\n%s)", ("Subject: a\r\n" + long)[100005:100014]))
	c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (x-long)]<900000.5>", `* 1 FETCH (BODY[HEADER.FIELDS (x-long)]<900000> "")`)
}

// TestFetchChunks fetches more than one chunk of everything.
func TestFetchChunks(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	n := 2*rowChunk + 3
	c.fill(n)
	c.ok("SELECT INBOX", anything)
	for _, items := range []string{"UID", "(UID ENVELOPE BODYSTRUCTURE)", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"} {
		untagged, tagged := c.do("FETCH 1:* " + items)
		if len(untagged) != n || !strings.HasPrefix(tagged, "OK") {
			t.Fatalf("%s: %d responses, %s", items, len(untagged), tagged)
		}
		for i, line := range untagged {
			if !strings.HasPrefix(line, fmt.Sprintf("* %d FETCH (UID %d", i+1, i+1)) ||
				items != "UID" && !strings.Contains(line, fmt.Sprintf("message %d", i+1)) {
				t.Fatalf("%s: %q", items, line)
			}
		}
	}
}
