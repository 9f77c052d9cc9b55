package view

import (
	"math/rand/v2"
	"testing"

	"postern/internal/mail"
)

func nums(pairs ...uint32) mail.NumSet {
	var s mail.NumSet
	for i := 0; i < len(pairs); i += 2 {
		s.Ranges = append(s.Ranges, mail.NumRange{From: pairs[i], To: pairs[i+1]})
	}
	return s
}

func TestMatchedUpTo(t *testing.T) {
	// RFC 7162 3.2.5.2: UIDs divisible by three, up to 30009.
	var thirds mail.UIDSet
	for uid := mail.UID(3); uid <= 30009; uid += 3 {
		thirds = thirds.Append(uid)
	}
	// "the mailbox's fourth message has UID 8, ... the twelfth has UID 25"
	eighth := mail.NewUIDSet(2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 25)
	const top = 1<<32 - 1
	for _, c := range []struct {
		name          string
		there         mail.UIDSet
		numbers, uids mail.NumSet
		want          mail.UID
	}{
		{"RFC, second example", thirds, nums(5000, 5000, 7500, 7500, 9000, 9000, 9990, 9999),
			nums(15000, 15000, 22500, 22500, 27000, 27000, 29970, 29970, 29973, 29973, 29976, 29976, 29979, 29979,
				29982, 29982, 29985, 29985, 29988, 29988, 29991, 29991, 29994, 29994, 29997, 29997), 29997},
		{"RFC, first paragraph", eighth, nums(4, 4, 12, 12), nums(8, 8, 24, 24), 8},
		{"none", eighth, nums(1, 1), nums(1, 1), 0},
		{"more numbers than UIDs", eighth, nums(4, 5), nums(8, 8), 0},
		{"not ascending", eighth, nums(4, 4, 1, 1), nums(8, 8, 2, 2), 0},
		{"empty mailbox", nil, nums(1, 5), nums(1, 5), 0},
		{"all there can be", span(1, top), nums(1, top), nums(1, top), top},
		{"beyond the end", span(1, 3), nums(1, top), nums(1, top), 3},
		{"shifted", span(2, 9), nums(1, top), nums(1, top), 0},
		{"the last alone", mail.UIDSet{{First: top, Last: top}}, nums(1, 1), nums(top, top), top},
		{"nothing", eighth, nums(), nums(), 0},
	} {
		if got := New(c.there, 1).MatchedUpTo(c.numbers, c.uids); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestMatchedUpToAtRandom compares with going over the pairs.
func TestMatchedUpToAtRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	some := func(n, of int) (s mail.NumSet) {
		at := uint32(0)
		for left := n; left > 0; {
			length := 1 + rnd.IntN(min(left, 5))
			from := at + 1 + uint32(rnd.IntN(of))
			at = from + uint32(length) - 1
			s.Ranges = append(s.Ranges, mail.NumRange{From: from, To: at})
			left -= length
		}
		return s
	}
	flat := func(s mail.NumSet) (all []uint32) {
		for _, r := range s.Ranges {
			for n := r.From; n <= r.To; n++ {
				all = append(all, n)
			}
		}
		return all
	}
	for range 20000 {
		var there mail.UIDSet
		for uid := mail.UID(1); uid < 20; uid++ {
			if rnd.IntN(3) > 0 {
				there = there.Append(uid)
			}
		}
		v := New(there, 1)
		n := rnd.IntN(8)
		numbers, uids := some(n, 2), some(n, 3)
		var want mail.UID
		ns, us := flat(numbers), flat(uids)
		for i := range ns {
			if uid, ok := v.UID(ns[i]); ok && uid == mail.UID(us[i]) {
				want = uid
			}
		}
		if got := v.MatchedUpTo(numbers, uids); got != want {
			t.Fatalf("%v: %v and %v match up to %d, want %d", there, numbers, uids, got, want)
		}
	}
}

func TestKnown(t *testing.T) {
	const star = mail.Star
	for _, c := range []struct {
		set     mail.NumSet
		highest mail.UID
		want    string
	}{
		{nums(1, star), 9, "1:9"},
		{nums(41, 41, 43, 211, 214, 541), 100, "41,43:100"},
		{nums(7, 9, 3, 4, 4, 7), 100, "3:9"},
		{nums(20, star), 9, "9"}, // RFC 9051 9: names the last all the same
		{nums(20, 30), 9, ""},
		{nums(1, 1<<32-1), 1<<32 - 2, "1:4294967294"},
		{nums(1, star), 0, ""},
	} {
		if got := Known(c.set, c.highest).String(); got != c.want {
			t.Errorf("%v up to %d: %s, want %s", c.set, c.highest, got, c.want)
		}
	}
}
