package dialogue

import (
	"bufio"
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
	octets := bufio.NewReader(c.conn)
	c.use(&deflated{Conn: c.conn, octets: octets, in: flate.NewReader(octets), out: out})
	return nil
}

// endDeflate goes on without compression (RFC 8437 4.1). Go's reader takes no octet that it does not need, so that what
// is plain is still to be read.
func (c *client) endDeflate() error {
	layer, ok := c.conn.(*deflated)
	if !ok || c.reader.Buffered() > 0 {
		return errors.New("there is no compression to end, or the server spoke before its end")
	}
	c.use(&buffered{Conn: layer.Conn, in: layer.octets})
	return nil
}

// buffered is a connection of which some octets have been read ahead.
type buffered struct {
	net.Conn
	in io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// deflated is a connection whose octets are compressed.
type deflated struct {
	net.Conn
	octets *bufio.Reader // of Conn: flate reads it octet by octet
	in     io.Reader
	out    *flate.Writer
}

func (d *deflated) Read(p []byte) (int, error) { return d.in.Read(p) }

func (d *deflated) Write(p []byte) (int, error) {
	n, err := d.out.Write(p)
	if err != nil {
		return n, err
	}
	return n, d.out.Flush()
}
