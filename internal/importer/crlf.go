package importer

import (
	"bufio"
	"io"
)

// crlfReader turns line ends of Unix files, LF, into those of mail, CRLF. A LF
// that follows a CR stays, so what was stored with CRLF comes out equal, and so
// does every lone CR.
type crlfReader struct {
	r       *bufio.Reader
	last    byte
	pending bool // a LF that waits behind the CR already given
}

func newCRLFReader(r io.Reader) *crlfReader {
	return &crlfReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// Read gives octets with CRLF line ends.
func (c *crlfReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if c.pending {
			p[n], c.last, c.pending = '\n', '\n', false
			n++
			continue
		}
		b, err := c.r.ReadByte()
		if err != nil {
			if n > 0 && err == io.EOF {
				return n, nil
			}
			return n, err
		}
		if b == '\n' && c.last != '\r' {
			b, c.pending = '\r', true
		}
		p[n], c.last = b, b
		n++
	}
	return n, nil
}
