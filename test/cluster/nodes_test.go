// Package cluster_test runs several nodes of Postern, each a process of its own, on one PostgreSQL.
package cluster_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
	"postern/test/peer"
)

// patience bounds every wait on a busy machine; nothing is measured by it.
const patience = 60 * time.Second

// cluster is a database and three nodes.
type cluster struct {
	database *peer.PostgreSQL
	nodes    [3]*peer.Node
}

func newCluster(t *testing.T, more string) *cluster {
	t.Helper()
	c := &cluster{database: peer.NewPostgreSQL(t)}
	t.Cleanup(c.database.Stop)
	settings := fmt.Sprintf("[store]\ndatabase = %q\n%s", c.database.URL("public"), more)
	for i := range c.nodes {
		c.nodes[i] = peer.NewNode(t, filepath.Join(t.TempDir(), "data"), settings)
	}
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	if out := c.nodes[0].Command(t, "store", "migrate"); !strings.Contains(out, "version") {
		t.Errorf("migrate says %q", out)
	}
	for _, n := range c.nodes {
		n.Start(t)
	}
}

// check has everything stored gone over, by a node that serves and then without any: a complaint ends the command with
// an error, which fails the test.
func (c *cluster) check(t *testing.T) {
	t.Helper()
	c.nodes[0].Command(t, "check")
	for _, n := range c.nodes {
		n.Stop(t)
	}
	c.nodes[1].Command(t, "check")
}

// session is a client that reads line by line.
type session struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

