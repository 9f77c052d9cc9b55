package lmtpserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"postern/internal/delivery"
	"postern/internal/mail"
	"postern/internal/observe"
)

// countingReader counts what was read, and keeps the first error of the reader
// below apart from errors of whoever reads.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// patientReader reads from the connection and gives the client time anew for
// every read that has to wait.
type patientReader struct {
	s *session
	r io.Reader
}

func (p patientReader) Read(b []byte) (int, error) {
	if p.s.r.Buffered() == 0 {
		if err := p.s.conn.SetReadDeadline(p.s.srv.o.Now().Add(p.s.srv.o.Limits.Data)); err != nil {
			return 0, err
		}
	}
	return p.r.Read(b)
}

func (s *session) data(ctx context.Context, args string) {
	switch {
	case args != "":
		s.refuse(501, "5.5.4", "DATA takes no argument")
		return
	case s.mail == nil || len(s.mail.to) == 0: // RFC 2033 4.2
		s.refuse(503, "5.5.1", "no valid recipient")
		return
	case s.mail.bdat:
		s.refuse(503, "5.5.1", "the message has begun with BDAT")
		return
	}
	s.reply(354, "", "end with CRLF . CRLF")
	if s.flush() != nil {
		s.ending = true
		return
	}
	awaited, before := s.r.Buffered() == 0, len(s.unsure)
	dots := newDotReader(s.r, s.srv.o.Limits.Message)
	body := &countingReader{r: patientReader{s, dots}}
	err := s.handOver(ctx, body)
	if err == nil && awaited { // the content answers our 354, so what we said before it arrived
		s.arrived(before)
	}
	s.finish(body, err, func() error {
		dots.left = 1<<63 - 1
		_, err := io.Copy(io.Discard, patientReader{s, dots})
		return err
	}, func() bool { return true })
}

// finish ends a transaction whose content came by DATA or BDAT. drain reads what
// is left of the content, so that none of it is taken for commands. Where each
// says no, the content's end has not been announced: then a failure is one
// reply, not one for each recipient (RFC 3030 2).
func (s *session) finish(body *countingReader, err error, drain func() error, each func() bool) {
	recipients := s.mail.to
	s.mail = nil
	if err == nil {
		return
	}
	if body.err != nil && !errors.Is(body.err, errTooBig) { // nothing was kept
		s.end(body.err)
		s.reason += " in a message"
		return
	}
	if errors.Is(body.err, errTooBig) {
		err = mail.Errorf(mail.TooBig, "message too big")
	}
	if err := drain(); err != nil {
		s.end(err)
		s.reason += " in a message"
		return
	}
	s.refused += len(recipients)
	if !each() {
		recipients = recipients[:1]
	}
	for _, r := range recipients {
		s.outcome(r.Address, err)
	}
}

// bdat takes a chunk (RFC 3030 2). The first chunk begins the delivery, which
// reads on through the following chunks as if they were one stream.
func (s *session) bdat(ctx context.Context, args string) {
	size, last, err := parseBDAT(args)
	if err != nil {
		// Where the chunk ends is not known, so what follows cannot be read.
		s.reason = "bad BDAT"
		s.last(501, "5.5.4", err.Error())
		return
	}
	if s.mail == nil || len(s.mail.to) == 0 {
		chunk := &chunkReader{s: s, left: size}
		if err := chunk.skip(); err != nil {
			s.end(err)
			return
		}
		if s.mail != nil && last { // one reply for each recipient, of whom there are none (RFC 2033 4.2)
			s.mail = nil
			return
		}
		s.refuse(503, "5.5.1", "no valid recipient")
		return
	}
	s.mail.bdat = true
	chunks := &chunkReader{s: s, ctx: ctx, left: size, last: last, room: s.srv.o.Limits.Message}
	body := &countingReader{r: chunks}
	err = s.handOver(ctx, body)
	if errors.Is(body.err, errAborted) { // RSET, QUIT or such in the middle: chunks has obeyed it
		return
	}
	s.finish(body, err, chunks.skip, func() bool { return chunks.last })
}

// parseBDAT reads the arguments of BDAT.
func parseBDAT(args string) (size int64, last bool, err error) {
	words := strings.Fields(args)
	if len(words) == 2 && strings.EqualFold(words[1], "LAST") {
		last = true
	} else if len(words) != 1 {
		return 0, false, errors.New("BDAT wants a number of octets, and LAST or nothing")
	}
	n, err := strconv.ParseUint(words[0], 10, 62)
	if err != nil {
		return 0, false, errors.New("BDAT wants a number of octets")
	}
	return int64(n), last, nil
}

// errAborted is what a chunkReader gives when the client gave the message up.
var errAborted = errors.New("lmtp: message given up by the client")

// chunkReader gives the content of a message that comes in chunks. Between two
// chunks it holds the conversation: it acknowledges the one and reads the
// command for the next.
type chunkReader struct {
	s    *session
	ctx  context.Context
	left int64 // octets of this chunk
	last bool
	room int64 // octets the message may still have
}

// Read gives content up to the end of the last chunk.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.last {
			return 0, io.EOF
		}
		c.s.reply(250, "2.0.0", "chunk received")
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.left > c.room {
		return 0, errTooBig
	}
	n, err := patientReader{c.s, c.s.r}.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.room -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads commands up to the one that brings the next chunk.
func (c *chunkReader) next() error {
	for {
		line, err := c.s.command(c.ctx)
		if err != nil {
			return err
		}
		verb, args, _ := strings.Cut(line, " ")
		if !strings.EqualFold(verb, "BDAT") {
			c.s.obey(c.ctx, line)
			if c.s.mail == nil || c.s.ending {
				return errAborted
			}
			continue
		}
		if c.left, c.last, err = parseBDAT(args); err != nil {
			c.s.reason = "bad BDAT"
			c.s.last(501, "5.5.4", err.Error())
			return errAborted
		}
		if c.left > 0 || c.last {
			return nil
		}
		c.s.reply(250, "2.0.0", "chunk received")
	}
}

// skip throws away what is left of the current chunk.
func (c *chunkReader) skip() error {
	_, err := io.CopyN(io.Discard, patientReader{c.s, c.s.r}, c.left)
	c.left = 0
	return err
}

// count logs a delivery's outcome for one recipient: the line an administrator
// looks for when somebody asks where a message went.
func (s *session) count(m delivery.Mail, address string, size int64, err error) {
	attrs := []any{
		slog.String(observe.KeyDelivery, m.ID), observe.Text(observe.KeySender, m.From),
		observe.Text(observe.KeyRecipient, address), slog.Int64(observe.KeySize, size),
	}
	if err != nil {
		s.refused++
		s.log.Warn("not delivered", append(attrs, observe.Error(err))...)
		return
	}
	s.delivered++
	s.log.Info("delivered", attrs...)
}
