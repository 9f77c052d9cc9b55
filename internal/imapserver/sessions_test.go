package imapserver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStore(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(3)
	c.ok("SELECT INBOX", anything)
	c.ok(`STORE 2 FLAGS (\Seen \Flagged)`, `* 2 FETCH (FLAGS (\Flagged \Seen \Recent))`)
	c.ok(`STORE 2 -FLAGS \Seen`, `* 2 FETCH (FLAGS (\Flagged \Recent))`)
	c.ok(`UID STORE 1,3,77 +FLAGS.SILENT (\Answered)`)
	c.ok(`UID STORE 3 +FLAGS (\Draft)`, `* 3 FETCH (UID 3 FLAGS (\Answered \Draft \Recent))`)
	c.ok(`STORE 1 +FLAGS ($Work)`, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work)`,
		`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work \*)] ...`, `* 1 FETCH (FLAGS (\Answered $Work \Recent))`)
	c.ok(`STORE 2 +FLAGS ($work)`, `* 2 FETCH (FLAGS (\Flagged $Work \Recent))`) // as it was first spelled here
	c.ok(`STORE 2 +FLAGS.SILENT ($New)`, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $New $Work)`,
		`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $New $Work \*)] ...`)
	c.ok("NOOP")
	for _, bad := range []string{`STORE 4 FLAGS ()`, `STORE 1 FLAGS`, `STORE 1 (UNCHANGEDLATELY 5) FLAGS ()`, `STORE 1 FLAG (\Seen)`} {
		c.reply(bad, "BAD ...")
	}
	c.ok("EXAMINE INBOX", anything)
	c.reply(`STORE 1 FLAGS ()`, "NO the mailbox is selected read-only")
	c.reply(`EXPUNGE`, "NO the mailbox is selected read-only")
	c.reply(`MOVE 1 Trash`, "NO the mailbox is selected read-only")
	c.ok("CLOSE")
	c.ok("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 3)")
}

// TestFlagsOfOthers lets two sessions change flags of one mailbox.
func TestFlagsOfOthers(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login()
	a.fill(3)
	a.ok("SELECT INBOX", anything)
	b := w.selected()
	a.ok(`STORE 1 +FLAGS.SILENT (\Seen)`)
	a.ok("NOOP") // not told what it did itself
	b.ok("NOOP", `* 1 FETCH (FLAGS (\Seen))`)

	// Silent, but b did not know of a's change: it is told what came out.
	a.ok(`STORE 1 +FLAGS.SILENT (\Flagged)`)
	b.ok(`STORE 1:2 +FLAGS.SILENT (\Draft)`, `* 1 FETCH (FLAGS (\Flagged \Seen \Draft))`)
	a.ok("NOOP", `* 1 FETCH (FLAGS (\Flagged \Seen \Draft \Recent))`, `* 2 FETCH (FLAGS (\Draft \Recent))`)

	b.ok("ENABLE IMAP4rev2", anything)
	a.ok(`STORE 3 +FLAGS.SILENT (\Seen)`)
	b.ok("NOOP", `* 3 FETCH (UID 3 FLAGS (\Seen))`)
	a.ok(`UID STORE 3 -FLAGS.SILENT (\Seen)`)
	b.ok("UID SEARCH UID 77", `* 3 FETCH (UID 3 FLAGS ())`, `* ESEARCH (TAG ...) UID`)
}

// TestNumbers checks that a sequence number means what the client was told it
// means, whatever other sessions do.
func TestNumbers(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login()
	a.fill(5)
	a.ok("SELECT INBOX", anything)
	b := w.selected()
	a.ok(`STORE 2:3 +FLAGS.SILENT (\Deleted)`)
	a.ok("EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE", "* 3 RECENT")

	// Not told during FETCH, STORE and SEARCH; the messages can still be read.
	b.ok("FETCH 2 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
		"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT)] {22}\r\nSubject: message 2\r\n\r\n)")
	b.ok("SEARCH ALL", "* SEARCH 1 2 3 4 5")
	b.ok(`STORE 2 FLAGS (\Flagged)`, `* 2 FETCH (FLAGS (\Flagged))`)
	b.ok(`STORE 3 +FLAGS.SILENT (\Flagged)`)
	b.ok("FETCH 1:3 FLAGS", `* 1 FETCH (FLAGS ())`, `* 2 FETCH (FLAGS (\Flagged))`, `* 3 FETCH (FLAGS (\Flagged \Deleted))`)
	b.ok("SEARCH FLAGGED", "* SEARCH 2 3")
	b.ok("FETCH 5 UID", "* 5 FETCH (UID 5)")
	b.reply("FETCH 6 UID", "BAD ...")

	// A message that another session expunged can be copied; it counts as what the
	// client sees.
	if got := b.ok("COPY 2 Archive", "* 3 EXPUNGE", "* 2 EXPUNGE"); !strings.Contains(got, "[COPYUID ") {
		t.Errorf("COPY: %s", got)
	}
	b.ok("STATUS Archive (MESSAGES)", "* STATUS \"Archive\" (MESSAGES 1)")
	b.ok("FETCH 2 UID", "* 2 FETCH (UID 4)")
	a.ok("FETCH 3 UID", "* 3 FETCH (UID 5)")
}

