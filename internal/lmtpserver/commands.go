package lmtpserver

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"postern/internal/delivery"
	"postern/internal/mail"
	"postern/internal/observe"
)

func (s *session) lhlo(_ context.Context, args string) {
	name := strings.TrimSpace(args)
	if name == "" || len(name) > 255 || !clean(name) { // RFC 5321 4.5.3.1.2
		s.refuse(501, "5.5.4", "LHLO wants the name of the client")
		return
	}
	s.greeted, s.mail = name, nil
	lines := []string{
		s.srv.o.Hostname, "PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES",
		"SIZE " + strconv.FormatInt(s.srv.o.Limits.Message, 10),
	}
	for i, l := range lines {
		dash := "-"
		if i == len(lines)-1 {
			dash = " "
		}
		fmt.Fprintf(s.w, "250%s%s\r\n", dash, l)
	}
}

// notSMTP answers HELO and EHLO, which must not get a 2xx (RFC 2033 4.1).
func (s *session) notSMTP(context.Context, string) {
	s.refuse(500, "5.5.1", "this is LMTP: say LHLO")
}

func (s *session) mailFrom(_ context.Context, args string) {
	switch {
	case s.greeted == "":
		s.refuse(503, "5.5.1", "say LHLO first")
		return
	case s.mail != nil:
		s.refuse(503, "5.5.1", "a message is under way: RSET first")
		return
	}
	path, params, err := parsePath(args, "FROM:")
	if err != nil {
		s.refuse(501, "5.1.7", err.Error())
		return
	}
	t := &transaction{from: path}
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		switch strings.ToUpper(key) {
		case "BODY":
			if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
				s.refuse(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
				return
			}
		case "SMTPUTF8":
			t.utf8 = true
		case "SIZE":
			size, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				s.refuse(501, "5.5.4", "SIZE wants a number of octets")
				return
			}
			if int64(size) > s.srv.o.Limits.Message { // said before a byte of it is sent (RFC 1870 6.1)
				s.reply(552, "5.3.4", s.tooBig())
				return
			}
		default:
			s.refuse(555, "5.5.4", "a parameter of MAIL is not known here")
			return
		}
	}
	if !t.utf8 && !ascii(path) {
		s.refuse(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
		return
	}
	s.mail = t
	s.reply(250, "2.1.0", "OK")
}

func (s *session) rcptTo(ctx context.Context, args string) {
	switch {
	case s.mail == nil:
		s.refuse(503, "5.5.1", "say MAIL first")
		return
	case s.mail.bdat:
		s.refuse(503, "5.5.1", "the content has begun: no more recipients")
		return
	}
	// A bad address is that recipient's affair. It is no bad command: a list of
	// them must not close the connection on the other recipients.
	path, params, err := parsePath(args, "TO:")
	switch {
	case err != nil:
		s.reply(501, "5.1.3", err.Error())
		return
	case path == "":
		s.reply(501, "5.1.3", "a recipient has an address")
		return
	case len(params) > 0:
		s.refuse(555, "5.5.4", "RCPT takes no parameters here")
		return
	case !s.mail.utf8 && !ascii(path):
		s.reply(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
		return
	case s.mail.tried >= s.srv.o.Limits.Recipients:
		s.reply(452, "4.5.3", "too many recipients")
		return
	}
	s.mail.tried++
	recipient, err := s.srv.o.Deliverer.Accept(ctx, path)
	if err != nil {
		s.refused++
		s.outcome(path, err)
		return
	}
	s.mail.to = append(s.mail.to, recipient)
	s.reply(250, "2.1.5", "OK")
}

func (s *session) rset(context.Context, string) {
	s.mail = nil
	s.reply(250, "2.0.0", "OK")
}

func (s *session) quit(context.Context, string) {
	s.reason, s.leaving = "QUIT", true
	s.last(221, "2.0.0", "bye")
}

func (s *session) tooBig() string {
	return fmt.Sprintf("a message may have %d octets at most", s.srv.o.Limits.Message)
}

// outcome replies for one recipient. It is the one place where an error becomes
// an LMTP reply: permanent where trying again cannot help, temporary where it
// may, because a permanent answer makes the sender's server give the mail up.
func (s *session) outcome(address string, err error) {
	who := "<" + address + "> "
	if err == nil {
		s.reply(250, "2.0.0", who+"delivered")
		return
	}
	switch mail.KindOf(err) {
	case mail.NotFound, mail.Invalid:
		s.reply(550, "5.1.1", who+"no such recipient here")
	case mail.OverQuota:
		s.reply(452, "4.2.2", who+"over quota")
	case mail.TooBig:
		s.reply(552, "5.3.4", who+s.tooBig())
	case mail.NotPermitted:
		s.reply(550, "5.7.1", who+"not permitted")
	case mail.NoSpace:
		s.reply(452, "4.3.1", who+"no room for mail just now")
	default:
		s.log.Error("delivery failed", observe.Text(observe.KeyRecipient, address), observe.Error(err))
		s.reply(451, "4.3.0", who+"trouble with the store, try again")
	}
}

// handOver delivers the message that body streams and replies for each
// recipient. An error is one of reading the body; then no reply has been given
// and nothing was kept.
func (s *session) handOver(ctx context.Context, body *countingReader) error {
	t := s.mail
	s.messages++
	m := delivery.Mail{
		From: t.from, To: t.to, ID: fmt.Sprintf("%s.%d", s.id, s.messages),
		Client: s.greeted, Peer: s.conn.RemoteAddr().String(), UTF8: t.utf8,
	}
	receipt, err := s.srv.o.Deliverer.Deliver(ctx, m, body, func(i int, err error) {
		s.count(m, t.to[i].Address, body.n, err)
		s.outcome(t.to[i].Address, err)
		s.flush() // each as soon as it is known (RFC 2033 4.2); an error shows at the next read
	})
	if err == nil {
		s.delivering(receipt)
	}
	return err
}
