package imapserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"postern/internal/deflate"
	"postern/internal/imapwire"
)

// compression is the layer that COMPRESS puts over a connection (RFC 4978). Above
// it are the octets of IMAP: limits, rates and the log count those, so that a
// client gains nothing by sending little that becomes much.
//
// While the session waits it holds what the client's stream may still refer to (at
// most 32 KiB, usually as much as the client ever said) and no compressor.
type compression struct {
	conn    net.Conn
	in      deflate.Inflater
	raw     [512]byte // came in and was not decoded yet, from at to end
	at, end int

	over      bool // it has ended: what comes is plain
	undecided bool // or the rest of a flush
	tried     int  // octets of raw that were tried for that
}

// Read gives what has come in, as soon as anything of it can be decoded. When a
// read of the connection fails, its deadline's passing included, nothing is lost:
// the next Read goes on where this one was.
func (c *compression) Read(p []byte) (int, error) {
	if c.over {
		return c.readPlain(p)
	}
	for len(p) > 0 {
		n, used, err := c.in.Inflate(p, c.raw[c.at:c.end])
		c.at += used
		switch {
		case n > 0:
			return n, nil
		case used > 0: // a flush, of which nothing came out
			continue
		case errors.Is(err, io.EOF):
			return 0, err
		case err != nil:
			return 0, errDamaged
		}
		c.at = 0
		if c.end, err = c.conn.Read(c.raw[:]); c.end == 0 && err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// errDamaged ends a session whose client does not send what it agreed to.
var errDamaged = errors.New("imapserver: what the client compresses cannot be decoded")

// packed are buffers for compressed octets, lent for one Write.
var packed = sync.Pool{New: func() any { b := make([]byte, 0, writeBuffer); return &b }}

// Write compresses p and sends all of it.
func (c *compression) Write(p []byte) (int, error) {
	if c.over {
		return c.conn.Write(p)
	}
	room := packed.Get().(*[]byte)
	defer packed.Put(room)
	*room = deflate.Append((*room)[:0], p)
	if _, err := c.conn.Write(*room); err != nil {
		return 0, err
	}
	return len(p), nil
}

// stop ends the layer: what comes next either way is plain (RFC 8437 4.1).
func (c *compression) stop() {
	rest := bytes.Clone(c.raw[c.at:c.end])
	if c.over, c.undecided = true, !c.in.Flushed(); !c.undecided {
		rest = append(c.in.Rest(), rest...) // what was read of raw has made room
	}
	c.at, c.end = 0, copy(c.raw[:], rest)
}

// longestFlush is how many octets of a flush can be left when all that stands
// before it has been decoded: the last bits of a block, and a stored one without
// octets.
const longestFlush = 6

// readPlain reads behind the layer's end. The flush of the line that ended it may
// still be on its way. Or there is none: behind a partial flush zlib keeps some
// bits to itself. So what comes first is tried: if it ends in a flush and nothing
// comes out of it, it was that, and if not, it is plain.
func (c *compression) readPlain(p []byte) (int, error) {
	for c.undecided {
		for ; c.undecided && c.tried < c.end; c.tried++ {
			var out [1]byte
			n, _, err := c.in.Inflate(out[:], c.raw[c.tried:c.tried+1])
			switch {
			case n == 0 && c.in.Flushed():
				c.at, c.undecided = c.tried+1, false
			case n > 0 || err != nil || c.tried+1 == longestFlush:
				c.undecided = false
			}
		}
		if !c.undecided {
			break
		}
		n, err := c.conn.Read(c.raw[c.end:])
		if n == 0 && err != nil {
			return 0, err
		}
		c.end += n
	}
	c.in = deflate.Inflater{}
	if c.at < c.end {
		n := copy(p, c.raw[c.at:c.end])
		c.at += n
		return n, nil
	}
	return c.conn.Read(p)
}

// receive reads what the client says, and transmit sends to it, through the layer
// if there is one. Deadlines are the connection's affair.
func (l *link) receive(p []byte) (int, error) {
	if l.layer != nil {
		return l.layer.Read(p)
	}
	return l.conn.Read(p)
}

// compressed reports whether COMPRESS is in force.
func (l *link) compressed() bool { return l.layer != nil && !l.layer.over }

func (l *link) transmit(p []byte) (int, error) {
	if l.layer != nil {
		return l.layer.Write(p)
	}
	return l.conn.Write(p)
}

// compress is the command COMPRESS (RFC 4978 3). What follows it in the same
// pipeline may be compressed or not, and nobody could tell: the client must wait
// for the answer, and one that did not is told so and goes on as before.
func (s *session) compress(c *command) error {
	var algorithm string
	if !s.r.ExpectSP() || !s.r.ExpectAtom(&algorithm) || !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	switch {
	case !strings.EqualFold(algorithm, "DEFLATE"):
		return bad("DEFLATE is the only compression")
	case s.link.compressed():
		return no("COMPRESSIONACTIVE", "DEFLATE is active already, by COMPRESS")
	case s.r.Buffered() > 0 || s.link.layer != nil && s.link.layer.at < s.link.layer.end:
		return bad("nothing may follow COMPRESS before its answer")
	}
	s.w.Status(c.tag, imapwire.OK, "", "DEFLATE is active from now on")
	if err := s.flush(); err != nil {
		return err
	}
	s.link.layer = &compression{conn: s.link.conn}
	return errAnswered
}
