package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// stranger is a connection as the ledger sees it: from somewhere, and awaited
// (its client is to send the next byte) or not.
func stranger(from string, awaited bool) *Conn {
	c := &Conn{wire: new(wire)}
	if from != "" {
		c.remote = netip.AddrPortFrom(netip.MustParseAddr(from), 1)
	}
	c.wire.reading.Store(awaited)
	return c
}

func TestLedgerBudgets(t *testing.T) {
	limits := Limits{PerAddress: 2, PerNetwork: 3, BeforeLoginAll: 5, Handshakes: 2}
	for _, test := range []struct {
		name string
		in   []string // those there, all awaited
		next string
		out  int // which one goes, -1 none
	}{
		{"room", []string{"192.0.2.1", "192.0.2.2"}, "192.0.2.1", -1},
		{"one address", []string{"198.51.100.9", "192.0.2.1", "192.0.2.1"}, "192.0.2.1", 1},
		{"one /24", []string{"198.51.100.9", "192.0.2.1", "192.0.2.2", "192.0.2.3"}, "192.0.2.255", 1},
		{"next /24", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, "192.0.3.4", -1},
		{"one /64", []string{"2001:db8::1", "2001:db8::ffff:1"}, "2001:db8::a:0:0:2", 0},
		{"next /64", []string{"2001:db8::1", "2001:db8::2"}, "2001:db8:0:1::2", -1},
		{"one /48", []string{"2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"}, "2001:db8:0:ffff::1", 0},
		{"next /48", []string{"2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"}, "2001:db8:1::1", -1},
		{"all", []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "", "2001:db8::1"}, "10.0.0.1", 0},
		{"unix counts in all only", []string{"", "", "", ""}, "", -1},
		{"unix in all", []string{"", "", "", "", ""}, "", 0},
	} {
		l := newLedger(limits)
		var in []*Conn
		for _, from := range test.in {
			c := stranger(from, true)
			if out, refused := l.enter(c); out != nil || refused != "" {
				t.Fatalf("%s: %s did not get in: %v %s", test.name, from, out, refused)
			}
			in = append(in, c)
		}
		out, refused := l.enter(stranger(test.next, true))
		switch {
		case refused != "":
			t.Errorf("%s: refused: %s", test.name, refused)
		case test.out < 0 && len(out) > 0:
			t.Errorf("%s: somebody had to go", test.name)
		case test.out >= 0 && (len(out) != 1 || out[0] != in[test.out]):
			t.Errorf("%s: not number %d had to go but %v", test.name, test.out, out)
		}
	}
}

func TestLedgerSparesThoseWhoWaitForUs(t *testing.T) {
	l := newLedger(Limits{PerAddress: 2, PerNetwork: 9, BeforeLoginAll: 3, Handshakes: 1, All: 4})
	hashing, silent := stranger("192.0.2.1", false), stranger("192.0.2.1", true)
	l.enter(hashing)
	l.enter(silent)
	out, refused := l.enter(stranger("192.0.2.1", false))
	if refused != "" || len(out) != 1 || out[0] != silent {
		t.Errorf("the younger one that keeps us waiting did not go: %v %s", out, refused)
	}
	if _, refused = l.enter(stranger("192.0.2.1", true)); refused != refusedAddress {
		t.Errorf("with nobody to give up, the answer was %q", refused)
	}
	l.leave(silent)

	// Who has signed in draws on no budget but that of all connections.
	l.signedIn(hashing)
	last := stranger("192.0.2.1", false)
	if out, refused := l.enter(last); refused != "" || out != nil {
		t.Errorf("signing in made no room: %v %s", out, refused)
	}
	for i, from := range []string{"198.51.100.1", "203.0.113.1"} {
		_, refused := l.enter(stranger(from, false))
		if want := []string{"", refusedAll}[i]; refused != want {
			t.Errorf("connection %d in all: %q, want %q", 4+i, refused, want)
		}
	}
	l.leave(hashing)
	l.leave(hashing) // twice is once
	if l.open != 3 {
		t.Errorf("%d are counted as open", l.open)
	}
}

