package importer

import (
	"fmt"
	"strconv"
	"strings"

	"postern/internal/mail"
)

// uidList is a dovecot-uidlist: the UIDs clients know the messages by.
type uidList struct {
	validity mail.UIDValidity
	next     mail.UID
	uids     map[string]mail.UID // by the file name without flags
}

// readUIDList reads version 3 (Dovecot 1.1 and later: "3 V<validity> N<next>
// G<guid>", then "<uid> [extensions] :<name>") and version 1 ("1 <validity>
// <next>", then "<uid> <name>"). A file that is not there is an empty list.
func readUIDList(file string) (uidList, error) {
	list := uidList{uids: map[string]mail.UID{}}
	version := ""
	err := eachLine(file, func(line string) error {
		bad := func() error { return fmt.Errorf("%s: %q is no line of a uidlist", file, line) }
		if version == "" {
			words := strings.Fields(line)
			if len(words) < 3 {
				return bad()
			}
			version = words[0]
			return list.header(version, words[1:], bad)
		}
		number, rest, _ := strings.Cut(line, " ")
		uid, err := strconv.ParseUint(number, 10, 32)
		if err != nil || uid == 0 || uid == 1<<32-1 {
			return bad()
		}
		name := rest
		if version == "3" {
			if !strings.HasPrefix(rest, ":") {
				_, rest, _ = strings.Cut(rest, " :")
				rest = ":" + rest
			}
			name = rest[1:]
		}
		base, _, _ := strings.Cut(name, ":2,")
		if base == "" {
			return bad()
		}
		list.uids[base] = mail.UID(uid)
		list.next = max(list.next, mail.UID(uid)+1)
		return nil
	})
	return list, err
}

func (l *uidList) header(version string, words []string, bad func() error) error {
	switch version {
	case "3":
		for _, w := range words {
			n, err := strconv.ParseUint(w[1:], 10, 32)
			switch {
			case w[0] == 'V' && err == nil:
				l.validity = mail.UIDValidity(n)
			case w[0] == 'N' && err == nil:
				l.next = mail.UID(n)
			}
		}
	case "1":
		validity, err := strconv.ParseUint(words[0], 10, 32)
		next, nextErr := strconv.ParseUint(words[1], 10, 32)
		if err != nil || nextErr != nil {
			return bad()
		}
		l.validity, l.next = mail.UIDValidity(validity), mail.UID(next)
	default:
		return bad()
	}
	return nil
}

// useless says why the list cannot be used for these files, "" if it can.
// Files it does not name are new: Dovecot has shown them to nobody, and they get
// UIDs above those of the list.
func (l *uidList) useless(bases []string) string {
	if l.validity == 0 {
		return "it names no UIDVALIDITY"
	}
	seen := make(map[mail.UID]bool, len(bases))
	for _, base := range bases {
		uid := l.uids[base]
		if uid == 0 {
			continue
		}
		if seen[uid] {
			return fmt.Sprintf("UID %d is two messages'", uid)
		}
		seen[uid] = true
	}
	return ""
}