// TestPipelinedNumbers checks that no EXPUNGE goes out while a command that uses
// sequence numbers has arrived.
func TestPipelinedNumbers(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login()
	a.fill(4)
	a.ok("SELECT INBOX", anything)
	b := w.selected()
	a.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	a.ok("EXPUNGE", "* 1 EXPUNGE", "* 3 RECENT")
	for i, pipeline := range []string{"FETCH 4 UID", "UID SEARCH 4", "STORE 4 +FLAGS.SILENT ()", "COPY 4 Trash"} {
		b.send(fmt.Sprintf("x%d NOOP\r\ny%d %s\r\n", i, i, pipeline))
		if untagged, _ := b.until(fmt.Sprintf("x%d", i)); len(untagged) > 0 && i == 0 {
			t.Errorf("before %s: %q", pipeline, untagged)
		}
		untagged, tagged := b.until(fmt.Sprintf("y%d", i))
		if !strings.HasPrefix(tagged, "OK") {
			t.Errorf("%s: %s %q", pipeline, tagged, untagged)
		}
		if i == 0 {
			if !same(strings.Join(untagged, "|"), "* 4 FETCH (UID 4)") {
				t.Errorf("%q", untagged)
			}
			b.ok("NOOP", "* 1 EXPUNGE")
			a.append("INBOX", "", sample(5))
			b.ok("NOOP", "* 4 EXISTS", "* 0 RECENT")
		}
	}
	// By UID there is nothing to keep still for.
	a.ok(`UID STORE 2 +FLAGS.SILENT (\Deleted)`, anything)
	a.ok("EXPUNGE", anything)
	b.send("p NOOP\r\nq UID FETCH 3 UID\r\n")
	if untagged, _ := b.until("p"); !same(strings.Join(untagged, "|"), "...* 1 EXPUNGE...") {
		t.Errorf("%q", untagged)
	}
	b.until("q")
}

func TestExpunge(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(6)
	c.ok("SELECT INBOX", anything)
	c.ok(`STORE 1,3:5 +FLAGS.SILENT (\Deleted)`)
	c.ok("UID EXPUNGE 1:3", "* 3 EXPUNGE", "* 1 EXPUNGE", "* 4 RECENT")
	c.ok("EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE", "* 2 RECENT")
	c.ok("UID SEARCH ALL", "* SEARCH 2 6")
	c.ok("EXPUNGE")
	c.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	c.ok("UNSELECT")
	c.ok("STATUS INBOX (MESSAGES DELETED)", "* STATUS INBOX (MESSAGES 2 DELETED 1)")
	c.ok("SELECT INBOX", anything)
	c.ok("CLOSE")
	c.ok("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 1)")
	c.reply("EXPUNGE", "BAD ...")
}

func TestCopyAndMove(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(4)
	c.ok("SELECT INBOX", anything)
	if got := c.ok("COPY 2:3 Archive"); !same(got, "OK [COPYUID ... 2:3 1:2] copied") {
		t.Error(got)
	}
	c.ok("UID COPY 77 Archive")
	c.reply("COPY 1 Nowhere", "NO [TRYCREATE] ...")
	c.reply("UID MOVE 1 Nowhere", "NO [TRYCREATE] ...")
	c.reply("COPY 5 Archive", "BAD ...")
	c.ok("MOVE 1,4 Archive", "* OK [COPYUID ... 1,4 3:4] moved", "* 4 EXPUNGE", "* 1 EXPUNGE", "* 2 RECENT")
	c.ok("UID MOVE 2 Archive", "* OK [COPYUID ... 2 5] moved", "* 1 EXPUNGE", "* 1 RECENT")
	c.ok("UID MOVE 2 Archive")
	c.ok("STATUS Archive (MESSAGES)", "* STATUS \"Archive\" (MESSAGES 5)")
	// To the mailbox it is in.
	c.ok("COPY 1 INBOX", "* 2 EXISTS", "* 2 RECENT")
	c.ok("MOVE 1 INBOX", "* OK [COPYUID ... 3 6] moved", "* 1 EXPUNGE", "* 2 EXISTS", "* 2 RECENT")
}

