package netserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"postern/internal/observe"
)

func TestPlainAndTLS(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t,
		Listen{Setting: "listen.imaps", Handler: echo},
		Listen{Setting: "listen.plain", Security: Plaintext, Handler: echo})

	plain := s.dial(t, "listen.plain")
	expect(t, plain, "* hello private=true\r\n")
	send(t, plain, "one\r\n")
	expect(t, plain, "one\r\n")

	c := tls.Client(s.dial(t, "listen.imaps"), s.client())
	expect(t, c, "* hello private=true\r\n")
	send(t, c, "two\r\n")
	expect(t, c, "two\r\n")
	state := c.ConnectionState()
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "imap" || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("TLS %x, protocol %q, key exchange %v", state.Version, state.NegotiatedProtocol, state.CurveID)
	}
	if n := s.figure(t, "postern_tls_handshakes_total 1.3"); n != 1 {
		t.Errorf("%v handshakes counted", n)
	}
	if n := s.figure(t, "postern_connections_open"); n != 2 {
		t.Errorf("%v connections open", n)
	}
	// The client ends its side; the server's end follows in good order.
	c.CloseWrite()
	if rest := expectEnd(t, c); rest != "" {
		t.Errorf("after the end came %q", rest)
	}
	plain.Close()
	eventually(t, "both connections are forgotten", func() bool { return s.figure(t, "postern_connections_open") == 0 })
}

func TestConnTellsAboutItself(t *testing.T) {
	s := newTestServer(t, Limits{})
	told := make(chan string, 2)
	s.serve(t, Listen{Setting: "listen.imap", Security: StartTLS, Handler: func(ctx context.Context, c *Conn) {
		told <- fmt.Sprint(c.Setting(), " ", c.Remote(), " ", c.RemoteAddr(), " ", c.LocalAddr(), " ", len(c.ID()), " ", c.TLS() == nil, " ", ctx.Err())
	}})
	c := s.dial(t, "listen.imap")
	want := fmt.Sprint("listen.imap ", c.LocalAddr(), " ", c.LocalAddr(), " ", c.RemoteAddr(), " 12 true <nil>")
	if got := <-told; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStartTLS(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{Setting: "listen.imap", Security: StartTLS, Handler: func(ctx context.Context, c *Conn) {
		fmt.Fprintf(c, "* %v %v\r\n", c.Private(), c.CanUpgrade())
		lines := bufio.NewReader(c)
		if _, err := lines.ReadString('\n'); err != nil || lines.Buffered() > 0 {
			return
		}
		io.WriteString(c, "a OK go\r\n")
		if c.Upgrade() != nil {
			return
		}
		fmt.Fprintf(c, "%v %v %v %s\r\n", c.Private(), c.CanUpgrade(), c.Upgrade() != nil, c.TLS().NegotiatedProtocol)
		c.Close()
	}})
	plain := s.dial(t, "listen.imap")
	expect(t, plain, "* false true\r\n")
	send(t, plain, "a STARTTLS\r\n")
	expect(t, plain, "a OK go\r\n")
	c := tls.Client(plain, s.client())
	if got := expectEnd(t, c); got != "true false true imap\r\n" {
		t.Errorf("through TLS: %q", got)
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{
		Setting: "listen.imaps",
		Handler: func(ctx context.Context, c *Conn) {
			line, err := bufio.NewReader(c).ReadString('\n')
			switch {
			case err != nil:
			case strings.HasPrefix(line, "boom"):
				panic("a fault of ours")
			case strings.HasPrefix(line, "beside"):
				c.Go(func() { panic("a fault beside") })
				<-ctx.Done()
			default:
				io.WriteString(c, line)
			}
		},
		LastWords: func(ref observe.Ref) string { return "* BYE [SERVERBUG] ref " + string(ref) + "\r\n" },
	})
	healthy := tls.Client(s.dial(t, "listen.imaps"), s.client())
	if err := healthy.Handshake(); err != nil {
		t.Fatal(err)
	}
	for i, word := range []string{"boom", "beside"} {
		c := tls.Client(s.dial(t, "listen.imaps"), s.client())
		send(t, c, word+" and unread bytes\r\n")
		said := expectEnd(t, c)
		ref, ok := strings.CutPrefix(said, "* BYE [SERVERBUG] ref ")
		if !ok {
			t.Fatalf("last words of %s: %q", word, said)
		}
		wantParts(t, s.log.String(), "ref="+strings.TrimSpace(ref), "a fault", "stack=", "server_test.go")
		if n := s.figure(t, "postern_panics_total"); n != float64(i+1) {
			t.Errorf("%v panics counted", n)
		}
	}
	send(t, healthy, "still here\r\n")
	expect(t, healthy, "still here\r\n")
}

