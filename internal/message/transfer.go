package message

import (
	"bytes"
	"errors"
	"io"
)

// ErrUnknownEncoding says that a part's Content-Transfer-Encoding is none that
// can be undone; BINARY then answers NO [UNKNOWN-CTE] (RFC 9051 7.5.2).
var ErrUnknownEncoding = errors.New("message: unknown content transfer encoding")

// DecodeTransfer returns a reader of r with the content transfer encoding undone
// (RFC 2045 6). It streams, holds a few KiB, and never fails because of wrong
// data: what can be decoded is, the rest is skipped (base64) or left as it
// stands (quoted-printable). The encoding is taken in any case. For one that is
// not known the error is ErrUnknownEncoding.
func DecodeTransfer(r io.Reader, encoding string) (io.Reader, error) {
	switch upper(encoding) {
	case "", "7BIT", "8BIT", "BINARY":
		return r, nil
	case "BASE64":
		return newDecodingReader(r, &base64Decoder{}), nil
	case "QUOTED-PRINTABLE":
		return newDecodingReader(r, &qpDecoder{}), nil
	case "X-UUENCODE", "UUENCODE", "X-UUE":
		return newDecodingReader(r, &uuDecoder{}), nil
	}
	return nil, ErrUnknownEncoding
}

// Content returns a reader of the part's content with its transfer encoding
// undone: what BINARY[section] sends. The message is in r. Multiparts and
// messages have no encoding to undo (RFC 2045 6.4).
func (p *Part) Content(r io.ReaderAt) (io.Reader, error) {
	body := io.NewSectionReader(r, p.BodyStart, p.Size())
	if p.IsMultipart() || p.IsMessage() {
		return body, nil
	}
	return DecodeTransfer(body, p.Encoding)
}

// ContentSize is the number of bytes Content yields: BINARY.SIZE. Unless the
// encoding is an identity it has to read them all.
func (p *Part) ContentSize(r io.ReaderAt) (int64, error) {
	if p.IsMultipart() || p.IsMessage() || isIdentity(p.Encoding) {
		return p.Size(), nil
	}
	content, err := p.Content(r)
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, content)
}

// byteDecoder undoes an encoding byte by byte. Each call may append a few bytes.
type byteDecoder interface {
	append(dst []byte, c byte) []byte
	// quick takes from the beginning of src what can be undone without a look at each
	// byte's past, and says how much. It may always be nothing.
	quick(dst, src []byte) ([]byte, int)
	flush(dst []byte) []byte
}

// decodingReader reads encoded bytes in blocks and hands out decoded ones.
type decodingReader struct {
	r       io.Reader
	decoder byteDecoder
	in      []byte
	out     []byte // decoded
	off     int    // of out, already handed out
	err     error
}

func newDecodingReader(r io.Reader, d byteDecoder) *decodingReader {
	return &decodingReader{r: r, decoder: d, in: make([]byte, 4096), out: make([]byte, 0, 4096)}
}

func (d *decodingReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for d.off == len(d.out) {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.r.Read(d.in)
		d.out, d.off, d.err = d.out[:0], 0, err
		for in := d.in[:n]; len(in) > 0; {
			var k int
			if d.out, k = d.decoder.quick(d.out, in); k == 0 {
				d.out = d.decoder.append(d.out, in[0])
				k = 1
			}
			in = in[k:]
		}
		if err == io.EOF {
			d.out = d.decoder.flush(d.out)
		}
	}
	n := copy(b, d.out[d.off:])
	d.off += n
	return n, nil
}

// base64Decoder undoes base64 (RFC 2045 6.8). Bytes outside the alphabet are
// skipped. Padding ends a group, after which another may begin, as when encoded
// pieces were put one after the other. A group cut short gives the bytes that
// are whole in it.
type base64Decoder struct {
	bits uint32
	n    int // characters in bits
}

func (d *base64Decoder) append(dst []byte, c byte) []byte {
	v, ok := base64Value(c)
	if !ok {
		if c == '=' {
			return d.flush(dst)
		}
		return dst
	}
	d.bits = d.bits<<6 | uint32(v)
	d.n++
	if d.n < 4 {
		return dst
	}
	dst = append(dst, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
	d.bits, d.n = 0, 0
	return dst
}

// base64Values is base64Value as a table: 0xFF for what is none.
var base64Values = func() (values [256]byte) {
	for c := range values {
		v, ok := base64Value(byte(c))
		if !ok {
			v = 0xFF
		}
		values[c] = v
	}
	return values
}()

// quick takes whole groups of four.
func (d *base64Decoder) quick(dst, src []byte) ([]byte, int) {
	if d.n != 0 {
		return dst, 0
	}
	i := 0
	for ; i+4 <= len(src); i += 4 {
		a, b, c, e := base64Values[src[i]], base64Values[src[i+1]], base64Values[src[i+2]], base64Values[src[i+3]]
		if a|b|c|e > 63 {
			break
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|e)
	}
	return dst, i
}

func (d *base64Decoder) flush(dst []byte) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.bits, d.n = 0, 0
	return dst
}

