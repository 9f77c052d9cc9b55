package mail

import "strings"

// Metadata is an entry of a mailbox, or of the server, with its value (RFC 5464
// 3.1).
type Metadata struct {
	// Name is the entry's, in the case in which it was set first: names are
	// compared without (RFC 5464 3.2).
	Name string

	// Reader is whose a private entry is; 0 for one that is shared.
	Reader AccountID

	// Value is never changed in place. nil is NIL: the entry has no value, and is
	// not there. A value of no octets is another thing.
	Value []byte

	ModSeq ModSeq // of the change that set the value
}

// SpecialUseEntry is the entry that stands for a mailbox's special uses (RFC 6154
// 4). Its value is kept as they are, not among the metadata.
const SpecialUseEntry = "/private/specialuse"

// The two scopes of entries (RFC 5464 3.2), and within them what products name
// their own.
const (
	privateScope = "/private"
	sharedScope  = "/shared"
	vendorLevel  = "/vendor"
)

// MaxEntryName bounds the name of an entry, in octets.
const MaxEntryName = 512

// ValidEntry reports whether an entry may be asked for by that name: it begins with
// "/private" or "/shared", and has no empty component, no wildcard, no control
// character and nothing beyond ASCII in it (RFC 5464 3.2; where that says 0x19 it
// means 0x1f).
func ValidEntry(name string) bool {
	if len(name) > MaxEntryName || entryScope(name) == "" || strings.HasSuffix(name, "/") || strings.Contains(name, "//") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == '*' || c == '%' {
			return false
		}
	}
	return true
}

// entryScope gives the scope an entry is in, "" if in none.
func entryScope(name string) string {
	for _, scope := range []string{privateScope, sharedScope} {
		if len(name) >= len(scope) && strings.EqualFold(name[:len(scope)], scope) && (len(name) == len(scope) || name[len(scope)] == '/') {
			return scope
		}
	}
	return ""
}

// SettableEntry reports whether an entry of that name can have a value: it has two
// components, or four where the second is "vendor" (RFC 5464 3.2).
func SettableEntry(name string) bool {
	if !ValidEntry(name) {
		return false
	}
	rest := name[len(entryScope(name)):]
	if rest == "" {
		return false
	}
	inVendor := len(rest) >= len(vendorLevel) && strings.EqualFold(rest[:len(vendorLevel)], vendorLevel) &&
		(len(rest) == len(vendorLevel) || rest[len(vendorLevel)] == '/')
	return !inVendor || strings.Count(name, "/") >= 4
}

// PrivateEntry reports whether each reader has a value of their own in an entry.
func PrivateEntry(name string) bool { return entryScope(name) == privateScope }

// EntryKey gives the form in which names of entries are compared and sorted.
func EntryKey(name string) string { return strings.ToLower(name) }

// EntryDepth tells how many levels an entry stands below another, 0 if it is that
// one. It is no answer (false) if it does not stand below it.
func EntryDepth(name, above string) (int, bool) {
	if len(name) < len(above) || !strings.EqualFold(name[:len(above)], above) {
		return 0, false
	}
	rest := name[len(above):]
	if rest != "" && rest[0] != '/' {
		return 0, false
	}
	return strings.Count(rest, "/"), true
}
