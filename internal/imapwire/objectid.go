package imapwire

import "postern/internal/mail"

// objectKey reads the object identifier of a search key that compares with one
// (RFC 8474 6).
func (s *searchReader) objectKey(dst *mail.Criteria, word []byte) bool {
	switch string(word) {
	case "EMAILID":
		dst.Op = mail.SearchEmailID
	case "THREADID":
		dst.Op = mail.SearchThreadID
	default:
		return false
	}
	s.uses |= UsesObjectID
	if !s.r.ExpectSP() || !s.r.ExpectAString(&dst.Text) {
		return false
	}
	return mail.IsObjectID(dst.Text) || s.r.wrong("an object identifier", "something else")
}

// FetchEmailID adds the message's EMAILID (RFC 8474 5.3).
func (w *Writer) FetchEmailID(o mail.EmailObject) *Writer {
	w.item(fetchNames[FetchEmailID])
	return w.Raw("(").Raw(o.String()).Raw(")")
}

// FetchThreadID adds the message's THREADID (RFC 8474 5.3).
func (w *Writer) FetchThreadID(t mail.ThreadID) *Writer {
	w.item(fetchNames[FetchThreadID])
	return w.Raw("(").Raw(t.String()).Raw(")")
}
