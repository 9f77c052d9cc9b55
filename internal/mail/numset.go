package mail

// NumRange is one element of a sequence set as a client wrote it: numbers from
// one end to the other, in either order (RFC 9051 9, seq-range). Star stands
// for "*", the highest number there is.
type NumRange struct{ From, To uint32 }

// Star is "*" in a NumRange. The grammar has no number 0, so it is free.
const Star uint32 = 0

// NumSet is a sequence set as a client wrote it: numbers, ranges and "*", or
// "$", the saved result of a search (RFC 9051 6.4.4.1). Whether the numbers are
// UIDs or message sequence numbers is for the command to say. A NumSet keeps
// ranges as ranges, so "1:4294967295" costs eight bytes.
type NumSet struct {
	Saved  bool // "$": Ranges is empty
	Ranges []NumRange
}

// HasStar reports whether "*" occurs in the set.
func (s NumSet) HasStar() bool {
	for _, r := range s.Ranges {
		if r.From == Star || r.To == Star {
			return true
		}
	}
	return false
}

// Bounds gives the range's ends in ascending order when "*" is highest. An
// element that names "*" includes highest even if its other end lies above
// (RFC 9051 9, seq-range: "3291:*" includes the highest number in use).
func (r NumRange) Bounds(highest uint32) (first, last uint32) {
	first, last = r.From, r.To
	if first == Star {
		first = highest
	}
	if last == Star {
		last = highest
	}
	return min(first, last), max(first, last)
}
