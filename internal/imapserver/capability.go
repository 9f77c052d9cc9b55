package imapserver

import (
	"slices"
	"strings"
)

// feature is a capability that no command of its own stands for.
type feature struct {
	name   string
	before bool // announced before login
	after  bool // announced after login
}

// features are the capabilities beside those of the command table. The versions
// come first: clients that read only the beginning of the list exist.
func features() []feature {
	return []feature{
		{"IMAP4rev1", true, true},
		{"IMAP4rev2", true, true},
		{"SASL-IR", true, true},
		{"LITERAL-", true, false}, // RFC 7888 5: never both
		{"LITERAL+", false, true},
		{"BINARY", false, true},
		{"CATENATE", false, true},
		{"CHILDREN", false, true},
		{"CONDSTORE", false, true},
		{"CONTEXT=SORT", false, true},
		{"CREATE-SPECIAL-USE", false, true},
		{"ESEARCH", false, true},
		{"ESORT", false, true},
		{"FILTERS", false, true},
		{"INPROGRESS", false, true},
		{"LIST-EXTENDED", false, true},
		{"LIST-METADATA", false, true},
		{"LIST-MYRIGHTS", false, true},
		{"LIST-STATUS", false, true},
		{"MULTIAPPEND", false, true},
		{"METADATA-SERVER", false, true}, // of what METADATA does, the part that concerns the server
		{"OBJECTID", false, true},
		{"PARTIAL", false, true},
		{"PREVIEW", false, true},
		{"QRESYNC", false, true},
		{"QUOTA=RES-MAILBOX", false, true},
		{"QUOTA=RES-MESSAGE", false, true},
		{"QUOTA=RES-STORAGE", false, true},
		{"RIGHTS=texk", false, true}, // RFC 4314 5.1.1: beyond those of RFC 2086
		{"SAVEDATE", false, true},
		{"SEARCH=FUZZY", false, true},
		{"SEARCHRES", false, true},
		{"SORT=DISPLAY", false, true},
		{"SPECIAL-USE", false, true},
		{"STATUS=SIZE", false, true},
		{"THREAD=ORDEREDSUBJECT", false, true},
		{"THREAD=REFS", false, true},
		{"UIDONLY", false, true},
		{"URL-PARTIAL", false, true},
		{"UTF8=ACCEPT", false, true},
		{"WITHIN", false, true},
	}
}

// Capabilities are the names of all that a session may be told of. Mechanisms and
// figures behind a "=" are not among them.
func Capabilities() []string {
	all := []string{"AUTH", "LOGINDISABLED", "APPENDLIMIT", "MESSAGELIMIT", "SAVELIMIT"}
	for _, f := range features() {
		all = append(all, f.name)
	}
	for _, sp := range commandTable() {
		if sp.announce != "" {
			all = append(all, sp.announce)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// announcedBefore are the commands' capabilities that a client is told of before
// login: those it can use then, and ENABLE, whose presence some look for early.
func announcedBefore(sp *spec) bool { return sp.states&notAuthenticated != 0 || sp.name == "ENABLE" }

// capabilities gives what this session may be told of now, in the order of
// announcement.
func (s *session) capabilities() []string {
	before := s.state == notAuthenticated
	var all []string
	for _, f := range s.srv.features {
		if before && f.before || !before && f.after {
			all = append(all, f.name)
		}
	}
	var commands []string
	for i := range s.srv.table {
		sp := &s.srv.table[i]
		switch {
		case sp.announce == "" || slices.Contains(commands, sp.announce):
		case before && !announcedBefore(sp), !before && sp.states&loggedIn == 0:
		case sp.announce == "URLAUTH" && !s.srv.offersURLAuth():
		case sp.announce == "QUOTASET" && !s.setsQuota():
		case sp.announce == "STARTTLS" && !s.conn.CanUpgrade():
		default:
			commands = append(commands, sp.announce)
		}
	}
	slices.Sort(commands)
	all = append(all, commands...)
	if before {
		all = append(all, s.authCapabilities()...)
	} else {
		all = append(all, s.appendLimitCapability())
		all = append(all, s.limitCapabilities()...)
	}
	all = slices.DeleteFunc(all, s.hidden)
	if !before {
		for _, r := range s.rules {
			all = append(all, r.Announce...)
		}
	}
	return all
}

// authCapabilities tells how one can sign in: not at all before TLS on a
// connection that is not private (RFC 9051 6.2.3, 11.1).
func (s *session) authCapabilities() []string {
	if !s.conn.Private() {
		return []string{"LOGINDISABLED"}
	}
	var all []string
	for _, m := range s.srv.auth.Mechanisms(s.peer()) {
		all = append(all, "AUTH="+m)
	}
	return all
}

// capabilityCode gives the list as a response code.
func (s *session) capabilityCode() string {
	return "CAPABILITY " + strings.Join(s.capabilities(), " ")
}

// capability is the command CAPABILITY (RFC 9051 6.1.1).
func (s *session) capability(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	w := s.w.Star().Raw("CAPABILITY")
	for _, c := range s.capabilities() {
		w.Raw(" ").Raw(c)
	}
	w.CRLF()
	return nil
}
