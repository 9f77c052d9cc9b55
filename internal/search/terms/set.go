package terms

import (
	"encoding/binary"
	"math/bits"
)

// Set is a set of a segment's messages, by their places in it: a bit for each.
type Set []uint64

// NewSet gives an empty set for n messages.
func NewSet(n int) Set { return make(Set, (n+63)/64) }

// Has reports whether a place is in the set.
func (s Set) Has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// Count gives how many places are in the set.
func (s Set) Count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s Set) add(i int) { s[i/64] |= 1 << (i % 64) }

// Or adds the places of t.
func (s Set) Or(t Set) {
	for i, w := range t {
		s[i] |= w
	}
}

func (s Set) and(t Set) {
	for i, w := range t {
		s[i] &= w
	}
}

func (s Set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

func (s Set) fill(n int) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	if rest := n % 64; rest != 0 {
		s[len(s)-1] = 1<<rest - 1
	}
}

// A list is where a term is: as distances, each from the place before and as a
// varint, or as a bitmap, whichever is shorter.
const (
	formDistances = 0
	formBitmap    = 1
)

// appendList writes a list of rising places out of n.
func appendList(dst []byte, places []uint32, n int) (list []byte, form byte) {
	start, before := len(dst), uint32(0)
	octets := (n + 7) / 8
	for _, p := range places {
		dst = binary.AppendUvarint(dst, uint64(p-before))
		if before = p; len(dst)-start > octets {
			dst = append(dst[:start], make([]byte, octets)...)
			for _, p := range places {
				dst[start+int(p/8)] |= 1 << (p % 8)
			}
			return dst, formBitmap
		}
	}
	return dst, formDistances
}

// addList adds a list's places to a set of n, and reports whether it is sound.
func (s Set) addList(list []byte, form byte, n int) bool {
	if form == formBitmap {
		if len(list) != (n+7)/8 {
			return false
		}
		for i, octet := range list {
			s[i/8] |= uint64(octet) << (i % 8 * 8)
		}
		// What a bitmap has beyond the last message is nobody's.
		if rest := n % 64; rest != 0 {
			s[len(s)-1] &= 1<<rest - 1
		}
		return true
	}
	at := uint64(0)
	for len(list) > 0 {
		gap, size := uint64(list[0]), 1
		if gap >= 0x80 {
			if gap, size = binary.Uvarint(list); size <= 0 {
				return false
			}
		}
		list = list[size:]
		if at += gap; gap >= uint64(n) || at >= uint64(n) {
			return false
		}
		s.add(int(at))
	}
	return true
}

// places gives a list's places, appended to dst.
func places(dst []uint32, list []byte, form byte, n int) ([]uint32, bool) {
	if form == formBitmap {
		if len(list) != (n+7)/8 {
			return dst, false
		}
		for i, octet := range list {
			for ; octet != 0; octet &= octet - 1 {
				p := i*8 + bits.TrailingZeros8(octet)
				if p >= n {
					return dst, false
				}
				dst = append(dst, uint32(p))
			}
		}
		return dst, true
	}
	at := uint64(0)
	for first := true; len(list) > 0; first = false {
		gap, size := binary.Uvarint(list)
		if size <= 0 || gap == 0 && !first || gap >= uint64(n) {
			return dst, false
		}
		list = list[size:]
		if at += gap; at >= uint64(n) {
			return dst, false
		}
		dst = append(dst, uint32(at))
	}
	return dst, true
}
