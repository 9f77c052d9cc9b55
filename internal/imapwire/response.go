package imapwire

import (
	"postern/internal/mail"
)

// StatusData is what STATUS answers. Only what was asked for need be filled in.
type StatusData struct {
	mail.Counts
	Recent        uint32
	UIDValidity   mail.UIDValidity
	HighestModSeq mail.ModSeq
	AppendLimit   uint64
	MailboxID     string
}

// MailboxStatus writes a STATUS response.
func (w *Writer) MailboxStatus(name string, items StatusItems, d *StatusData) *Writer {
	w.Raw("* STATUS ").Mailbox(name).SP()
	w.buf = appendStatusItems(w.buf, items, d)
	return w.CRLF()
}

func appendStatusItems(dst []byte, items StatusItems, d *StatusData) []byte {
	dst = append(dst, '(')
	for i, name := range statusNames {
		item := StatusItems(1) << i
		if items&item == 0 {
			continue
		}
		if dst[len(dst)-1] != '(' {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, name...), ' ')
		if item == StatusMailboxID {
			dst = append(append(append(dst, '('), d.MailboxID...), ')')
			continue
		}
		dst = appendUint(dst, d.number(item))
	}
	return append(dst, ')')
}

func (d *StatusData) number(item StatusItems) uint64 {
	switch item {
	case StatusMessages:
		return uint64(d.Messages)
	case StatusRecent:
		return uint64(d.Recent)
	case StatusUIDNext:
		return uint64(d.UIDNext)
	case StatusUIDValidity:
		return uint64(d.UIDValidity)
	case StatusUnseen:
		return uint64(d.Unseen)
	case StatusDeleted:
		return uint64(d.Deleted)
	case StatusSize:
		return d.Bytes
	case StatusHighestModSeq:
		return uint64(d.HighestModSeq)
	case StatusDeletedStorage:
		return d.DeletedBytes
	case StatusAppendLimit:
		return d.AppendLimit
	}
	return 0
}

// ListData is one LIST, LSUB or XLIST response (RFC 9051 7.3.1).
type ListData struct {
	Lsub       bool
	Xlist      bool     // of what was before RFC 6154
	Attributes []string // with their backslashes
	Mailbox    string   // "" in the answer to an empty pattern
	ChildInfo  []string // selection options the children match (RFC 5258 3.5), in capitals
	OldName    string   // RFC 9051 6.3.9.7; "" for none
}

// List writes a LIST, LSUB or XLIST response.
func (w *Writer) List(d *ListData) *Writer {
	switch {
	case d.Lsub:
		w.Raw("* LSUB (")
	case d.Xlist:
		w.Raw("* XLIST (")
	default:
		w.Raw("* LIST (")
	}
	for i, a := range d.Attributes {
		if i > 0 {
			w.SP()
		}
		w.Raw(a)
	}
	w.Raw(`) "/" `).Mailbox(d.Mailbox)
	if len(d.ChildInfo) == 0 && d.OldName == "" {
		return w.CRLF()
	}
	w.Raw(" (")
	if len(d.ChildInfo) > 0 {
		w.Raw("CHILDINFO (")
		for i, option := range d.ChildInfo {
			if i > 0 {
				w.SP()
			}
			w.String(option)
		}
		w.Raw(")")
	}
	if d.OldName != "" {
		if len(d.ChildInfo) > 0 {
			w.SP()
		}
		w.Raw("OLDNAME (").Mailbox(d.OldName).Raw(")")
	}
	return w.Raw(")").CRLF()
}

// SearchNumbers writes a SEARCH response (RFC 3501 7.2.5): each number by itself.
// A modseq above 0 is added as RFC 7162 3.1.5 says.
func (w *Writer) SearchNumbers(found mail.UIDSet, modseq mail.ModSeq) *Writer {
	w.Raw("* SEARCH")
	for n := range found.All() {
		w.SP().Num(uint64(n))
	}
	if modseq > 0 {
		w.Raw(" (MODSEQ ").Num(uint64(modseq)).Raw(")")
	}
	return w.CRLF()
}

