package imapwire

import "postern/internal/mail"

// MailboxScope says which mailboxes a filter means (RFC 5465 6, RFC 7377 2.2).
type MailboxScope uint8

// The scopes. Not every command has all of them.
const (
	ScopeSelected        MailboxScope = iota + 1
	ScopeSelectedDelayed              // NOTIFY
	ScopeInboxes
	ScopePersonal
	ScopeSubscribed
	ScopeSubtree    // MailboxFilter.Names and all that is below them
	ScopeSubtreeOne // MailboxFilter.Names and what is right below them; ESEARCH
	ScopeMailboxes  // MailboxFilter.Names
)

var scopeWords = map[string]MailboxScope{
	"SELECTED": ScopeSelected, "SELECTED-DELAYED": ScopeSelectedDelayed, "INBOXES": ScopeInboxes,
	"PERSONAL": ScopePersonal, "SUBSCRIBED": ScopeSubscribed, "SUBTREE": ScopeSubtree,
	"SUBTREE-ONE": ScopeSubtreeOne, "MAILBOXES": ScopeMailboxes,
}

// OfSelected reports whether the scope is the selected mailbox.
func (s MailboxScope) OfSelected() bool { return s == ScopeSelected || s == ScopeSelectedDelayed }

// Named reports whether the scope has names with it.
func (s MailboxScope) Named() bool {
	return s == ScopeSubtree || s == ScopeSubtreeOne || s == ScopeMailboxes
}

// MailboxFilter names some mailboxes (RFC 5465 8, filter-mailboxes).
type MailboxFilter struct {
	Scope MailboxScope
	Names []string // in UTF-8; there is one at least where the scope has names
}

// mailboxFilter reads a filter. A scope that the command does not have, by the
// RFC that describes it, is refused as a word that is none.
func (r *Reader) mailboxFilter(f *MailboxFilter, but ...MailboxScope) bool {
	var w wordBuffer
	f.Scope = scopeWords[string(r.word(labelChar, &w))]
	for _, not := range but {
		if f.Scope == not {
			f.Scope = 0
		}
	}
	if f.Scope == 0 {
		return r.wrong("a mailbox specifier", "something else")
	}
	if !f.Scope.Named() {
		return r.err == nil
	}
	if !r.ExpectSP() {
		return false
	}
	one := func() bool {
		var name string
		if !r.ExpectMailbox(&name) {
			return false
		}
		f.Names = append(f.Names, name)
		return true
	}
	if r.next() != '(' {
		return one()
	}
	return r.list("mailbox names", false, one)
}

// MultiSearchArgs are the arguments of ESEARCH (RFC 7377 4).
type MultiSearchArgs struct {
	SearchArgs
	Sources []MailboxFilter // none if the command has no IN: the selected mailbox
}

// ExpectMultiSearchArgs demands the arguments of ESEARCH. No scope option was ever
// defined, so that a list of them is refused.
func (r *Reader) ExpectMultiSearchArgs(a *MultiSearchArgs) bool {
	*a = MultiSearchArgs{}
	if !r.ExpectSP() {
		return false
	}
	var w wordBuffer
	var first []byte
	if isLetter(r.next()) {
		first = r.word(labelChar, &w)
	}
	if string(first) == "IN" {
		if !r.ExpectSP() || !r.sources(&a.Sources) || !r.ExpectSP() {
			return false
		}
		if first = nil; isLetter(r.next()) {
			first = r.word(labelChar, &w)
		}
	}
	return r.searchProgram(&a.SearchArgs, first, &w)
}

func (r *Reader) sources(dst *[]MailboxFilter) bool {
	return r.list("mailbox specifiers", false, func() bool {
		if r.next() == '(' {
			return r.wrong("a mailbox specifier", "scope options, of which there are none")
		}
		var f MailboxFilter
		if !r.mailboxFilter(&f, ScopeSelectedDelayed) {
			return false
		}
		*dst = append(*dst, f)
		return true
	})
}

// SearchedMailbox is where the results of an ESEARCH response are from.
type SearchedMailbox struct {
	Name     string // "" for the responses to SEARCH, which are of the selected one
	Validity mail.UIDValidity
}

func (w *Writer) correlators(tag string, of SearchedMailbox) *Writer {
	w.Raw("* ESEARCH (TAG ").String(tag)
	if of.Name != "" {
		w.Raw(" MAILBOX ").Mailbox(of.Name).Raw(" UIDVALIDITY ").Num(uint64(of.Validity))
	}
	return w.Raw(")")
}
