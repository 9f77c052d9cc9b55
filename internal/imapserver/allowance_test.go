package imapserver

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/internal/store/storetest"
)

// TestSearchAllowance lets every look at the clock find another second gone, so
// that what has many headers to read takes too much work and what has none does
// not.
func TestSearchAllowance(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.SearchCPU = 10 * time.Second })
	var worked time.Duration
	w.server.worked = func() time.Duration { worked += time.Second; return worked }
	c := w.login()
	c.fill(40)
	c.ok("SELECT INBOX", anything)
	const refused = "NO [LIMIT] the search takes too much work"
	for _, command := range []string{
		"SEARCH TEXT nowhere",
		"UID SEARCH RETURN (COUNT) HEADER X-None nowhere",
		"SORT (SUBJECT) UTF-8 TEXT nowhere",
		"UID SORT RETURN (MIN) (SUBJECT) UTF-8 TEXT nowhere",
		"THREAD REFERENCES UTF-8 NOT BODY nowhere",
	} {
		c.reply(command, refused)
		// The allowance is that of one command.
		c.ok("SEARCH 1 SEEN", "* SEARCH")
	}
	// A search that fails leaves nothing in "$" (RFC 5182 2.1).
	c.ok("SEARCH RETURN (SAVE) 1:3")
	c.reply("SEARCH RETURN (SAVE) TEXT nowhere", refused)
	c.ok("SEARCH $", "* SEARCH")
}

// TestAllowance works and waits: only work counts. It belongs to one goroutine's
// thread, whatever others do.
func TestAllowance(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("waiting counts as work here")
	}
	a := allow(t.Context(), 50*time.Millisecond, threadTime)
	defer a.end()
	time.Sleep(100 * time.Millisecond)
	for range looksPerCheck {
		if err := a.Err(); err != nil {
			t.Fatalf("after waiting: %v, %v are left", err, a.until-threadTime())
		}
	}
	stop := time.Now().Add(20 * time.Second)
	for a.Err() == nil && time.Now().Before(stop) {
	}
	if left := a.until - threadTime(); !errors.Is(a.Err(), context.Canceled) || !a.spent || left > 0 {
		t.Errorf("ended with %v, %v are left", a.Err(), left)
	}
	select {
	case <-a.Done():
	default:
		t.Error("what waits under it goes on")
	}
}

// TestClientLeaves has a client leave while its search is held up: the search ends
// at once, though nothing is written.
func TestClientLeaves(t *testing.T) {
	for _, setting := range []string{"plain", "tls"} {
		for _, command := range []string{"SEARCH TEXT nowhere", "SORT (SUBJECT) UTF-8 BODY nowhere", "THREAD REFS UTF-8 TEXT nowhere"} {
			t.Run(setting+" "+command, func(t *testing.T) {
				w := newWorld(t, func(o *Options) { o.Limits.Progress = -1 })
				w.server.lookoutAfter = time.Millisecond
				c, block := held(t, w, setting)
				c.send("a " + command + "\r\n")
				<-block.Arrived()
				if err := c.conn.Close(); err != nil {
					t.Fatal(err)
				}
				waitFor(t, "the session to end", func() bool { return w.server.Sessions() == 0 })
				if log := w.log.String(); !strings.Contains(log, `reason="client went away"`) {
					t.Errorf("log:\n%s", log)
				}
			})
		}
	}
}

// TestSearchRevoked ends a search whose account is closed to the session.
func TestSearchRevoked(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Progress = -1 })
	w.server.lookoutAfter = time.Millisecond
	c, block := held(t, w, "tls")
	c.send("a SEARCH TEXT nowhere\r\n")
	<-block.Arrived()
	w.server.Revoke(1)
	c.gone("* BYE your access has changed, sign in again")
}

// TestSearchPipelined sends commands while a search is at work: they are answered
// after it, and it is not ended. One that means messages by number has arrived
// before an EXPUNGE could be told, so none is.
func TestSearchPipelined(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Progress = -1 })
	w.server.lookoutAfter = time.Millisecond
	c, block := held(t, w, "tls")
	other := w.selected()
	c.send("a UID SEARCH TEXT nowhere\r\n")
	<-block.Arrived()
	other.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	other.ok("EXPUNGE", "* 1 EXPUNGE")
	c.send("b FETCH 2 UID\r\n" + "c NOOP\r\n")
	time.Sleep(50 * time.Millisecond) // for it to come in; if it does not, the test is merely a weaker one
	block.Release()
	for _, want := range []struct{ tag, untagged string }{
		{"a", "* SEARCH"}, {"b", "* 2 FETCH (UID 2)"}, {"c", "* 1 EXPUNGE"},
	} {
		untagged, tagged := c.until(want.tag)
		if len(untagged) == 0 || len(untagged) > 1 && want.tag != "c" || !strings.HasPrefix(untagged[0], want.untagged) || !strings.HasPrefix(tagged, "OK") {
			t.Errorf("%s: %q %s", want.tag, untagged, tagged)
		}
	}
}

// held gives a client with three messages selected, whose next search of texts
// waits at the gate.
func held(t *testing.T, w *world, setting string) (*client, *storetest.Block) {
	t.Helper()
	c := w.dial(setting)
	c.ok("LOGIN ada@example.org secret")
	c.fill(3)
	c.ok("SELECT INBOX", anything)
	block := storetest.NewBlock()
	t.Cleanup(block.Release)
	w.faults.Fail(storetest.OpOpen, storetest.Fault{Block: block})
	return c, block
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for stop := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