func TestLedgerForgetsNetworks(t *testing.T) {
	l := newLedger(DefaultLimits())
	var all []*Conn
	for i := range 1000 {
		c := stranger(fmt.Sprintf("10.%d.%d.1", i/256, i%256), true)
		l.enter(c)
		if i%2 == 0 {
			l.beginHandshake(c)
		}
		all = append(all, c)
	}
	for i, c := range all {
		if i%3 == 0 {
			l.signedIn(c)
		}
		l.leave(c)
	}
	if n := len(l.near) + len(l.far) + l.strange.Len() + l.shaking.Len() + l.open; n != 0 {
		t.Errorf("%d entries remain when all have left", n)
	}
}

func TestTooManyFromOneAddress(t *testing.T) {
	s := newTestServer(t, Limits{PerAddress: 2})
	s.serve(t, Listen{Setting: "listen.imap", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
		io.WriteString(c, "* hello\r\n")
		c.Read(make([]byte, 1)) // a byte signs in
		c.Authenticated()
		io.WriteString(c, "* in\r\n")
		c.Read(make([]byte, 1))
	}})
	open := func(want string) net.Conn {
		c := s.dial(t, "listen.imap")
		expect(t, c, want)
		return c
	}
	waiting := func(n int) {
		t.Helper()
		eventually(t, "all of them wait for their client", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			have := 0
			for c := range s.conns {
				if c.wire.reading.Load() {
					have++
				}
			}
			return have == n
		})
	}
	in := open("* hello\r\n")
	send(t, in, "x")
	expect(t, in, "* in\r\n")
	first, second := open("* hello\r\n"), open("* hello\r\n")
	waiting(3)
	third := open("* hello\r\n")
	if got := expectEnd(t, first); got != "" {
		t.Errorf("the oldest stranger was told %q", got)
	}
	first.Close()
	waiting(3)
	if n := s.figure(t, "postern_connections_displaced_total"); n != 1 {
		t.Errorf("%v were displaced", n)
	}
	for _, c := range []net.Conn{in, second, third} { // these three are alive
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one that should have stayed was closed: %v", err)
		}
	}
}

func TestNewcomerIsTurnedAwayWhenAllAreIn(t *testing.T) {
	s := newTestServer(t, Limits{All: 1})
	s.serve(t, Listen{Setting: "listen.imap", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
		c.Authenticated()
		echo(ctx, c)
	}})
	in := s.dial(t, "listen.imap")
	expect(t, in, "* hello private=true\r\n")
	if got := expectEnd(t, s.dial(t, "listen.imap")); got != "" {
		t.Errorf("the second of one was told %q", got)
	}
	if n := s.figure(t, "postern_connections_refused_total all"); n != 1 {
		t.Errorf("%v were counted as refused", n)
	}
	send(t, in, "still in\r\n")
	expect(t, in, "still in\r\n")
	in.Close()
	eventually(t, "there is room again", func() bool {
		c := s.dial(t, "listen.imap")
		n, _ := c.Read(make([]byte, 1))
		return n == 1
	})
}

func TestTimeBeforeLoginIsLimited(t *testing.T) {
	s := newTestServer(t, Limits{BeforeLogin: 50 * time.Millisecond})
	s.serve(t, Listen{Setting: "listen.imap", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
		c.ReadWithin(time.Hour) // a conversation cannot give strangers more time
		_, err := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "* BYE %v\r\n", errors.Is(err, os.ErrDeadlineExceeded))
	}})
	c := s.dial(t, "listen.imap")
	send(t, c, "a")
	if got := expectEnd(t, c); got != "* BYE true\r\n" {
		t.Errorf("the end: %q", got)
	}
}

func TestAuthenticatedLiftsTheTimeLimit(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	s := newTestServer(t, Limits{})
	c := s.newConn(&Listen{Security: Plaintext}, server)
	defer c.abort()
	if c.wire.end.IsZero() {
		t.Fatal("no limit to begin with")
	}
	c.wire.limit(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("reading after the limit: %v", err)
	}
	if err := c.Authenticated(); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(client, "x")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("reading after login: %v", err)
	}
	// What the conversation asks for still holds, and can be lifted.
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading after the conversation's own deadline: %v", err)
	}
	c.ReadWithin(0)
	go io.WriteString(client, "x")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("reading without a deadline: %v", err)
	}
}

