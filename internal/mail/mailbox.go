package mail

import "strings"

// Separator is the hierarchy separator in every namespace (RFC 9051 5.1.1).
const Separator = '/'

// Inbox is the name of the mailbox every account has. It is written so whatever
// case a client uses (RFC 9051 5.1).
const Inbox = "INBOX"

// SpecialUse is what a mailbox is for (RFC 6154 2), as a set.
type SpecialUse uint16

// The special uses a mailbox can be given. \All and \Flagged are views that
// Postern does not offer.
const (
	UseArchive SpecialUse = 1 << iota
	UseDrafts
	UseJunk
	UseSent
	UseTrash
	UseImportant // RFC 8457
)

var useNames = [...]string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`, `\Important`}

// Names gives the set's attributes as LIST shows them.
func (u SpecialUse) Names() []string {
	var names []string
	for i, n := range useNames {
		if u&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// SpecialUseNamed gives the special use of that attribute, whatever its case,
// or 0.
func SpecialUseNamed(name string) SpecialUse {
	for i, n := range useNames {
		if CompareKeywords(n, name) == 0 {
			return 1 << i
		}
	}
	return 0
}

// ParseSpecialUses reads special uses with spaces between them, as they stand in
// SpecialUseEntry; it is no answer (false) if one is not known.
func ParseSpecialUses(text string) (SpecialUse, bool) {
	var all SpecialUse
	for name := range strings.FieldsSeq(text) {
		u := SpecialUseNamed(name)
		if u == 0 {
			return 0, false
		}
		all |= u
	}
	return all, true
}

// Rights is a set of the rights of RFC 4314 2.1. An account has all of them on
// its own mailboxes.
type Rights uint16

// The rights, one for each letter of RFC 4314.
const (
	RightLookup     Rights = 1 << iota // l: see it in LIST
	RightRead                          // r: SELECT, FETCH, SEARCH, COPY from
	RightSeen                          // s: keep \Seen
	RightWrite                         // w: flags other than \Seen and \Deleted
	RightInsert                        // i: APPEND, COPY into
	RightPost                          // p: mail may be delivered to it
	RightCreate                        // k: make mailboxes below it
	RightDeleteBox                     // x: delete or rename it
	RightDeleteMail                    // t: \Deleted
	RightExpunge                       // e: EXPUNGE
	RightAdminister                    // a: rights themselves
	AllRights       = 1<<iota - 1
)