func TestAppend(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Message = 1000 })
	c := w.login()
	c.send("a APPEND INBOX (\\Seen $Work) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n")
	c.expect("+ go ahead")
	c.send("hello\r\n")
	c.expect("a OK [APPENDUID ... 1] appended")
	c.ok("SELECT INBOX", anything)
	c.ok("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])",
		`* 1 FETCH (FLAGS (\Seen $Work \Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {5}`+"\r\nhello)")
	c.append("INBOX", "", "x")
	c.ok("FETCH 2 INTERNALDATE", `* 2 FETCH (INTERNALDATE " 1-Nov-2026 12:00:00 +0000")`)

	c.reply("APPEND Nowhere {5}", "NO [TRYCREATE] ...")
	c.reply("APPEND Nowhere {5+}\r\nhello", "NO [TRYCREATE] ...")
	c.reply("APPEND INBOX {0+}\r\n", "NO a message has at least one octet")
	c.reply("APPEND INBOX {1001}", "NO [TOOBIG] ...")
	c.reply("APPEND INBOX {1001+}\r\n"+strings.Repeat("x", 1001), "NO [TOOBIG] ...")
	c.reply("APPEND INBOX {5+}\r\nhello trailing", "BAD ...")
	c.reply("APPEND INBOX UTF8 (~{5+}\r\nhello)", "BAD ...")
	c.reply(`APPEND INBOX "yesterday" {5+}`+"\r\nhello", "BAD ...")
	c.ok("NOOP")
	c.append("INBOX", "", strings.Repeat("x", 1000))
	c.ok("FETCH 3 RFC822.SIZE", "* 3 FETCH (RFC822.SIZE 1000)")
	c.ok("ENABLE UTF8=ACCEPT", anything)
	c.ok("APPEND INBOX UTF8 (~{5+}\r\nhello)", "* 4 EXISTS", "* 4 RECENT")
	// A refusal does not wait for the rest of the message.
	c.send("y APPEND Nowhere {30+}\r\nline\r\n")
	c.expect("y NO [TRYCREATE] ...")
	c.send(strings.Repeat("x", 24) + "\r\n")
	c.ok("NOOP")
	c.send("z APPEND INBOX {999999999999}\r\n") // a number64 (RFC 9051 9)
	c.expect("z NO [TOOBIG] ...")
	// Far beyond the limit there is no waiting for the end (Apple Mail does this).
	c.send("z APPEND INBOX {234310148+}\r\nz NOOP\r\n")
	c.expect("z NO [TOOBIG] ...")
	c.gone("* BYE [TOOBIG] literal too big")
}

