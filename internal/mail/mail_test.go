package mail

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestInternalDateKeepsSecondsAndZone(t *testing.T) {
	for _, zone := range []int{0, 60, -60, 330, -210, 14 * 60, -12 * 60, 23*60 + 59, -(23*60 + 59)} {
		for _, unix := range []int64{0, 1, -1, 1e9, 1 << 33, -1 << 33} {
			in := time.Unix(unix, 999).In(time.FixedZone("", zone*60))
			d := NewInternalDate(in)
			if d.Unix() != unix || d.ZoneMinutes() != zone {
				t.Errorf("zone %d unix %d: got zone %d unix %d", zone, unix, d.ZoneMinutes(), d.Unix())
			}
			if got, want := d.Time().Format(time.RFC3339), in.Format(time.RFC3339); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	f := NewFlags(Seen|Flagged, "zeta", "$Junk", "alpha", "$JUNK")
	if got, want := f.String(), `(\Flagged \Seen $Junk alpha zeta)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !f.HasKeyword("ALPHA") || f.HasKeyword("beta") {
		t.Error("keywords are compared without regard to case")
	}
	if g := NewFlags(Flagged|Seen, "ALPHA", "Zeta", "$junk"); !f.Equal(g) {
		t.Errorf("%s and %s are the same set", f, g)
	}
	removed := f.Remove(NewFlags(Seen, "ALPHA"))
	if got, want := removed.String(), `(\Flagged $Junk zeta)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := f.String(), `(\Flagged \Seen $Junk alpha zeta)`; got != want {
		t.Errorf("Remove changed its operand: got %s, want %s", got, want)
	}
	if got, want := string(NewFlags(Draft).Append(nil, true)), `(\Draft \Recent)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := NewFlags(0).String(); got != "()" {
		t.Errorf("got %s, want ()", got)
	}
	set, add, remove := SetFlags.Apply(f, removed), AddFlags.Apply(removed, f), RemoveFlags.Apply(f, f)
	if !set.Equal(removed) || !add.Equal(f) || !remove.Empty() {
		t.Errorf("set %s, add %s, remove %s", set, add, remove)
	}
	if SystemFlag(`\sEEN`) != Seen || SystemFlag(`\Recent`) != 0 {
		t.Error("system flags are named without regard to case, and \\Recent is none")
	}
}

// TestUIDSet compares UIDSet with a plain map under random sets.
func TestUIDSet(t *testing.T) {
	uids := rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 40), func(n int) UID { return UID(n) }), 0, 30)
	rapid.Check(t, func(t *rapid.T) {
		as, bs := uids.Draw(t, "a"), uids.Draw(t, "b")
		a, b := NewUIDSet(as...), NewUIDSet(bs...)
		in := func(list []UID) map[UID]bool {
			m := map[UID]bool{}
			for _, u := range list {
				m[u] = true
			}
			return m
		}
		ma, mb := in(as), in(bs)
		check := func(name string, s UIDSet, want func(UID) bool) {
			n := 0
			for u := UID(1); u <= 41; u++ {
				if s.Contains(u) != want(u) {
					t.Fatalf("%s: %v of %s and %s is wrong at %d", name, s, a, b, u)
				}
				if want(u) {
					n++
				}
			}
			if s.Len() != n {
				t.Fatalf("%s: Len of %v is %d, want %d", name, s, s.Len(), n)
			}
			for i := 1; i < len(s); i++ {
				if s[i].First <= s[i-1].Last+1 {
					t.Fatalf("%s: runs of %v overlap or touch", name, s)
				}
			}
			count := 0
			for u := range s.All() {
				if !want(u) {
					t.Fatalf("%s: All gives %d", name, u)
				}
				count++
			}
			if count != n {
				t.Fatalf("%s: All gives %d UIDs, want %d", name, count, n)
			}
		}
		check("union", a.Union(b), func(u UID) bool { return ma[u] || mb[u] })
		check("intersect", a.Intersect(b), func(u UID) bool { return ma[u] && mb[u] })
		check("subtract", a.Subtract(b), func(u UID) bool { return ma[u] && !mb[u] })
		check("a", a, func(u UID) bool { return ma[u] })
		n := rapid.IntRange(0, 45).Draw(t, "n")
		head, rest := a.Take(n)
		if head.Len() != min(n, a.Len()) || !head.Union(rest).Equal(a) && a.Len() > 0 {
			t.Fatalf("Take(%d) of %s gave %s and %s", n, a, head, rest)
		}
		check("a afterwards", a, func(u UID) bool { return ma[u] })
	})
}

func TestUIDSetAtTheTop(t *testing.T) {
	const top = 1<<32 - 1
	s := UIDSet{{1, top}}
	if s.Len() != top || !s.Contains(top) {
		t.Error("the whole range is a set like any other")
	}
	if got := s.Subtract(UIDSet{{top, top}}).String(); got != "1:4294967294" {
		t.Errorf("got %s", got)
	}
	n := 0
	for range (UIDSet{{top - 1, top}}).All() {
		n++
	}
	if n != 2 {
		t.Errorf("All gave %d UIDs, want 2", n)
	}
}

func TestNumRangeBounds(t *testing.T) {
	for _, c := range []struct {
		r           NumRange
		highest     uint32
		first, last uint32
	}{
		{NumRange{2, 4}, 9, 2, 4},
		{NumRange{4, 2}, 9, 2, 4},
		{NumRange{Star, Star}, 9, 9, 9},
		{NumRange{3, Star}, 9, 3, 9},
		{NumRange{Star, 3}, 9, 3, 9},
		{NumRange{3291, Star}, 9, 9, 3291}, // RFC 9051 9, seq-range
	} {
		if first, last := c.r.Bounds(c.highest); first != c.first || last != c.last {
			t.Errorf("%v of %d: got %d to %d, want %d to %d", c.r, c.highest, first, last, c.first, c.last)
		}
	}
}

func TestKindOf(t *testing.T) {
	cause := errors.New("disk on fire")
	err := fmt.Errorf("account 7: %w", Wrap(cause, Unavailable, "try again later"))
	if KindOf(err) != Unavailable || !errors.Is(err, cause) {
		t.Errorf("got %v", KindOf(err))
	}
	if KindOf(cause) != Internal || Wrap(nil, Limit, "") != nil {
		t.Error("a plain error is Internal, and no error stays none")
	}
	for k := Internal; k <= NoSpace; k++ {
		if k.String() == "" || k.String() == fmt.Sprintf("kind %d", k) {
			t.Errorf("kind %d has no name", k)
		}
	}
}
