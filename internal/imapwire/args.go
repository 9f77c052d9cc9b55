package imapwire

import (
	"postern/internal/mail"
)

// LoginArgs are the arguments of LOGIN, as the client sent them.
type LoginArgs struct{ User, Password string }

// ExpectLoginArgs demands the arguments of LOGIN.
func (r *Reader) ExpectLoginArgs(a *LoginArgs) bool {
	return r.ExpectSP() && r.ExpectAString(&a.User) && r.ExpectSP() && r.ExpectAString(&a.Password) && r.ExpectCRLF()
}

// ExpectMailboxArgs demands one mailbox's name and the end of the line: DELETE,
// SUBSCRIBE, UNSUBSCRIBE.
func (r *Reader) ExpectMailboxArgs(name *string) bool {
	return r.ExpectSP() && r.ExpectMailbox(name) && r.ExpectCRLF()
}

// SelectArgs are the arguments of SELECT and EXAMINE.
type SelectArgs struct {
	Mailbox   string
	CondStore bool     // RFC 7162 3.1.8
	QResync   *QResync // RFC 7162 3.2.5
	Other     []Param  // what else was asked for
}

// QResync is the parameter QRESYNC of SELECT.
type QResync struct {
	Validity mail.UIDValidity
	ModSeq   mail.ModSeq
	Known    mail.NumSet // UIDs; no ranges if there are none
	Numbers  mail.NumSet // match data: message numbers, and
	UIDs     mail.NumSet // the UIDs they had
}

// ExpectSelectArgs demands the arguments of SELECT or EXAMINE.
func (r *Reader) ExpectSelectArgs(a *SelectArgs) bool {
	*a = SelectArgs{}
	if !r.ExpectSP() || !r.ExpectMailbox(&a.Mailbox) {
		return false
	}
	var params []Param
	if r.SP() && !r.ExpectParams(&params) {
		return false
	}
	for _, p := range params {
		switch p.Name {
		case "CONDSTORE":
			if p.Value != nil {
				return r.wrong("CONDSTORE", "a value with it")
			}
			a.CondStore = true
		case "QRESYNC":
			if a.QResync != nil {
				return r.wrong("QRESYNC once", "it twice")
			}
			if a.QResync = parseQResync(p.Value); a.QResync == nil {
				return r.wrong("QRESYNC's value", "something else")
			}
		default:
			a.Other = append(a.Other, p)
		}
	}
	return r.ExpectCRLF()
}

