package imapserver

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
)

// writing is what commands that bring messages can say.
const writing = "a LOGIN ada@example.org secret\r\nb CREATE Box\r\n" +
	"c APPEND Box {3+}\r\none (\\Seen) {2}\r\ntw \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\n\x00\r\n" +
	"d APPEND Box {3}\r\none {0}\r\n" +
	"e APPEND Box CATENATE (URL /Box/;UID=1 TEXT {2}\r\nxy URL \"/Box/;UID=2/;SECTION=TEXT/;PARTIAL=0.1\") {1+}\r\nz\r\n" +
	"f SELECT Box\r\ng REPLACE 1 Trash {2}\r\nab\r\nh UID REPLACE 2 Box CATENATE (URL ;UID=2 TEXT {1+}\r\nx)\r\n" +
	"i UID FETCH 1:* BODY.PEEK[]\r\n" +
	"j GENURLAUTH {70}\r\nimap://ada%40example.org@mail.example.org/Box/;UID=1;URLAUTH=anonymous INTERNAL\r\nk URLFETCH x\r\nl RESETKEY Box\r\n" +
	"y LOGOUT\r\n"

// TestEveryCutOfWriting ends the connection after every octet of it.
func TestEveryCutOfWriting(t *testing.T) {
	w := newServer(t, nil)
	w.cutEverywhere(writing)
	w.closeStore(t.Context())
}

// TestManyTogether brings as many messages in one APPEND as can come, and one
// more. What stands before them is longer than a line may be.
func TestManyTogether(t *testing.T) {
	w := newServer(t, nil)
	before := w.hold("a LOGIN ada@example.org secret\r\n", 0)
	many := func(n int) string {
		return "b APPEND INBOX" + strings.Repeat(" (\\Seen) {1+}\r\nx", n) + "\r\n"
	}
	got := w.hold("a LOGIN ada@example.org secret\r\n"+many(maxTogether)+"c STATUS INBOX (MESSAGES)\r\n", 0)
	want := fmt.Sprintf("* STATUS INBOX (MESSAGES %d)\r\nc OK STATUS completed\r\n", maxTogether)
	if got = strings.TrimPrefix(got, before); !strings.Contains(got, fmt.Sprintf(" 1:%d] appended\r\n", maxTogether)) || !strings.HasSuffix(got, want) {
		t.Errorf("answered %.300q", got)
	}
	got = w.hold("a LOGIN ada@example.org secret\r\n"+many(maxTogether+1)+"c STATUS INBOX (MESSAGES)\r\n", 0)
	if !strings.Contains(got, "\r\nb NO [LIMIT] ") || !strings.HasSuffix(got, want) {
		t.Errorf("answered %.300q", got)
	}
	w.closeStore(t.Context())
}

// TestKeywordsTogether brings more keywords in one APPEND than a mailbox can have.
func TestKeywordsTogether(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	var text strings.Builder
	text.WriteString("APPEND INBOX")
	for i := range 1025 {
		fmt.Fprintf(&text, " (k%d) {1+}\r\nx", i)
	}
	c.reply(text.String(), "NO [LIMIT] a mailbox can have 1024 keywords")
	c.ok("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 0)")
}

// TestAppendLimits gives mailboxes limits of their own (RFC 7889).
func TestAppendLimits(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Message = 1000 })
	c := w.login()
	a, err := w.pool.Open(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	set := func(name string, l mail.AppendLimit) {
		t.Helper()
		m, err := a.Mailbox(name, mail.RightInsert)
		if err == nil {
			err = m.SetAppendLimit(t.Context(), l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	capability := func() string {
		t.Helper()
		c.send("c CAPABILITY\r\n")
		all := c.read()
		c.expect("c OK ...")
		_, limit, _ := strings.Cut(all, " APPENDLIMIT")
		limit, _, _ = strings.Cut(limit, " ")
		return strings.TrimSpace(limit)
	}
	// What does not lower the limit of all leaves them with one (section 2a).
	set("Trash", mail.AppendLimit{Own: true, Octets: 5000})
	if got := capability(); got != "=1000" {
		t.Errorf("APPENDLIMIT%s", got)
	}
	c.ok("STATUS Trash (APPENDLIMIT)", `* STATUS "Trash" (APPENDLIMIT 1000)`)
	c.reply("APPEND Trash {1001}", "NO [TOOBIG] a message has at most 1000 octets")

	set("Drafts", mail.AppendLimit{Own: true, Octets: 20})
	set("Junk", mail.AppendLimit{Own: true})
	if got := capability(); got != "" { // section 2b
		t.Errorf("APPENDLIMIT%s", got)
	}
	c.ok("STATUS Drafts (APPENDLIMIT MESSAGES)", `* STATUS "Drafts" (MESSAGES 0 APPENDLIMIT 20)`)
	c.ok(`LIST "" (Drafts Sent) RETURN (STATUS (APPENDLIMIT))`, `* LIST (\HasNoChildren \Drafts) "/" "Drafts"`,
		`* STATUS "Drafts" (APPENDLIMIT 20)`, `* LIST (\HasNoChildren \Sent) "/" "Sent"`, `* STATUS "Sent" (APPENDLIMIT 1000)`)
	twenty := strings.Repeat("x", 20)
	c.append("Drafts", "", twenty)
	for _, args := range []string{"{21}", "(\\Draft) ~{21+}\r\nx" + twenty, "{1+}\r\nx {21}", "CATENATE (URL /Drafts/;UID=1 TEXT {1}",
		"CATENATE (TEXT {21}", "CATENATE (TEXT {1+}\r\nx URL /Drafts/;UID=1)"} {
		c.reply("APPEND Drafts "+args, "NO [TOOBIG] a message here has at most 20 octets")
	}
	c.ok("APPEND Drafts CATENATE (TEXT {19+}\r\n"+twenty[1:]+" URL /Drafts/;UID=1/;PARTIAL=0.1)", anything)
	// 0: "the server will not accept any APPEND commands at all" (section 5).
	c.reply("APPEND Junk {1}", "NO [TOOBIG] ...")
	c.ok("STATUS Junk (APPENDLIMIT)", `* STATUS "Junk" (APPENDLIMIT 0)`)

	// REPLACE is bounded by where the new message goes; COPY is not bounded.
	c.append("INBOX", "", strings.Repeat("y", 30))
	c.ok("SELECT INBOX", anything)
	c.reply("REPLACE 1 Drafts {21}", "NO [TOOBIG] ...")
	c.ok("COPY 1 Drafts", anything)
	c.ok("STATUS Drafts (MESSAGES)", `* STATUS "Drafts" (MESSAGES 3)`)
	c.ok("REPLACE 1 Drafts {20+}\r\n"+twenty, anything)
	set("Drafts", mail.AppendLimit{})
	set("Junk", mail.AppendLimit{})
	if got := capability(); got != "=1000" {
		t.Errorf("APPENDLIMIT%s", got)
	}
	c.append("Drafts", "", twenty+"x")
}
