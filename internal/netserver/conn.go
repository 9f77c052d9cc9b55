package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postern/internal/observe"
)

// Handler holds one conversation and returns when it is over; the connection is
// closed then. ctx ends when the connection is closed or the server's patience
// on shutdown is over. On a TLS listener the handshake is done.
type Handler func(ctx context.Context, c *Conn)

// Conn is a connection with what the server knows of it. As a net.Conn it reads
// and writes through TLS once there is TLS. Writes may come from several
// goroutines, reads from one; Upgrade wants the connection for itself.
type Conn struct {
	server *Server
	spec   *Listen
	id     string
	remote netip.AddrPort
	opened time.Time
	wire   *wire
	secure atomic.Pointer[tls.Conn]
	ctx    context.Context
	cancel context.CancelFunc
	place  place // guarded by the ledger
}

var _ net.Conn = (*Conn)(nil)

func (s *Server) newConn(spec *Listen, raw net.Conn) *Conn {
	c := &Conn{server: s, spec: spec, id: observe.NewSession(), opened: time.Now()}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	if addr, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		ap := addr.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	c.wire = &wire{Conn: raw, stall: s.limits.Stall, stalled: s.count.stalled.Add}
	if tc, ok := raw.(*net.TCPConn); ok {
		c.keepAlive(tc)
	}
	if err := c.wire.limit(c.opened.Add(s.limits.BeforeLogin)); err != nil {
		s.log.Debug("deadline", observe.Session(c.id), observe.Error(err)) // closed already: the first read says so too
	}
	return c
}

// keepAlive makes the kernel notice peers that vanished. A phone in a pocket is
// left alone for four minutes (every probe wakes its radio); one that does not
// acknowledge data for the stall time is gone, also when nobody is blocked in a
// write to it (TCP_USER_TIMEOUT).
func (c *Conn) keepAlive(tc *net.TCPConn) {
	err := tc.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 4 * time.Minute, Interval: time.Minute, Count: 4})
	if rc, rcErr := tc.SyscallConn(); rcErr == nil {
		ctlErr := rc.Control(func(fd uintptr) {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(c.server.limits.Stall.Milliseconds())))
		})
		err = errors.Join(err, ctlErr)
	}
	if err != nil {
		c.server.log.Debug("keep-alive", observe.Session(c.id), observe.Error(err)) // mostly: the client is gone already
	}
}

// ID names the connection in logs.
func (c *Conn) ID() string { return c.id }

// Setting names the listener it came through, such as "listen.imaps".
func (c *Conn) Setting() string { return c.spec.Setting }

// Listener is the address of that listener, as it is configured.
func (c *Conn) Listener() string { return c.spec.Address }

// Remote is the client's address, IPv4 as such even on an IPv6 socket, and the
// zero AddrPort for a Unix socket.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Opened is when the connection was accepted.
func (c *Conn) Opened() time.Time { return c.opened }

