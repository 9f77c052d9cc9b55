package imapwire

// StatusItems is a set of the items of STATUS.
type StatusItems uint16

// The items of STATUS, in the order in which they are written.
const (
	StatusMessages StatusItems = 1 << iota
	StatusRecent               // RFC 3501
	StatusUIDNext
	StatusUIDValidity
	StatusUnseen
	StatusDeleted
	StatusSize
	StatusHighestModSeq  // RFC 7162
	StatusAppendLimit    // RFC 7889
	StatusMailboxID      // RFC 8474
	StatusDeletedStorage // RFC 9208
)

var statusNames = [...]string{
	"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE",
	"HIGHESTMODSEQ", "APPENDLIMIT", "MAILBOXID", "DELETED-STORAGE",
}

// StatusItems reads a parenthesised list of items of STATUS.
func (r *Reader) StatusItems(dst *StatusItems) bool {
	if r.next() != '(' {
		return false
	}
	var items StatusItems
	ok := r.list("status items", false, func() bool {
		var w wordBuffer
		word := string(r.word(labelChar, &w))
		for i, name := range statusNames {
			if name == word {
				items |= 1 << i
				return true
			}
		}
		return r.wrong("a status item", "an unknown one")
	})
	if ok {
		*dst = items
	}
	return ok
}

// ExpectStatusItems demands a parenthesised list of items of STATUS.
func (r *Reader) ExpectStatusItems(dst *StatusItems) bool {
	return r.StatusItems(dst) || r.expected("a list of status items")
}

// StatusArgs are the arguments of STATUS.
type StatusArgs struct {
	Mailbox string
	Items   StatusItems
}

// ExpectStatusArgs demands the arguments of STATUS.
func (r *Reader) ExpectStatusArgs(a *StatusArgs) bool {
	return r.ExpectSP() && r.ExpectMailbox(&a.Mailbox) && r.ExpectSP() && r.ExpectStatusItems(&a.Items) && r.ExpectCRLF()
}
