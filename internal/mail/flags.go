package mail

import (
	"slices"
	"strings"
)

// SystemFlags is the set of system flags a message bears (RFC 9051 2.3.2).
// \Recent is not among them: it belongs to a session, not to a message.
type SystemFlags uint8

// The system flags, in the order in which they are written.
const (
	Answered SystemFlags = 1 << iota
	Flagged
	Deleted
	Seen
	Draft
)

// AllSystem is every system flag.
const AllSystem = Answered | Flagged | Deleted | Seen | Draft

var systemNames = [...]string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}

// SystemFlag gives the system flag of that name, case-insensitively, or 0.
func SystemFlag(name string) SystemFlags {
	for i, n := range systemNames {
		if strings.EqualFold(n, name) {
			return 1 << i
		}
	}
	return 0
}

// Flags is a set of flags: system flags and keywords. Keywords are sorted
// without regard to case and hold each keyword once; they are compared without
// regard to case (RFC 9051 2.3.2) and keep the spelling they came in. A Flags
// value is never changed in place once it is shared: the operations below give
// a new one. The zero value is the empty set.
type Flags struct {
	System   SystemFlags
	Keywords []string
}

// NewFlags makes a set of system flags and keywords; of keywords that differ in
// case only the first is kept.
func NewFlags(system SystemFlags, keywords ...string) Flags {
	return Flags{System: system}.Add(Flags{Keywords: keywords})
}

// CompareKeywords orders keywords without regard to the case of ASCII letters.
func CompareKeywords(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Empty reports whether no flag is in the set.
func (f Flags) Empty() bool { return f.System == 0 && len(f.Keywords) == 0 }

// HasKeyword reports whether the keyword is in the set, whatever its case.
func (f Flags) HasKeyword(k string) bool {
	_, found := slices.BinarySearchFunc(f.Keywords, k, CompareKeywords)
	return found
}

// Equal reports whether both sets hold the same flags, whatever their spelling.
func (f Flags) Equal(g Flags) bool {
	return f.System == g.System && slices.EqualFunc(f.Keywords, g.Keywords, func(a, b string) bool {
		return CompareKeywords(a, b) == 0
	})
}

// Add gives the union of both sets. A keyword that is in both keeps f's spelling.
func (f Flags) Add(g Flags) Flags {
	out := Flags{System: f.System | g.System, Keywords: f.Keywords}
	for i, k := range g.Keywords {
		at, found := slices.BinarySearchFunc(out.Keywords, k, CompareKeywords)
		if found {
			continue
		}
		grown := make([]string, 0, len(out.Keywords)+len(g.Keywords)-i)
		grown = append(append(grown, out.Keywords[:at]...), k)
		out.Keywords = append(grown, out.Keywords[at:]...)
	}
	return out
}

// Remove gives the flags of f that are not in g.
func (f Flags) Remove(g Flags) Flags {
	out := Flags{System: f.System &^ g.System, Keywords: f.Keywords}
	if slices.ContainsFunc(f.Keywords, g.HasKeyword) {
		out.Keywords = slices.DeleteFunc(slices.Clone(f.Keywords), g.HasKeyword)
	}
	return out
}

// FlagOp is what a STORE does with its flags (RFC 9051 6.4.6).
type FlagOp uint8

// The three ways of STORE. Above them are those of somebody who may change only
// some kinds of flags: see For.
const (
	SetFlags    FlagOp = iota + 1 // FLAGS: replace
	AddFlags                      // +FLAGS
	RemoveFlags                   // -FLAGS

	lastFlagOp = RemoveFlags + FlagOp(AllFlagKinds) - 1
)

// For gives the operation of somebody who may change only these kinds of flags:
// one that replaces leaves the other kinds as they are. What is added or removed
// has to be limited to the kinds beforehand (Flags.Of).
func (op FlagOp) For(kinds FlagKinds) FlagOp {
	if op == SetFlags && kinds != 0 && kinds != AllFlagKinds {
		return RemoveFlags + FlagOp(kinds)
	}
	return op
}

// Sets reports whether the operation replaces flags, all of them or some kinds.
func (op FlagOp) Sets() bool { return op != AddFlags && op != RemoveFlags }

// Valid reports whether there is such an operation.
func (op FlagOp) Valid() bool { return op >= SetFlags && op <= lastFlagOp }

// Apply gives what f becomes when the operation is done with g.
func (op FlagOp) Apply(f, g Flags) Flags {
	switch op {
	case AddFlags:
		return f.Add(g)
	case RemoveFlags:
		return f.Remove(g)
	case SetFlags:
		return g
	default:
		kinds := FlagKinds(op - RemoveFlags)
		return f.Of(AllFlagKinds &^ kinds).Add(g.Of(kinds))
	}
}

// Append writes the set as a parenthesised flag list; recent adds \Recent,
// which RFC 3501 sessions are shown and RFC 9051 sessions are not.
func (f Flags) Append(dst []byte, recent bool) []byte {
	dst = append(dst, '(')
	start := len(dst)
	for i, name := range systemNames {
		if f.System&(1<<i) != 0 {
			dst = append(append(dst, name...), ' ')
		}
	}
	for _, k := range f.Keywords {
		dst = append(append(dst, k...), ' ')
	}
	if recent {
		dst = append(dst, `\Recent `...)
	}
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return append(dst, ')')
}

// String writes the set as a parenthesised flag list.
func (f Flags) String() string { return string(f.Append(nil, false)) }