func base64Value(c byte) (byte, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A', true
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26, true
	case '0' <= c && c <= '9':
		return c - '0' + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// qpDecoder undoes quoted-printable (RFC 2045 6.7). White space at the end of a
// line was added on the way and is removed; a line end is CRLF in what comes
// out. An "=" that begins neither =XX nor a soft line break stays.
type qpDecoder struct {
	held []byte // white space, or what began with "=", not yet decided
	cr   bool   // a CR was seen last
}

// maxHeld bounds trailing white space; a longer run is taken to be text.
const maxHeld = 1024

func (d *qpDecoder) append(dst []byte, c byte) []byte {
	if d.cr {
		d.cr = false
		if c == '\n' {
			return d.lineEnd(dst)
		}
		dst = append(d.flushHeld(dst), '\r') // a bare CR is content
	}
	switch {
	case c == '\n':
		return d.lineEnd(dst)
	case c == '\r':
		d.cr = true
		return dst
	}
	if len(d.held) > 0 && d.held[0] == '=' {
		return d.escape(dst, c)
	}
	switch {
	case c == '=':
		dst = d.flushHeld(dst)
		d.held = append(d.held, c)
		return dst
	case c == ' ' || c == '\t':
		if len(d.held) == maxHeld {
			dst = d.flushHeld(dst)
		}
		d.held = append(d.held, c)
		return dst
	}
	return append(d.flushHeld(dst), c)
}

// quick takes text and escapes, soft line breaks and line ends that are whole and plain, up to what
// is not.
func (d *qpDecoder) quick(dst, src []byte) ([]byte, int) {
	if d.cr || len(d.held) > 0 {
		return dst, 0
	}
	start, i := 0, 0 // src[start:i] is text as it stands
	for i < len(src) {
		switch qpKinds[src[i]] {
		case qpPlain:
			i++
			continue
		case qpSpace: // not at a line's end
			if i+1 < len(src) && (qpKinds[src[i+1]] == qpPlain || src[i+1] == '=') {
				i++
				continue
			}
		case qpCR:
			if i+1 < len(src) && src[i+1] == '\n' {
				i += 2
				continue
			}
		case qpEscape:
			if i+2 >= len(src) {
				break
			}
			v, ok := unhex(src[i+1], src[i+2])
			if !ok && (src[i+1] != '\r' || src[i+2] != '\n') {
				break
			}
			dst = append(dst, src[start:i]...)
			if ok {
				dst = append(dst, v)
			}
			i += 3
			start = i
			continue
		}
		return append(dst, src[start:i]...), i
	}
	return append(dst, src[start:i]...), i
}

// What a byte may mean.
const (
	qpPlain = iota
	qpSpace
	qpCR
	qpLF
	qpEscape
)

var qpKinds = [256]byte{' ': qpSpace, '\t': qpSpace, '\r': qpCR, '\n': qpLF, '=': qpEscape}

// escape goes on after "=": with white space up to a line end, or hex digits.
func (d *qpDecoder) escape(dst []byte, c byte) []byte {
	if c == ' ' || c == '\t' {
		if last := d.held[len(d.held)-1]; last == '=' || last == ' ' || last == '\t' {
			if len(d.held) < maxHeld {
				d.held = append(d.held, c)
				return dst
			}
		}
	}
	if hexValue(c) < 16 {
		switch len(d.held) {
		case 1:
			d.held = append(d.held, c)
			return dst
		case 2:
			if v, ok := unhex(d.held[1], c); ok {
				d.held = d.held[:0]
				return append(dst, v)
			}
		}
	}
	// Not an escape after all. The held bytes are text, c begins anew.
	return d.append(d.flushHeld(dst), c)
}

func (d *qpDecoder) lineEnd(dst []byte) []byte {
	soft := len(d.held) > 0 && d.held[0] == '='
	if soft && len(bytes.TrimRight(d.held[1:], " \t")) > 0 {
		dst = append(dst, d.held...) // "=X" and the end of the line
		soft = false
	}
	d.held = d.held[:0]
	if soft {
		return dst
	}
	return append(dst, '\r', '\n')
}

func (d *qpDecoder) flushHeld(dst []byte) []byte {
	dst = append(dst, d.held...)
	d.held = d.held[:0]
	return dst
}

// flush is the end of data. White space at the end goes, as at a line's end, and
// so does an "=" that is a soft line break without its line end.
func (d *qpDecoder) flush(dst []byte) []byte {
	if d.cr {
		dst = append(d.flushHeld(dst), '\r')
		d.cr = false
	}
	if held := bytes.TrimRight(d.held, " \t"); len(held) > 1 {
		dst = append(dst, held...)
	}
	d.held = d.held[:0]
	return dst
}
