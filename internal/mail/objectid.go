package mail

import (
	"strconv"
	"strings"
)

// MailboxObject is what a mailbox's MAILBOXID (RFC 8474 4) is made of. The
// UIDVALIDITY is part of it because a mailbox that gets a new one, as after a
// restore, is another one to clients: what they know by the old MAILBOXID may not
// be what is there (RFC 8474 4, third paragraph). RENAME changes none of the three.
type MailboxObject struct {
	Account  AccountID
	Mailbox  MailboxID
	Validity UIDValidity
}

// String gives the MAILBOXID: an F and numbers in hexadecimal.
func (o MailboxObject) String() string {
	return objectID('F', uint64(o.Account), uint64(o.Mailbox), uint64(o.Validity))
}

// EmailObject is what a message's EMAILID (RFC 8474 5.1) is made of: all of it
// goes along with COPY and MOVE within an account and never changes. The
// MessageID alone would do, were it not that a store brought back from a backup
// gives out once more those it gave out after the backup was made; the new
// messages differ from the lost ones in when they came or in their size.
type EmailObject struct {
	Account AccountID
	Message MessageID
	Date    InternalDate
	Size    uint32 // octets
}

// EmailOf gives the EMAILID's parts for a message of an account.
func EmailOf(account AccountID, m *Message) EmailObject {
	return EmailObject{Account: account, Message: m.ID, Date: m.Date, Size: m.Size}
}

// String gives the EMAILID: an M and numbers in hexadecimal.
func (o EmailObject) String() string {
	return objectID('M', uint64(o.Account), uint64(o.Message), uint64(o.Date), uint64(o.Size))
}

// ParseEmailObject reads an EMAILID. It takes none that String does not give:
// object identifiers are compared octet by octet (RFC 8474 7).
func ParseEmailObject(text string) (o EmailObject, ok bool) {
	digits, ok := strings.CutPrefix(text, "M")
	if !ok || len(text) > maxObjectID {
		return EmailObject{}, false
	}
	parts := strings.Split(digits, "-")
	if len(parts) != 4 {
		return EmailObject{}, false
	}
	var numbers [4]uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 16, 64)
		if err != nil {
			return EmailObject{}, false
		}
		numbers[i] = n
	}
	o = EmailObject{Account: AccountID(numbers[0]), Message: MessageID(numbers[1]),
		Date: InternalDate(numbers[2]), Size: uint32(numbers[3])}
	if o.String() != text {
		return EmailObject{}, false
	}
	return o, true
}

// ThreadID is what a message's THREADID (RFC 8474 5.2) is made of: a digest of the
// msg-id its thread began with, as far as was known when the first message of it
// came. It is the same in every account.
type ThreadID uint64

// String gives the THREADID: a T and a number in hexadecimal.
func (t ThreadID) String() string { return objectID('T', uint64(t)) }

// ParseThreadID reads a THREADID. It takes none that String does not give.
func ParseThreadID(text string) (ThreadID, bool) {
	digits, ok := strings.CutPrefix(text, "T")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	if t := ThreadID(n); err == nil && t.String() == text {
		return t, true
	}
	return 0, false
}

// maxObjectID is how many octets an object identifier has at most (RFC 8474 7).
const maxObjectID = 255

// IsObjectID reports whether text is an object identifier (RFC 8474 7).
func IsObjectID(text string) bool {
	if text == "" || len(text) > maxObjectID {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// objectID writes numbers behind a letter that says what they name. Such an
// identifier begins with no digit and no dash, has no NIL in it, and no other
// differs from it by case alone (RFC 8474 8.1).
func objectID(kind byte, numbers ...uint64) string {
	dst := make([]byte, 0, 48)
	dst = append(dst, kind)
	for i, n := range numbers {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = strconv.AppendUint(dst, n, 16)
	}
	return string(dst)
}
