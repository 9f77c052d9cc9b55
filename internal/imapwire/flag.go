package imapwire

import (
	"bytes"
	"slices"

	"postern/internal/mail"
)

// Limits of flags, which belong to the grammar because they bound what a command
// can make the server keep.
const (
	MaxKeyword     = 128 // octets of one keyword
	MaxFlagsInList = 256 // flags in one command; a message has no more keywords
)

// flagList collects flags as they are read.
type flagList struct {
	system   mail.SystemFlags
	keywords []string
	count    int
}

func (l *flagList) flags() mail.Flags {
	if len(l.keywords) == 0 {
		return mail.Flags{System: l.system}
	}
	slices.SortStableFunc(l.keywords, mail.CompareKeywords)
	l.keywords = slices.CompactFunc(l.keywords, func(a, b string) bool { return mail.CompareKeywords(a, b) == 0 })
	return mail.Flags{System: l.system, Keywords: l.keywords}
}

// Flag reads one flag: a system flag or a keyword. \Recent is read and left out:
// no client can set it (RFC 3501 2.3.2), and some send it back with a message they
// copy. Another name with a backslash, and the keyword NIL, which no client could
// tell from nothing, are syntax errors.
func (r *Reader) flag(l *flagList) bool {
	if l.count++; l.count > MaxFlagsInList {
		return r.refuse(mail.Limit, "a command has at most %d flags", MaxFlagsInList)
	}
	if r.Char('\\') {
		name := r.span(atomChar)
		if len(name) > len("Answered") || len(name) == 0 {
			return r.wrong("a flag", "an unknown system flag")
		}
		var full [16]byte
		system := mail.SystemFlag(string(append(append(full[:0], '\\'), name...)))
		if system == 0 && !bytes.EqualFold(name, []byte("Recent")) {
			return r.wrong("a flag", "an unknown system flag")
		}
		l.system |= system
		return true
	}
	var keyword string
	if !r.keyword(&keyword) {
		return false
	}
	l.keywords = append(l.keywords, keyword)
	return true
}

// keyword reads a keyword (RFC 9051 9, flag-keyword).
func (r *Reader) keyword(dst *string) bool {
	tok := r.span(atomChar)
	switch {
	case len(tok) == 0:
		return false
	case len(tok) > MaxKeyword:
		return r.refuse(mail.Limit, "a keyword has at most %d octets", MaxKeyword)
	case bytes.EqualFold(tok, []byte("NIL")):
		return r.wrong("a flag", "NIL")
	}
	*dst = string(tok)
	return true
}

// FlagList reads a parenthesised list of flags, which may be empty.
func (r *Reader) FlagList(dst *mail.Flags) bool {
	if r.next() != '(' {
		return false
	}
	var l flagList
	ok := r.list("flags", true, func() bool { return r.flag(&l) || r.expected("a flag") })
	if ok {
		*dst = l.flags()
	}
	return ok
}

// ExpectFlagList demands a parenthesised list of flags.
func (r *Reader) ExpectFlagList(dst *mail.Flags) bool {
	return r.FlagList(dst) || r.expected("a list of flags")
}

// flagsForStore reads the flags of STORE, with parentheses or without
// (RFC 9051 9, store-att-flags).
func (r *Reader) flagsForStore(dst *mail.Flags) bool {
	if r.next() == '(' {
		return r.FlagList(dst)
	}
	var l flagList
	for {
		if !r.flag(&l) {
			return r.expected("a flag")
		}
		if !r.SP() {
			*dst = l.flags()
			return r.err == nil
		}
	}
}
