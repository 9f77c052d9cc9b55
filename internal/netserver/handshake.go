package netserver

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"postern/internal/observe"
)

var errNoRoom = errors.New("too many TLS handshakes under way")

// handshake makes c a TLS connection. Failures are counted and logged here, one
// line each, and the caller has nothing to do but to let go of the connection.
func (s *Server) handshake(c *Conn) error {
	t, err := s.shake(c)
	if err != nil {
		s.tlsFailed(c, err)
		return err
	}
	s.count.handshakes.Of(versionName(t.ConnectionState().Version)).Add()
	c.secure.Store(t)
	return nil
}

func (s *Server) shake(c *Conn) (*tls.Conn, error) {
	displaced, ok := s.ledger.beginHandshake(c)
	if !ok {
		return nil, errNoRoom
	}
	defer s.ledger.endHandshake(c)
	s.displace(displaced)
	select {
	case <-s.draining: // Shutdown may have looked for handshakes before this one began
		return nil, net.ErrClosed
	default:
	}

	login := c.wire.end // only this goroutine changes it before login
	if err := c.wire.limit(sooner(login, time.Now().Add(s.limits.Handshake))); err != nil {
		return nil, err
	}
	t := tls.Server(c.wire, c.spec.TLS)
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	return t, c.wire.limit(login)
}

// tlsFailed counts and logs a handshake that failed. What the error quotes of
// the client's bytes is cleaned by observe.Error.
func (s *Server) tlsFailed(c *Conn, err error) {
	reason := tlsReason(err)
	if best := c.wire.offered; best != 0 && best < c.spec.TLS.MinVersion {
		reason = tlsOld
		s.count.tlsOld.Of(versionName(best)).Add()
		if s.turnedAway != nil {
			s.turnedAway(c.remote.Addr())
		}
	}
	s.count.tlsFailures.Of(reason).Add()
	level := slog.LevelInfo
	if reason == tlsGone || reason == tlsDisplaced {
		level = slog.LevelDebug // port scans, health checks, our own doing
	}
	s.log.LogAttrs(c.ctx, level, "TLS handshake failed", observe.Session(c.id), observe.Listener(c.spec.Setting),
		observe.Remote(c.remote), slog.String(observe.KeyReason, reason), observe.Error(err))
}

func tlsReason(err error) string {
	var notTLS tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &notTLS):
		return tlsNotTLS
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tlsTimeout
	case errors.Is(err, net.ErrClosed), errors.Is(err, errNoRoom):
		return tlsDisplaced
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return tlsGone
	case errors.As(err, &op) && op.Op == "remote error":
		return tlsAlert
	}
	return "other"
}

func versionName(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "other"
}
