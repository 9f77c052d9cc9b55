package mail

import (
	"slices"
	"strings"
)

// Comparator is how SEARCH, SORT and THREAD compare texts (RFC 4790, RFC 5255 4). The
// zero value is the default, i;unicode-casemap.
type Comparator struct {
	Collation  Collation
	Descending bool // order is turned round
}

// Collation is one of the collations that Postern has.
type Collation uint8

// The collations. All of them offer equality, substring and ordering.
const (
	UnicodeCasemap Collation = iota // RFC 5051
	ASCIICasemap                    // RFC 4790 9.2
	Octet                           // RFC 4790 9.3
)

var collationNames = [...]string{"i;unicode-casemap", "i;ascii-casemap", "i;octet"}

// Collations gives all of them, those first that people want first.
func Collations() []Collation { return []Collation{UnicodeCasemap, ASCIICasemap, Octet} }

// String gives the collation's registered name.
func (c Collation) String() string { return collationNames[c] }

// String gives the name as RFC 4790 3.3 writes it (collation-selected).
func (c Comparator) String() string {
	if c.Descending {
		return "-" + c.Collation.String()
	}
	return c.Collation.String()
}

// maxCollation is how long the name of a collation may be (RFC 4790 3.2).
const maxCollation = 255

// MatchComparators gives the comparators that a client's order means (RFC 4790 3.2,
// 3.3, collation-order; RFC 5255 4.7), the best first: a name or a pattern in which
// "*" stands for anything, perhaps with a direction, or "default". ok is false if
// it is none of these.
func MatchComparators(order string) (matching []Comparator, ok bool) {
	if strings.EqualFold(order, "default") {
		return []Comparator{{}}, true
	}
	pattern, descending := strings.CutPrefix(order, "-")
	if !descending {
		pattern = strings.TrimPrefix(order, "+")
	}
	if !isCollationPattern(pattern) {
		return nil, false
	}
	for _, c := range Collations() {
		if matchesPattern(strings.Split(strings.ToLower(pattern), "*"), c.String()) {
			matching = append(matching, Comparator{c, descending})
		}
	}
	return matching, true
}

// isCollationPattern says whether a text is a collation-wild: a letter or "*", then
// letters, digits and some signs, between which one "*" each may stand.
func isCollationPattern(s string) bool {
	if s == "" || len(s) > maxCollation || strings.Contains(s, "**") {
		return false
	}
	isLetter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	if s[0] != '*' && !isLetter(s[0]) {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !isLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-;=.*", rune(c))
	})
}

// matchesPattern matches what stands between the "*" of a pattern.
func matchesPattern(parts []string, name string) bool {
	last := len(parts) - 1
	if last == 0 {
		return name == parts[0]
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	for _, part := range parts[1:last] {
		if ok {
			_, rest, ok = strings.Cut(rest, part)
		}
	}
	return ok && strings.HasSuffix(rest, parts[last])
}
