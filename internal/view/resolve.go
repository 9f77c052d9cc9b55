package view

import (
	"slices"

	"postern/internal/mail"
)

// Resolve turns a set as the client wrote it into the UIDs of messages the
// client knows of, held ones included. With byUID the numbers are UIDs: those
// that do not exist are passed over without an error (RFC 9051 6.4.9), and a
// range that names "*" includes the last message even if its other end lies
// above. Otherwise they are sequence numbers, and one above Len, or "*" when
// there is no message, is mail.Invalid, for a tagged BAD (RFC 9051 9,
// seq-number). "$" is the search result variable either way.
//
// Ranges may overlap and come in any order; what it costs depends on how many
// ranges and gaps there are, never on how far a range reaches.
func (v *View) Resolve(set mail.NumSet, byUID bool) (mail.UIDSet, error) {
	if set.Saved {
		return v.saved, nil
	}
	highest := v.Len()
	if byUID {
		highest = uint32(v.uids.max())
	}
	spans := make([]mail.NumRange, 0, len(set.Ranges))
	for _, r := range set.Ranges {
		first, last := r.Bounds(highest)
		if !byUID && (last > highest || first == 0) {
			return nil, beyond(r, highest)
		}
		spans = append(spans, mail.NumRange{From: first, To: last})
	}
	if highest == 0 {
		return nil, nil // UIDs in an empty mailbox: there is nothing they could name
	}
	var out mail.UIDSet
	for _, s := range merge(spans) {
		if byUID {
			out = v.uids.cutUIDs(out, mail.UID(s.From), mail.UID(s.To))
		} else {
			out = v.uids.cutSeqs(out, s.From, s.To)
		}
	}
	return out, nil
}

// beyond is the error of a sequence number that names no message.
func beyond(r mail.NumRange, highest uint32) error {
	if highest == 0 {
		return mail.Errorf(mail.Invalid, "the mailbox is empty: there is no message with that number")
	}
	return mail.Errorf(mail.Invalid, "there is no message %d: the last one is %d", max(r.From, r.To), highest)
}

// merge sorts ranges and joins those that overlap or touch, in place.
func merge(spans []mail.NumRange) []mail.NumRange {
	byFrom := func(a, b mail.NumRange) int {
		switch {
		case a.From < b.From:
			return -1
		case a.From > b.From:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(spans, byFrom) {
		slices.SortFunc(spans, byFrom)
	}
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && uint64(s.From) <= uint64(out[n-1].To)+1 {
			out[n-1].To = max(out[n-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	return out
}