func TestHandshakeTimeIsLimited(t *testing.T) {
	s := newTestServer(t, Limits{Handshake: 50 * time.Millisecond})
	s.serve(t, Listen{Setting: "listen.imaps", Handler: echo})
	c := s.dial(t, "listen.imaps")
	send(t, c, "\x16\x03\x01") // the beginning of a record, and no more
	if got := expectEnd(t, c); got != "" {
		t.Errorf("the end: %q", got)
	}
	eventually(t, "it is counted", func() bool { return s.figure(t, "postern_tls_failures_total timeout") == 1 })
}

func TestHalfOpenHandshakesGiveWay(t *testing.T) {
	s := newTestServer(t, Limits{Handshakes: 2})
	s.serve(t, Listen{Setting: "listen.imaps", Handler: echo})
	var half []net.Conn
	for i := range 2 {
		half = append(half, s.dial(t, "listen.imaps"))
		eventually(t, "it is awaited", func() bool {
			s.ledger.mu.Lock()
			defer s.ledger.mu.Unlock()
			return s.ledger.shaking.Len() == i+1 && s.ledger.shaking.Back().Value.(*Conn).wire.reading.Load()
		})
	}
	c := tls.Client(s.dial(t, "listen.imaps"), s.client())
	expect(t, c, "* hello private=true\r\n")
	if got := expectEnd(t, half[0]); got != "" {
		t.Errorf("the older half-open one got %q", got)
	}
	if n := len(s.ledger.inHandshake()); n != 1 {
		t.Errorf("%d handshakes are under way", n)
	}
}

func TestClientThatStopsReadingIsClosed(t *testing.T) {
	for _, security := range []Security{Plaintext, ImplicitTLS} {
		s := newTestServer(t, Limits{Stall: 50 * time.Millisecond})
		result := make(chan error, 2)
		s.serve(t, Listen{Setting: "listen.imap", Security: security, Handler: func(ctx context.Context, c *Conn) {
			c.Authenticated()
			_, err := io.Copy(c, strings.NewReader(strings.Repeat("x", 64<<20))) // more than socket buffers hold
			result <- err
			_, err = c.Read(make([]byte, 1))
			result <- err
		}})
		c := s.dial(t, "listen.imap")
		if security == ImplicitTLS {
			t := tls.Client(c, s.client())
			t.Handshake()
		}
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write ended with %v", err)
		}
		if err := <-result; err == nil {
			t.Error("the connection was left open")
		}
		if n := s.figure(t, "postern_connections_stalled_total"); n != 1 {
			t.Errorf("%v stalled clients counted", n)
		}
	}
}

func TestWriteDeadlineThatWasAskedFor(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	s := newTestServer(t, Limits{})
	c := s.newConn(&Listen{Security: Plaintext}, server)
	defer c.abort()
	c.SetWriteDeadline(time.Now().Add(-time.Second))
	if _, err := io.WriteString(c, "x"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing after the deadline: %v", err)
	}
	if n := s.figure(t, "postern_connections_stalled_total"); n != 0 {
		t.Error("a deadline of the conversation was taken for a stalled client")
	}
	c.SetDeadline(time.Time{})
	go io.WriteString(c, "x")
	expect(t, client, "x")
}

func TestDefaultsFillZeroLimits(t *testing.T) {
	if got := (Limits{}).withDefaults(); got != DefaultLimits() {
		t.Errorf("%+v", got)
	}
	own := Limits{1, 2, 3, 4, 5, 6, 7, 8}
	if got := own.withDefaults(); got != own {
		t.Errorf("%+v became %+v", own, got)
	}
}

func TestRaiseDescriptors(t *testing.T) {
	n, err := RaiseDescriptors()
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	again, err := RaiseDescriptors()
	if err != nil || again != n {
		t.Errorf("the second time %d (%v), the first time %d", again, err, n)
	}
}
