package imapserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
)

// pipe is a connection whose client has said all it will say: Read gives that and
// then the end of the connection, Write keeps what the server says.
type pipe struct {
	mu      sync.Mutex
	in      *bytes.Reader
	chunk   int // octets of one Read at most; 0: as many as fit
	out     bytes.Buffer
	discard bool // do not keep what the server says
	room    int  // octets the client takes before it is gone; 0: all
	private bool
	upgrade func() error
}

var _ Conn = (*pipe)(nil)

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chunk > 0 && len(b) > p.chunk {
		b = b[:p.chunk]
	}
	return p.in.Read(b)
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.discard {
		return len(b), nil
	}
	if p.room > 0 && p.out.Len()+len(b) > p.room {
		n, _ := p.out.Write(b[:p.room-p.out.Len()])
		return n, net.ErrClosed
	}
	return p.out.Write(b)
}

func (p *pipe) Close() error                       { return nil }
func (p *pipe) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (p *pipe) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (p *pipe) SetDeadline(t time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(t time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(t time.Time) error { return nil }
func (p *pipe) ID() string                         { return "PIPE" }
func (p *pipe) Setting() string                    { return "pipe" }
func (p *pipe) Listener() string                   { return "pipe" }
func (p *pipe) Remote() netip.AddrPort             { return netip.AddrPort{} }
func (p *pipe) Opened() time.Time                  { return time.Now() }
func (p *pipe) TLS() *tls.ConnectionState          { return nil }
func (p *pipe) Fingerprint() uint64                { return 0 }
func (p *pipe) Private() bool                      { return p.private }
func (p *pipe) CanUpgrade() bool                   { return p.upgrade != nil }
func (p *pipe) Upgrade() error                     { return p.upgrade() }
func (p *pipe) Authenticated() error               { return nil }
func (p *pipe) Draining() <-chan struct{}          { return nil }
func (p *pipe) Rest()                              {}

// hold holds a whole conversation with what a client says and gives what the
// server said.
func (w *world) hold(text string, chunk int) string {
	p := &pipe{in: bytes.NewReader([]byte(text)), chunk: chunk, private: true, upgrade: func() error { return io.EOF }}
	w.server.Serve(context.Background(), p)
	return p.out.String()
}

// everything is a dialogue with a bit of all.
const everything = "a1 CAPABILITY\r\na2 ID (\"name\" {4}\r\ntest)\r\na3 LOGIN {15}\r\nada@example.org {6+}\r\nsecret\r\n" +
	"b1 ENABLE UTF8=ACCEPT\r\nb2 CREATE \"Box\"\r\nb3 APPEND Box (\\Seen) {32}\r\nSubject: one\r\n\r\nfirst message.\r\n\r\n" +
	"b4 APPEND Box ~{5+}\r\n\x00\x01\x02\x03\x04\r\nb5 LIST \"\" * RETURN (STATUS (MESSAGES))\r\nb6 STATUS Box (SIZE UNSEEN)\r\n" +
	"c1 SELECT Box\r\nc2 FETCH 1:* (FLAGS UID BODY[] ENVELOPE)\r\nc3 UID SEARCH RETURN (SAVE) TEXT first\r\n" +
	"c4 STORE $ +FLAGS ($Done)\r\nc5 COPY 1 INBOX\r\nc6 UID MOVE 2 Trash\r\nc7 IDLE\r\nDONE\r\n" +
	"c8 STORE 1 +FLAGS.SILENT (\\Deleted)\r\nc9 EXPUNGE\r\nd1 CLOSE\r\nd2 DELETE Box\r\nd3 LOGOUT\r\n"

// TestEveryCut ends the connection after every octet of a dialogue: everything is
// let go of, and the store is sound (which goleak and closeStore check).
func TestEveryCut(t *testing.T) {
	w := newServer(t, nil)
	w.cutEverywhere(everything)
	w.closeStore(t.Context())
}

func (w *world) cutEverywhere(whole string) {
	t := w.t
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 0; n <= len(whole); n += step {
		text := whole[:n]
		w.hold(text, 0)
		if left := w.server.Sessions(); left != 0 {
			t.Fatalf("%d sessions are left after %q", left, text)
		}
		if len(w.server.census.open) != 0 {
			t.Fatalf("a session is counted after %q", text)
		}
	}
	// And a client that is gone after any octet of the replies.
	replies := len(w.hold(whole, 0))
	for n := 1; n < replies; n += 3 * step {
		p := &pipe{in: bytes.NewReader([]byte(whole)), private: true, room: n}
		w.server.Serve(context.Background(), p)
		if w.server.Sessions() != 0 || len(w.server.census.open) != 0 {
			t.Fatalf("a session is left after %d octets of replies", n)
		}
	}
}

var expunges = regexp.MustCompile(`\* [0-9]+ (EXPUNGE|RECENT)\r\n`)

// TestEveryChunk checks that it makes no difference in which pieces a
// conversation comes in, but for one thing: an EXPUNGE is held back while half a
// command has arrived.
func TestEveryChunk(t *testing.T) {
	var want string
	for _, chunk := range []int{0, 1, 2, 3, 7, 64, 65} {
		w := newServer(t, nil)
		got := expunges.ReplaceAllString(w.hold(everything, chunk), "")
		if want == "" {
			want = got
			if !strings.HasSuffix(got, "d2 OK DELETE completed\r\n* BYE see you\r\nd3 OK LOGOUT completed\r\n") {
				t.Fatalf("the dialogue did not go well:\n%s", got)
			}
		} else if got != want {
			t.Errorf("in pieces of %d:\n%s\nwant:\n%s", chunk, got, want)
		}
		w.closeStore(t.Context())
	}
}

func TestFaults(t *testing.T) {
	for _, f := range []struct {
		err         error
		reply, logs string
	}{
		{errors.New("disk on fire"), "a NO [SERVERBUG] something went wrong here (ref ", "disk on fire"},
		{mail.Wrap(errors.New("disk on fire"), mail.Unavailable, "come back later"), "a NO [UNAVAILABLE] come back later (ref ", "disk on fire"},
		{mail.Wrap(errors.New("bit rot"), mail.Corrupt, "stored data is damaged"), "a NO [CORRUPTION] stored data is damaged (ref ", "bit rot"},
		{mail.Errorf(mail.NoSpace, "the disk is full"), "a NO [UNAVAILABLE] the disk is full", ""},
		{mail.Errorf(mail.OverQuota, "quota"), "a NO [OVERQUOTA] quota", ""},
		{mail.Errorf(mail.InUse, "busy"), "a NO [INUSE] busy", ""},
		{mail.Errorf(mail.Cannot, "never\r\n* injected"), "a NO [CANNOT] never??* injected", ""},
	} {
		w := newServer(t, nil)
		w.server.commands["NOOP"] = &spec{name: "NOOP", states: anyState, do: func(s *session, c *command) error {
			if !s.r.ExpectCRLF() {
				return s.r.Err()
			}
			return f.err
		}}
		got := w.hold("a NOOP\r\n", 0)
		_, got, _ = strings.Cut(got, "\r\n")
		if !strings.HasPrefix(got, f.reply) {
			t.Errorf("got %q, want %q", got, f.reply)
		}
		if f.logs != "" {
			ref := got[strings.Index(got, "(ref ")+5 : strings.LastIndex(got, ")")]
			if log := w.log.String(); !strings.Contains(log, "ref="+ref) || !strings.Contains(log, f.logs) {
				t.Errorf("the log does not tell: %s", log)
			}
			if strings.Contains(got, f.logs) {
				t.Errorf("the client is told too much: %s", got)
			}
		}
		w.closeStore(t.Context())
	}
}

func TestLogLine(t *testing.T) {
	w := newServer(t, nil)
	w.hold(everything, 0)
	log := w.log.String()
	for _, want := range []string{"session ended", "reason=logout", "appended=2", "fetched=2", "expunged=1", "user=ada@example.org",
		"client=test", "commands=21", "session=PIPE", "listener=pipe"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	if strings.Contains(log, "secret") {
		t.Error("a password is in the log")
	}
	w.closeStore(t.Context())
}

// TestTranscript checks that no password gets into a transcript, however it is
// sent.
func TestTranscript(t *testing.T) {
	var out bytes.Buffer
	w := newServer(t, func(o *Options) {
		o.Transcripts = observe.NewTranscripts(&out, o.Log, time.Now)
		o.Transcripts.Select(nil, []string{"ada@example.org"})
	})
	for _, text := range []string{
		"a LOGIN ada@example.org secret\r\nb NOOP\r\n", "a LOGIN {15+}\r\nada@example.org {6+}\r\nsecret\r\nb NOOP\r\n",
		"a AUTHENTICATE PLAIN\r\n" + plain("", "ada@example.org", "secret") + "\r\nb NOOP\r\n",
	} {
		out.Reset()
		w.hold(text, 1)
		if got := out.String(); strings.Contains(got, "secret") || strings.Contains(got, plain("", "ada@example.org", "secret")) ||
			!strings.Contains(got, "b OK NOOP completed") {
			t.Errorf("transcript of %q:\n%s", text, got)
		}
	}
	w.closeStore(t.Context())
}

// TestPanic checks that a panic passes through and leaves nothing behind.
func TestPanic(t *testing.T) {
	w := newServer(t, nil)
	w.server.commands["CHECK"] = &spec{name: "CHECK", states: anyState, do: func(*session, *command) error { panic("oh") }}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody panicked")
			}
		}()
		w.hold("a LOGIN ada@example.org secret\r\nb SELECT INBOX\r\nc CHECK\r\n", 0)
	}()
	if w.server.Sessions() != 0 || len(w.server.census.open) != 0 {
		t.Error("the session is still counted")
	}
	if log := w.log.String(); !strings.Contains(log, "fault of the server") {
		t.Errorf("log: %s", log)
	}
	if got := LastWords("REF"); got != "* BYE [SERVERBUG] something went wrong here (ref REF)\r\n" {
		t.Error(got)
	}
	w.closeStore(t.Context())
}

// stalled is a pipe whose client does not read.
type stalled struct{ pipe }

func (s *stalled) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestClientDoesNotRead(t *testing.T) {
	w := newServer(t, nil)
	w.server.Serve(t.Context(), &stalled{pipe{in: bytes.NewReader([]byte(everything)), private: true}})
	if log := w.log.String(); !strings.Contains(log, "client does not read") {
		t.Errorf("log: %s", log)
	}
	w.closeStore(t.Context())
}
