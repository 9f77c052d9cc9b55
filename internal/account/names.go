package account

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
)

// CanonicalName gives a mailbox name the one form it has inside: UTF-8 in NFC
// (RFC 9051 5.1), the first level "INBOX" in upper case whatever case it is
// written in. mail.Cannot if it is no name a mailbox can have: not UTF-8, too
// long, too deep, with an empty level or with a control character (C0, DEL, C1,
// and the line and paragraph separators, RFC 5198 2). A name is data and never a
// path, so "." and ".." are names like others.
func CanonicalName(name string) (string, error) {
	switch {
	case name == "":
		return "", mail.Errorf(mail.Cannot, "a mailbox name may not be empty")
	case len(name) > 2*MaxNameBytes:
		return "", nameTooLong()
	case !utf8.ValidString(name):
		return "", mail.Errorf(mail.Cannot, "the mailbox name is not UTF-8")
	}
	name = norm.NFC.String(name)
	if len(name) > MaxNameBytes {
		return "", nameTooLong()
	}
	if strings.ContainsFunc(name, forbiddenInName) {
		return "", mail.Errorf(mail.Cannot, "the mailbox name holds a control character")
	}
	depth := 0
	for level := range strings.SplitSeq(name, string(mail.Separator)) {
		if level == "" {
			return "", mail.Errorf(mail.Cannot, "the mailbox name has an empty level")
		}
		depth++
	}
	if depth > MaxNameDepth {
		return "", mail.Errorf(mail.Cannot, "the mailbox name has more than %d levels", MaxNameDepth)
	}
	first, rest, below := strings.Cut(name, string(mail.Separator))
	if strings.EqualFold(first, mail.Inbox) && len(first) == len(mail.Inbox) {
		name = mail.Inbox
		if below {
			name += string(mail.Separator) + rest
		}
	}
	return name, nil
}

func nameTooLong() error {
	return mail.Errorf(mail.Cannot, "the mailbox name is longer than %d octets", MaxNameBytes)
}

func forbiddenInName(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029'
}

// parentName gives the name one level up.
func parentName(name string) (string, bool) {
	i := strings.LastIndexByte(name, mail.Separator)
	return name[:max(i, 0)], i >= 0
}

// IsBelow reports whether name lies below parent in the hierarchy.
func IsBelow(name, parent string) bool {
	return len(name) > len(parent) && name[len(parent)] == mail.Separator && strings.HasPrefix(name, parent)
}

// missingParents gives the names above name that no mailbox bears, topmost
// first.
func (m *model) missingParents(name string) []string {
	var missing []string
	for i, c := range name {
		if c == mail.Separator && m.names[name[:i]] == nil {
			missing = append(missing, name[:i])
		}
	}
	return missing
}
