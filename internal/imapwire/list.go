package imapwire

import "postern/internal/mail"

// ListSelect is a set of the selection options of LIST (RFC 5258 3.1).
type ListSelect uint8

// The selection options.
const (
	SelectSubscribed ListSelect = 1 << iota
	SelectRemote
	SelectRecursiveMatch
	SelectSpecialUse // RFC 6154
)

// ListReturn is a set of the return options of LIST (RFC 5258 3.2).
type ListReturn uint8

// The return options.
const (
	ReturnSubscribed ListReturn = 1 << iota
	ReturnChildren
	ReturnSpecialUse // RFC 6154
	ReturnStatus     // RFC 5819: ListArgs.Status
	ReturnMetadata   // RFC 9590: ListArgs.Metadata
	ReturnMyRights   // RFC 8440
)

// MaxPatterns bounds the patterns of one LIST: every name is matched against each.
const MaxPatterns = 64

// ListArgs are the arguments of LIST and LSUB.
type ListArgs struct {
	Select    ListSelect
	Reference string // UTF-8
	Patterns  []Pattern
	Return    ListReturn
	Status    StatusItems
	Metadata  []string // entries

	badReference bool

	// Extended says that the command used syntax of RFC 5258: an empty pattern
	// then asks for nothing rather than for the hierarchy separator.
	Extended bool
}

// ExpectListArgs demands the arguments of LIST.
func (r *Reader) ExpectListArgs(a *ListArgs) bool {
	*a = ListArgs{}
	if !r.ExpectSP() {
		return false
	}
	if r.next() == '(' {
		a.Extended = true
		if !r.listSelect(&a.Select) || !r.ExpectSP() {
			return false
		}
	}
	if !r.reference(a) || !r.ExpectSP() {
		return false
	}
	if r.next() == '(' {
		a.Extended = true
		ok := r.list("patterns", false, func() bool { return r.pattern(a) })
		if !ok {
			return false
		}
	} else if !r.pattern(a) {
		return false
	}
	if r.SP() {
		a.Extended = true
		if !r.listReturn(a) {
			return false
		}
	}
	return r.ExpectCRLF()
}

// ExpectLsubArgs demands the arguments of LSUB (RFC 3501 6.3.9).
func (r *Reader) ExpectLsubArgs(a *ListArgs) bool {
	*a = ListArgs{}
	return r.ExpectSP() && r.reference(a) && r.ExpectSP() && r.pattern(a) && r.ExpectCRLF()
}

// reference reads the reference name. One that is no name of a mailbox makes
// every pattern match nothing, as a pattern that is none does.
func (r *Reader) reference(a *ListArgs) bool {
	var text []byte
	if !r.astringBytes(astringChar, &text) {
		return r.expected("a reference name")
	}
	name, ok := decodeName(text, r.UTF8)
	a.Reference, a.badReference = name, !ok
	return true
}

// pattern reads one pattern (RFC 9051 9, list-mailbox) and joins it to the
// reference: Postern's names have one hierarchy, so what RFC 9051 6.3.9 calls
// interpreting a pattern in the context of the reference is putting them together.
func (r *Reader) pattern(a *ListArgs) bool {
	var text []byte
	if !r.astringBytes(listChar, &text) {
		return r.expected("a pattern")
	}
	if len(a.Patterns) == MaxPatterns {
		return r.refuse(mail.Limit, "a LIST has at most %d patterns", MaxPatterns)
	}
	name, ok := decodeName(text, r.UTF8)
	if !ok || a.badReference {
		a.Patterns = append(a.Patterns, Pattern{invalid: true})
		return true
	}
	a.Patterns = append(a.Patterns, NewPattern(a.Reference, name))
	return true
}

func (r *Reader) listSelect(dst *ListSelect) bool {
	ok := r.list("selection options", true, func() bool {
		var w wordBuffer
		switch string(r.word(labelChar, &w)) {
		case "SUBSCRIBED":
			*dst |= SelectSubscribed
		case "REMOTE":
			*dst |= SelectRemote
		case "RECURSIVEMATCH":
			*dst |= SelectRecursiveMatch
		case "SPECIAL-USE":
			*dst |= SelectSpecialUse
		default:
			return r.wrong("a selection option", "an unknown one") // RFC 5258 3: BAD
		}
		return true
	})
	if ok && *dst&SelectRecursiveMatch != 0 && *dst&(SelectSubscribed|SelectSpecialUse) == 0 {
		return r.wrong("an option that RECURSIVEMATCH applies to", "none") // RFC 5258 3.1
	}
	return ok
}

func (r *Reader) listReturn(a *ListArgs) bool {
	var w wordBuffer
	if string(r.word(labelChar, &w)) != "RETURN" {
		return r.wrong("RETURN", "something else")
	}
	return r.ExpectSP() && r.list("return options", true, func() bool {
		var w wordBuffer
		switch string(r.word(labelChar, &w)) {
		case "SUBSCRIBED":
			a.Return |= ReturnSubscribed
		case "CHILDREN":
			a.Return |= ReturnChildren
		case "SPECIAL-USE":
			a.Return |= ReturnSpecialUse
		case "MYRIGHTS":
			a.Return |= ReturnMyRights
		case "STATUS":
			a.Return |= ReturnStatus
			return r.ExpectSP() && r.ExpectStatusItems(&a.Status)
		case "METADATA":
			a.Return |= ReturnMetadata
			a.Metadata = nil
			return r.ExpectSP() && r.list("entries", false, func() bool { return r.entry(&a.Metadata) })
		default:
			return r.wrong("a return option", "an unknown one")
		}
		return true
	})
}
