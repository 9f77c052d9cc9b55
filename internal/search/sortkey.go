package search

import (
	"encoding/binary"

	"postern/internal/mail"
	"postern/internal/message"
)

// sortFields says what of a Heading each sort key looks at.
func sortFields(k mail.SortKey) Fields {
	switch k {
	case mail.SortCc:
		return FieldCc
	case mail.SortDate:
		return FieldSent
	case mail.SortFrom, mail.SortDisplayFrom:
		return FieldFrom
	case mail.SortSubject:
		return FieldSubject
	case mail.SortTo, mail.SortDisplayTo:
		return FieldTo
	}
	return 0
}

// sortNumber gives a message's value for a key that compares numbers; isText says
// that the key compares texts.
func sortNumber(k mail.SortKey, h *Heading) (n uint64, isText bool) {
	switch k {
	case mail.SortArrival:
		return ordered(h.Date.Unix()), false
	case mail.SortDate:
		return ordered(h.Sent), false
	case mail.SortRelevancy:
		return uint64(bestScore - h.Relevancy), false // the best first
	case mail.SortSize:
		return uint64(h.Size), false
	}
	return 0, true
}

// ordered maps signed numbers to unsigned ones in the same order.
func ordered(n int64) uint64 { return uint64(n) ^ 1<<63 }

// sortText gives a message's value for a key that compares texts, in UTF-8 and not
// yet folded.
func sortText(dst []byte, k mail.SortKey, h *Heading) []byte {
	switch k {
	case mail.SortSubject:
		dst, _ = appendBase(dst, h.Subject)
		return dst
	case mail.SortCc:
		return append(dst, message.DecodeHeader(h.Cc.Mailbox)...)
	case mail.SortFrom:
		return append(dst, message.DecodeHeader(h.From.Mailbox)...)
	case mail.SortTo:
		return append(dst, message.DecodeHeader(h.To.Mailbox)...)
	case mail.SortDisplayFrom:
		return appendDisplay(dst, &h.From)
	default:
		return appendDisplay(dst, &h.To)
	}
}

// appendDisplay appends the DISPLAY sort value of an address (RFC 5957 3). The
// marker of a group's beginning has no host, and a group's end has nothing.
func appendDisplay(dst []byte, a *message.Address) []byte {
	if name := message.DecodeHeader(a.Name); name != "" {
		return append(dst, name...)
	}
	dst = append(dst, message.DecodeHeader(a.Mailbox)...)
	if a.Kind == message.Mailbox && *a != (message.Address{}) {
		dst = append(append(dst, '@'), a.Host...)
	}
	return dst
}

// head gives the first eight octets of a folded text as a number in the order of
// the texts: most comparisons need no more.
func head(folded []byte) uint64 {
	if len(folded) >= 8 {
		return binary.BigEndian.Uint64(folded)
	}
	var padded [8]byte
	copy(padded[:], folded)
	return binary.BigEndian.Uint64(padded[:])
}
