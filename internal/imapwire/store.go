package imapwire

import "postern/internal/mail"

// StoreArgs are the arguments of STORE and UID STORE.
type StoreArgs struct {
	Set    mail.NumSet
	Op     mail.FlagOp
	Silent bool
	Flags  mail.Flags

	HasUnchangedSince bool // RFC 7162 3.1.3
	UnchangedSince    mail.ModSeq
	Other             []Param
}

// ExpectStoreArgs demands the arguments of STORE or UID STORE.
func (r *Reader) ExpectStoreArgs(a *StoreArgs) bool {
	*a = StoreArgs{}
	if !r.ExpectSP() || !r.ExpectNumSet(&a.Set) || !r.ExpectSP() {
		return false
	}
	if r.next() == '(' && (!r.storeParams(a) || !r.ExpectSP()) {
		return false
	}
	a.Op = mail.SetFlags
	if r.Char('+') {
		a.Op = mail.AddFlags
	} else if r.Char('-') {
		a.Op = mail.RemoveFlags
	}
	var w wordBuffer
	switch string(r.word(labelChar, &w)) {
	case "FLAGS":
	case "FLAGS.SILENT":
		a.Silent = true
	case "":
		return r.expected("FLAGS")
	default:
		return r.wrong("FLAGS", "something else")
	}
	return r.ExpectSP() && r.flagsForStore(&a.Flags) && r.ExpectCRLF()
}

func (r *Reader) storeParams(a *StoreArgs) bool {
	var params []Param
	if !r.ExpectParams(&params) {
		return false
	}
	for _, p := range params {
		if p.Name != "UNCHANGEDSINCE" {
			a.Other = append(a.Other, p)
			continue
		}
		n, ok := p.Value.Number()
		if !ok || a.HasUnchangedSince {
			return r.wrong("one mod-sequence", "something else")
		}
		a.HasUnchangedSince, a.UnchangedSince = true, mail.ModSeq(n)
	}
	return true
}
