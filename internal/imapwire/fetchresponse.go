package imapwire

import (
	"io"

	"postern/internal/mail"
)

// A FETCH response is begun, given its items one after another, and ended:
//
//	w.BeginFetch(seq).FetchUID(uid).FetchFlags(flags, recent).EndFetch()
//
// Nothing of it takes memory beyond the writer's buffer.

// BeginFetch begins the FETCH response of the message with that number.
func (w *Writer) BeginFetch(seq uint32) *Writer {
	w.first = true
	w.buf = append(w.buf, "* "...)
	w.buf = appendUint(w.buf, uint64(seq))
	w.buf = append(w.buf, " FETCH ("...)
	return w
}

// BeginUIDFetch begins the response in place of FETCH of a session that knows no numbers (RFC 9586 3.3).
func (w *Writer) BeginUIDFetch(uid mail.UID) *Writer {
	w.first = true
	w.buf = append(w.buf, "* "...)
	w.buf = appendUint(w.buf, uint64(uid))
	w.buf = append(w.buf, " UIDFETCH ("...)
	return w
}

// EndFetch ends a FETCH response.
func (w *Writer) EndFetch() *Writer { return w.Raw(")\r\n") }

// item begins an item with its name and a space.
func (w *Writer) item(name string) {
	if !w.first {
		w.buf = append(w.buf, ' ')
	}
	w.first = false
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ' ')
}

// FetchUID adds the message's UID.
func (w *Writer) FetchUID(uid mail.UID) *Writer {
	w.item("UID")
	return w.Num(uint64(uid))
}

// FetchFlags adds the message's flags; recent says that it is \Recent here.
func (w *Writer) FetchFlags(f mail.Flags, recent bool) *Writer {
	w.item("FLAGS")
	return w.Flags(f, recent)
}

// FetchModSeq adds the message's mod-sequence (RFC 7162 3.1.4.2).
func (w *Writer) FetchModSeq(m mail.ModSeq) *Writer {
	w.item("MODSEQ")
	return w.Raw("(").Num(uint64(m)).Raw(")")
}

// FetchSize adds RFC822.SIZE.
func (w *Writer) FetchSize(octets uint64) *Writer {
	w.item("RFC822.SIZE")
	return w.Num(octets)
}

// FetchInternalDate adds INTERNALDATE.
func (w *Writer) FetchInternalDate(d mail.InternalDate) *Writer {
	w.item("INTERNALDATE")
	return w.DateTime(d)
}

// FetchSaveDate adds SAVEDATE (RFC 8514 4.2).
func (w *Writer) FetchSaveDate(d mail.InternalDate) *Writer {
	w.item(fetchNames[FetchSaveDate])
	return w.DateTime(d)
}

// FetchStored adds an item whose value is stored as it goes out: ENVELOPE,
// BODYSTRUCTURE, BODY.
func (w *Writer) FetchStored(kind FetchKind, value []byte) *Writer {
	w.item(fetchNames[kind])
	return w.Bytes(value)
}

// FetchText adds an item whose value is a string, as PREVIEW; NIL if it is absent.
func (w *Writer) FetchText(kind FetchKind, text string, present bool) *Writer {
	w.item(fetchNames[kind])
	return w.NString(text, present)
}

// FetchSection adds a section of the message: size octets, which src gives.
// binary says that there may be NUL among them and that the item is
// FetchBinary, whose answer may then be a literal8 (RFC 9051 6.4.5).
func (w *Writer) FetchSection(item *FetchItem, size int64, src io.Reader, binary bool) *Writer {
	w.sectionName(item)
	if size == 0 {
		return w.Raw(`""`)
	}
	if binary {
		return w.Literal8(size, src)
	}
	return w.Literal(size, src)
}

// FetchNoSection adds a section that the message does not have: NIL.
func (w *Writer) FetchNoSection(item *FetchItem) *Writer {
	w.sectionName(item)
	return w.Raw("NIL")
}

// FetchBinarySize adds the size of a part's decoded content.
func (w *Writer) FetchBinarySize(item *FetchItem, octets uint64) *Writer {
	w.sectionName(item)
	return w.Num(octets)
}

func (w *Writer) sectionName(item *FetchItem) {
	if !w.first {
		w.buf = append(w.buf, ' ')
	}
	w.first = false
	w.buf = append(item.AppendName(w.buf), ' ')
}
