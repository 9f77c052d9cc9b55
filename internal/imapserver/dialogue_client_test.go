package imapserver

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client is a client that reads replies as they come.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tags int
}

// dial connects to a listener and reads the greeting.
func (w *world) dial(setting string) *client {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.net.Addrs(setting)[0].String())
	if err != nil {
		w.t.Fatal(err)
	}
	if setting == "tls" {
		conn = tls.Client(conn, w.roots)
	}
	return newClient(w.t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	t.Cleanup(func() { conn.Close() })
	c.deadline()
	if got := c.read(); !strings.HasPrefix(got, "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ") {
		t.Fatalf("greeting: %q", got)
	}
	return c
}

// login gives a client that has signed in as ada.
func (w *world) login() *client {
	w.t.Helper()
	c := w.dial("plain")
	c.ok(`LOGIN ada@example.org secret`)
	return c
}

// selected gives a client that has INBOX selected.
func (w *world) selected() *client {
	w.t.Helper()
	c := w.login()
	c.ok("SELECT INBOX", anything)
	return c
}

// deadline keeps a test that waits for nothing from waiting for ever.
func (c *client) deadline() {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
}

// send sends text as it is.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("send %q: %v", text, err)
	}
}

var literalEnd = regexp.MustCompile(`\{([0-9]+)\}\r\n$`)

// read reads one response, its literals included, without its last CRLF.
func (c *client) read() string {
	c.t.Helper()
	text, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v (after %q)", err, text)
	}
	return text
}

func (c *client) tryRead() (string, error) {
	var text strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			return text.String(), err
		}
		m := literalEnd.FindStringSubmatch(line)
		if m == nil {
			return strings.TrimSuffix(text.String(), "\r\n"), nil
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return text.String(), err
		}
		if _, err := io.CopyN(&text, c.r, int64(n)); err != nil {
			return text.String(), err
		}
	}
}

// expect reads one response that must be as given; see same.
func (c *client) expect(want string) string {
	c.t.Helper()
	got := c.read()
	if !same(got, want) {
		c.t.Fatalf("got  %q\nwant %q", got, want)
	}
	return got
}

// same compares a response with what is wanted: "..." stands for anything.
func same(got, want string) bool {
	if !strings.Contains(want, "...") {
		return got == want
	}
	parts := strings.Split(regexp.QuoteMeta(want), `\.\.\.`)
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, `.*`) + `$`).MatchString(got)
}

// anything, as the one wanted response, leaves the untagged responses open.
const anything = "..."

// do sends a command and gives its untagged responses and what follows the tag.
func (c *client) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(tag + " " + command + "\r\n")
	return c.until(tag)
}

// until reads responses until the one with the tag.
func (c *client) until(tag string) (untagged []string, tagged string) {
	c.t.Helper()
	for {
		line := c.read()
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// ok sends a command that must succeed and be answered by these untagged
// responses, in this order.
func (c *client) ok(command string, want ...string) string {
	c.t.Helper()
	return c.reply(command, "OK ...", want...)
}

// reply sends a command that must be answered so.
func (c *client) reply(command, wantTagged string, want ...string) string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !same(tagged, wantTagged) {
		c.t.Fatalf("%s: got %q, want %q (after %q)", command, tagged, wantTagged, untagged)
	}
	if len(want) == 1 && want[0] == anything {
		return tagged
	}
	ok := len(untagged) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = same(untagged[i], want[i])
	}
	if !ok {
		c.t.Fatalf("%s:\n got %s\nwant %s", command, lines(untagged), lines(want))
	}
	return tagged
}

func lines(list []string) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintf(&b, "\n  %q", l)
	}
	return b.String()
}

// gone expects the server to close the connection, after these responses.
func (c *client) gone(want ...string) {
	c.t.Helper()
	for _, w := range want {
		c.expect(w)
	}
	if text, err := c.tryRead(); err == nil || len(text) > 0 {
		c.t.Fatalf("the connection is open: %q, %v", text, err)
	}
}

// append puts a message into a mailbox by APPEND and gives its UID.
func (c *client) append(mailbox, flags, text string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(fmt.Sprintf("%s APPEND %s %s{%d+}\r\n%s\r\n", tag, mailbox, flags, len(text), text))
	if _, tagged := c.until(tag); !same(tagged, "OK [APPENDUID ...] ...") {
		c.t.Fatalf("APPEND: %q", tagged)
	}
}

// fill appends n small messages to INBOX, numbered from 1 in their subjects.
func (c *client) fill(n int) {
	c.t.Helper()
	for i := range n {
		c.append("INBOX", "", sample(i+1))
	}
}

func sample(i int) string {
	return fmt.Sprintf("From: Fred <fred@example.org>\r\nTo: ada@example.org\r\nSubject: message %d\r\n"+
		"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-Id: <%d@example.org>\r\n\r\nText of message %d.\r\n", i, i, i)
}
