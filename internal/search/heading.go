package search

import (
	"postern/internal/mail"
	"postern/internal/message"
)

// Heading is what sorting and threading look at of a message. Strings are as they
// stand in the header; an absent field is the empty string, or the zero Address.
// It need be good only while it is added.
type Heading struct {
	Date mail.InternalDate
	Size uint32

	Relevancy uint8 // as the Evaluator gave it; 0 if nobody asked

	// Sent is the sent date in seconds since 1970 (RFC 5256 2.2). Of a message
	// without a Date field that can be read it is the internal date.
	Sent int64

	Subject   string
	From      message.Address // the first of them
	To        message.Address
	Cc        message.Address
	MessageID string
	InReplyTo string

	References string
}

// Fields is a set of what is to be filled in of a Heading. Date, Size and Relevancy always
// are.
type Fields uint8

// The fields.
const (
	FieldSent Fields = 1 << iota
	FieldSubject
	FieldFrom
	FieldTo
	FieldCc
	FieldMessageID
	FieldInReplyTo
	FieldReferences
)
