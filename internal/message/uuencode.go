package message

import (
	"bytes"
)

// uuDecoder undoes uuencode, which some old senders give as a transfer encoding.
// What stands before the "begin" line and after "end" is dropped.
type uuDecoder struct {
	line  []byte
	state uuState
}

type uuState uint8

const (
	uuBefore uuState = iota
	uuInside
	uuAfter
)

// maxUULine is more than the 61 characters of the longest line with its "M".
const maxUULine = 128

func (d *uuDecoder) append(dst []byte, c byte) []byte {
	if c != '\n' {
		if len(d.line) < maxUULine {
			d.line = append(d.line, c)
		}
		return dst
	}
	return d.flush(dst)
}

// quick leaves everything to append.
func (d *uuDecoder) quick(dst, _ []byte) ([]byte, int) { return dst, 0 }

// flush takes the line that is complete.
func (d *uuDecoder) flush(dst []byte) []byte {
	line := bytes.TrimRight(d.line, "\r")
	d.line = d.line[:0]
	switch d.state {
	case uuBefore:
		if bytes.HasPrefix(line, []byte("begin ")) {
			d.state = uuInside
		}
	case uuInside:
		if bytes.Equal(line, []byte("end")) {
			d.state = uuAfter
			return dst
		}
		return appendUULine(dst, line)
	}
	return dst
}

// appendUULine decodes a line: the number of bytes in it, then four characters
// for each three of them. A line that ends early gives only what it has, so that
// no content is longer than its encoding.
func appendUULine(dst, line []byte) []byte {
	if len(line) == 0 {
		return dst
	}
	n := int(line[0]-' ') & 0x3f
	line = line[1:]
	for n > 0 && len(line) > 0 {
		var v uint32
		for i := range 4 {
			v <<= 6
			if i < len(line) {
				v |= uint32(line[i]-' ') & 0x3f
			}
		}
		group := [3]byte{byte(v >> 16), byte(v >> 8), byte(v)}
		dst = append(dst, group[:min(n, 3)]...)
		n -= 3
		line = line[min(4, len(line)):]
	}
	return dst
}
