package imapwire

import (
	"strings"

	"postern/internal/mail"
)

// SetACLArgs are the arguments of SETACL (RFC 4314 3.1).
type SetACLArgs struct {
	Mailbox    string
	Identifier string
	Op         mail.RightsOp
	Rights     mail.Rights
}

// ExpectSetACLArgs demands the arguments of SETACL. Rights that do not exist are
// the client's fault.
func (r *Reader) ExpectSetACLArgs(a *SetACLArgs) bool {
	*a = SetACLArgs{}
	var rights string
	if !r.expectIdentified(&a.Mailbox, &a.Identifier) || !r.ExpectSP() || !r.ExpectAString(&rights) {
		return false
	}
	if after, ok := strings.CutPrefix(rights, "+"); ok {
		a.Op, rights = mail.AddRights, after
	} else if after, ok := strings.CutPrefix(rights, "-"); ok {
		a.Op, rights = mail.RemoveRights, after
	}
	var err error
	if a.Rights, err = mail.ParseRights(rights); err != nil {
		return r.wrong("rights, which are letters of "+mail.RightLetters, "another character")
	}
	return r.ExpectCRLF()
}

// ACLArgs are the arguments of DELETEACL and LISTRIGHTS (RFC 4314 3.2, 3.4).
type ACLArgs struct {
	Mailbox    string
	Identifier string
}

// ExpectACLArgs demands the arguments of DELETEACL and LISTRIGHTS.
func (r *Reader) ExpectACLArgs(a *ACLArgs) bool {
	*a = ACLArgs{}
	return r.expectIdentified(&a.Mailbox, &a.Identifier) && r.ExpectCRLF()
}

// expectIdentified demands a mailbox and whom something about it concerns.
func (r *Reader) expectIdentified(mailbox, identifier *string) bool {
	return r.ExpectSP() && r.ExpectMailbox(mailbox) && r.ExpectSP() && r.ExpectAString(identifier)
}

// ACLEntry is one pair of an ACL response.
type ACLEntry struct {
	Identifier string
	Rights     mail.Rights
}

// ACL writes an ACL response (RFC 4314 3.6).
func (w *Writer) ACL(mailbox string, entries []ACLEntry) *Writer {
	w.Raw("* ACL ").Mailbox(mailbox)
	for _, e := range entries {
		w.SP().AString(e.Identifier).SP().AString(e.Rights.String())
	}
	return w.CRLF()
}

// ListRights writes a LISTRIGHTS response (RFC 4314 3.7): the rights that the
// identifier always has, and those it can be given, none of which depends on
// another. The obsolete rights c and d stand for several and by themselves (2.1.1).
func (w *Writer) ListRights(mailbox, identifier string, always, optional mail.Rights) *Writer {
	w.Raw("* LISTRIGHTS ").Mailbox(mailbox).SP().AString(identifier).SP().AString(always.String())
	for _, letter := range optional.String() {
		w.SP().Raw(string(letter))
	}
	return w.CRLF()
}

// MyRights writes a MYRIGHTS response (RFC 4314 3.8).
func (w *Writer) MyRights(mailbox string, rights mail.Rights) *Writer {
	return w.Raw("* MYRIGHTS ").Mailbox(mailbox).SP().AString(rights.String()).CRLF()
}
