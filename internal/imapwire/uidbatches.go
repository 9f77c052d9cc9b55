package imapwire

import "postern/internal/mail"

// UIDBatchesArgs are the arguments of UIDBATCHES (RFC 10022).
type UIDBatchesArgs struct {
	Size        uint32 // messages in a batch, at least 1
	First, Last uint32 // the batches asked for, from 1, as they came; 0 and 0: all
}

// ExpectUIDBatchesArgs demands the arguments of UIDBATCHES.
func (r *Reader) ExpectUIDBatchesArgs(a *UIDBatchesArgs) bool {
	*a = UIDBatchesArgs{}
	if !r.ExpectSP() || !r.ExpectNZNumber(&a.Size) {
		return false
	}
	if r.next() != ' ' {
		return r.ExpectCRLF()
	}
	return r.ExpectSP() && r.ExpectNZNumber(&a.First) && r.ExpectChar(':') && r.ExpectNZNumber(&a.Last) && r.ExpectCRLF()
}

// UIDBatches writes the response to a UIDBATCHES of that tag: ranges of UIDs, each with its higher end first.
func (w *Writer) UIDBatches(tag string, batches []mail.UIDRange) *Writer {
	w.Raw("* UIDBATCHES (TAG ").String(tag).Raw(")")
	for i, b := range batches {
		if i == 0 {
			w.SP()
		} else {
			w.Raw(",")
		}
		w.Num(uint64(b.Last)).Raw(":").Num(uint64(b.First))
	}
	return w.CRLF()
}
