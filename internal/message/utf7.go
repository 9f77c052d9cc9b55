package message

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// utf7Decoder turns UTF-7 (RFC 2152) into UTF-8. What is wrong in it becomes
// U+FFFD.
type utf7Decoder struct {
	shifted bool   // between "+" and its end
	empty   bool   // nothing came since the "+"
	bits    uint32 // bits not used yet, the last nbits of it
	nbits   uint
	high    rune // a high surrogate that waits for its low one, or 0
}

var _ transform.Transformer = (*utf7Decoder)(nil)

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		// One byte ends at most a lone surrogate and adds one character.
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.take(dst[nDst:], src[nSrc])
	}
	if atEOF {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.flush(dst[nDst:])
	}
	return nDst, nSrc, nil
}

// take decodes one byte and returns how much it wrote.
func (d *utf7Decoder) take(dst []byte, c byte) int {
	if !d.shifted {
		switch {
		case c == '+':
			*d = utf7Decoder{shifted: true, empty: true}
			return 0
		case c >= utf8.RuneSelf:
			return utf8.EncodeRune(dst, utf8.RuneError)
		}
		dst[0] = c
		return 1
	}
	if v, ok := base64Value(c); ok {
		d.empty = false
		d.bits = d.bits<<6 | uint32(v)
		d.nbits += 6
		if d.nbits < 16 {
			return 0
		}
		d.nbits -= 16
		unit := rune(d.bits >> d.nbits & 0xffff)
		d.bits &= 1<<d.nbits - 1
		return d.unit(dst, unit)
	}
	empty := d.empty
	n := d.flush(dst)
	switch {
	case c == '-' && empty:
		dst[n] = '+' // "+-" is a plus
		return n + 1
	case c == '-':
		return n
	case c >= utf8.RuneSelf:
		return n + utf8.EncodeRune(dst[n:], utf8.RuneError)
	}
	dst[n] = c
	return n + 1
}

// unit takes one UTF-16 code unit.
func (d *utf7Decoder) unit(dst []byte, u rune) int {
	n := 0
	if d.high != 0 {
		r := utf16.DecodeRune(d.high, u)
		d.high = 0
		if r != utf8.RuneError {
			return utf8.EncodeRune(dst, r)
		}
		n = utf8.EncodeRune(dst, utf8.RuneError)
	}
	switch {
	case u >= 0xd800 && u < 0xdc00:
		d.high = u
		return n
	case u >= 0xdc00 && u < 0xe000:
		u = utf8.RuneError
	}
	return n + utf8.EncodeRune(dst[n:], u)
}

// flush ends the shifted state.
func (d *utf7Decoder) flush(dst []byte) int {
	n := 0
	if d.high != 0 {
		n = utf8.EncodeRune(dst, utf8.RuneError)
	}
	*d = utf7Decoder{}
	return n
}
