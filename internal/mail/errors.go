package mail

import (
	"errors"
	"fmt"
)

// Kind is why something failed, as far as the other side may know. The list is
// closed: one place per protocol turns each Kind into a reply (RFC 5530).
type Kind uint8

// The kinds. Internal is that of every error that is not an *Error.
const (
	Internal      Kind = iota // a fault of ours: SERVERBUG
	Unavailable               // cannot now, may later: store trouble, overload, shutting down
	NotFound                  // no such mailbox, account, message
	AlreadyExists             // the name is taken
	NotPermitted              // the rights do not allow it
	ReadOnly                  // the mailbox is selected read-only
	OverQuota                 // it would exceed a quota
	TooBig                    // larger than may ever be stored
	Limit                     // one of the server's limits
	Cannot                    // never possible: a bad name, \Noselect, INBOX deleted
	HasChildren               // a mailbox with children cannot go this way
	InUse                     // somebody else holds it
	Invalid                   // the request contradicts itself: the client's fault
	BadCharset                // SEARCH in a charset we do not know
	UnknownCTE                // a body part's transfer encoding is unknown
	AuthFailed                // no such user, wrong password, disabled: never said which
	NotAuthorized             // signed in, but may not act as the identity asked for
	PrivacyNeeded             // not without TLS
	Corrupt                   // stored data does not check out
	Canceled                  // given up because the client or the server went away
	NoSpace                   // the disk is below its reserve: as Unavailable, and the other side should wait
)

var kindNames = [...]string{
	"internal error", "unavailable", "not found", "already exists", "not permitted", "read-only",
	"over quota", "too big", "limit reached", "cannot", "has children", "in use", "invalid",
	"unknown charset", "unknown transfer encoding", "authentication failed", "not authorized",
	"privacy required", "corrupt", "canceled", "no space",
}

// String names the kind for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", k)
}

// Error is a failure whose Kind is known. Text may be shown to the client and
// holds nothing about other accounts; Err, the cause, goes to the log alone.
type Error struct {
	Kind Kind
	Text string
	Err  error
}

// Errorf makes an *Error whose text is formatted; it is what the client reads.
// A cause is kept apart with Wrap.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a Kind and a text for the client. It gives nil for nil.
func Wrap(err error, kind Kind, text string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Text: text, Err: err}
}

// Error gives the text and the cause, for logs.
func (e *Error) Error() string {
	text := e.Text
	if text == "" {
		text = e.Kind.String()
	}
	if e.Err != nil {
		return text + ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the Kind of the outermost *Error in err's chain, Internal if
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
