// Package lmtpserver holds one LMTP conversation (RFC 2033): a mail server hands
// over a message for some recipients and learns for each of them what became of
// it. The conversation is our own because the octets of a message are the
// promise: only CRLF . CRLF ends it, and every other CR, LF and dot is kept.
//
// Spoken are PIPELINING, 8BITMIME, SMTPUTF8, CHUNKING, ENHANCEDSTATUSCODES and
// SIZE. There is no authentication: who may connect is the listener's affair
// (a Unix socket's mode, loopback, listed networks).
package lmtpserver

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"postern/internal/delivery"
)

// Deliverer takes mail in: a *delivery.Agent.
type Deliverer interface {
	Accept(ctx context.Context, address string) (delivery.Recipient, error)
	Deliver(ctx context.Context, m delivery.Mail, body io.Reader, outcome func(i int, err error)) (delivery.Receipt, error)
}

// Options are what a Server needs. Zero limits take those of DefaultLimits.
type Options struct {
	Hostname  string // given in the greeting
	Deliverer Deliverer
	Limits    Limits
	Log       *slog.Logger
	Now       func() time.Time
}

// Limits bound one conversation.
type Limits struct {
	Message    int64         // octets of one message, announced as SIZE
	Recipients int           // of one message; RFC 5321 4.5.3.1.8 asks for 100 at least
	Line       int           // octets of a command line
	Bad        int           // bad commands in a row before the connection is closed
	Idle       time.Duration // between commands: RFC 5321 4.5.3.2.7 asks for 5 minutes at least
	Data       time.Duration // for the next octets of a message: RFC 5321 4.5.3.2.5 gives 3 minutes a block
}

// DefaultLimits are the limits unless others are set. A line holds a path of
// 256 octets (RFC 5321 4.5.3.1.3), more where SMTPUTF8 stretches it, and
// parameters.
func DefaultLimits() Limits {
	return Limits{
		Message: 64 << 20, Recipients: 1000, Line: 4096, Bad: 10,
		Idle: 5 * time.Minute, Data: 3 * time.Minute,
	}
}

// Server holds conversations.
type Server struct{ o Options }

// New makes a Server.
func New(o Options) *Server {
	d := DefaultLimits()
	if o.Limits.Message == 0 {
		o.Limits.Message = d.Message
	}
	if o.Limits.Recipients == 0 {
		o.Limits.Recipients = d.Recipients
	}
	if o.Limits.Line == 0 {
		o.Limits.Line = d.Line
	}
	if o.Limits.Bad == 0 {
		o.Limits.Bad = d.Bad
	}
	if o.Limits.Idle == 0 {
		o.Limits.Idle = d.Idle
	}
	if o.Limits.Data == 0 {
		o.Limits.Data = d.Data
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o}
}

// Serve holds one conversation and returns when it is over. When draining is
// closed the conversation ends with 421 at the next command; a message that is
// being handed over is finished first.
func (srv *Server) Serve(ctx context.Context, conn net.Conn, id string, draining <-chan struct{}) {
	s := newSession(srv, conn, id)
	// A conversation that waits for its next command must learn of the drain:
	// its read is cut short.
	woken := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-draining:
			s.drain()
		case <-served:
		}
	}()
	s.serve(ctx)
	close(served)
	<-woken
	s.logEnd()
}
