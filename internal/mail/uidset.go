package mail

import (
	"iter"
	"slices"
	"strconv"
)

// UIDRange is the UIDs from First to Last, both included, First <= Last.
type UIDRange struct{ First, Last UID }

// UIDSet is a set of UIDs as ascending runs that neither overlap nor touch. It
// costs eight bytes a run, so the UIDs of a mailbox that lost no mail are one
// run. The zero value is the empty set. Operations that give a set may share
// memory with their operands; a set that is shared is not changed in place.
type UIDSet []UIDRange

// NewUIDSet makes a set of single UIDs in any order.
func NewUIDSet(uids ...UID) UIDSet {
	sorted := slices.Clone(uids)
	slices.Sort(sorted)
	var s UIDSet
	for _, u := range sorted {
		s = s.Append(u)
	}
	return s
}

// Append adds a UID at or above every UID of the set, in place as append does.
func (s UIDSet) Append(u UID) UIDSet { return s.AppendRange(UIDRange{u, u}) }

// AppendRange adds a run whose First is at or above the First of the set's last
// run, in place as append does.
func (s UIDSet) AppendRange(r UIDRange) UIDSet {
	if n := len(s); n > 0 && uint64(r.First) <= uint64(s[n-1].Last)+1 {
		s[n-1].Last = max(s[n-1].Last, r.Last)
		return s
	}
	return append(s, r)
}

// Empty reports whether the set holds nothing.
func (s UIDSet) Empty() bool { return len(s) == 0 }

// Len is the number of UIDs in the set.
func (s UIDSet) Len() int {
	n := 0
	for _, r := range s {
		n += int(r.Last-r.First) + 1
	}
	return n
}

// Max is the highest UID of the set, 0 if it is empty.
func (s UIDSet) Max() UID {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// Min is the lowest UID of the set, 0 if it is empty.
func (s UIDSet) Min() UID {
	if len(s) == 0 {
		return 0
	}
	return s[0].First
}

// Contains reports whether u is in the set.
func (s UIDSet) Contains(u UID) bool {
	i := s.search(u)
	return i < len(s) && s[i].First <= u
}

// search gives the first run that ends at or after u.
func (s UIDSet) search(u UID) int {
	i, _ := slices.BinarySearchFunc(s, u, func(r UIDRange, u UID) int {
		if r.Last < u {
			return -1
		}
		return 1
	})
	return i
}

// All gives the UIDs in ascending order.
func (s UIDSet) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, r := range s {
			for u := r.First; ; u++ {
				if !yield(u) {
					return
				}
				if u == r.Last {
					break
				}
			}
		}
	}
}

// Union gives the UIDs in s, in t or in both.
func (s UIDSet) Union(t UIDSet) UIDSet {
	if len(s) == 0 {
		return t
	}
	if len(t) == 0 {
		return s
	}
	out := make(UIDSet, 0, len(s)+len(t))
	for len(s) > 0 || len(t) > 0 {
		if len(t) == 0 || len(s) > 0 && s[0].First <= t[0].First {
			out, s = out.AppendRange(s[0]), s[1:]
		} else {
			out, t = out.AppendRange(t[0]), t[1:]
		}
	}
	return out
}

// Intersect gives the UIDs that are in both sets.
func (s UIDSet) Intersect(t UIDSet) UIDSet {
	var out UIDSet
	for len(s) > 0 && len(t) > 0 {
		first, last := max(s[0].First, t[0].First), min(s[0].Last, t[0].Last)
		if first <= last {
			out = append(out, UIDRange{first, last})
		}
		if s[0].Last < t[0].Last {
			s = s[1:]
		} else {
			t = t[1:]
		}
	}
	return out
}

// Subtract gives the UIDs of s that are not in t.
func (s UIDSet) Subtract(t UIDSet) UIDSet {
	if len(t) == 0 {
		return s
	}
	out := make(UIDSet, 0, len(s))
	for _, r := range s {
		for len(t) > 0 && t[0].Last < r.First {
			t = t[1:]
		}
		for _, cut := range t {
			if cut.First > r.Last {
				break
			}
			if cut.First > r.First {
				out = append(out, UIDRange{r.First, cut.First - 1})
			}
			if cut.Last >= r.Last {
				r.First = 0 // nothing of the run is left
				break
			}
			r.First = cut.Last + 1
		}
		if r.First != 0 {
			out = append(out, r)
		}
	}
	return out
}

// Take splits the set: the first n UIDs and the rest.
func (s UIDSet) Take(n int) (head, rest UIDSet) {
	for i, r := range s {
		size := int(r.Last-r.First) + 1
		if n >= size {
			n -= size
			continue
		}
		if n == 0 {
			return s[:i:i], s[i:]
		}
		head = append(slices.Clone(s[:i]), UIDRange{r.First, r.First + UID(n) - 1})
		rest = append(UIDSet{{r.First + UID(n), r.Last}}, s[i+1:]...)
		return head, rest
	}
	return s, nil
}

// Equal reports whether both sets hold the same UIDs.
func (s UIDSet) Equal(t UIDSet) bool { return slices.Equal(s, t) }

// AppendText writes the set as an IMAP sequence set, "1:3,5"; nothing if empty.
func (s UIDSet) AppendText(dst []byte) []byte {
	for i, r := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(r.First), 10)
		if r.Last != r.First {
			dst = strconv.AppendUint(append(dst, ':'), uint64(r.Last), 10)
		}
	}
	return dst
}

// String writes the set as an IMAP sequence set.
func (s UIDSet) String() string { return string(s.AppendText(nil)) }
