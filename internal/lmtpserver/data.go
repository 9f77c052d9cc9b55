package lmtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errTooBig is what a message reader gives once the message is longer than the
// server takes. The reader can still be drained.
var errTooBig = errors.New("lmtp: message is too big")

// dotReader gives the content that follows DATA (RFC 5321 4.5.2) and ends, with
// io.EOF, at CRLF . CRLF and nowhere else: a bare CR or LF, before or behind a
// dot, is content and kept, so that nobody can smuggle a second message past
// two servers that disagree about line ends. The leading dot of a line is taken
// away; a line begins after CRLF alone.
//
// The CRLF before the final dot ends the last line and belongs to the message.
type dotReader struct {
	r     *bufio.Reader
	state dotState
	left  int64 // octets the message may still have
	err   error // io.EOF once the end was seen
}

// dotState is what the last octets were.
type dotState uint8

const (
	lineStart dotState = iota // after CRLF, or at the very beginning
	inLine
	afterCR // after a CR that is already given out
	dot     // a line began with a dot, held back
	dotCR   // and a CR after it, held back too
)

func newDotReader(r *bufio.Reader, limit int64) *dotReader {
	return &dotReader{r: r, left: limit}
}

// Read gives content. Past the limit it gives errTooBig, once for every call.
func (d *dotReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && d.err == nil {
		if d.r.Buffered() == 0 && n > 0 {
			break // give what there is rather than wait for more
		}
		if d.state == inLine && d.left > 0 {
			if m := d.run(p[n:]); m > 0 {
				n += m
				continue
			}
		}
		c, err := d.r.ReadByte()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // the end is a dot, not the end of the stream
			}
			d.err = err
			break
		}
		give, again := d.step(c)
		if again { // the byte ends a look-ahead that turned out to be content
			if err := d.r.UnreadByte(); err != nil {
				d.err = err
				break
			}
		}
		if give == nothing {
			continue
		}
		if d.left--; d.left < 0 {
			return 0, errTooBig
		}
		p[n] = byte(give)
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// run gives the octets up to the next CR that are in the buffer already: within
// a line nothing else matters.
func (d *dotReader) run(p []byte) int {
	most := int(min(int64(len(p)), int64(d.r.Buffered()), d.left))
	have, err := d.r.Peek(most)
	if err != nil {
		return 0
	}
	if cr := bytes.IndexByte(have, '\r'); cr >= 0 {
		have = have[:cr]
	}
	n := copy(p, have)
	d.left -= int64(n)
	if _, err := d.r.Discard(n); err != nil {
		d.err = err
	}
	return n
}

const nothing = -1

// step takes one octet in. It gives the octet of content that is known by it,
// or nothing; again asks for the same octet once more.
func (d *dotReader) step(c byte) (give int, again bool) {
	switch d.state {
	case dot:
		if c == '\r' {
			d.state = dotCR
			return nothing, false
		}
		d.state = inLine // the dot was stuffing
		return nothing, true
	case dotCR:
		if c == '\n' {
			d.err = io.EOF
			return nothing, false
		}
		d.state = afterCR // ".\r" and more: the dot was stuffing, the CR is content
		return '\r', true
	case lineStart:
		if c == '.' {
			d.state = dot
			return nothing, false
		}
	}
	switch {
	case c == '\r':
		d.state = afterCR
	case c == '\n' && d.state == afterCR:
		d.state = lineStart
	default:
		d.state = inLine
	}
	return int(c), false
}

// drain reads the rest of the content and throws it away.
func (d *dotReader) drain() error {
	d.left = 1<<63 - 1
	_, err := io.Copy(io.Discard, d)
	return err
}
