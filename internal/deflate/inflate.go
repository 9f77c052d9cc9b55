package deflate

import (
	"errors"
	"io"
	"sync"
)

// ErrCorrupt says that what came in is not in the format.
var ErrCorrupt = errors.New("deflate: the compressed data is damaged")

// windowSize is how far back a copy may reach (RFC 1951 2).
const windowSize = 32 << 10

// state is what an Inflater expects next.
type state uint8

const (
	atHeader  state = iota // the three bits a block begins with
	atLength               // how long a stored block is
	inStored               // octets of a stored block
	atTables               // how many codes a dynamic block has
	inLengths              // lengths of the code for lengths
	inCodes                // lengths of its two codes
	inData                 // a literal or the length of a copy
	atDist                 // the distance of a copy
	inCopy                 // octets of a copy
	atEnd                  // behind the last block
	broken                 // what came in is not in the format
)

// Inflater decodes one stream, as much of it as there is. Between two calls it
// keeps what the stream may still refer to: the octets it gave out last, as many as
// there were and at most 32 KiB, and, only within a block that has tables of its
// own, those. The zero Inflater is ready to use.
type Inflater struct {
	window []byte // what was given out last: a ring once it has windowSize
	at     int    // in the ring: where the next octet goes

	hold uint64 // bits that came in and were not used, the lowest first
	bits uint   // how many

	state    state
	last     bool // the present block is the last
	flushed  bool // the block before was empty and stored, and no other has begun
	stored   int  // octets of it to come
	length   int  // of the present copy, to come
	distance int

	codes *codes // of the present block
	own   *codes // the same, if they are not the fixed ones
}

// codes are the two codes of a block, and how far the reading of them is.
type codes struct {
	literals, distances code

	nLiterals, nDistances, nLengths, have int

	lengths [maxLiterals + maxDistances]uint8
}

// Of the alphabets of RFC 1951 3.2.5: how many symbols blocks may have codes for.
const (
	maxLiterals  = 286
	maxDistances = 30
	endOfBlock   = 256
)

// spare are codes that no block uses.
var spare = sync.Pool{New: func() any { return new(codes) }}

// Inflate decodes src to dst, until dst is full, src has been used up, or an empty
// stored block has ended, which is what a sync flush is: what comes behind one may
// belong to another stream, or to none. It says how much it wrote and read. What it could not write for want of room comes with
// the next call, which may have no src. It gives io.EOF behind the last block and
// ErrCorrupt at what is not in the format, and goes on giving it.
func (f *Inflater) Inflate(dst, src []byte) (wrote, read int, err error) {
	s := step{Inflater: f, dst: dst, src: src}
	for err == nil {
		var done bool
		if done, err = s.step(); done {
			break
		}
	}
	if err == ErrCorrupt {
		f.endBlock()
		*f = Inflater{state: broken}
	}
	return len(dst) - len(s.dst), len(src) - len(s.src), err
}

// Flushed reports whether the stream stands behind a sync flush, or at its end.
func (f *Inflater) Flushed() bool { return f.flushed || f.state == atEnd }

// Rest gives the octets that Inflate has read and not used, if the stream is
// Flushed: they come first of what is behind it.
func (f *Inflater) Rest() []byte {
	var rest []byte
	for hold := f.hold >> (f.bits % 8); len(rest) < int(f.bits/8); hold >>= 8 {
		rest = append(rest, byte(hold))
	}
	return rest
}

// step is one call of Inflate under way.
type step struct {
	*Inflater
	dst, src []byte
}

// step does what comes next, and reports whether there is no more to be done now.
func (s *step) step() (done bool, err error) {
	if s.state != inStored && s.state < atEnd {
		s.fill()
	}
	switch s.state {
	case atHeader:
		return s.header()
	case atLength:
		return s.storedLength()
	case inStored:
		return s.copyStored()
	case atTables, inLengths, inCodes:
		return s.tables()
	case inData:
		return s.data()
	case atDist:
		return s.copyFrom()
	case inCopy:
		return s.copy()
	case broken:
		return true, ErrCorrupt
	}
	return true, io.EOF
}

// fill takes octets from src while there is room for their bits.
func (s *step) fill() {
	for s.bits <= 56 && len(s.src) > 0 {
		s.hold |= uint64(s.src[0]) << s.bits
		s.bits += 8
		s.src = s.src[1:]
	}
}

