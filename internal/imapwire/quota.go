package imapwire

import "strings"

// ExpectQuotaRoot demands the name of a quota root and the end of the line:
// GETQUOTA (RFC 9208 4.1.1).
func (r *Reader) ExpectQuotaRoot(root *string) bool {
	return r.ExpectSP() && r.ExpectAString(root) && r.ExpectCRLF()
}

// SetQuotaArgs are the arguments of SETQUOTA (RFC 9208 4.1.3).
type SetQuotaArgs struct {
	Root   string
	Limits []QuotaResource // names in capitals, without Usage
}

// ExpectSetQuotaArgs demands the arguments of SETQUOTA.
func (r *Reader) ExpectSetQuotaArgs(a *SetQuotaArgs) bool {
	*a = SetQuotaArgs{}
	if !r.ExpectSP() || !r.ExpectAString(&a.Root) || !r.ExpectSP() || !r.ExpectChar('(') {
		return false
	}
	for r.next() != ')' {
		var l QuotaResource
		if len(a.Limits) > 0 && !r.ExpectSP() || !r.item() || !r.ExpectAtom(&l.Name) || !r.ExpectSP() || !r.ExpectNumber64(&l.Limit) {
			return false
		}
		l.Name = strings.ToUpper(l.Name)
		a.Limits = append(a.Limits, l)
	}
	return r.ExpectChar(')') && r.ExpectCRLF()
}

// QuotaResource is what a QUOTA response says of one resource (RFC 9208 4.2.1).
type QuotaResource struct {
	Name         string
	Usage, Limit uint64
}

// Quota writes a QUOTA response. Without resources it says that nothing is limited:
// "zero or more triplets".
func (w *Writer) Quota(root string, resources []QuotaResource) *Writer {
	w.Raw("* QUOTA ").AString(root).Raw(" (")
	for i, q := range resources {
		if i > 0 {
			w.SP()
		}
		w.Raw(q.Name).SP().Num(q.Usage).SP().Num(q.Limit)
	}
	return w.Raw(")").CRLF()
}

// QuotaRoot writes a QUOTAROOT response: the roots of a mailbox (RFC 9208 4.2.2).
func (w *Writer) QuotaRoot(mailbox string, roots ...string) *Writer {
	w.Raw("* QUOTAROOT ").Mailbox(mailbox)
	for _, root := range roots {
		w.SP().AString(root)
	}
	return w.CRLF()
}
