// Package authserver answers other servers that ask who somebody is: Dovecot's
// authentication protocol (https://doc.dovecot.org/latest/developers/design/auth_protocol.html, version 1.2), which Postfix speaks with
// smtpd_sasl_type = dovecot, and Exim with its dovecot authenticator. A server of
// that kind passes on what its client says in a SASL exchange, and with it the
// address it comes from: here it is looked at as a try to sign in to IMAP would be.
//
// Who may connect is the listener's affair (a Unix socket's mode): whoever does is
// believed what it says of its clients.
package authserver

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"postern/internal/auth"
	"postern/internal/observe"
)

// Authenticator says who somebody is; *auth.Authenticator is one.
type Authenticator interface {
	// Mechanisms lists the SASL mechanisms that may be announced, best first.
	Mechanisms(peer auth.Peer) []string
	// Start begins a SASL exchange.
	Start(mechanism string, peer auth.Peer) (auth.Mechanism, error)
}

// Options are what a Server needs.
type Options struct {
	Auth Authenticator
	Log  *slog.Logger
}

// Server holds conversations.
type Server struct {
	o           Options
	connections atomic.Uint64
}

// New makes a Server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o}
}

// Conn is a connection from a server that asks; *netserver.Conn is one.
type Conn interface {
	io.ReadWriter
	ID() string
	Go(func())                        // run in a goroutine that belongs to the connection
	SetReadDeadline(time.Time) error  // cuts reads short
	ReadWithin(d time.Duration) error // gives so long for the next octets; 0 lifts that
	Draining() <-chan struct{}        // closed when the server is about to stop
}

// Serve holds one conversation and returns when it is over. plaintext says that
// passwords are taken of clients that are known to have no TLS; otherwise of those on this machine only.
func (srv *Server) Serve(ctx context.Context, conn Conn, plaintext bool) {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{srv: srv, conn: conn, plaintext: plaintext, number: srv.connections.Add(1), requests: make(map[uint64]*request)}
	defer s.running.Wait()
	defer cancel()
	woken := make(chan struct{})
	defer func() { <-woken }()
	served := make(chan struct{})
	defer close(served)
	conn.Go(func() {
		defer close(woken)
		select {
		case <-conn.Draining():
			_ = conn.SetReadDeadline(time.Unix(1, 0)) // a connection that is gone already needs none
		case <-served:
		}
	})
	if err := s.serve(ctx); err != nil {
		srv.o.Log.LogAttrs(ctx, slog.LevelInfo, "a server that asks who somebody is was sent away",
			observe.Session(conn.ID()), observe.Error(err))
	}
}
