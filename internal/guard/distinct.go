package guard

import (
	"math"
	"math/bits"
)

// Different things are counted by linear counting: each sets one bit of a set by
// its hash, and the bits that are still clear tell how many there were. Up to half
// as many things as there are bits that is a few per cent off; far above it tells
// only that there were very many.

// note adds a thing to a set, whose length is a power of two.
func note(set []uint64, hash uint64) {
	set[hash>>6&uint64(len(set)-1)] |= 1 << (hash & 63)
}

// count estimates how many different things are in a set.
func count(set []uint64) int {
	on, all := 0, 64*len(set)
	for _, w := range set {
		on += bits.OnesCount64(w)
	}
	off := max(all-on, 1)
	return int(math.Round(float64(all) * math.Log(float64(all)/float64(off))))
}

// A window of time has a set for each of several stretches, the oldest of which is
// dropped when a new one begins: how many, and how long each is.
const (
	failPanes, failPane = 6, 10 * minute // an hour
	goodPanes, goodPane = 7, day         // a week
	loadPanes, loadPane = 12, 5 * minute // an hour

	placeWords = 256 / 64  // of one network's sets
	loadWords  = 4096 / 64 // of those of all together
)

// failWindow holds the accounts that failed from a network within an hour.
type failWindow struct {
	last  uint32 // the stretch that began last
	panes [failPanes][placeWords]uint64
}

func (w *failWindow) pane(now uint32) *[placeWords]uint64 {
	return turn(w.panes[:], &w.last, now/failPane)
}

func (w *failWindow) count(now uint32) int {
	w.pane(now)
	var all [placeWords]uint64
	for i := range w.panes {
		union(all[:], w.panes[i][:])
	}
	return count(all[:])
}

// goodWindow holds the accounts that signed in from a network within a week.
type goodWindow struct {
	last  uint32
	panes [goodPanes][placeWords]uint64
}

func (w *goodWindow) pane(now uint32) *[placeWords]uint64 {
	return turn(w.panes[:], &w.last, now/goodPane)
}

func (w *goodWindow) count(now uint32) int {
	w.pane(now)
	var all [placeWords]uint64
	for i := range w.panes {
		union(all[:], w.panes[i][:])
	}
	return count(all[:])
}

// loadWindow holds the accounts that failed from anywhere within an hour.
type loadWindow struct {
	last  uint32
	panes [loadPanes][loadWords]uint64
}

func (w *loadWindow) pane(now uint32) *[loadWords]uint64 {
	return turn(w.panes[:], &w.last, now/loadPane)
}

func (w *loadWindow) count(now uint32) int {
	w.pane(now)
	var all [loadWords]uint64
	for i := range w.panes {
		union(all[:], w.panes[i][:])
	}
	return count(all[:])
}

// turn gives the set of the stretch that now is in, and empties those of the
// stretches that have begun since the last one.
func turn[S any](panes []S, last *uint32, now uint32) *S {
	n := uint32(len(panes))
	if now > *last { // a clock that went back changes nothing
		for i := range min(now-*last, n) {
			var empty S
			panes[(now-i)%n] = empty
		}
		*last = now
	}
	return &panes[*last%n]
}

func union(all, set []uint64) {
	for i, w := range set {
		all[i] |= w
	}
}

// mix spreads the bits of a number over the whole of it (splitmix64), in every
// process alike: sets of accounts are kept over restarts.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
