package imapserver

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store/storetest"
)

var (
	away = mail.Wrap(errors.New("cable pulled"), mail.Unavailable, "storage cannot be reached")
	full = mail.Errorf(mail.NoSpace, "the disk is full")
)

// TestStoreFails lets the store fail under commands: the client is told NO, what
// was said stays true, and the next command works.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(3)
	c.ok("SELECT INBOX", anything)

	// One of three messages cannot be opened: the others are there.
	w.faults.Fail(storetest.OpOpen, storetest.Fault{Err: away, Skip: 1})
	c.reply("FETCH 1:3 (UID BODY.PEEK[TEXT])", "NO [UNAVAILABLE] ... (ref ...)",
		"* 1 FETCH (UID 1 BODY[TEXT] ...)", "* 3 FETCH (UID 3 BODY[TEXT] ...)")

	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Err: away})
	c.reply("FETCH 1:3 ENVELOPE", "NO [UNAVAILABLE] ...")
	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Err: away})
	c.reply("SEARCH RETURN (SAVE) SUBJECT x", "NO [UNAVAILABLE] ...")

	// \Seen cannot be stored: what the client was told of it is taken back.
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("FETCH 1 BODY[TEXT]", "NO [UNAVAILABLE] the disk is full",
		`* 1 FETCH (FLAGS (\Seen \Recent) BODY[TEXT] ...)`, `* 1 FETCH (FLAGS (\Recent))`)

	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply(`STORE 1 +FLAGS (\Flagged)`, "NO [UNAVAILABLE] the disk is full")
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("COPY 1 Archive", "NO [UNAVAILABLE] ...")
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("MOVE 1 Archive", "NO [UNAVAILABLE] ...")
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("CREATE Box", "NO [UNAVAILABLE] ...")

	// The rest of a message that cannot be kept is passed over, never obeyed.
	w.faults.Fail(storetest.OpPut, storetest.Fault{Err: full})
	c.reply("APPEND INBOX {22+}\r\nx FETCH 1:* BODY[]\r\n\r\n", "NO [UNAVAILABLE] ...")
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("APPEND INBOX {5+}\r\nhello", "NO [UNAVAILABLE] ...")

	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: errors.New("a bug")})
	c.reply(`STORE 1 +FLAGS (\Flagged)`, "NO [SERVERBUG] something went wrong here (ref ...)")

	c.ok("FETCH 1:* (UID FLAGS)", `* 1 FETCH (UID 1 FLAGS (\Recent))`, `* 2 FETCH (UID 2 FLAGS (\Recent))`, `* 3 FETCH (UID 3 FLAGS (\Recent))`)
	c.ok("STATUS Archive (MESSAGES)", "* STATUS \"Archive\" (MESSAGES 0)")
	c.append("INBOX", "", "works again")
}

// TestDamagedBody damages what is stored beyond an offset. As long as no literal
// of the message has begun, the command says so and the others are sent.
func TestDamagedBody(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	const line = "0123456789012345678901234567890123456789012345678901234567\r\n"
	for _, lines := range []int{2, 500, 2000, 10} { // 120 octets, 30,000 and 120,000, and 600
		c.append("INBOX", "", "Subject: x\r\n\r\n"+strings.Repeat(line, lines))
	}
	c.ok("SELECT INBOX", anything)

	damage := func(cut int64) {
		w.faults.Clear()
		w.faults.Fail(storetest.OpReadAt, storetest.Fault{Err: mail.Errorf(mail.Corrupt, "checksum"), Cut: cut, Times: -1})
	}
	damage(100_000)
	c.reply("FETCH 1:4 (UID BODY.PEEK[])", "NO [CORRUPTION] what is stored of the message with UID 3 is damaged (ref ...)",
		"* 1 FETCH (UID 1 BODY[] {134}...", "* 2 FETCH (UID 2 BODY[] {30014}...", "* 4 FETCH (UID 4 BODY[] {614}...")
	c.ok("FETCH 3 BODY.PEEK[]<0.90000>", "* 3 FETCH (BODY[]<0> {90000}...")
	c.reply("FETCH 3 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])", "NO [CORRUPTION] what is stored of the message with UID 3 ...")
	damage(500)
	c.reply("FETCH 1:4 RFC822", "NO [CORRUPTION] what is stored of the message with UID 2 is damaged, and 2 more could not be read (ref ...)",
		"* 1 FETCH (FLAGS (\\Seen \\Recent) RFC822 {134}...")
	c.reply("FETCH 2 BINARY.PEEK[1]", "NO [CORRUPTION] ...")
	c.ok("FETCH 2 BODY.PEEK[HEADER]", "* 2 FETCH (BODY[HEADER] {14}...")
	w.faults.Clear()
	c.ok("FETCH 3 (FLAGS BODY.PEEK[TEXT])", "* 3 FETCH (FLAGS (\\Recent) BODY[TEXT] {120000}...") // not \Seen by failing
	if log := w.log.String(); !strings.Contains(log, "checksum") {
		t.Errorf("log: %s", log)
	}
}

// TestBodyBreaksOff lets a message that is too long to be read twice end in the
// middle of its literal: the connection is closed, because nothing could be told
// from the message any more. Who comes back for it is told.
func TestBodyBreaksOff(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	text := strings.Repeat("0123456789012345678901234567890123456789012345678901234567\r\n", provenFirst/60+1)
	c.append("INBOX", "", text)
	c.append("INBOX", "", "hello")
	c.ok("SELECT INBOX", anything)
	w.faults.Fail(storetest.OpReadAt, storetest.Fault{Err: mail.Errorf(mail.Corrupt, "checksum"), Cut: 60_000, Times: -1})
	c.send("a FETCH 1 BODY.PEEK[]\r\n")
	got, err := c.tryRead()
	if err == nil || !strings.HasPrefix(got, fmt.Sprintf("* 1 FETCH (BODY[] {%d}\r\n", len(text))) {
		t.Fatalf("got %.100q, %v", got, err)
	}
	if _, body, _ := strings.Cut(got, "}\r\n"); len(body) >= len(text) || !strings.HasPrefix(text, body) {
		t.Errorf("%d octets came of %d, or others", len(body), len(text))
	}
	if log := w.log.String(); !strings.Contains(log, "reply broken off") || !strings.Contains(log, "checksum") {
		t.Errorf("log: %s", log)
	}
	c = w.login()
	c.ok("SELECT INBOX", anything)
	c.reply("FETCH 1:2 BODY.PEEK[]", "NO [CORRUPTION] what is stored of the message with UID 1 is damaged (ref ...)",
		"* 2 FETCH (BODY[] {5}...")
	w.faults.Clear() // it was not the medium
	c.ok("FETCH 1 BODY.PEEK[]", fmt.Sprintf("* 1 FETCH (BODY[] {%d}...", len(text)))
}
