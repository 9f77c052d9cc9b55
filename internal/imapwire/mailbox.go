package imapwire

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
)

// Mailbox reads a mailbox's name and gives it in UTF-8, normalised (NFC, as
// Net-Unicode asks: RFC 5198, RFC 9755 3); INBOX in any case is mail.Inbox. A
// name that cannot be one is a *mail.Error of kind Cannot. Which characters and
// how many levels a name may have is not for the grammar to say.
func (r *Reader) Mailbox(dst *string) bool {
	var text []byte
	if !r.astringBytes(astringChar, &text) {
		return false
	}
	name, ok := decodeName(text, r.UTF8)
	if !ok {
		return r.refuse(mail.Cannot, "a mailbox name is %s", nameForm(r.UTF8))
	}
	if len(name) > 1 {
		// Thunderbird writes a separator behind names at times. None has one there.
		name = strings.TrimSuffix(name, string(mail.Separator))
	}
	if strings.EqualFold(name, mail.Inbox) && len(name) == len(mail.Inbox) {
		name = mail.Inbox
	}
	r.supplied = ""
	if r.UTF8 && name != string(text) {
		r.supplied = string(text)
	}
	*dst = name
	return true
}

// Denormalized gives the mailbox name that was read last as the client wrote it,
// if its UTF-8 was not normalised or it was INBOX in another case, and ""
// otherwise: what LIST calls OLDNAME (RFC 9051 6.3.9.7; the example in 8 has
// "inbox").
func (r *Reader) Denormalized() string { return r.supplied }

// ExpectMailbox demands a mailbox's name.
func (r *Reader) ExpectMailbox(dst *string) bool {
	return r.Mailbox(dst) || r.expected("a mailbox name")
}

func nameForm(inUTF8 bool) string {
	if inUTF8 {
		return "UTF-8"
	}
	return "modified UTF-7, as in RFC 3501 5.1.3"
}

// decodeName turns a name from the form it has on the wire into UTF-8. Where
// names are modified UTF-7, one with octets above 0x7f is not: if it is UTF-8, it
// is taken for that, as RFC 9755 3 suggests.
func decodeName(text []byte, inUTF8 bool) (string, bool) {
	ascii := !bytes.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf })
	switch {
	case ascii && (inUTF8 || bytes.IndexByte(text, '&') < 0):
		return string(text), true
	case ascii:
		name, ok := DecodeMUTF7(text)
		return norm.NFC.String(name), ok
	case !utf8.Valid(text):
		return "", false
	}
	return string(norm.NFC.Bytes(text)), true
}

// AppendMailbox writes a mailbox's name: as UTF-8 where the session has enabled
// that, in modified UTF-7 otherwise. INBOX is an atom; other names are quoted,
// as clients expect them, atoms or not.
func AppendMailbox(dst []byte, name string, inUTF8 bool) []byte {
	if name == mail.Inbox {
		return append(dst, name...)
	}
	if inUTF8 {
		return AppendString(dst, name, true)
	}
	if isPlainName(name) {
		return appendQuoted(dst, name)
	}
	var room [128]byte
	return appendQuoted(dst, string(AppendMUTF7(room[:0], name)))
}

// isPlainName reports whether modified UTF-7 leaves the name as it is.
func isPlainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == '&' {
			return false
		}
	}
	return true
}
