package imapwire

import (
	"slices"

	"postern/internal/mail"
)

// ExpectComparatorArgs demands the arguments of COMPARATOR (RFC 5255 4.10), of which
// there may be none.
func (r *Reader) ExpectComparatorArgs(orders *[]string) bool {
	*orders = nil
	for r.next() == ' ' {
		var order string
		if !r.ExpectSP() || !r.item() || !r.ExpectAString(&order) {
			return false
		}
		*orders = append(*orders, order)
	}
	return r.ExpectCRLF()
}

// Comparator writes a COMPARATOR response (RFC 5255 4.8): the active comparator, and
// all that matched if they are more than one, each once.
func (w *Writer) Comparator(active mail.Comparator, matching []mail.Comparator) *Writer {
	w.Raw("* COMPARATOR ").AString(active.String())
	var told []mail.Collation
	for _, m := range matching {
		if !slices.Contains(told, m.Collation) {
			told = append(told, m.Collation)
		}
	}
	if len(told) > 1 {
		for i, c := range told {
			w.Raw([]string{" (", " "}[min(i, 1)]).AString(c.String())
		}
		w.Raw(")")
	}
	return w.CRLF()
}
