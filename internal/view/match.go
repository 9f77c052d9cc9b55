package view

import (
	"slices"

	"postern/internal/mail"
)

// Known gives the UIDs that a set names, whether there are such messages or not,
// up to highest, which is also what "*" stands for. It is for clients that name
// what they knew once (RFC 7162 3.2.5.1, 3.2.6). What it costs depends on the
// number of ranges alone.
func Known(set mail.NumSet, highest mail.UID) mail.UIDSet {
	if highest == 0 {
		return nil
	}
	spans := make([]mail.NumRange, 0, len(set.Ranges))
	for _, r := range set.Ranges {
		if first, last := r.Bounds(uint32(highest)); first <= uint32(highest) {
			spans = append(spans, mail.NumRange{From: first, To: min(last, uint32(highest))})
		}
	}
	var out mail.UIDSet
	for _, s := range merge(spans) {
		out = out.AppendRange(mail.UIDRange{First: mail.UID(s.From), Last: mail.UID(s.To)})
	}
	return out
}

// MatchedUpTo compares message sequence match data (RFC 7162 3.2.5.2) with the
// view: numbers and uids name the same messages, one by one and ascending, as a
// client knew them. It gives the highest UID that still has the number it had: up
// to there the client knows every expunge. It gives 0 if there is none, and for
// lists that are no pairs or do not ascend, from which nothing follows.
func (v *View) MatchedUpTo(numbers, uids mail.NumSet) mail.UID {
	n, u := slices.Clone(numbers.Ranges), slices.Clone(uids.Ranges)
	if !ascending(n) || !ascending(u) || count(n) != count(u) {
		return 0
	}
	var match mail.UID
	for i, j := 0, 0; i < len(n); {
		// The two lists are cut into stretches in which both count up.
		more := min(n[i].To-n[i].From, u[j].To-u[j].From)
		match = max(match, v.uids.matched(n[i].From, mail.UID(u[j].From), more))
		i += behind(&n[i], more)
		j += behind(&u[j], more)
	}
	return match
}

// behind takes the first numbers off a range, one and more, and gives 1 if that was
// all of it, else 0.
func behind(r *mail.NumRange, more uint32) int {
	if r.To-r.From == more {
		return 1
	}
	r.From += more + 1
	return 0
}

// matched gives the highest UID that has the place it is said to have: the places
// from first on, one and more, are said to have the UIDs from uid on.
func (rs runs) matched(first uint32, uid mail.UID, more uint32) (match mail.UID) {
	if first > rs.len() {
		return 0
	}
	for _, r := range rs[rs.holding(first):] {
		from, to := max(first, r.before+1), r.before+r.count()
		if from-first > more {
			break
		}
		to = first + min(to-first, more)
		if r.first+mail.UID(from-r.before-1) == uid+mail.UID(from-first) {
			match = uid + mail.UID(to-first)
		}
	}
	return match
}

func ascending(ranges []mail.NumRange) bool {
	for i := 1; i < len(ranges); i++ {
		if ranges[i].From <= ranges[i-1].To {
			return false
		}
	}
	return true
}

func count(ranges []mail.NumRange) uint64 {
	n := uint64(0)
	for _, r := range ranges {
		n += uint64(r.To-r.From) + 1
	}
	return n
}
