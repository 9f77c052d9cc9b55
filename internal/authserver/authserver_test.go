package authserver

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/auth"
	"postern/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory has one account.
type directory struct{ record []byte }

func (d directory) SignIn(_ context.Context, address string) (auth.Entry, error) {
	switch address {
	case "ada@example.org", "alias@example.org":
		return auth.Entry{Account: 1, Name: "ada@example.org", Version: 1, Record: d.record}, nil
	case "broken@example.org":
		return auth.Entry{}, mail.Errorf(mail.Unavailable, "the disk is full")
	}
	return auth.Entry{}, mail.Errorf(mail.NotFound, "no such account")
}

func (directory) Rehash(context.Context, mail.AccountID, uint64, []byte) error { return nil }

// pipe is a connection as the server has it.
type pipe struct {
	net.Conn
	draining chan struct{}
}

func (pipe) ID() string                       { return "S1" }
func (pipe) Go(f func())                      { go f() }
func (p pipe) Draining() <-chan struct{}      { return p.draining }
func (p pipe) ReadWithin(time.Duration) error { return p.SetReadDeadline(time.Time{}) }

type asker struct {
	t        *testing.T
	conn     net.Conn
	r        *bufio.Reader
	draining chan struct{}
	done     chan struct{}
	log      *strings.Builder

	mu       sync.Mutex
	attempts []auth.Attempt
}

// ask begins a conversation and reads what the server says first.
func ask(t *testing.T, plaintext bool, change func(*auth.Config)) *asker {
	t.Helper()
	cheap := auth.Argon2{Memory: 8, Time: 1, Threads: 1}
	record, err := auth.SetPassword(nil, "correct horse", cheap, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	a := &asker{t: t, conn: ours, r: bufio.NewReader(ours), draining: make(chan struct{}), done: make(chan struct{}), log: &strings.Builder{}}
	cfg := auth.Config{Directory: directory{record}, Cost: cheap, Iterations: 10_000, ScramReady: func() bool { return true },
		Watch: func(_ context.Context, try auth.Attempt) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.attempts = append(a.attempts, try)
		}}
	if change != nil {
		change(&cfg)
	}
	srv := New(Options{Auth: auth.New(cfg), Log: slog.New(slog.NewTextHandler(a.log, nil))})
	go func() {
		defer close(a.done)
		srv.Serve(t.Context(), pipe{theirs, a.draining}, plaintext)
		theirs.Close()
	}()
	t.Cleanup(func() {
		ours.Close()
		<-a.done
	})
	if err := ours.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for !slices.Contains(lines, "DONE") {
		lines = append(lines, a.line())
	}
	want := []string{"VERSION\t1\t2", "MECH\tSCRAM-SHA-256\tmutual-auth", "MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext"}
	if !slices.Equal(lines[:4], want) {
		t.Errorf("it begins with %q, want %q", lines, want)
	}
	for _, word := range []string{"SPID\t", "CUID\t", "COOKIE\t"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, word) }) {
			t.Errorf("there is no %q", word)
		}
	}
	return a
}