// TestUIDFromElsewhere asks by UID for what another session has just appended:
// APPENDUID told the client of it.
func TestUIDFromElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(2)
	c.ok("SELECT INBOX", anything)
	d := w.login()
	d.append("INBOX", "", sample(3))
	c.ok("UID FETCH 3 UID", "* 3 EXISTS", "* 3 RECENT", "* 3 FETCH (UID 3)")
	d.append("INBOX", "($New) ", sample(4)) // a keyword is told before the message is that bears it
	c.ok("UID SEARCH UID 4", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $New)`,
		`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $New \*)] ...`, "* 4 EXISTS", "* 4 RECENT", "* SEARCH 4")
	c.ok("NOOP")
}

// TestAppendIsStreamed cuts the connection within a message: nothing of it stays.
func TestAppendIsStreamed(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.send("a APPEND INBOX {1000}\r\n")
	c.expect("+ go ahead")
	c.send("not all of it")
	c.conn.Close()
	d := w.login()
	d.ok("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 0)")
}

func TestIdle(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login()
	a.fill(2)
	a.ok("SELECT INBOX", anything)
	b := w.selected()
	b.send("i IDLE\r\n")
	b.expect("+ idling")
	a.append("INBOX", "", sample(3))
	b.expect("* 3 EXISTS")
	b.expect("* ... RECENT")
	a.ok(`STORE 1 +FLAGS.SILENT (\Seen \Deleted)`)
	b.expect(`* 1 FETCH (FLAGS (\Deleted \Seen))`)
	a.ok("EXPUNGE", anything)
	b.expect("* 1 EXPUNGE")
	// What iOS does: DONE and the next command in one segment.
	b.send("DONE\r\nj NOOP\r\nk IDLE\r\nDONE\r\n")
	b.expect("i OK IDLE completed")
	b.expect("j OK NOOP completed")
	b.expect("+ idling")
	b.expect("k OK IDLE completed")
	b.send("l IDLE\r\n")
	b.expect("+ idling")
	b.send("DO")
	b.send("NE\r\n")
	b.expect("l OK IDLE completed")
	b.send("m IDLE\r\n")
	b.expect("+ idling")
	b.send("n NOOP\r\n")
	b.expect("m BAD expected DONE")
	b.gone("* BYE expected DONE")
}

// TestIdleOverTLS is the same through TLS, where a read that timed out must leave
// the connection usable.
func TestIdleOverTLS(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Still = time.Millisecond })
	c := w.dial("tls")
	c.ok("LOGIN ada@example.org secret")
	c.ok("SELECT INBOX", anything)
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	for range 3 {
		c.expect("* OK Still here")
	}
	w.login().append("INBOX", "", sample(1))
	for {
		if got := c.read(); got == "* 1 EXISTS" {
			break
		} else if got != "* OK Still here" {
			t.Fatal(got)
		}
	}
	c.send("DONE\r\n")
	c.until("i")
	c.ok("FETCH 1 UID", "* 1 FETCH (UID 1)")
}

func TestIdleWithoutMailbox(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	w.login().append("INBOX", "", sample(1))
	c.send("DONE\r\n")
	c.expect("i OK IDLE completed")
}

func TestRecent(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(2)
	c.ok("STATUS INBOX (RECENT)", "* STATUS INBOX (RECENT 2)")
	c.ok("SELECT INBOX", anything)
	d := w.selected()
	d.ok("SEARCH RECENT", "* SEARCH")
	c.ok("SEARCH NEW", "* SEARCH 1 2")
	c.ok("STATUS INBOX (RECENT)", "* STATUS INBOX (RECENT 0)")
}

func TestMailboxDeletedElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.login(), w.login()
	a.ok("CREATE Box")
	a.append("Box", "", sample(1))
	a.ok("SELECT Box", anything)
	b.ok("DELETE Box")
	a.reply("NOOP", "OK NOOP completed", anything)
	a.gone("* BYE the selected mailbox was deleted")

	b.ok("CREATE Own")
	b.ok("SELECT Own", anything)
	b.ok("DELETE Own", "* OK [CLOSED] ...")
	b.reply("CHECK", "BAD ...")
	b.ok("NOOP")

	// A new name is no reason to go.
	b.ok("CREATE One")
	b.ok("SELECT One", anything)
	c := w.login()
	c.ok("RENAME One Two")
	c.append("Two", "", sample(1))
	b.ok("NOOP", "* 1 EXISTS", "* 1 RECENT")
}

func TestDrain(t *testing.T) {
	w := newWorld(t, nil)
	waiting, idle := w.login(), w.selected()
	stranger := w.dial("plain")
	idle.send("i IDLE\r\n")
	idle.expect("+ idling")
	done := make(chan error)
	go func() { done <- w.net.Shutdown(context.Background()) }()
	for _, c := range []*client{waiting, idle, stranger} {
		c.gone("* BYE [UNAVAILABLE] the server is stopping, come back in a moment")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestHeldBack ends a session that never lets us tell of an expunge.
func TestHeldBack(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login()
	a.fill(2)
	a.ok("SELECT INBOX", anything)
	b := w.selected()
	a.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	a.ok("EXPUNGE", anything)
	b.ok("FETCH 1 UID", "* 1 FETCH (UID 1)")
	w.clock.add(12*time.Hour - time.Second)
	b.ok("FETCH 1 UID", "* 1 FETCH (UID 1)")
	w.clock.add(time.Second)
	b.ok("FETCH 1 UID", "* 1 FETCH (UID 1)")
	b.gone("* BYE messages expunged elsewhere cannot be shown any longer")
}

func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		login  bool
		send   string
		want   []string
	}{
		"silent":      {limits: Limits{FirstCommand: time.Millisecond}, want: []string{"* BYE you take too long to sign in"}},
		"no login":    {limits: Limits{Login: time.Millisecond}, send: "", want: []string{"* BYE you take too long to sign in"}},
		"half a line": {limits: Limits{Command: time.Millisecond}, send: "a NO", want: []string{"* BYE you take too long"}},
		"half a name": {limits: Limits{Command: time.Millisecond}, login: true, send: "a STATUS INB", want: []string{"* BYE you take too long"}},
		"autologout":  {limits: Limits{Idle: time.Millisecond}, login: true, want: []string{"* BYE autologout; idle for too long"}},
		"in IDLE": {limits: Limits{Idle: 50 * time.Millisecond}, login: true, send: "a IDLE\r\n",
			want: []string{"+ idling", "* BYE autologout; idle for too long"}},
		"slow message": {limits: Limits{MessageWindow: time.Second / 10}, login: true, send: "a APPEND INBOX {1000}\r\nx",
			want: []string{"+ go ahead", "* BYE you take too long"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Limits = c.limits })
			var cl *client
			if c.login {
				cl = w.dial("plain")
				cl.send("l LOGIN ada@example.org secret\r\n" + c.send)
				cl.until("l")
			} else {
				cl = w.dial("plain")
				cl.send(c.send)
			}
			cl.gone(c.want...)
		})
	}
}
