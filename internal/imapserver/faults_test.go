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

// TestBodyBreaksOff lets a message end in the middle of its literal: the
// connection is closed, because nothing could be told from the message any more.
func TestBodyBreaksOff(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	text := strings.Repeat("0123456789012345678901234567890123456789012345678901234567\r\n", 2000)
	c.append("INBOX", "", text)
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
	w.faults.Clear()
	if log := w.log.String(); !strings.Contains(log, "reply broken off") || !strings.Contains(log, "checksum") {
		t.Errorf("log: %s", log)
	}
}
