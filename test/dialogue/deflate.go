package dialogue

import (
	"compress/flate"
	"errors"
	"io"
	"net"
)

// startDeflate compresses both directions from now on (RFC 4978). What the client sends ends with a sync flush; other
// flushes are for tests of their own.
func (c *client) startDeflate() error {
	if c.reader.Buffered() > 0 {
		return errors.New("the server spoke before it was compressing")
	}
	out, err := flate.NewWriter(c.conn, flate.DefaultCompression)
	if err != nil {
		return err
	}
	c.use(&deflated{Conn: c.conn, in: flate.NewReader(c.conn), out: out})
	return nil
}

// deflated is a connection whose octets are compressed.
type deflated struct {
	net.Conn
	in  io.Reader
	out *flate.Writer
}

func (d *deflated) Read(p []byte) (int, error) { return d.in.Read(p) }

func (d *deflated) Write(p []byte) (int, error) {
	n, err := d.out.Write(p)
	if err != nil {
		return n, err
	}
	return n, d.out.Flush()
}
