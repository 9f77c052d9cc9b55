package mail

import (
	"cmp"
	"slices"
	"strings"
)

// Grant is an entry of a mailbox's access control list (RFC 4314 2): what one
// account, or anyone, may do there; or, if it is negative, what is taken from
// what other entries give ("-name").
type Grant struct {
	Account  AccountID // Anyone: everybody who has an account
	Negative bool
	Rights   Rights // never 0
}

// Anyone, as the Account of a Grant, is everybody who has an account.
const Anyone AccountID = 0

// ACL is a mailbox's access control list: its grants in order of account, the
// positive before the negative one, each once. The owner of the mailbox has all
// rights and is not in it. An ACL is never changed in place.
type ACL []Grant

// For gives the rights of an account that is not the owner: those granted to it
// and to anyone, without those that are taken from it or from anyone. RFC 4314 2
// leaves to the server whether a name's own entry adds to that of "anyone" or
// stands in its place; here it adds.
func (l ACL) For(who AccountID) Rights {
	var given, taken Rights
	for _, g := range l {
		switch {
		case g.Account != who && g.Account != Anyone:
		case g.Negative:
			taken |= g.Rights
		default:
			given |= g.Rights
		}
	}
	return given &^ taken
}

// Get gives the rights of one entry, 0 if there is none.
func (l ACL) Get(who AccountID, negative bool) Rights {
	at, found := l.find(who, negative)
	if !found {
		return 0
	}
	return l[at].Rights
}

// With gives the list with one entry as g has it; without rights it is gone.
func (l ACL) With(g Grant) ACL {
	at, found := l.find(g.Account, g.Negative)
	out := slices.Clone(l)
	switch {
	case found && g.Rights == 0:
		return slices.Delete(out, at, at+1)
	case found:
		out[at] = g
		return out
	case g.Rights == 0:
		return l
	}
	return slices.Insert(out, at, g)
}

// Equal reports whether both lists have the same entries.
func (l ACL) Equal(m ACL) bool { return slices.Equal(l, m) }

// Sound reports whether the list is in order and holds no entry twice, and no
// rights that do not exist.
func (l ACL) Sound() bool {
	for i, g := range l {
		if g.Rights == 0 || g.Rights&^AllRights != 0 || i > 0 && compareGrants(l[i-1], g) >= 0 {
			return false
		}
	}
	return true
}

func (l ACL) find(who AccountID, negative bool) (int, bool) {
	return slices.BinarySearchFunc(l, Grant{Account: who, Negative: negative}, compareGrants)
}

func compareGrants(a, b Grant) int {
	if c := cmp.Compare(a.Account, b.Account); c != 0 || a.Negative == b.Negative {
		return c
	}
	if a.Negative {
		return 1
	}
	return -1
}

// rightLetters are the rights in the order of their bits (RFC 4314 2.1).
const rightLetters = "lrswipkxtea"

// RightLetters are all letters that rights are given by.
const RightLetters = rightLetters + "cd"

// The rights of RFC 2086 that became several (RFC 4314 2.1.1). "The former group"
// of servers is followed, as Dovecot and Cyrus do: c stands for k and x.
const (
	rightsOfC = RightCreate | RightDeleteBox
	rightsOfD = RightDeleteMail | RightExpunge
)

// String writes the rights as letters, in the order of RFC 8440's examples. Where
// members of the obsolete rights c and d are among them, these are too: "the
// server MUST also include" them (RFC 4314 2.1.1).
func (r Rights) String() string {
	var b strings.Builder
	for i, letter := range rightLetters {
		if letter == 'a' {
			if r&rightsOfC != 0 {
				b.WriteByte('c')
			}
			if r&rightsOfD != 0 {
				b.WriteByte('d')
			}
		}
		if r&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}

// ParseRights reads letters of rights, c and d included. mail.Invalid names one
// that is no right: "the server MUST NOT silently ignore unrecognized rights"
// (RFC 4314 3.1).
func ParseRights(text string) (Rights, error) {
	var r Rights
	for i := range len(text) {
		switch at := strings.IndexByte(rightLetters, text[i]); {
		case at >= 0:
			r |= 1 << at
		case text[i] == 'c':
			r |= rightsOfC
		case text[i] == 'd':
			r |= rightsOfD
		case text[i] >= 'A' && text[i] <= 'Z':
			return 0, Errorf(Invalid, "rights are written in lower case")
		default:
			return 0, Errorf(Invalid, "rights are letters of %s", RightLetters)
		}
	}
	return r, nil
}

// RightsOp is what SETACL does with an entry (RFC 4314 3.1).
type RightsOp uint8

// The three ways of SETACL.
const (
	SetRights    RightsOp = iota // replace
	AddRights                    // +
	RemoveRights                 // -
)

// Apply gives what r becomes when the operation is done with s.
func (op RightsOp) Apply(r, s Rights) Rights {
	switch op {
	case AddRights:
		return r | s
	case RemoveRights:
		return r &^ s
	default:
		return s
	}
}

// FlagKinds says which flags are meant, as rights tell them apart (RFC 4314 4).
type FlagKinds uint8

// The kinds of flags.
const (
	SeenFlag     FlagKinds = 1 << iota // right s
	DeletedFlag                        // right t
	OtherFlags                         // right w
	AllFlagKinds = 1<<iota - 1
)

// Flags gives the flags that somebody with these rights may change.
func (r Rights) Flags() FlagKinds {
	var k FlagKinds
	if r&RightSeen != 0 {
		k |= SeenFlag
	}
	if r&RightDeleteMail != 0 {
		k |= DeletedFlag
	}
	if r&RightWrite != 0 {
		k |= OtherFlags
	}
	return k
}

// Of gives those of the flags that are of these kinds.
func (f Flags) Of(kinds FlagKinds) Flags {
	var system SystemFlags
	if kinds&SeenFlag != 0 {
		system |= Seen
	}
	if kinds&DeletedFlag != 0 {
		system |= Deleted
	}
	if kinds&OtherFlags == 0 {
		return Flags{System: f.System & system}
	}
	return Flags{System: f.System & (system | AllSystem&^(Seen|Deleted)), Keywords: f.Keywords}
}
