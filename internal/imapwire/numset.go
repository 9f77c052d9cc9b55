package imapwire

import (
	"bytes"

	"postern/internal/mail"
)

// NumSet reads a sequence set (RFC 9051 9): numbers, ranges and "*", or "$" for
// the saved result of a search. It stays as ranges; what follows its
// predecessor without a gap joins it, so repetitions cost nothing.
func (r *Reader) NumSet(dst *mail.NumSet) bool {
	text := r.span(setChar)
	if len(text) == 0 {
		return false
	}
	set, ok := ParseNumSet(text)
	if !ok {
		return r.wrong("a sequence set", "something like one")
	}
	*dst = set
	return true
}

// ExpectNumSet demands a sequence set.
func (r *Reader) ExpectNumSet(dst *mail.NumSet) bool {
	return r.NumSet(dst) || r.expected("a sequence set")
}

// ParseNumSet reads text as a sequence set. "$" stands alone: RFC 5182 gives it
// no meaning within a list.
func ParseNumSet(text []byte) (set mail.NumSet, ok bool) {
	if string(text) == "$" {
		return mail.NumSet{Saved: true}, true
	}
	set.Ranges = make([]mail.NumRange, 0, 1)
	for more := true; more; {
		var element []byte
		element, text, more = bytes.Cut(text, []byte{','})
		from, to, isRange := bytes.Cut(element, []byte{':'})
		var rng mail.NumRange
		if rng.From, ok = parseSeqNumber(from); !ok {
			return mail.NumSet{}, false
		}
		rng.To = rng.From
		if isRange {
			if rng.To, ok = parseSeqNumber(to); !ok {
				return mail.NumSet{}, false
			}
		}
		set.Ranges = appendRange(set.Ranges, rng)
	}
	return set, true
}

// appendRange adds a range, joining it to the last one where that says the same.
func appendRange(ranges []mail.NumRange, r mail.NumRange) []mail.NumRange {
	if r.To < r.From && r.To != mail.Star {
		r.From, r.To = r.To, r.From // 4:2 and 2:4 are equivalent
	}
	if n := len(ranges); n > 0 && r.From != mail.Star && r.To != mail.Star {
		last := &ranges[n-1]
		if last.From != mail.Star && last.To != mail.Star && r.From >= last.From && r.From-1 <= last.To {
			last.To = max(last.To, r.To)
			return ranges
		}
	}
	return append(ranges, r)
}

func parseSeqNumber(text []byte) (uint32, bool) {
	if len(text) == 1 && text[0] == '*' {
		return mail.Star, true
	}
	if len(text) == 0 || text[0] == '0' {
		return 0, false
	}
	n, ok := parseNumber(text, 1<<32-1)
	return uint32(n), ok
}