// use takes n bits, which are there.
func (s *step) use(n uint) uint {
	v := uint(s.hold & (1<<n - 1))
	s.hold >>= n
	s.bits -= n
	return v
}

// header reads what a block begins with.
func (s *step) header() (bool, error) {
	if s.bits < 3 {
		return true, nil
	}
	s.last, s.flushed = s.use(1) == 1, false
	switch s.use(2) {
	case 0:
		s.use(s.bits % 8)
		s.state = atLength
	case 1:
		s.codes, s.state = fixed(), inData
	case 2:
		s.own = spare.Get().(*codes)
		s.codes, s.state = s.own, atTables
	default:
		return true, ErrCorrupt
	}
	return false, nil
}

// endBlock goes on behind a block.
func (f *Inflater) endBlock() {
	if f.own != nil {
		spare.Put(f.own)
	}
	f.own, f.codes, f.state = nil, nil, atHeader
	if f.last {
		f.state = atEnd
	}
}

func (s *step) storedLength() (bool, error) {
	if s.bits < 32 {
		return true, nil
	}
	n, inverted := s.use(16), s.use(16)
	if n != ^inverted&0xffff {
		return true, ErrCorrupt
	}
	if n == 0 {
		s.endBlock()
		s.flushed = true
		return true, nil
	}
	s.stored, s.state = int(n), inStored
	return false, nil
}

func (s *step) copyStored() (bool, error) {
	for s.stored > 0 && s.bits >= 8 && len(s.dst) > 0 {
		s.put(byte(s.use(8)))
		s.stored--
	}
	if s.stored > 0 && s.bits < 8 {
		n := min(s.stored, len(s.src), len(s.dst))
		for _, c := range s.src[:n] {
			s.put(c)
		}
		s.src, s.stored = s.src[n:], s.stored-n
	}
	if s.stored > 0 {
		return true, nil
	}
	s.endBlock()
	return false, nil
}

// data reads literals, and the length of the first copy among them.
func (s *step) data() (bool, error) {
	for {
		s.fill()
		symbol, n, err := s.codes.literals.decode(s.hold, s.bits)
		switch {
		case n == 0:
			return true, err
		case symbol < endOfBlock:
			if len(s.dst) == 0 {
				return true, nil
			}
			s.use(n)
			s.put(byte(symbol))
			continue
		case symbol == endOfBlock:
			s.use(n)
			s.endBlock()
			return false, nil
		case symbol > 285:
			return true, ErrCorrupt
		}
		extra := lengthExtra[symbol-257]
		if s.bits < n+uint(extra) {
			return true, nil
		}
		s.use(n)
		s.length, s.state = int(lengthBase[symbol-257])+int(s.use(uint(extra))), atDist
		return false, nil
	}
}

// copyFrom reads the distance of a copy.
func (s *step) copyFrom() (bool, error) {
	symbol, n, err := s.codes.distances.decode(s.hold, s.bits)
	if n == 0 {
		return true, err
	}
	if symbol >= maxDistances {
		return true, ErrCorrupt
	}
	extra := uint(0)
	if symbol >= 4 {
		extra = uint(symbol)/2 - 1
	}
	if s.bits < n+extra {
		return true, nil
	}
	s.use(n)
	s.distance = int(distanceBase[symbol]) + int(s.use(extra))
	if s.distance > len(s.window) {
		return true, ErrCorrupt
	}
	s.state = inCopy
	return false, nil
}

func (s *step) copy() (bool, error) {
	for ; s.length > 0; s.length-- {
		if len(s.dst) == 0 {
			return true, nil
		}
		s.put(s.window[(s.at-s.distance)&(windowSize-1)])
	}
	s.state = inData
	return false, nil
}

// put gives out one octet, for which there is room.
func (s *step) put(c byte) {
	s.dst[0] = c
	s.dst = s.dst[1:]
	if len(s.window) < windowSize {
		if len(s.window) == cap(s.window) {
			grown := make([]byte, len(s.window), min(max(2*len(s.window), 256), windowSize))
			copy(grown, s.window)
			s.window = grown
		}
		s.window = append(s.window, c)
		s.at = len(s.window) % windowSize
		return
	}
	s.window[s.at] = c
	s.at = (s.at + 1) % windowSize
}
