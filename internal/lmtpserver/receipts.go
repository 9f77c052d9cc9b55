package lmtpserver

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"postern/internal/delivery"
	"postern/internal/observe"
)

// When we have said 250 the message is ours, but the client knows it only once
// our reply has arrived; a client that does not will hand the message over again.
// So each delivery leaves a receipt, and the receipt is good until something
// shows that the client read the reply.
//
// An octet that the client sends after it shows that. One that was under way
// before our reply does not, and that is no rare case: Postfix sends QUIT in one
// packet with the final dot (RFC 2920 3.1 allows it as the last of a group). Of
// octets that were in our buffer when we replied we know. QUIT proves nothing
// even if it came later, because it may have waited in the kernel. Then the way
// the connection ends tells: a client that has read everything closes it in good
// order, and where one dies with our reply unread, its kernel sends a reset.

// goodbye is how long a client that said QUIT may take to close the connection.
// It has nothing else to do.
const goodbye = 10 * time.Second

// delivering keeps the receipt of a delivery whose replies have just been sent.
func (s *session) delivering(r delivery.Receipt) {
	s.unsure = append(s.unsure, r)
	s.early = s.r.Buffered()
}

// heard takes note of a command of n octets that has come in whole.
func (s *session) heard(n int, line string) {
	if s.early > 0 {
		s.early = max(0, s.early-n)
		return
	}
	if verb, _, _ := strings.Cut(line, " "); !strings.EqualFold(verb, "QUIT") {
		s.arrived(len(s.unsure))
	}
}

// arrived lets go of the first n receipts.
func (s *session) arrived(n int) {
	for _, r := range s.unsure[:n] {
		r.Arrived()
	}
	s.unsure = s.unsure[n:]
}

// settle ends every receipt when the conversation is over. flushed is what became
// of the last words.
func (s *session) settle(ctx context.Context, flushed error) {
	if len(s.unsure) == 0 {
		return
	}
	if flushed == nil && s.leaving && s.closedInOrder() {
		s.arrived(len(s.unsure))
		return
	}
	ctx = context.WithoutCancel(ctx)
	for _, r := range s.unsure {
		if err := r.Lost(ctx); err != nil {
			s.log.Warn("a delivery whose reply may be lost could not be noted", observe.Error(err))
		}
	}
	s.unsure = nil
}

// closedInOrder closes our side and reports whether the client then closes its
// own.
func (s *session) closedInOrder() bool {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok { // some clients wait for us to close first
		if c.CloseWrite() != nil {
			return false
		}
	}
	if s.conn.SetReadDeadline(s.srv.o.Now().Add(goodbye)) != nil {
		return false
	}
	_, err := s.r.Peek(1)
	return errors.Is(err, io.EOF)
}