// parseQResync reads (uidvalidity modseq [known-uids] [(numbers uids)]); nil if
// it is not that.
func parseQResync(v *Value) *QResync {
	if v == nil || !v.IsList || len(v.List) < 2 || len(v.List) > 4 {
		return nil
	}
	validity, ok1 := v.List[0].Number()
	modseq, ok2 := v.List[1].Number()
	if !ok1 || !ok2 || validity == 0 || validity > 1<<32-1 || modseq == 0 {
		return nil
	}
	q := &QResync{Validity: mail.UIDValidity(validity), ModSeq: mail.ModSeq(modseq)}
	rest := v.List[2:]
	var ok bool
	if len(rest) > 0 && !rest[0].IsList {
		if q.Known, ok = rest[0].knownSet(); !ok {
			return nil
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return q
	}
	if len(rest) != 1 || !rest[0].IsList || len(rest[0].List) != 2 {
		return nil
	}
	q.Numbers, ok1 = rest[0].List[0].knownSet()
	q.UIDs, ok2 = rest[0].List[1].knownSet()
	if !ok1 || !ok2 {
		return nil
	}
	return q
}

// knownSet is a sequence set without "*" (RFC 7162 7, known-sequence-set).
func (v *Value) knownSet() (mail.NumSet, bool) {
	set, ok := v.NumSet()
	return set, ok && !set.Saved && !set.HasStar()
}

// CreateArgs are the arguments of CREATE.
type CreateArgs struct {
	Mailbox string
	Folder  bool            // the name ended with a separator: a name for others to go below (RFC 9051 6.3.4)
	Use     mail.SpecialUse // RFC 6154 3
	// UnknownUse is a special use that was asked for and that mail does not know:
	// NO [USEATTR].
	UnknownUse string
	Other      []Param
}

// ExpectCreateArgs demands the arguments of CREATE.
func (r *Reader) ExpectCreateArgs(a *CreateArgs) bool {
	*a = CreateArgs{}
	if !r.ExpectSP() || !r.ExpectMailbox(&a.Mailbox) {
		return false
	}
	if n := len(a.Mailbox); n > 1 && a.Mailbox[n-1] == mail.Separator {
		a.Mailbox, a.Folder = a.Mailbox[:n-1], true
	}
	var params []Param
	if r.SP() && !r.ExpectParams(&params) {
		return false
	}
	for _, p := range params {
		if p.Name != "USE" {
			a.Other = append(a.Other, p)
			continue
		}
		if p.Value == nil || !p.Value.IsList {
			return r.wrong("a list of special uses", "something else")
		}
		for _, use := range p.Value.List {
			if use.IsList || use.Quoted || len(use.Text) < 2 || use.Text[0] != '\\' {
				return r.wrong("a special use", "something else")
			}
			known := mail.SpecialUseNamed(use.Text)
			if known == 0 && a.UnknownUse == "" {
				a.UnknownUse = use.Text
			}
			a.Use |= known
		}
	}
	return r.ExpectCRLF()
}

// RenameArgs are the arguments of RENAME.
type RenameArgs struct{ From, To string }

// ExpectRenameArgs demands the arguments of RENAME.
func (r *Reader) ExpectRenameArgs(a *RenameArgs) bool {
	return r.ExpectSP() && r.ExpectMailbox(&a.From) && r.ExpectSP() && r.ExpectMailbox(&a.To) && r.ExpectCRLF()
}

// CopyArgs are the arguments of COPY and MOVE.
type CopyArgs struct {
	Set     mail.NumSet
	Mailbox string
}

// ExpectCopyArgs demands the arguments of COPY or MOVE.
func (r *Reader) ExpectCopyArgs(a *CopyArgs) bool {
	return r.ExpectSP() && r.ExpectNumSet(&a.Set) && r.ExpectSP() && r.ExpectMailbox(&a.Mailbox) && r.ExpectCRLF()
}

// ExpectNumSetArgs demands one sequence set and the end of the line: UID EXPUNGE.
func (r *Reader) ExpectNumSetArgs(set *mail.NumSet) bool {
	return r.ExpectSP() && r.ExpectNumSet(set) && r.ExpectCRLF()
}

// ExpectEnableArgs demands the capabilities of ENABLE (RFC 5161), in capitals.
func (r *Reader) ExpectEnableArgs(capabilities *[]string) bool {
	*capabilities = nil
	for {
		var w wordBuffer
		if !r.ExpectSP() || !r.item() {
			return false
		}
		name := r.word(atomChar, &w)
		if len(name) == 0 {
			return r.expected("a capability")
		}
		*capabilities = append(*capabilities, string(name))
		if r.next() != ' ' {
			return r.ExpectCRLF()
		}
	}
}

// Limits of ID (RFC 2971 3.3).
const (
	MaxIDFields = 30
	MaxIDField  = 30   // octets of a field's name
	MaxIDValue  = 1024 // octets of a value
)

// IDField is one pair of ID.
type IDField struct {
	Name  string // in small letters
	Value string // "" if NIL
}

// ExpectIDArgs demands the arguments of ID: a list of pairs, or NIL. An empty list
// is taken for NIL. Values are as the client sent them: whoever writes them to a
// log quotes them.
func (r *Reader) ExpectIDArgs(fields *[]IDField) bool {
	*fields = nil
	if !r.ExpectSP() {
		return false
	}
	if r.next() != '(' {
		var none string
		var isNil bool
		if !r.NString(&none, &isNil) || !isNil {
			return r.expected(`a list of fields or NIL`)
		}
		return r.ExpectCRLF()
	}
	ok := r.list("fields", true, func() bool {
		var f IDField
		var isNil bool
		if !r.ExpectString(&f.Name) || !r.ExpectSP() || !r.ExpectNString(&f.Value, &isNil) {
			return false
		}
		if len(*fields) == MaxIDFields || len(f.Name) > MaxIDField || len(f.Value) > MaxIDValue {
			return r.wrong("at most 30 fields of 30 octets with values of 1024", "more")
		}
		f.Name = lowerASCII(f.Name)
		*fields = append(*fields, f)
		return true
	})
	return ok && r.ExpectCRLF()
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
