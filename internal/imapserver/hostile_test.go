package imapserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/observe"
)

// TestHostileSets sends sequence sets that name far more than there is.
func TestHostileSets(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(3)
	c.ok("EXAMINE INBOX", anything)
	all := []string{"* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"}
	c.ok("UID FETCH 1:4294967295 UID", all...)
	c.ok("UID FETCH *:1 UID", all...)
	c.ok("UID FETCH 4294967295:* UID", all[2])
	c.ok("UID FETCH "+strings.Repeat("1,", 20_000)+"1 UID", all[0])
	c.ok("UID FETCH "+strings.Repeat("3:1,", 10_000)+"2 UID", all...)
	c.ok("UID FETCH 4294967294 UID")
	c.ok("FETCH *:* UID", all[2])
	for _, set := range []string{"0", "1:0", "4294967296", "1,,2", "1:", ":1", "1:2:3", "$,1", "-1", "1:4294967295"} {
		c.reply("FETCH "+set+" UID", "BAD ...")
		c.ok("NOOP")
	}
}

func TestHostileFetch(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(1)
	c.ok("EXAMINE INBOX", anything)
	// The same item five thousand times is answered once.
	c.ok("FETCH 1 ("+strings.Repeat("BODY.PEEK[] ", 5000)+"UID)", fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)", len(sample(1)), sample(1)))
	c.ok("FETCH 1 BODY.PEEK["+strings.Repeat("1.", 99)+"1]", "* 1 FETCH (BODY["+strings.Repeat("1.", 99)+"1] NIL)")
	c.reply("FETCH 1 BODY.PEEK["+strings.Repeat("1.", 1000)+"1]", "BAD ...")
	c.reply("FETCH 1 "+strings.Repeat("(", 100), "BAD ...")
	c.reply("SEARCH "+strings.Repeat("NOT ", 500)+"ALL", "BAD ...")
	c.reply("SEARCH "+strings.Repeat("(", 500), "BAD ...")
	c.ok("SEARCH "+strings.Repeat("ALL ", 5000)+"ALL", "* SEARCH 1")
	c.ok(`LIST "" `+strings.Repeat("*%", 500)+"x", anything)
	c.send("a NOOP " + strings.Repeat("x", 70_000))
	c.expect("a BAD ...")
	c.gone("* BYE [TOOBIG] command line too long")
}

// TestHostileKeywords makes one keyword more than a mailbox can have.
func TestHostileKeywords(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(5)
	c.ok("SELECT INBOX", anything)
	list := func(first, n int) string {
		var words []string
		for i := range n {
			words = append(words, fmt.Sprintf("w%04d", first+i))
		}
		return "(" + strings.Join(words, " ") + ")"
	}
	for i := range 4 {
		c.ok(fmt.Sprintf("STORE %d +FLAGS.SILENT %s", i+1, list(256*i, 256)), anything)
	}
	c.reply("STORE 5 +FLAGS (one-more)", "NO [LIMIT] a mailbox can have 1024 keywords")
	c.reply("APPEND INBOX (one-more) {10+}\r\nA: b\r\n\r\nhi", "NO [LIMIT] a mailbox can have 1024 keywords")
	c.ok("STORE 5 +FLAGS.SILENT (w0000 \\Seen)")
	all := strings.Trim(list(0, 1024), "()")
	flags := `\Answered \Flagged \Deleted \Seen \Draft ` + all
	c.ok("SELECT INBOX", "* OK [CLOSED] ...", "* FLAGS ("+flags+")", "* OK [PERMANENTFLAGS ("+flags+")] ...", // no \*
		"* 5 EXISTS", "* OK [MAILBOXID ...", "* 0 RECENT", "* OK [UNSEEN 1] ...", "* OK [UIDVALIDITY ...", "* OK [UIDNEXT 6] ...", "* OK [HIGHESTMODSEQ ...")
	c.ok("STORE 1 -FLAGS.SILENT (w0001)")
	c.ok("STORE 5 +FLAGS.SILENT (one-more)", anything)
}

// TestHostileNames signs in under names that mean something elsewhere.
func TestHostileNames(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"%{user}", "%s%n", "{{.}}", "${jndi:ldap://x}", "../../etc/passwd", "a\x1b[2J", strings.Repeat("x", 4000)} {
		w.dial("plain").reply(fmt.Sprintf("LOGIN {%d+}\r\n%s secret", len(name), name), "NO [AUTHENTICATIONFAILED] authentication failed")
	}
	if log := w.log.String(); strings.Contains(log, "\x1b") {
		t.Errorf("an escape code is in the log: %q", log)
	}
}

// TestCommandLabels checks that no client can make the counters grow.
func TestCommandLabels(t *testing.T) {
	metrics := observe.NewRegistry()
	w := newWorld(t, func(o *Options) { o.Metrics = metrics; o.Limits.Bad, o.Limits.BadInRow = 1000, 1000 })
	c := w.login()
	count := func() int {
		families, err := metrics.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			n += len(f.Metric)
		}
		return n
	}
	before := count()
	for i := range 200 {
		c.reply(fmt.Sprintf("FROB%d", i), "BAD unknown command")
	}
	if after := count(); after != before {
		t.Errorf("%d figures became %d", before, after)
	}
}

// TestManyPushes lets changes come faster than an idling client could be told of
// each: what it is told adds up all the same.
func TestManyPushes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Still = time.Hour })
	idle := w.selected()
	idle.send("i IDLE\r\n")
	idle.expect("+ idling")
	const n = 300
	raised := make(chan struct{})
	go func() {
		defer close(raised)
		for range n {
			w.server.mu.Lock()
			for s := range w.server.sessions {
				s.link.raise(mailboxChanged) // for nothing
			}
			w.server.mu.Unlock()
		}
	}()
	c := w.login()
	c.fill(n)
	exists := 0
	for exists < n {
		line := idle.read()
		if _, err := fmt.Sscanf(line, "* %d EXISTS", &exists); err != nil && !strings.HasSuffix(line, " RECENT") {
			t.Fatal(line)
		}
	}
	<-raised
	idle.send("DONE\r\n")
	idle.until("i")
}
