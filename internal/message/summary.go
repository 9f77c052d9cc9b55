package message

import (
	"time"
)

// Summary is what one pass over a message found. It holds no reference to the
// message's bytes and is not changed after [Parser.Close] returned it.
type Summary struct {
	// Size is the number of bytes of the message as stored (RFC822.SIZE).
	Size int64
	// Lines is the number of line ends (LF octets) in the whole message.
	Lines int64
	// Envelope is that of the message itself; encapsulated messages have
	// theirs in their Part.
	Envelope Envelope
	// References is the raw References field, for THREAD=REFERENCES.
	References Text
	// SentDate is the parsed Date field in the zone it was written in, so that
	// its year, month and day are those the sender wrote (RFC 9051 6.4.4
	// disregards time and zone in SENTON). It is the zero Time when the field
	// is absent or cannot be read: SENT* keys then do not match, SORT and
	// THREAD fall back to INTERNALDATE (RFC 5256 2.2).
	SentDate time.Time
	// Root is the part that is the whole message: its header is the message's
	// header, its body the message's body.
	Root *Part
	// Truncated tells that a limit of this package was met, so that the
	// Summary describes less than the message contains.
	Truncated bool
}

// Part is one MIME entity. Offsets are bytes from the start of the message:
//
//	HeaderStart <= BodyStart <= BodyEnd
//
// The header is [HeaderStart, BodyStart) and includes the empty line that ends
// it, where there is one. The range of every child lies within
// [BodyStart, BodyEnd) of its parent, and siblings follow one another.
//
// Type, Subtype, Encoding, Disposition.Type and parameter names are upper-case
// ASCII, as the examples of RFC 9051 write them; all other strings are raw
// header text with folding removed. An empty string stands for an absent field.
type Part struct {
	HeaderStart int64
	BodyStart   int64
	BodyEnd     int64
	// Lines is the number of LF octets in the body in its transfer encoding. A
	// last line that has no line end adds nothing.
	Lines int64

	Type        string // "TEXT"; never empty
	Subtype     string // "PLAIN"; never empty
	Params      []Param
	ID          string // Content-ID
	Description string // Content-Description
	Encoding    string // "7BIT" when the field is absent
	MD5         string // Content-MD5
	Disposition Disposition
	Language    []string // Content-Language, one tag each
	Location    string   // Content-Location, without white space

	// Envelope is that of the message this part encapsulates; nil for all but
	// message/rfc822 and message/global.
	Envelope *Envelope
	// Parts are the children: at least one for a multipart, exactly one (the
	// encapsulated message's root) where Envelope is set, none otherwise.
	Parts []*Part
}

// Disposition is a Content-Disposition field (RFC 2183). Type is empty when the
// field is absent.
type Disposition struct {
	Type   string
	Params []Param
}

// Size is the length of the body in bytes, in its transfer encoding.
func (p *Part) Size() int64 { return p.BodyEnd - p.BodyStart }

// HeaderSize is the length of the header in bytes, its empty line included.
func (p *Part) HeaderSize() int64 { return p.BodyStart - p.HeaderStart }

// IsMultipart tells whether the part is a multipart, which has no content of
// its own but its children.
func (p *Part) IsMultipart() bool { return p.Type == "MULTIPART" }

// IsMessage tells whether the part encapsulates a message whose parts are
// numbered below it. Base64-encoded messages are not such parts.
func (p *Part) IsMessage() bool { return p.Envelope != nil }

// IsText tells whether the part is a text/* one, which has a line count in
// BODYSTRUCTURE.
func (p *Part) IsText() bool { return p.Type == "TEXT" }

// Charset is the charset parameter, empty if there is none.
func (p *Part) Charset() string { return findParam(p.Params, "CHARSET") }

// Filename is the name the sender gave the part: the filename of its
// disposition or else the name of its type, with encoded words (which RFC 2047
// 5 forbids there and senders use) decoded. It is for matching and display;
// whoever makes a file of it must not trust it.
func (p *Part) Filename() string {
	name := findParam(p.Disposition.Params, "FILENAME")
	if name == "" {
		name = findParam(p.Params, "NAME")
	}
	return DecodeHeader(name)
}

// Text is an unstructured field as it stands in the header, with folding
// removed and nothing decoded, or its absence. ENVELOPE tells the two apart:
// NIL for an absent field, "" for an empty one (RFC 9051 7.5.2).
//
// Line ends are gone from Value, white space around it too, and a NUL, which no
// IMAP string but a literal8 can carry, is replaced by U+FFFD. 8-bit bytes and a
// bare CR may be in it.
type Text struct {
	Value   string
	Present bool
}

// Envelope is the ENVELOPE of RFC 9051 7.5.2. Sender and ReplyTo already hold
// From where the message has none. An empty list is NIL on the wire.
type Envelope struct {
	Date      Text
	Subject   Text
	From      []Address
	Sender    []Address
	ReplyTo   []Address
	To        []Address
	Cc        []Address
	Bcc       []Address
	InReplyTo Text
	MessageID Text
}

// AddressKind tells an address from the markers around the members of a group.
type AddressKind uint8

const (
	// Mailbox is an ordinary address.
	Mailbox AddressKind = iota
	// GroupStart opens a group whose name is in Address.Mailbox.
	GroupStart
	// GroupEnd closes the group opened last.
	GroupEnd
)

// Address is one address structure. In ENVELOPE an empty Name or ADL is NIL;
// Host is NIL for both group markers and Mailbox for GroupEnd. Mailbox and Host
// of an ordinary address are strings even when empty, because NIL there would
// mean group syntax.
type Address struct {
	Kind AddressKind
	// Name is the display name or, where there is none, the comment beside the
	// address. Quotes are undone, encoded words are not.
	Name string
	// ADL is the source route, "@a,@b".
	ADL     string
	Mailbox string // local part with quotes undone, or a group's name
	Host    string // domain, or a domain literal with its brackets
}