func (a *asker) line() string {
	a.t.Helper()
	line, err := a.r.ReadString('\n')
	if err != nil {
		a.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (a *asker) say(format string, args ...any) {
	a.t.Helper()
	if _, err := fmt.Fprintf(a.conn, format+"\n", args...); err != nil {
		a.t.Fatal(err)
	}
}

// want says a line and wants that answer.
func (a *asker) want(answer, format string, args ...any) {
	a.t.Helper()
	a.say(format, args...)
	if got := a.line(); got != answer {
		a.t.Errorf("%q was answered %q, want %q", fmt.Sprintf(format, args...), got, answer)
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const hello = "VERSION\t1\t0\nCPID\t4711"

// The exchanges that Postfix has, as Dovecot answers them.
func TestExchanges(t *testing.T) {
	a := ask(t, false, nil)
	a.say(hello)
	from := "service=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\trport=12345\tsecured"
	a.want("OK\t1\tuser=ada@example.org", "AUTH\t1\tPLAIN\t%s\tresp=%s", from, b64("\x00ada@example.org\x00correct horse"))
	a.want("OK\t2\tuser=ada@example.org", "AUTH\t2\tplain\t%s\tresp=%s", from, b64("\x00alias@example.org\x00correct horse"))
	a.want("FAIL\t3", "AUTH\t3\tPLAIN\t%s\tresp=%s", from, b64("\x00ada@example.org\x00wrong horse"))
	a.want("FAIL\t4", "AUTH\t4\tPLAIN\t%s\tresp=%s", from, b64("\x00bob@example.org\x00correct horse"))
	a.want("FAIL\t5\ttemp", "AUTH\t5\tPLAIN\t%s\tresp=%s", from, b64("\x00broken@example.org\x00correct horse"))
	a.want("FAIL\t6", "AUTH\t6\tPLAIN\t%s\tresp=%s", from, b64("bob@example.org\x00ada@example.org\x00correct horse"))
	a.want("CONT\t7\t", "AUTH\t7\tPLAIN\t%s", from)
	a.want("OK\t7\tuser=ada@example.org", "CONT\t7\t%s", b64("\x00ada@example.org\x00correct horse"))
	a.want("CONT\t8\t"+b64("Username:"), "AUTH\t8\tLOGIN\t%s", from)
	a.want("CONT\t8\t"+b64("Password:"), "CONT\t8\t%s", b64("ada@example.org"))
	a.want("OK\t8\tuser=ada@example.org", "CONT\t8\t%s", b64("correct horse"))
	a.want("FAIL\t9\treason=no such mechanism", "AUTH\t9\tCRAM-MD5\t%s", from)
	a.want("FAIL\t10\treason=no such mechanism", "AUTH\t10\tSCRAM-SHA-256-PLUS\t%s", from)
	a.want("FAIL\t11\treason=not base64", "AUTH\t11\tPLAIN\t%s\tresp=AGFkYQ=", from)
	a.want("FAIL\t12", "AUTH\t12\tPLAIN\t%s\tresp=", from) // empty, which PLAIN never is

	a.mu.Lock()
	defer a.mu.Unlock()
	for _, try := range a.attempts {
		if try.Peer.Remote.String() != "198.51.100.7:12345" || try.Peer.Service != "smtp" {
			t.Errorf("it was a try from %s at %q", try.Peer.Remote, try.Peer.Service)
		}
	}
	if len(a.attempts) != 9 {
		t.Errorf("%d tries were seen, want 9", len(a.attempts))
	}
}

// A password of a client that has no TLS is not looked at, unless it is on this machine or the
// listener takes it.
func TestPlaintext(t *testing.T) {
	right := "resp=" + b64("\x00ada@example.org\x00correct horse")
	for _, c := range []struct {
		allowed bool
		from    string
		taken   bool
	}{
		{false, "rip=198.51.100.7", false}, {false, "", false}, {false, "rip=nonsense", false},
		{false, "rip=198.51.100.7\tsecured", true}, {true, "rip=198.51.100.7", true},
		{false, "rip=127.0.0.1", true}, {false, "rip=::1", true}, {false, "rip=192.0.2.1\tlip=192.0.2.1", true},
		{false, "rip=192.0.2.7\tlip=192.0.2.1", false}, {false, "lip=192.0.2.1", false},
	} {
		a := ask(t, c.allowed, nil)
		a.say(hello)
		answer := "FAIL\t1\treason=no password without TLS"
		if c.taken {
			answer = "OK\t1\tuser=ada@example.org"
		}
		a.want(answer, "AUTH\t1\tPLAIN\tservice=smtp\t%s\t%s", c.from, right)
		if !c.taken && len(a.attempts) > 0 {
			t.Errorf("%q: the password was looked at", c.from)
		}
	}
}

// Exchanges go on while another waits for its answer, and can be given up.
func TestSeveralAtOnce(t *testing.T) {
	a := ask(t, false, func(c *auth.Config) { c.FailureDelay = 10 * time.Second }) // far beyond what the rest takes
	a.say(hello)
	a.say("AUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp=%s", b64("\x00ada@example.org\x00wrong horse"))
	a.want("OK\t2\tuser=ada@example.org", "AUTH\t2\tPLAIN\tservice=smtp\tsecured\tresp=%s", b64("\x00ada@example.org\x00correct horse"))
	a.say("CANCEL\t1")
	a.want("CONT\t3\t", "AUTH\t3\tPLAIN\tservice=smtp\tsecured")
	a.say("CANCEL\t3")
	a.say("CONT\t3\t%s", b64("\x00ada@example.org\x00correct horse")) // was on its way
	a.want("CONT\t3\t", "AUTH\t3\tPLAIN\tservice=smtp\tsecured")      // the number is free again
	a.want("OK\t3\tuser=ada@example.org", "CONT\t3\t%s", b64("\x00ada@example.org\x00correct horse"))
}

// Many exchanges that are begun and left are bounded (number 42 of the test matrix).
func TestTooManyAtOnce(t *testing.T) {
	a := ask(t, false, nil)
	a.say(hello)
	for i := range maxRequests {
		a.want(fmt.Sprintf("CONT\t%d\t", i), "AUTH\t%d\tPLAIN\tservice=smtp\tsecured", i)
	}
	a.want("FAIL\t999\ttemp\treason=too many at once", "AUTH\t999\tPLAIN\tservice=smtp\tsecured")
	a.say("CANCEL\t0")
	a.want("CONT\t999\t", "AUTH\t999\tPLAIN\tservice=smtp\tsecured")
}

// What is not the protocol ends the conversation.
func TestNotTheProtocol(t *testing.T) {
	for _, said := range []string{
		"AUTH\t1\tPLAIN\tsecured", "VERSION\t2\t0", hello + "\nAUTH\tx\tPLAIN", hello + "\nAUTH\t1", hello + "\nCONT\tx\t",
		hello + "\nCANCEL\t-1", hello + "\nAUTH\t1\tPLAIN\tsecured\nAUTH\t1\tPLAIN\tsecured", "GET / HTTP/1.1",
		hello + "\nAUTH\t99999999999\tPLAIN", strings.Repeat("x", longestLine+1),
	} {
		a := ask(t, false, nil)
		go fmt.Fprintf(a.conn, "%s\n", said) // it may be gone before it has all
		for {
			if _, err := a.r.ReadString('\n'); err != nil {
				break
			}
		}
		<-a.done
		if !strings.Contains(a.log.String(), "was sent away") {
			t.Errorf("%.40q: the log says %q", said, a.log)
		}
	}
	a := ask(t, false, nil) // and what is of a later version does not
	a.say(hello + "\nNEWWORD\t1\t2")
	a.want("OK\t1\tuser=ada@example.org", "AUTH\t1\tPLAIN\tsecured\tnewthing=1\tanother\tresp=%s", b64("\x00ada@example.org\x00correct horse"))
}

// Whoever waits for its clients is told when the server stops.
func TestDrain(t *testing.T) {
	a := ask(t, false, nil)
	a.say(hello)
	a.want("CONT\t1\t", "AUTH\t1\tPLAIN\tsecured")
	close(a.draining)
	<-a.done
}

// Fields are escaped as Dovecot has it, both ways.
func TestEscape(t *testing.T) {
	raw, escaped := "a\x00b\x01c\td\re\nf", "a\x010b\x011c\x01td\x01re\x01nf"
	if escape(raw) != escaped || unescape(escaped) != raw {
		t.Errorf("%q and %q", escape(raw), unescape(escaped))
	}
}
