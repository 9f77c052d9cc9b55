package mail

import "fmt"

// AccountID names an account for the life of the store. It is given out by the
// store's directory, never reused, and never 0. An account that is renamed
// keeps its ID.
type AccountID uint64

// MailboxID names a mailbox within its account. It survives RENAME, is never
// reused after DELETE, and is never 0: a Change whose Mailbox is 0 concerns the
// account as a whole.
type MailboxID uint64

// MessageID names a message's content within its account: its summary and its
// body. COPY and MOVE within one account share it, so the rows of several
// mailboxes may bear the same MessageID. It is never reused and never 0. It is
// not the Message-ID header field.
type MessageID uint64

// UID is the unique identifier of a message in a mailbox (RFC 9051 2.3.1.1):
// ascending in order of arrival, never reused while UIDVALIDITY lasts, never 0.
type UID uint32

// UIDValidity is the unique identifier validity value of a mailbox (RFC 9051
// 2.3.1.1), never 0. It is kept by RENAME and new after DELETE and CREATE.
type UIDValidity uint32

// ModSeq is a position in an account's log (RFC 7162 3.1): the first change of
// an account has ModSeq 1, every change takes the next. It stays below 2^63. 0
// stands for "before everything".
type ModSeq uint64

// MaxModSeq is the highest value RFC 7162 allows on the wire.
const MaxModSeq ModSeq = 1<<63 - 1

// BodyRef names a stored body in the whole store. It is a name that is used
// once and never again, not a hash of the content; the driver that stored the
// body chose it. The zero BodyRef names nothing.
type BodyRef [16]byte

// IsZero reports whether the reference names nothing.
func (r BodyRef) IsZero() bool { return r == BodyRef{} }

// String gives the reference as 32 hexadecimal digits, for logs and reports.
func (r BodyRef) String() string { return fmt.Sprintf("%x", r[:]) }
