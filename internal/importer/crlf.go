package importer

import (
	"bytes"
	"errors"
	"io"
)

// crlfReader turns line ends of Unix files, LF, into those of mail, CRLF. A LF
// that follows a CR stays, so what was stored with CRLF comes out equal, and so
// does every lone CR.
type crlfReader struct {
	r    io.Reader
	buf  []byte // read and not given yet
	room []byte // what buf lies in
	last byte   // the octet given last
	err  error  // for when buf is empty
}

func newCRLFReader(r io.Reader) *crlfReader {
	return &crlfReader{r: r, room: make([]byte, 32<<10)}
}

// reset begins anew with another reader.
func (c *crlfReader) reset(r io.Reader) { *c = crlfReader{r: r, room: c.room} }

// Read gives octets with CRLF line ends.
func (c *crlfReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(c.buf) == 0 {
			if n > 0 {
				return n, nil
			}
			if c.err != nil {
				return 0, c.err
			}
			got, err := c.r.Read(c.room)
			c.buf, c.err = c.room[:got], err
			continue
		}
		if c.buf[0] == '\n' {
			if c.last != '\r' { // the LF follows in the next round
				p[n], c.last = '\r', '\r'
			} else {
				p[n], c.last, c.buf = '\n', '\n', c.buf[1:]
			}
			n++
			continue
		}
		line := c.buf[:min(len(c.buf), len(p)-n)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		n += copy(p[n:], line)
		c.last, c.buf = line[len(line)-1], c.buf[len(line):]
	}
	return n, nil
}

// errIrregular says that a message cannot be written with LF line ends such that
// crlfReader gives it back.
var errIrregular = errors.New("line ends are not all CRLF")

// lfWriter turns CRLF into LF, as long as crlfReader would give back what came:
// not a LF by itself, nor CRLF after a CR. Then it gives errIrregular, and what
// it has written, through crlfReader, and then Rest, is what came so far.
type lfWriter struct {
	w    io.Writer
	held []byte // CRs at the end of what came, not written yet: one or two
	Rest []byte
}

// Write writes octets with LF line ends.
func (l *lfWriter) Write(p []byte) (int, error) {
	came := len(p)
	if len(l.held) > 0 {
		p = append(l.held, p...) // held is a copy of its own
		l.held = nil
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			i = len(p)
			for i > 0 && p[i-1] == '\r' && len(p)-i < 2 {
				i--
			}
			l.held = bytes.Clone(p[i:])
			_, err := l.w.Write(p[:i])
			return came, err
		}
		if i == 0 || p[i-1] != '\r' || i > 1 && p[i-2] == '\r' {
			l.Rest = bytes.Clone(p)
			return came, errIrregular
		}
		if _, err := l.w.Write(p[:i-1]); err != nil {
			return came, err
		}
		if _, err := l.w.Write(p[i : i+1]); err != nil {
			return came, err
		}
		p = p[i+1:]
	}
	return came, nil
}

// Close writes what was held back.
func (l *lfWriter) Close() error {
	_, err := l.w.Write(l.held)
	l.held = nil
	return err
}