// ESearch is an ESEARCH response (RFC 4731 3.1, RFC 9051 7.3.4).
type ESearch struct {
	Tag     string
	Of      SearchedMailbox // RFC 7377; the zero value for SEARCH
	UID     bool            // the numbers are UIDs
	Return  SearchReturn
	Found   mail.UIDSet // what was found, numbers or UIDs
	Partial PartialRange
	Part    mail.UIDSet // of Found, what Partial selects
	ModSeq  mail.ModSeq // 0: none
	Scores  []uint8     // of what Return asks for, in its order: 1 to 100
}

// ESearch writes an ESEARCH response. A search that found nothing has no MIN, MAX
// and ALL in it (RFC 4731 3.1).
func (w *Writer) ESearch(e *ESearch) *Writer {
	w.correlators(e.Tag, e.Of)
	if e.UID {
		w.Raw(" UID")
	}
	if any := !e.Found.Empty(); any {
		if e.Return&ReturnMin != 0 {
			w.Raw(" MIN ").Num(uint64(e.Found.Min()))
		}
		if e.Return&ReturnMax != 0 {
			w.Raw(" MAX ").Num(uint64(e.Found.Max()))
		}
		if e.Return&ReturnAll != 0 {
			w.Raw(" ALL ").UIDSet(e.Found)
		}
	}
	if e.Return&ReturnCount != 0 {
		w.Raw(" COUNT ").Num(uint64(e.Found.Len()))
	}
	if e.Return&ReturnPartial != 0 {
		w.Raw(" PARTIAL (")
		w.buf = e.Partial.append(w.buf)
		if w.SP(); e.Part.Empty() {
			w.Raw("NIL)")
		} else {
			w.UIDSet(e.Part).Raw(")")
		}
	}
	if e.ModSeq > 0 {
		w.Raw(" MODSEQ ").Num(uint64(e.ModSeq))
	}
	return w.relevancy(e.Return, e.Scores).CRLF()
}

// relevancy writes the scores of messages (RFC 6203 7), if they were asked for.
func (w *Writer) relevancy(options SearchReturn, scores []uint8) *Writer {
	if options&ReturnRelevancy == 0 {
		return w
	}
	w.Raw(" RELEVANCY (")
	for i, score := range scores {
		if i > 0 {
			w.SP()
		}
		w.Num(uint64(score))
	}
	return w.Raw(")")
}

func (p PartialRange) append(dst []byte) []byte {
	for i, n := range [...]uint32{p.First, p.Last} {
		if i > 0 {
			dst = append(dst, ':')
		}
		if p.FromEnd {
			dst = append(dst, '-')
		}
		dst = appendUint(dst, uint64(n))
	}
	return dst
}

// Exists, Expunge and the like are one number and a word.

// Exists writes how many messages the client may name.
func (w *Writer) Exists(n uint32) *Writer { return w.Star().Num(uint64(n)).Raw(" EXISTS\r\n") }

// Recent writes how many messages are \Recent (RFC 3501 7.3.2).
func (w *Writer) Recent(n uint32) *Writer { return w.Star().Num(uint64(n)).Raw(" RECENT\r\n") }

// Expunge writes that the message of that number is gone.
func (w *Writer) Expunge(n uint32) *Writer { return w.Star().Num(uint64(n)).Raw(" EXPUNGE\r\n") }

// Vanished writes which UIDs are gone (RFC 7162 3.2.10); earlier says that they
// went before.
func (w *Writer) Vanished(uids mail.UIDSet, earlier bool) *Writer {
	w.Raw("* VANISHED ")
	if earlier {
		w.Raw("(EARLIER) ")
	}
	return w.UIDSet(uids).CRLF()
}

// MailboxFlags writes the FLAGS response of SELECT (RFC 9051 7.3.5).
func (w *Writer) MailboxFlags(f mail.Flags) *Writer {
	return w.Raw("* FLAGS ").Flags(f, false).CRLF()
}

// PermanentFlags writes which flags a client can change for good; more says that
// it can make keywords of its own (RFC 9051 7.1).
func (w *Writer) PermanentFlags(f mail.Flags, more bool) *Writer {
	w.Raw("* OK [PERMANENTFLAGS ")
	w.buf = f.Append(w.buf, false)
	if more {
		w.buf = w.buf[:len(w.buf)-1]
		if !f.Empty() {
			w.buf = append(w.buf, ' ')
		}
		w.buf = append(w.buf, `\*)`...)
	}
	return w.Raw("] flags that stay\r\n")
}
