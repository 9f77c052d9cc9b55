package lmtpserver

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// parsePath reads what follows MAIL or RCPT: the keyword, a path in angle
// brackets (RFC 5321 4.1.2) and parameters. It gives the mailbox of the path
// without brackets and source route, "" for the null path "<>", with the local
// part's quotes as they came: what the address means is for package auth.
func parsePath(args, keyword string) (mailbox string, params []string, err error) {
	if len(args) < len(keyword) || !strings.EqualFold(args[:len(keyword)], keyword) {
		return "", nil, errors.New("expected " + keyword + "<address>")
	}
	rest := strings.TrimLeft(args[len(keyword):], " ") // a space here is wrong and common
	if !strings.HasPrefix(rest, "<") {
		return "", nil, errors.New("an address stands in angle brackets")
	}
	end := closingBracket(rest)
	if end < 0 {
		return "", nil, errors.New("an address stands in angle brackets")
	}
	mailbox, rest = rest[1:end], rest[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", nil, errors.New("expected a space before parameters")
	}
	if strings.HasPrefix(mailbox, "@") { // a source route, to be ignored (RFC 5321 4.1.1.3)
		_, after, found := strings.Cut(mailbox, ":")
		if !found {
			return "", nil, errors.New("a source route ends with a colon")
		}
		mailbox = after
	}
	// Octets, not characters: RFC 5321 4.5.3.1.3 has 256 for a path, RFC 6531
	// 3.1 leaves it there.
	if len(mailbox) > 254 || !clean(mailbox) {
		return "", nil, errors.New("an address has 254 octets at most and no control characters")
	}
	return mailbox, strings.Fields(rest), nil
}

// closingBracket finds the bracket that ends a path, past brackets in a quoted
// local part.
func closingBracket(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// clean reports whether text is UTF-8 without control characters, so that it can
// stand in a header field and in a reply as it is.
func clean(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f || 0x80 <= r && r <= 0x9f || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return utf8.ValidString(text)
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
