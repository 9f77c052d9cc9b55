package lmtpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"postern/internal/delivery"
	"postern/internal/observe"
)

// session is one conversation.
type session struct {
	srv  *Server
	conn net.Conn
	id   string
	r    *bufio.Reader
	w    *bufio.Writer
	log  *slog.Logger

	greeted string // the name given with LHLO; empty before
	mail    *transaction
	unsure  []delivery.Receipt // of deliveries whose replies may not have arrived
	early   int                // octets in r that were sent before the client could have our last replies
	bad     int                // bad commands in a row
	ending  bool               // a last reply has been given
	leaving bool               // the client said QUIT

	mu       sync.Mutex // protects waiting and draining
	waiting  bool       // for a command: the read may be cut short
	draining bool

	opened                       time.Time
	messages, delivered, refused int
	reason                       string
}

// transaction is a message on its way (RFC 5321 3.3), from MAIL on.
type transaction struct {
	from  string
	utf8  bool
	to    []delivery.Recipient
	tried int  // recipients asked for, accepted or not
	bdat  bool // content has begun to come by BDAT
}

func newSession(srv *Server, conn net.Conn, id string) *session {
	return &session{
		srv: srv, conn: conn, id: id, opened: srv.o.Now(),
		r:   bufio.NewReaderSize(conn, max(srv.o.Limits.Line, 32<<10)),
		w:   bufio.NewWriterSize(conn, 4<<10),
		log: srv.o.Log.With(observe.Session(id)),
	}
}

// verbs is the command table (RFC 5321 4.1.1, RFC 2033 4, RFC 3030 2).
var verbs = map[string]func(s *session, ctx context.Context, args string){
	"LHLO": (*session).lhlo,
	"MAIL": (*session).mailFrom,
	"RCPT": (*session).rcptTo,
	"DATA": (*session).data,
	"BDAT": (*session).bdat,
	"RSET": (*session).rset,
	"NOOP": func(s *session, _ context.Context, _ string) { s.reply(250, "2.0.0", "OK") },
	"QUIT": (*session).quit,
	"VRFY": func(s *session, _ context.Context, _ string) {
		s.reply(252, "2.5.0", "cannot VRFY, but try to deliver")
	},
	"HELO": (*session).notSMTP,
	"EHLO": (*session).notSMTP,
}

// serve reads commands and obeys them until the conversation is over.
func (s *session) serve(ctx context.Context) {
	s.reply(220, "", s.srv.o.Hostname+" LMTP Postern ready")
	for !s.ending {
		line, err := s.command(ctx)
		if err != nil {
			s.end(err)
			break
		}
		s.obey(ctx, line)
	}
	s.settle(ctx, s.flush())
}

// obey carries out one command line.
func (s *session) obey(ctx context.Context, line string) {
	verb, args, _ := strings.Cut(line, " ")
	if looksForeign(verb) { // a browser, or an attack through one: nothing it says is for us
		s.reason = "spoke HTTP"
		s.last(500, "5.5.1", "this is LMTP")
		return
	}
	do, known := verbs[strings.ToUpper(verb)]
	if !known {
		s.refuse(500, "5.5.1", "unknown command")
		return
	}
	before := s.bad
	do(s, ctx, args)
	if s.bad == before {
		s.bad = 0
	}
}

// looksForeign reports whether a line's first word belongs to HTTP.
func looksForeign(verb string) bool {
	switch verb {
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH":
		return true
	}
	return false
}

var (
	errLineTooLong = errors.New("lmtp: command line too long")
	errDraining    = errors.New("lmtp: server is stopping")
)

// command reads the next command line, without its end. Replies are flushed
// only when no further command has arrived, as PIPELINING wants (RFC 2920 3.1).
func (s *session) command(ctx context.Context) (string, error) {
	if s.r.Buffered() == 0 {
		if err := s.flush(); err != nil {
			return "", err
		}
	}
	if err := s.await(); err != nil {
		return "", err
	}
	if _, err := s.r.Peek(1); err != nil {
		return "", s.waited(err)
	}
	line, err := s.r.ReadSlice('\n')
	if err := s.waited(err); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", err
	}
	if err != nil || len(line) > s.srv.o.Limits.Line {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = s.r.ReadSlice('\n')
		}
		if err != nil {
			return "", err
		}
		return "", errLineTooLong
	}
	text := string(bytes.TrimRight(line, "\r\n"))
	s.heard(len(line), text)
	return text, nil
}

// await sets the deadline for the next command, or says that the server stops.
func (s *session) await() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errDraining
	}
	s.waiting = true
	return s.conn.SetReadDeadline(s.srv.o.Now().Add(s.srv.o.Limits.Idle))
}

// waited ends await. A read that drain cut short is told apart from one that
// took too long.
func (s *session) waited(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	if err != nil && s.draining {
		return errDraining
	}
	return err
}

// drain makes a conversation that waits for a command stop waiting. It is called
// from another goroutine.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.waiting {
		s.conn.SetReadDeadline(time.Unix(1, 0)) // long ago: the read returns at once
	}
}

// end says the last words that suit the error that ended the reading.
func (s *session) end(err error) {
	switch {
	case errors.Is(err, errDraining):
		s.reason = "server is stopping"
		s.last(421, "4.3.2", "server is stopping, try again")
	case errors.Is(err, errLineTooLong):
		s.reason = "line too long"
		s.last(500, "5.5.6", "line too long")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.reason = "idle"
		s.last(421, "4.4.2", "idle for too long")
	case errors.Is(err, io.EOF):
		s.reason = "client closed"
	default:
		s.reason = "connection lost"
	}
	s.ending = true
}

// reply writes one reply of one line; enhanced is the RFC 3463 code, if any.
func (s *session) reply(code int, enhanced, text string) {
	if enhanced != "" {
		enhanced += " "
	}
	fmt.Fprintf(s.w, "%d %s%s\r\n", code, enhanced, text) // the error stays in w until flush
}

// refuse replies to a bad command, and closes after too many in a row.
func (s *session) refuse(code int, enhanced, text string) {
	if s.bad++; s.bad >= s.srv.o.Limits.Bad {
		s.reason = "too many bad commands"
		s.last(421, "4.7.0", "too many bad commands")
		return
	}
	s.reply(code, enhanced, text)
}

// last replies and ends the conversation.
func (s *session) last(code int, enhanced, text string) {
	s.reply(code, enhanced, text)
	s.ending = true
}

func (s *session) flush() error { return s.w.Flush() }

// logEnd writes the one line of a session's end.
func (s *session) logEnd() {
	remote, _ := netip.ParseAddrPort(s.conn.RemoteAddr().String()) // the zero one for a Unix socket
	s.log.Info("lmtp session ended", observe.Remote(remote), observe.Text(observe.KeyClient, s.greeted),
		slog.String(observe.KeyReason, s.reason), observe.Duration(s.srv.o.Now().Sub(s.opened).Round(time.Millisecond)),
		slog.Int(observe.KeyCount, s.messages), slog.Int(observe.KeyDelivered, s.delivered), slog.Int(observe.KeyRefused, s.refused))
}
