package authserver

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/observe"
)

// maxRequests is how many exchanges may be under way on one connection. Postfix has one.
const maxRequests = 256

// handshakeTime is how long the other side may take to say who it is. After that it may be silent for as
// long as nobody signs in there.
const handshakeTime = time.Minute

// offered are the mechanisms that work from afar, with what the protocol calls their kind. Others need
// to know of the connection what cannot be told here.
var offered = map[string]string{"PLAIN": plaintext, "LOGIN": plaintext, "SCRAM-SHA-256": "mutual-auth", "OAUTHBEARER": plaintext, "XOAUTH2": plaintext}

const plaintext = "plaintext"

// session is one conversation.
type session struct {
	srv       *Server
	conn      Conn
	plaintext bool
	number    uint64
	running   sync.WaitGroup

	writing sync.Mutex

	mu       sync.Mutex
	requests map[uint64]*request
}

// request is one SASL exchange. It is looked at by one goroutine at a time.
type request struct {
	id        uint64
	mechanism auth.Mechanism
	waiting   bool               // for the client; guarded by session.mu
	cancel    context.CancelFunc // of the step under way; guarded by session.mu
}

// protocolError is of a line after which nothing that follows could be understood.
type protocolError string

func (e protocolError) Error() string { return string(e) }

// serve greets and answers until the other side goes away.
func (s *session) serve(ctx context.Context) error {
	if err := s.greet(); err != nil {
		return nil // it is gone
	}
	if err := s.conn.ReadWithin(handshakeTime); err != nil {
		return nil
	}
	r := bufio.NewReaderSize(s.conn, longestLine)
	greeted := false
	for {
		line, err := readLine(r)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		word, rest, _ := strings.Cut(line, "\t")
		switch {
		case word == "VERSION":
			if major, _, _ := strings.Cut(rest, "\t"); major != "1" {
				return protocolError("it speaks another version of the protocol")
			}
			greeted = true
			err = s.lift()
		case !greeted:
			return protocolError("it does not begin with VERSION")
		case word == "CPID": // its process, which says nothing here
		case word == "AUTH":
			err = s.begin(ctx, rest)
		case word == "CONT":
			err = s.goOn(ctx, rest)
		case word == "CANCEL":
			err = s.give(rest)
		}
		// Other words are of later versions, and to be passed over.
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lift lets the other side be silent for as long as it likes, unless the server stops.
func (s *session) lift() error {
	err := s.conn.ReadWithin(0)
	select {
	case <-s.conn.Draining():
		return io.EOF
	default:
		return err
	}
}

// greet says what there is. It says it before it hears anything, as Dovecot does:
// clients of either order are content.
func (s *session) greet() error {
	var b strings.Builder
	b.WriteString("VERSION\t1\t2\n")
	for _, m := range s.srv.o.Auth.Mechanisms(auth.Peer{}) {
		if kind, ok := offered[m]; ok {
			b.WriteString("MECH\t" + m + "\t" + kind + "\n")
		}
	}
	cookie := make([]byte, 16)
	rand.Read(cookie) // for a second protocol, by which a result is asked for again; nobody does
	fmt.Fprintf(&b, "SPID\t%d\nCUID\t%d\nCOOKIE\t%s\nDONE\n", os.Getpid(), s.number, hex.EncodeToString(cookie))
	return s.write(b.String())
}

func (s *session) write(text string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := io.WriteString(s.conn, text)
	return err
}

// answer writes a line of fields; what is in them is escaped.
func (s *session) answer(word string, id uint64, fields ...string) error {
	line := word + "\t" + strconv.FormatUint(id, 10)
	for _, f := range fields {
		line += "\t" + escape(f)
	}
	return s.write(line + "\n")
}

// begin takes "ID MECHANISM parameters". A response is the last of them, if there is one.
func (s *session) begin(ctx context.Context, rest string) error {
	part := strings.Split(rest, "\t")
	id, err := strconv.ParseUint(part[0], 10, 32)
	if err != nil || len(part) < 2 {
		return protocolError("AUTH has no number or no mechanism")
	}
	peer := auth.Peer{Session: fmt.Sprintf("%s-%d", s.conn.ID(), id), Service: "other"}
	var response []byte
	var remote, local netip.Addr
	secured, sound := false, true
	for _, p := range part[2:] {
		name, value, _ := strings.Cut(p, "=")
		value = unescape(value)
		switch name {
		case "service":
			peer.Service = value
		case "rip":
			remote = addressOf(value)
		case "lip":
			local = addressOf(value)
		case "rport":
			port, err := strconv.ParseUint(value, 10, 16)
			if err == nil {
				peer.Remote = netip.AddrPortFrom(netip.Addr{}, uint16(port))
			}
		case "secured":
			secured = true
		case "resp":
			response, sound = decodeResponse(value)
		}
	}
	peer.Remote = netip.AddrPortFrom(remote, peer.Remote.Port())
	private := secured || s.plaintext || remote.IsLoopback() || remote.IsValid() && remote == local
	s.mu.Lock()
	_, again := s.requests[id]
	many := len(s.requests) >= maxRequests
	s.mu.Unlock()
	name := strings.ToUpper(part[1])
	switch {
	case again:
		return protocolError("AUTH has the number of an exchange that is under way")
	case many:
		return s.answer("FAIL", id, "temp", "reason=too many at once")
	case !sound:
		return s.answer("FAIL", id, "reason=not base64")
	case offered[name] == "":
		return s.answer("FAIL", id, "reason=no such mechanism")
	case !private && offered[name] == plaintext:
		s.srv.o.Log.LogAttrs(ctx, slog.LevelWarn, "a password came without TLS: the mail server is to offer AUTH inside TLS only",
			observe.Session(peer.Session), observe.Remote(peer.Remote))
		return s.answer("FAIL", id, "reason=no password without TLS")
	}
	mechanism, err := s.srv.o.Auth.Start(name, peer)
	if err != nil {
		return s.answer("FAIL", id, "reason=no such mechanism")
	}
	q := &request{id: id, mechanism: mechanism, cancel: func() {}}
	s.mu.Lock()
	s.requests[id] = q
	s.mu.Unlock()
	s.step(ctx, q, response)
	return nil
}

// addressOf reads an address; what is none is the zero Addr, as of a client on a Unix socket.
func addressOf(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.TrimPrefix(s, "IPv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// goOn takes "ID RESPONSE".
func (s *session) goOn(ctx context.Context, rest string) error {
	number, text, _ := strings.Cut(rest, "\t")
	id, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return protocolError("CONT has no number")
	}
	s.mu.Lock()
	q := s.requests[id]
	waited := q != nil && q.waiting
	if waited {
		q.waiting = false
	}
	s.mu.Unlock()
	switch {
	case q == nil:
		return nil // it failed, or was cancelled, while this was on its way
	case !waited:
		return protocolError("CONT came while nothing was asked for")
	}
	response, sound := decodeResponse(text)
	if !sound {
		s.forget(q)
		return s.answer("FAIL", id, "reason=not base64")
	}
	s.step(ctx, q, response)
	return nil
}

// give takes "ID" of an exchange that is given up.
func (s *session) give(rest string) error {
	id, err := strconv.ParseUint(rest, 10, 32)
	if err != nil {
		return protocolError("CANCEL has no number")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.requests[id]; q != nil {
		delete(s.requests, id)
		q.cancel()
	}
	return nil
}

// forget reports whether the exchange was still under way.
func (s *session) forget(q *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.requests[q.id] == q
	if there {
		delete(s.requests, q.id)
	}
	return there
}

// step hands a response on, and answers once it is known what comes of it. Meanwhile other exchanges
// go on: a failure takes two seconds.
func (s *session) step(ctx context.Context, q *request, response []byte) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	q.cancel = cancel
	s.mu.Unlock()
	s.running.Add(1)
	s.conn.Go(func() {
		defer s.running.Done()
		defer cancel()
		challenge, id, err := q.mechanism.Next(ctx, response)
		if err == nil && id == nil {
			s.mu.Lock()
			q.waiting = true
			there := s.requests[q.id] == q
			s.mu.Unlock()
			if there {
				_ = s.answer("CONT", q.id, base64.StdEncoding.EncodeToString(challenge)) // reading finds that it is gone
			}
			return
		}
		if !s.forget(q) {
			return
		}
		// Likewise of these.
		switch {
		case id != nil:
			_ = s.answer("OK", q.id, "user="+id.Name)
		case unanswered(err):
			_ = s.answer("FAIL", q.id, "temp")
		default:
			_ = s.answer("FAIL", q.id)
		}
	})
}

// unanswered reports whether the question could not be answered, as against with no.
func unanswered(err error) bool {
	switch mail.KindOf(err) {
	case mail.AuthFailed, mail.NotAuthorized, mail.Invalid, mail.Limit:
		return false
	}
	return true
}