// TLS gives the state of the TLS connection, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState {
	t := c.secure.Load()
	if t == nil {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// Fingerprint stands for the kind of client, as far as its TLS hello tells it
// apart; 0 without TLS. Who wants to can look like another.
func (c *Conn) Fingerprint() uint64 {
	if c.secure.Load() == nil {
		return 0
	}
	return c.wire.fingerprint
}

// Private reports whether passwords may cross this connection: it has TLS, or
// the operator declared its listener plaintext, which only works for loopback,
// Unix sockets and listed networks.
func (c *Conn) Private() bool { return c.secure.Load() != nil || c.spec.Security == Plaintext }

// CanUpgrade reports whether Upgrade is possible: STARTTLS may be offered.
func (c *Conn) CanUpgrade() bool { return c.spec.Security == StartTLS && c.secure.Load() == nil }

// Draining is closed when the server is about to stop. Who waits for something
// says goodbye and returns; who is at work finishes first.
func (c *Conn) Draining() <-chan struct{} { return c.server.draining }

// Authenticated says that the client has signed in, or that it need not (LMTP):
// it leaves the budget of strangers and its time is no longer limited. To sign
// out again does not bring it back.
func (c *Conn) Authenticated() error {
	c.server.ledger.signedIn(c)
	return c.wire.limit(time.Time{})
}

// ReadWithin gives the client until d from now for the next bytes; reads after
// that fail with os.ErrDeadlineExceeded. Before login the connection's own time
// limit may come sooner. A d of 0 lifts the limit.
func (c *Conn) ReadWithin(d time.Duration) error {
	if d <= 0 {
		return c.SetReadDeadline(time.Time{})
	}
	return c.SetReadDeadline(time.Now().Add(d))
}

// Upgrade does the server's side of a TLS handshake on a StartTLS listener,
// after the OK to STARTTLS was written. The caller must have made sure that it
// holds no bytes that the client sent behind the command: they were not
// protected and must close the connection (RFC 9051 11.1, CVE-2021-33515). After an
// error the connection is of no more use, and the error has been logged.
func (c *Conn) Upgrade() error {
	if !c.CanUpgrade() {
		return errors.New("no TLS to upgrade to")
	}
	return c.server.handshake(c)
}

// Go runs f in a goroutine that belongs to the connection: a panic in f is
// handled as one in the handler. The handler must not return before f does.
func (c *Conn) Go(f func()) {
	go c.server.guard(c, f)
}

func (c *Conn) stream() net.Conn {
	if t := c.secure.Load(); t != nil {
		return t
	}
	return c.wire
}

// Read reads what the client sent.
func (c *Conn) Read(p []byte) (int, error) { return c.stream().Read(p) }

// Write sends p. Every 64 KiB must be taken by the client within Limits.Stall;
// if not, the connection is closed.
func (c *Conn) Write(p []byte) (int, error) { return c.stream().Write(p) }

// Close ends the connection: what was written is sent, then it is closed. A
// handler need not call it, and had better not: when it returns, a client that
// is still sending is given a moment to read the last words.
func (c *Conn) Close() error {
	c.cancel()
	return c.stream().Close()
}

// CloseWrite tells the client that no more will come. What it still sends can be
// read.
func (c *Conn) CloseWrite() error {
	if t := c.secure.Load(); t != nil {
		if err := t.CloseWrite(); err != nil {
			return err
		}
	}
	return c.wire.closeWrite()
}

// LocalAddr is the address the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.wire.LocalAddr() }

// RemoteAddr is the client's address; Remote gives it in a handier form.
func (c *Conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.wire.SetDeadline(t) }

// SetReadDeadline sets when reads end, if the time before login does not end
// sooner.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.wire.SetReadDeadline(t) }

// SetWriteDeadline sets when writes end, if the stall time does not end sooner.
// There is always a deadline, so nobody need set one.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.wire.SetWriteDeadline(t) }

// abort closes the socket at once, whatever is under way.
func (c *Conn) abort() {
	c.cancel()
	c.wire.Conn.Close()
}

// serve is the life of a connection, in its own goroutine.
func (s *Server) serve(c *Conn) {
	defer s.count.open.Add(-1)
	defer s.forget(c)
	defer c.abort()
	s.guard(c, func() {
		if c.spec.Security == ImplicitTLS {
			if s.handshake(c) != nil {
				return
			}
		}
		c.spec.Handler(c.ctx, c)
		c.finish()
	})
}

// guard is the one place where a panic ends: it is logged with its stack, the
// client hears the last words of its protocol, and the connection is closed.
func (s *Server) guard(c *Conn, f func()) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		s.count.panics.Add()
		ref := observe.NewRef()
		s.log.Error("panic in a connection", slog.String(observe.KeyRef, string(ref)), observe.Session(c.id),
			observe.Listener(c.spec.Setting), observe.Remote(c.remote),
			observe.Error(fmt.Errorf("panic: %v", p)), slog.String(observe.KeyStack, string(debug.Stack())))
		if c.spec.LastWords != nil && (c.secure.Load() != nil || c.spec.Security != ImplicitTLS) {
			if err := c.SetWriteDeadline(time.Now().Add(lastWords)); err == nil {
				_, err = io.WriteString(c, c.spec.LastWords(ref))
				if err == nil {
					c.finish()
				}
			}
		}
		c.abort()
	}()
	f()
}

// How long, and how much, a client may go on sending after the last words. To
// close a socket with unread bytes makes the kernel send a reset, which can
// destroy the last words before the client has read them.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// finish ends the conversation in good order: TLS close_notify, FIN, and what
// the client still sends is read and dropped for a moment.
func (c *Conn) finish() {
	if t := c.secure.Load(); t != nil {
		if t.CloseWrite() != nil {
			return
		}
	}
	if c.wire.closeWrite() != nil || c.wire.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.wire, lingerBytes) // any end will do
}
