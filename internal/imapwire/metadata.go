package imapwire

import (
	"bytes"

	"postern/internal/mail"
)

// Depth is how far below an entry GETMETADATA asks (RFC 5464 4.2.2).
type Depth uint8

// The depths.
const (
	DepthNone     Depth = iota // the entry alone
	DepthOne                   // and those right below it
	DepthInfinity              // and all below it
)

// GetMetadataArgs are the arguments of GETMETADATA (RFC 5464 4.2).
type GetMetadataArgs struct {
	Mailbox    string // "" for the server
	Entries    []string
	Depth      Depth
	MaxSize    uint32 // octets of a value, if HasMaxSize
	HasMaxSize bool
	hasDepth   bool
}

// ExpectGetMetadataArgs demands the arguments of GETMETADATA. The options stand
// before the mailbox in RFC 5464 5 and behind it in its examples: both are taken.
func (r *Reader) ExpectGetMetadataArgs(a *GetMetadataArgs) bool {
	*a = GetMetadataArgs{}
	if !r.ExpectSP() {
		return false
	}
	options := r.next() == '('
	if options && (!r.expectOpen("options") || !r.metadataOptions(a) || !r.ExpectSP()) {
		return false
	}
	if !r.ExpectMailbox(&a.Mailbox) || !r.ExpectSP() {
		return false
	}
	if !r.open() {
		return r.err == nil && r.entry(&a.Entries) && r.ExpectCRLF()
	}
	if startsName(r.next()) && !options { // an entry begins with "/"
		if !r.metadataOptions(a) || !r.ExpectSP() {
			return false
		}
		if !r.open() {
			return r.err == nil && r.entry(&a.Entries) && r.ExpectCRLF()
		}
	}
	return r.rest(func() bool { return r.entry(&a.Entries) }) && r.ExpectCRLF()
}

// metadataOptions reads the options of GETMETADATA, whose parenthesis is open.
func (r *Reader) metadataOptions(a *GetMetadataArgs) bool {
	return r.rest(func() bool {
		var w wordBuffer
		switch string(r.word(labelChar, &w)) {
		case "MAXSIZE":
			if a.HasMaxSize {
				return r.wrong("MAXSIZE once", "it twice")
			}
			a.HasMaxSize = true
			return r.ExpectSP() && r.ExpectNumber(&a.MaxSize)
		case "DEPTH":
			if a.hasDepth {
				return r.wrong("DEPTH once", "it twice")
			}
			a.hasDepth = true
			return r.ExpectSP() && r.depthOption(&a.Depth)
		}
		return r.wrong("MAXSIZE or DEPTH", "another option")
	})
}

func (r *Reader) depthOption(d *Depth) bool {
	var w wordBuffer
	switch string(r.word(labelChar, &w)) {
	case "0":
		*d = DepthNone
	case "1":
		*d = DepthOne
	case "INFINITY":
		*d = DepthInfinity
	default:
		return r.wrong("0, 1 or infinity", "another depth")
	}
	return true
}

// entry reads the name of an entry, which may stand above others.
func (r *Reader) entry(dst *[]string) bool {
	var name string
	if !r.ExpectAString(&name) {
		return false
	}
	if !mail.ValidEntry(name) {
		return r.wrong("an entry below /private or /shared", "another name") // RFC 5464 3.2: BAD
	}
	*dst = append(*dst, name)
	return true
}

// SetMetadataArgs are the arguments of SETMETADATA (RFC 5464 4.3).
type SetMetadataArgs struct {
	Mailbox string // "" for the server
	Entries []mail.Metadata

	// TooLong says that a literal was refused because it was longer than a value
	// may be.
	TooLong bool
}

// ExpectSetMetadataArgs demands the arguments of SETMETADATA. A literal beyond most
// octets is refused (mail.TooBig) before a waiting client is asked to send it.
func (r *Reader) ExpectSetMetadataArgs(a *SetMetadataArgs, most int64) bool {
	*a = SetMetadataArgs{}
	seen := map[string]bool{}
	each := func() bool {
		var name []string
		if !r.entry(&name) {
			return false
		}
		switch key := mail.EntryKey(name[0]); {
		case !mail.SettableEntry(name[0]):
			return r.wrong("an entry of two components, or four where the second is vendor", "another name")
		case seen[key]:
			return r.wrong("each entry once", "one twice")
		default:
			seen[key] = true
		}
		e := mail.Metadata{Name: name[0]}
		if !r.ExpectSP() || !r.metadataValue(a, &e, most) {
			return false
		}
		a.Entries = append(a.Entries, e)
		return true
	}
	return r.ExpectSP() && r.ExpectMailbox(&a.Mailbox) && r.ExpectSP() && r.list("entries", false, each) && r.ExpectCRLF()
}

// metadataValue reads a value: nstring or literal8.
func (r *Reader) metadataValue(a *SetMetadataArgs, e *mail.Metadata, most int64) bool {
	switch r.next() {
	case '{', '~':
		limit := r.Limits.Literal
		r.Limits.Literal = min(limit, most)
		ok := r.memoryLiteral(&e.Value)
		r.Limits.Literal = limit
		a.TooLong = mail.KindOf(r.err) == mail.TooBig
		return ok || r.expected("a literal")
	case '"':
		var text []byte
		if !r.quoted(&text) {
			return false
		}
		e.Value = append([]byte{}, text...)
		return true
	}
	var none string
	var isNil bool
	return r.NString(&none, &isNil) && isNil || r.expected("a string, a literal or NIL")
}

// Metadata writes a METADATA response with the values of entries (RFC 5464 4.4.1).
// mailbox is "" for the server.
func (w *Writer) Metadata(mailbox string, all []mail.Metadata) *Writer {
	w.Raw("* METADATA ").metadataMailbox(mailbox).Raw(" (")
	for i := range all {
		if i > 0 {
			w.SP()
		}
		w.AString(all[i].Name).SP().metadataValue(all[i].Value)
	}
	return w.Raw(")").CRLF()
}

func (w *Writer) metadataMailbox(name string) *Writer {
	if name == "" {
		return w.Raw(`""`)
	}
	return w.Mailbox(name)
}

// metadataValue writes a value: octets that no string can hold as a literal8.
func (w *Writer) metadataValue(v []byte) *Writer {
	switch {
	case v == nil:
		return w.Raw("NIL")
	case bytes.IndexByte(v, 0) >= 0:
		return w.Literal8(int64(len(v)), bytes.NewReader(v))
	}
	return w.String(string(v))
}

// MetadataChanged writes a METADATA response that names entries which somebody has
// changed (RFC 5464 4.4.2).
func (w *Writer) MetadataChanged(mailbox string, entries []string) *Writer {
	w.Raw("* METADATA ").metadataMailbox(mailbox)
	for _, name := range entries {
		w.SP().AString(name)
	}
	return w.CRLF()
}
