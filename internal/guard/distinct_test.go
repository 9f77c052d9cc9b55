package guard

import (
	"math/rand/v2"
	"testing"
)

// TestCountIsClose: within a tenth of the truth over the range that decisions are
// made in, on the average of many sets.
func TestCountIsClose(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct{ words, n int }{{placeWords, 8}, {placeWords, 40}, {placeWords, 150}, {loadWords, 15}, {loadWords, 1000}, {loadWords, 5000}} {
		off := 0.0
		for range 50 {
			set := make([]uint64, test.words)
			for range test.n {
				who := mix(rng.Uint64())
				note(set, who)
				note(set, who)
			}
			d := float64(count(set)-test.n) / float64(test.n)
			off += max(d, -d)
		}
		if off/50 > 0.1 {
			t.Errorf("%d in %d words: %.0f %% off", test.n, test.words, 2*off)
		}
	}
}

func TestWindowForgets(t *testing.T) {
	var w failWindow
	const t0 = 1_790_000_000
	for i := range 6 {
		note(w.pane(t0 + uint32(i*failPane))[:], mix(uint64(i)))
	}
	for i, want := range []int{6, 5, 4, 3, 2, 1, 0} {
		if n := w.count(t0 + uint32((5+i)*failPane)); n != want {
			t.Errorf("%d stretches later: %d, want %d", i, n, want)
		}
	}
	if n := w.count(t0); n != 0 { // the clock went back
		t.Errorf("%d", n)
	}
}
