package deflate

import "sync"

// maxBits is the length of the longest codes (RFC 1951 3.2.7).
const maxBits = 15

// quickBits is how many bits are looked up at once. Longer codes are read bit by
// bit; they are those of what seldom comes.
const quickBits = 9

// code is a prefix code: its symbols, by how many bits they have and then in order
// (RFC 1951 3.2.2).
type code struct {
	count   [maxBits + 1]uint16
	longest uint // bits of the longest
	symbols [288]uint16
	quick   [1 << quickBits]uint16 // symbol and length, by the next bits; 0: longer, or no code
}

// build makes the code of which lengths are given, 0 for a symbol without one. A
// code that leaves combinations of bits unused is right only if it is one bit long
// (RFC 1951 3.2.7), or if it is never used.
func (c *code) build(lengths []uint8) bool {
	c.count = [maxBits + 1]uint16{}
	for _, n := range lengths {
		c.count[n]++
	}
	used := len(lengths) - int(c.count[0])
	c.count[0] = 0
	left := 1
	c.longest = 0
	var at, next [maxBits + 2]uint16
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - int(c.count[n]); left < 0 {
			return false
		}
		at[n+1] = at[n] + c.count[n]
		next[n+1] = (next[n] + c.count[n]) << 1
		if c.count[n] > 0 {
			c.longest = uint(n)
		}
	}
	if left > 0 && (used > 1 || used == 1 && c.count[1] != 1) {
		return false
	}
	c.quick = [1 << quickBits]uint16{}
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		c.symbols[at[n]] = uint16(symbol)
		at[n]++
		bits := next[n]
		next[n]++
		if n > quickBits {
			continue
		}
		turned := 0 // codes come in with their highest bit first
		for i := range int(n) {
			turned |= int(bits>>i&1) << (int(n) - 1 - i)
		}
		for ; turned < len(c.quick); turned += 1 << n {
			c.quick[turned] = uint16(symbol)<<4 | uint16(n)
		}
	}
	return true
}

// decode finds the symbol whose code the bits begin with and how long that is: 0 if
// more bits have to come first, or with ErrCorrupt if there is none.
func (c *code) decode(hold uint64, bits uint) (symbol uint16, n uint, err error) {
	if q := c.quick[hold%(1<<quickBits)]; q != 0 {
		if n = uint(q & 15); n > bits {
			return 0, 0, nil
		}
		return q >> 4, n, nil
	}
	value, first, at := 0, 0, 0
	for n = 1; n <= c.longest; n++ {
		if n > bits {
			return 0, 0, nil
		}
		value |= int(hold & 1)
		hold >>= 1
		count := int(c.count[n])
		if value-count < first {
			return c.symbols[at+value-first], n, nil
		}
		at += count
		first = (first + count) << 1
		value <<= 1
	}
	return 0, 0, ErrCorrupt
}

// fixed gives the codes of blocks that bring none (RFC 1951 3.2.6).
var fixed = sync.OnceValue(func() *codes {
	c := new(codes)
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	c.literals.build(lengths[:])
	var distances [32]uint8
	for i := range distances {
		distances[i] = 5
	}
	c.distances.build(distances[:])
	return c
})

// The lengths and distances that symbols stand for (RFC 1951 3.2.5).
var (
	lengthBase = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31,
		35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,
		3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase = [...]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193,
		257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}

	// lengthOrder is the order in which the lengths of the code for lengths come
	// (RFC 1951 3.2.7).
	lengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// tables reads the codes that a block brings (RFC 1951 3.2.7). The code for lengths
// stands where that for distances will.
func (s *step) tables() (bool, error) {
	c := s.own
	switch s.state {
	case atTables:
		if s.bits < 14 {
			return true, nil
		}
		c.nLiterals, c.nDistances, c.nLengths = int(s.use(5))+257, int(s.use(5))+1, int(s.use(4))+4
		if c.nLiterals > maxLiterals || c.nDistances > maxDistances {
			return true, ErrCorrupt
		}
		c.lengths, c.have, s.state = [len(c.lengths)]uint8{}, 0, inLengths
	case inLengths:
		for ; c.have < c.nLengths; c.have++ {
			if s.bits < 3 {
				return true, nil
			}
			c.lengths[lengthOrder[c.have]] = uint8(s.use(3))
			s.fill()
		}
		if !c.distances.build(c.lengths[:len(lengthOrder)]) {
			return true, ErrCorrupt
		}
		c.have, s.state = 0, inCodes
	case inCodes:
		if done, err := s.codeLengths(c); done || err != nil {
			return done, err
		}
		if c.lengths[endOfBlock] == 0 { // the block would have no end
			return true, ErrCorrupt
		}
		if !c.literals.build(c.lengths[:c.nLiterals]) || !c.distances.build(c.lengths[c.nLiterals:c.nLiterals+c.nDistances]) {
			return true, ErrCorrupt
		}
		s.state = inData
	}
	return false, nil
}

// codeLengths reads the lengths of both codes, which are one sequence.
func (s *step) codeLengths(c *codes) (done bool, err error) {
	for all := c.nLiterals + c.nDistances; c.have < all; {
		s.fill()
		symbol, n, err := c.distances.decode(s.hold, s.bits)
		if n == 0 {
			return true, err
		}
		if symbol < 16 {
			s.use(n)
			c.lengths[c.have] = uint8(symbol)
			c.have++
			continue
		}
		again, extra, least := uint8(0), uint(7), 11 // 18: zeros
		switch symbol {
		case 16:
			if extra, least = 2, 3; c.have == 0 {
				return true, ErrCorrupt
			}
			again = c.lengths[c.have-1]
		case 17:
			extra, least = 3, 3
		}
		if s.bits < n+extra {
			return true, nil
		}
		s.use(n)
		times := least + int(s.use(extra))
		if times > all-c.have {
			return true, ErrCorrupt
		}
		for range times {
			c.lengths[c.have] = again
			c.have++
		}
	}
	return false, nil
}
