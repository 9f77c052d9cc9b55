package view

import (
	"iter"
	"slices"
	"sort"

	"postern/internal/mail"
)

// run is the UIDs from first to last without a gap, and how many UIDs the runs
// below it hold. Twelve bytes; a mailbox that lost no mail is one run.
type run struct {
	first, last mail.UID
	before      uint32
}

// count is the number of UIDs in the run.
func (r run) count() uint32 { return uint32(r.last-r.first) + 1 }

// runs is a set of UIDs that can be counted into: ascending runs that neither
// overlap nor touch. The UID in place n (from 1) and the place of a UID are each
// found by binary search.
type runs []run

// len is the number of UIDs.
func (rs runs) len() uint32 {
	if len(rs) == 0 {
		return 0
	}
	last := rs[len(rs)-1]
	return last.before + last.count()
}

// max is the highest UID, 0 if there is none.
func (rs runs) max() mail.UID {
	if len(rs) == 0 {
		return 0
	}
	return rs[len(rs)-1].last
}

// holding gives the index of the run with the UID in place seq, which must be
// from 1 to len.
func (rs runs) holding(seq uint32) int {
	return sort.Search(len(rs), func(i int) bool { return rs[i].before >= seq }) - 1
}

// reaching gives the index of the first run that ends at or above u.
func (rs runs) reaching(u mail.UID) int {
	return sort.Search(len(rs), func(i int) bool { return rs[i].last >= u })
}

// uid gives the UID in place seq.
func (rs runs) uid(seq uint32) (mail.UID, bool) {
	if seq == 0 || seq > rs.len() {
		return 0, false
	}
	r := rs[rs.holding(seq)]
	return r.first + mail.UID(seq-r.before-1), true
}

// seq gives the place of a UID.
func (rs runs) seq(u mail.UID) (uint32, bool) {
	i := rs.reaching(u)
	if i == len(rs) || rs[i].first > u {
		return 0, false
	}
	return rs[i].before + uint32(u-rs[i].first) + 1, true
}

// add appends UIDs that are all above max, in place as append does.
func (rs runs) add(uids mail.UIDSet) runs {
	for _, r := range uids {
		if n := len(rs); n > 0 && rs[n-1].last+1 == r.First {
			rs[n-1].last = r.Last
			continue
		}
		rs = append(rs, run{r.First, r.Last, rs.len()})
	}
	return rs
}

// remove takes UIDs out, in place. It works on the runs between the lowest and
// the highest UID taken and then counts anew from there on, so taking many at
// once costs one pass.
func (rs runs) remove(uids mail.UIDSet) runs {
	if uids.Empty() || len(rs) == 0 {
		return rs
	}
	from := rs.reaching(uids.Min())
	to := rs.reaching(uids.Max())
	if to < len(rs) && rs[to].first <= uids.Max() {
		to++
	}
	if from >= to {
		return rs
	}
	left := rs[from:to].set().Subtract(uids)
	kept := make(runs, len(left))
	for i, r := range left {
		kept[i] = run{first: r.First, last: r.Last}
	}
	rs = slices.Replace(rs, from, to, kept...)
	before := rs[:from].len()
	for i := from; i < len(rs); i++ {
		rs[i].before = before
		before += rs[i].count()
	}
	return rs
}

// set gives the UIDs as a set of its own.
func (rs runs) set() mail.UIDSet {
	if len(rs) == 0 {
		return nil
	}
	out := make(mail.UIDSet, len(rs))
	for i, r := range rs {
		out[i] = mail.UIDRange{First: r.first, Last: r.last}
	}
	return out
}

// cutUIDs appends to dst those UIDs that lie from first to last.
func (rs runs) cutUIDs(dst mail.UIDSet, first, last mail.UID) mail.UIDSet {
	from, to := rs.reaching(first), rs.reaching(last)
	if to < len(rs) && rs[to].first <= last {
		to++
	}
	dst = slices.Grow(dst, to-from)
	for _, r := range rs[from:to] {
		dst = dst.AppendRange(mail.UIDRange{First: max(r.first, first), Last: min(r.last, last)})
	}
	return dst
}

// cut gives those of a set that are among them.
func (rs runs) cut(uids mail.UIDSet) mail.UIDSet {
	var out mail.UIDSet
	for _, r := range uids {
		out = rs.cutUIDs(out, r.First, r.Last)
	}
	return out
}

// cutSeqs appends to dst the UIDs in the places first to last, which must be
// from 1 to len.
func (rs runs) cutSeqs(dst mail.UIDSet, first, last uint32) mail.UIDSet {
	within := rs[rs.holding(first) : rs.holding(last)+1]
	dst = slices.Grow(dst, len(within))
	for _, r := range within {
		low, high := max(first, r.before+1), min(last, r.before+r.count())
		dst = dst.AppendRange(mail.UIDRange{
			First: r.first + mail.UID(low-r.before-1),
			Last:  r.first + mail.UID(high-r.before-1),
		})
	}
	return dst
}

// spans calls each for every run of UIDs that is in both sets, ascending, with
// the place of its first UID. It stops when each gives false.
func (rs runs) spans(uids mail.UIDSet, each func(seq uint32, r mail.UIDRange) bool) {
	i := 0
	for _, want := range uids {
		if i < len(rs) && rs[i].last < want.First {
			i += rs[i:].reaching(want.First)
		}
		for ; i < len(rs) && rs[i].first <= want.Last; i++ {
			r := rs[i]
			first, last := max(r.first, want.First), min(r.last, want.Last)
			seq := r.before + uint32(first-r.first) + 1
			if !each(seq, mail.UIDRange{First: first, Last: last}) {
				return
			}
			if r.last > want.Last {
				break // the next range may begin in the same run
			}
		}
		if i == len(rs) {
			return
		}
	}
}

// numbered gives the UIDs that are in both sets with their places, ascending.
func (rs runs) numbered(uids mail.UIDSet) iter.Seq2[uint32, mail.UID] {
	return func(yield func(uint32, mail.UID) bool) {
		rs.spans(uids, func(seq uint32, r mail.UIDRange) bool {
			for u := r.First; ; u, seq = u+1, seq+1 {
				if !yield(seq, u) {
					return false
				}
				if u == r.Last {
					return true
				}
			}
		})
	}
}

// places gives the places of the UIDs that are in both sets, as ranges that
// neither overlap nor touch.
func (rs runs) places(dst []mail.NumRange, uids mail.UIDSet) []mail.NumRange {
	begin := len(dst)
	rs.spans(uids, func(seq uint32, r mail.UIDRange) bool {
		last := seq + uint32(r.Last-r.First)
		if n := len(dst); n > begin && dst[n-1].To+1 == seq {
			dst[n-1].To = last
		} else {
			dst = append(dst, mail.NumRange{From: seq, To: last})
		}
		return true
	})
	return dst
}
