package imapwire

import "postern/internal/mail"

// Pattern is what LIST looks for (RFC 9051 6.3.9): a name in which "*" stands for
// any characters and "%" for any but the hierarchy separator. Matching looks at
// each octet of a name once and never goes back, whatever the pattern: it follows
// all ways to match at the same time, one bit for each (Glushkov's automaton).
// INBOX, alone or with a hierarchy below it, matches in any case.
//
// A Pattern is not changed by matching. Its memory is at most some 32 octets for
// each octet of it and each 64 of them.
type Pattern struct {
	Text    string // reference and pattern together, UTF-8
	Empty   bool   // the pattern was "": LIST asks for the separator
	invalid bool   // not modified UTF-7: no name is so, and nothing matches

	literals int        // octets that are no wildcards
	words    int        // of 64 bits, for literals+1 states
	index    [256]uint8 // row of masks for an octet; 0: it is not in the pattern
	masks    [][]uint64 // bit i: the pattern's i-th literal octet is this one
	any      []uint64   // bit i: before the i-th literal octet there is "*"
	level    []uint64   // bit i: before the i-th literal octet there is "%"
}

// NewPattern makes the pattern that LIST asks for with a reference name.
func NewPattern(reference, pattern string) Pattern {
	p := Pattern{Text: reference + pattern, Empty: pattern == ""}
	for i := range len(p.Text) {
		if c := p.Text[i]; c != '*' && c != '%' {
			p.literals++
		}
	}
	p.words = p.literals/64 + 1
	rows := make([]uint64, 3*p.words) // row 0 of the masks has no bits
	p.any, p.level, p.masks = rows[:p.words], rows[p.words:2*p.words], [][]uint64{rows[2*p.words:]}
	at := 0
	for i := range len(p.Text) {
		word, bit := at/64, uint64(1)<<(at%64)
		switch c := p.Text[i]; c {
		case '*':
			p.any[word] |= bit
		case '%':
			p.level[word] |= bit
		default:
			if p.index[c] == 0 {
				p.index[c] = uint8(len(p.masks))
				p.masks = append(p.masks, make([]uint64, p.words))
			}
			p.masks[p.index[c]][word] |= bit
			at++
		}
	}
	return p
}

// Match reports whether the name matches.
func (p *Pattern) Match(name string) bool {
	var room [16]uint64
	state, ok := p.run(name, room[:])
	return ok && state[p.literals/64]&(1<<(p.literals%64)) != 0
}

// MatchesBelow reports whether a name that begins with prefix may match. Where
// none does, nobody need look for such names.
func (p *Pattern) MatchesBelow(prefix string) bool {
	var room [16]uint64
	_, ok := p.run(prefix, room[:])
	return ok
}

// run takes the octets of a name, and gives the states the pattern is in after
// them, if any. They are in room if it is large enough.
func (p *Pattern) run(name string, room []uint64) ([]uint64, bool) {
	if p.invalid {
		return nil, false
	}
	state := room
	if p.words > len(room) {
		state = make([]uint64, p.words)
	}
	state = state[:p.words]
	state[0] = 1 // bit i: so far the name matches the pattern before its i-th literal octet
	inbox := inboxPrefix(name)
	for i := range len(name) {
		c := name[i]
		mask := p.masks[p.index[c]]
		other := mask
		if i < inbox && c >= 'A' && c <= 'Z' {
			other = p.masks[p.index[c+'a'-'A']]
		} else if i < inbox && c >= 'a' && c <= 'z' {
			other = p.masks[p.index[c+'A'-'a']]
		}
		if !p.step(state, mask, other, c == mail.Separator) {
			return nil, false
		}
	}
	return state, true
}

// step takes one octet: each state advances over a literal octet, stays in a
// wildcard, or ends. It reports whether any is left.
func (p *Pattern) step(state, mask, other []uint64, separator bool) bool {
	var carry, alive uint64
	for w, s := range state {
		advance := s & (mask[w] | other[w])
		stay := s & p.any[w]
		if !separator {
			stay |= s & p.level[w]
		}
		state[w] = advance<<1 | carry | stay
		carry = advance >> 63
		alive |= state[w]
	}
	return alive != 0
}

// inboxPrefix is how many octets at the beginning of a name are INBOX.
func inboxPrefix(name string) int {
	n := len(mail.Inbox)
	if len(name) < n || len(name) > n && name[n] != mail.Separator {
		return 0
	}
	for i := range n {
		if c := name[i]; c != mail.Inbox[i] && c != mail.Inbox[i]+'a'-'A' {
			return 0
		}
	}
	return n
}
