package imapserver

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"postern/internal/store/storetest"
)

// TestURLsOfOurs names messages by absolute URLs of this server and of others.
func TestURLsOfOurs(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", "", "one")
	for _, host := range []string{"mail.example.org", "MAIL.example.ORG:143"} {
		for _, user := range []string{"", "ada%40example.org@", "ada%40EXAMPLE.org;AUTH=*@", ";AUTH=PLAIN@"} {
			c.ok(`APPEND Archive CATENATE (URL "imap://`+user+host+`/INBOX/;UID=1")`, anything)
		}
	}
	c.ok("STATUS Archive (MESSAGES SIZE)", `* STATUS "Archive" (MESSAGES 8 SIZE 24)`)
	for _, server := range []string{"bob%40example.org@mail.example.org", "ada@mail.example.org", "mail.example.org:993", "127.0.0.1", "example.org"} {
		c.reply(`APPEND Archive CATENATE (URL "imap://`+server+`/INBOX/;UID=1")`, `NO [BADURL "imap://`+server+`/INBOX/;UID=1"] ...`)
	}
	// A server that does not know its name has no absolute URLs.
	w = newWorld(t, func(o *Options) { o.Hostname = "" })
	c = w.login()
	c.append("INBOX", "", "one")
	c.ok("APPEND Archive CATENATE (URL /INBOX/;UID=1)", anything)
	c.reply(`APPEND Archive CATENATE (URL "imap://mail.example.org/INBOX/;UID=1")`, "NO [BADURL ...")
}

// TestCatenateBounds puts together as much as a message may have, and an octet
// more: of URLs, of literals, and of both.
func TestCatenateBounds(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Message = 1000 })
	c := w.login()
	c.append("INBOX", "", strings.Repeat("x", 500))
	half := "URL /INBOX/;UID=1"
	text := func(n int) string { return fmt.Sprintf("TEXT {%d+}\r\n%s", n, strings.Repeat("y", n)) }
	c.ok("APPEND Archive CATENATE ("+half+" "+half+")", anything)
	c.ok("APPEND Archive CATENATE ("+half+" "+text(499)+" TEXT {1+}\r\nz)", anything)
	for _, parts := range []string{half + " " + half + " " + text(1), text(1) + " " + half + " " + half, text(500) + " " + text(501),
		half + " " + text(501), text(500) + " " + half + " URL /INBOX/;UID=1/;PARTIAL=499.1"} {
		c.reply("APPEND Archive CATENATE ("+parts+")", "NO [TOOBIG] ...")
		c.ok("NOOP")
	}
	c.reply("APPEND Archive CATENATE ("+half+" TEXT {501}", "NO [TOOBIG] ...")
	c.ok("STATUS Archive (MESSAGES SIZE)", `* STATUS "Archive" (MESSAGES 2 SIZE 2000)`)
}

// TestCatenateMemory puts a large message together from another, which must not
// take the memory of either.
func TestCatenateMemory(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", "", strings.Repeat(strings.Repeat("x", 78)+"\r\n", 100_000)) // 8,000,000 octets
	c.ok("SELECT INBOX", anything)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.ok("APPEND Archive CATENATE (TEXT {8+}\r\na: b\r\n\r\n URL ;UID=1/;PARTIAL=0.7999992)", anything)
	runtime.ReadMemStats(&after)
	// The store is in memory and keeps the message; it may have grown its room for it several times.
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*8_000_000 {
		t.Errorf("%d octets were allocated", n)
	}
	c.ok("STATUS Archive (SIZE)", `* STATUS "Archive" (SIZE 8000000)`)
}

// TestCatenateFaults lets the store fail while parts are read: that is no fault of
// the URL's, and nothing is appended or replaced.
func TestCatenateFaults(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.fill(2)
	c.ok("SELECT INBOX", anything)
	for _, op := range []storetest.Op{storetest.OpOpen, storetest.OpSummaries, storetest.OpPut, storetest.OpCommit, storetest.OpReadAt} {
		for _, command := range []string{"APPEND INBOX", "REPLACE 1 INBOX"} {
			w.faults.Fail(op, storetest.Fault{Err: away})
			c.reply(command+" CATENATE (URL /INBOX/;UID=2 TEXT {12+}\r\nx FETCH 1:*\r)", "NO [UNAVAILABLE] ...")
			w.faults.Clear()
		}
	}
	c.ok("UID SEARCH ALL", "* SEARCH 1 2")
}