func dial(t *testing.T, n *peer.Node, name, password string) *session {
	t.Helper()
	conn, err := tls.Dial("tcp", n.TLS, n.TLSConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &session{t: t, conn: conn, r: bufio.NewReader(conn)}
	s.line()
	s.do(fmt.Sprintf("LOGIN %s %s", name, password))
	return s
}

func (s *session) line() string {
	s.t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	line, err := s.r.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

func (s *session) send(line string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a command and gives all lines of its answer; the last is the tagged one, without its tag.
func (s *session) ask(command string) []string {
	s.t.Helper()
	s.tag++
	tag := fmt.Sprintf("a%d ", s.tag)
	s.send(tag + command)
	var lines []string
	for {
		line := s.line()
		if rest, ok := strings.CutPrefix(line, tag); ok {
			return append(lines, rest)
		}
		lines = append(lines, line)
	}
}

// do is ask for what must be done.
func (s *session) do(command string) []string {
	s.t.Helper()
	lines := s.ask(command)
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "OK") {
		s.t.Fatalf("%s: %s", command, last)
	}
	return lines
}

// idle begins IDLE; heard waits for a line that contains something; done ends it.
func (s *session) idle() {
	s.t.Helper()
	s.send("i IDLE")
	s.heard("+ ")
}

func (s *session) heard(what string) string {
	s.t.Helper()
	for {
		if line := s.line(); strings.Contains(line, what) {
			return line
		}
	}
}

func (s *session) done() {
	s.t.Helper()
	s.send("DONE")
	s.heard("i OK")
}

// until asks again until an answer contains something: what was done on another node comes within a moment, not with
// the reply there.
func (s *session) until(command, what string) string {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		lines := strings.Join(s.do(command), "\n")
		if strings.Contains(lines, what) {
			return lines
		}
		if time.Since(began) > patience {
			s.t.Fatalf("%s does not come to say %q:\n%s", command, what, lines)
		}
	}
}

// message is what is delivered, with something that only octet for octet survives.
const message = "From: a@example.org\r\nSubject: three nodes\r\n\r\n..two dots \xff and an octet\r\n"

// again is another message: the same one would be taken for one that was sent twice.
const again = "From: a@example.org\r\nSubject: three nodes again\r\n\r\nanother\r\n"

// deliver hands a message over by LMTP and gives the reply to its content.
func deliver(t *testing.T, n *peer.Node, to, content string) int {
	t.Helper()
	conn, err := textproto.Dial("tcp", n.LMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(line string) int {
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		code, _, err := conn.ReadResponse(0)
		if err != nil && code == 0 {
			t.Fatal(err)
		}
		return code
	}
	say("")
	for _, line := range []string{"LHLO test.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<" + to + ">", "DATA"} {
		if code := say(line); code >= 400 {
			return code
		}
	}
	stuffed := strings.ReplaceAll("\r\n"+content, "\r\n.", "\r\n..")[2:]
	if _, err := conn.W.WriteString(stuffed); err != nil {
		t.Fatal(err)
	}
	return say(".")
}

// TestThreeNodes has a phone on one node, a laptop on another, and mail delivered on the third.
func TestThreeNodes(t *testing.T) { threeNodes(t, newCluster(t, "")) }

func threeNodes(t *testing.T, c *cluster) {
	if err := c.nodes[0].TryStart(); err == nil {
		t.Error("a node serves on a database without tables")
	}
	if log := c.nodes[0].Log(); !strings.Contains(log, "postern store migrate") {
		t.Errorf("the node does not say what makes the tables:\n%s", log)
	}
	c.nodes[0].Kill(t)
	c.start(t)
	password := c.nodes[0].AddAccount(t, "user@example.org")
	phone := dial(t, c.nodes[0], "user@example.org", password)
	laptop := dial(t, c.nodes[1], "user@example.org", password)
	for _, s := range []*session{phone, laptop} {
		s.do("ENABLE CONDSTORE")
		s.do("SELECT INBOX")
		s.idle()
	}
	if code := deliver(t, c.nodes[2], "user@example.org", message); code != 250 {
		t.Fatalf("delivery was answered %d", code)
	}
	for _, s := range []*session{phone, laptop} {
		s.heard("* 1 EXISTS")
		s.done()
	}
	const all = "FETCH 1 (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE BODY.PEEK[])"
	one, two := strings.Join(phone.do(all), "\n"), strings.Join(laptop.do(all), "\n")
	if cut := strings.LastIndex(one, "\n"); one[:cut] != two[:strings.LastIndex(two, "\n")] {
		t.Errorf("two nodes show two messages:\n%s\n%s", one, two)
	}
	if want := strings.ReplaceAll(message, "\r\n", "\n"); !strings.Contains(one, want) {
		t.Errorf("the message is not as it was delivered:\n%q", one)
	}

	// A flag set here is told there, with the number it has here.
	phone.idle()
	laptop.do(`STORE 1 +FLAGS.SILENT (\Flagged $Work)`)
	if line := phone.heard("* 1 FETCH"); !strings.Contains(line, `\Flagged`) || !strings.Contains(line, "$Work") {
		t.Errorf("told on the other node: %s", line)
	}
	phone.done()
	if one, two := phone.do("FETCH 1 (UID FLAGS MODSEQ)")[0], laptop.do("FETCH 1 (UID FLAGS MODSEQ)")[0]; one != two {
		t.Errorf("two nodes show different flags:\n%s\n%s", one, two)
	}

	// A message that is gone here is gone there, a mailbox made there is here.
	laptop.idle()
	phone.do(`STORE 1 +FLAGS (\Deleted)`)
	phone.do("EXPUNGE")
	laptop.heard("* 1 EXPUNGE")
	laptop.done()
	laptop.do("CREATE Made/There")
	phone.until(`LIST "" *`, "Made/There")

	// A node that dies takes nothing along.
	if code := deliver(t, c.nodes[2], "user@example.org", again); code != 250 {
		t.Fatalf("delivery was answered %d", code)
	}
	c.nodes[2].Kill(t)
	for _, s := range []*session{phone, laptop} {
		s.until("NOOP", "* 1 EXISTS")
		if lines := strings.Join(s.do("FETCH 1 (UID)"), "\n"); !strings.Contains(lines, "(UID 2)") {
			t.Errorf("the second message has not UID 2:\n%s", lines)
		}
	}
	c.check(t)
}

// TestThreeNodesWithBucket is the same with messages in an S3 bucket.
func TestThreeNodesWithBucket(t *testing.T) {
	testenv.Need(t, "postgresql")
	s3 := peer.NewS3(t)
	c := newCluster(t, fmt.Sprintf("bodies = \"s3://%s/here?endpoint=http://%s&region=us-east-1\"\nbodies_credentials = %q\n",
		s3.Bucket, s3.Address, s3.Credentials))
	threeNodes(t, c)
	if list, err := filepath.Glob(filepath.Join(s3.Dir, "here", "*", "*")); err != nil || len(list) != 2 {
		t.Errorf("%d objects in the bucket, want the two messages: %v", len(list), err)
	}
}

// TestDatabaseRestarted takes the database away under two nodes: what is asked meanwhile is refused for the moment,
// and everything goes on by itself afterwards, with what was acknowledged.
func TestDatabaseRestarted(t *testing.T) {
	c := newCluster(t, "")
	c.start(t)
	password := c.nodes[0].AddAccount(t, "user@example.org")
	phone := dial(t, c.nodes[0], "user@example.org", password)
	laptop := dial(t, c.nodes[1], "user@example.org", password)
	if code := deliver(t, c.nodes[2], "user@example.org", message); code != 250 {
		t.Fatalf("delivery was answered %d", code)
	}
	phone.until("SELECT INBOX", "* 1 EXISTS")
	laptop.until("SELECT INBOX", "* 1 EXISTS")
	phone.do(`STORE 1 +FLAGS (kept)`)
	c.database.Kill()
	lines := phone.ask(`STORE 1 +FLAGS (\Answered)`)
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "NO [UNAVAILABLE]") {
		t.Errorf("without a database STORE is answered %s", last)
	}
	if code := deliver(t, c.nodes[2], "user@example.org", again); code != 451 && code != 450 {
		t.Errorf("without a database a delivery is answered %d", code)
	}
	if err := c.database.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if lines := phone.ask(`STORE 1 +FLAGS (after)`); strings.HasPrefix(lines[len(lines)-1], "OK") {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the node does not resume")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if line := laptop.until("FETCH 1 (FLAGS)", "after"); !strings.Contains(line, "kept") {
		t.Errorf("a flag that was acknowledged is lost: %s", line)
	}
	if code := deliver(t, c.nodes[2], "user@example.org", again); code != 250 {
		t.Errorf("afterwards a delivery is answered %d", code)
	}
	c.check(t)
}