func TestShutdownIsHeardAndWaitedFor(t *testing.T) {
	s := newTestServer(t, Limits{})
	working, work := make(chan bool), make(chan bool)
	s.serve(t,
		Listen{Setting: "idle", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
			io.WriteString(c, "+ idling\r\n")
			<-c.Draining()
			io.WriteString(c, "* BYE going down\r\n")
		}},
		Listen{Setting: "busy", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
			close(working)
			<-work
			fmt.Fprintf(c, "a OK done %v\r\n", ctx.Err())
		}},
		Listen{Setting: "shaking", Handler: echo})
	idle, busy, shaking := s.dial(t, "idle"), s.dial(t, "busy"), s.dial(t, "shaking")
	expect(t, idle, "+ idling\r\n")
	<-working
	eventually(t, "the handshake begins", func() bool { return len(s.ledger.inHandshake()) == 1 })
	port := s.Addrs("idle")[0]

	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	if got := expectEnd(t, idle); got != "* BYE going down\r\n" {
		t.Errorf("the idler heard %q", got)
	}
	if got := expectEnd(t, shaking); got != "" {
		t.Errorf("the handshake ended with %q", got)
	}
	if c, err := net.Dial("tcp", port.String()); err == nil {
		c.Close()
		t.Error("a new connection was possible while shutting down")
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned (%v) while a command ran", err)
	default:
	}
	idle.Close()
	close(work)
	if got := expectEnd(t, busy); got != "a OK done <nil>\r\n" {
		t.Errorf("the command ended with %q", got)
	}
	busy.Close()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := s.Listen(nil); err == nil {
		t.Error("listening again after Shutdown")
	}
}

func TestShutdownLosesPatience(t *testing.T) {
	s := newTestServer(t, Limits{})
	began, ended := make(chan bool), make(chan error, 1)
	s.serve(t, Listen{Setting: "deaf", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
		c.Authenticated()
		close(began)
		_, err := c.Read(make([]byte, 1))
		<-ctx.Done()
		ended <- err
	}})
	c := s.dial(t, "deaf")
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the handler's read ended with %v", err)
	}
	expectEnd(t, c)
}

func TestReloadKeepsConnections(t *testing.T) {
	s := newTestServer(t, Limits{})
	say := func(word string) Handler {
		return func(ctx context.Context, c *Conn) {
			io.WriteString(c, word+"\r\n")
			echo(ctx, c)
		}
	}
	a := Listen{Setting: "a", Address: "127.0.0.1:0", Security: Plaintext, Handler: say("old a")}
	b := Listen{Setting: "b", Address: "127.0.0.1:0", Security: Plaintext, Handler: say("old b")}
	s.serve(t, a, b)
	addrA, addrB := s.Addrs("a")[0], s.Addrs("b")[0]
	old := dial(t, addrA)
	gone := dial(t, addrB)
	expect(t, old, "old a\r\n* hello private=true\r\n")
	expect(t, gone, "old b\r\n* hello private=true\r\n")

	// A fault anywhere leaves everything as it was, and closes what it opened.
	a.Handler = say("never")
	c := Listen{Setting: "c", Address: "127.0.0.1:0", Security: Plaintext, Handler: say("never")}
	bad := Listen{Setting: "bad", Address: addrA.String(), Security: Plaintext, Handler: echo}
	worse := Listen{Setting: "worse", Address: "here", Security: Plaintext, Handler: echo}
	err := s.Listen([]Listen{a, c, bad, worse})
	if !errors.Is(err, ErrSetup) {
		t.Fatalf("reload with faults: %v", err)
	}
	wantParts(t, err.Error(), "this server itself", "change bad", `worse: "here" is no address`)
	if s.Addrs("c") != nil || s.Addrs("b") == nil {
		t.Error("a failed reload changed the listeners")
	}
	expect(t, dial(t, addrA), "old a\r\n")

	a.Handler, c.Handler = say("new a"), say("new c")
	if err := s.Listen([]Listen{a, c}); err != nil {
		t.Fatal(err)
	}
	if got := s.Addrs("a")[0].String(); got != addrA.String() {
		t.Errorf("a moved from %v to %v", addrA, got)
	}
	expect(t, dial(t, addrA), "new a\r\n")
	expect(t, s.dial(t, "c"), "new c\r\n")
	if conn, err := net.Dial("tcp", addrB.String()); err == nil {
		conn.Close()
		t.Error("b still listens")
	}
	for _, conn := range []net.Conn{old, gone} {
		send(t, conn, "alive\r\n")
		expect(t, conn, "alive\r\n")
	}
}

// faultyListener fails to accept until its faults are used up.
type faultyListener struct {
	net.Listener
	faults []error
}

func (f *faultyListener) Accept() (net.Conn, error) {
	if len(f.faults) > 0 {
		err := f.faults[0]
		f.faults = f.faults[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOnAfterFaults(t *testing.T) {
	s := newTestServer(t, Limits{})
	began := make(chan bool, 1)
	s.serve(t, Listen{Setting: "silent", Security: Plaintext, Handler: func(ctx context.Context, c *Conn) {
		began <- true
		c.Read(make([]byte, 1))
	}})
	idle := s.dial(t, "silent") // nobody has signed in here: it is given up for room
	<-began
	eventually(t, "the connection waits for its client", func() bool {
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		return s.ledger.strange.waitedFor() != nil
	})

	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	faulty := &faultyListener{ln, []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENOBUFS, syscall.EMFILE}}
	l := &listener{ln: faulty, closed: make(chan struct{}), spec: &Listen{Setting: "faulty", Security: Plaintext, Handler: echo}}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.run(l)
	s.mu.Unlock()

	expect(t, dial(t, ln.Addr()), "* hello private=true\r\n")
	if got := expectEnd(t, idle); got != "" {
		t.Errorf("the displaced client got %q", got)
	}
	if n := s.figure(t, "postern_accept_errors_total"); n != 4 {
		t.Errorf("%v faults counted", n)
	}
	wantParts(t, s.log.String(), "too many open files", "listener=faulty")
}
