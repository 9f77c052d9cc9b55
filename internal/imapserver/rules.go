package imapserver

import (
	"slices"
	"strings"
	"time"
)

// A Rule changes what some sessions are told and how they are treated. A session
// is under it if every condition fits; one that is empty fits all. Conditions that
// are text are patterns in which "*" stands for anything and "?" for one octet, in
// any case.
//
// RFC 2971 3 says that a server "MUST NOT attempt to work around client bugs by
// using information from the ID command". We do it where otherwise somebody's mail
// does not arrive; docs/decisions/0039-clients.md says what keeps it to that.
type Rule struct {
	Name   string // whom and what it is about
	Source string // where that is known from

	Listeners []string // a listener's setting or its address as configured: "listen.imaps", ":993"
	Accounts  []string // the name of who signed in
	Clients   []string // "name version" of the client's ID
	First     []string // its first commands and their tags, as "a1 CAPABILITY, a2 LOGIN"; of at most maxFirst
	TLS       []uint64 // Conn.Fingerprint: the only one of the client's that the greeting knows

	// Hide are capabilities not to announce, as they are announced or what stands
	// before their "=". They cannot be enabled either.
	Hide []string
	// Announce are names that begin with X, to be announced after login: they stand
	// for nothing of ours (RFC 3501 6.1.1), and clients exist that look for one.
	Announce []string
	// Behavior is what is done otherwise than for everybody.
	Behavior Behavior
}

// Behavior is how a session can be treated otherwise, as bits. What is right for
// everybody is simply done for everybody: here is only what would be worse for
// clients that do not need it.
type Behavior uint8

const (
	// QuietIdle gives signs of life at Limits.StillQuiet instead of Limits.Still:
	// each of them wakes a phone.
	QuietIdle Behavior = 1 << iota
	// DelayNewMail tells of new messages only in IDLE and at the end of NOOP, CHECK
	// and IDLE: there were clients that passed over EXISTS anywhere else.
	DelayNewMail
)

// BehaviorNames are the names of all there are, for configuration.
func BehaviorNames() map[string]Behavior {
	return map[string]Behavior{"quiet-idle": QuietIdle, "delay-new-mail": DelayNewMail}
}

// maxFirst is how many commands of a client Rule.First looks at. Tags are cut to
// maxFirstTag octets there.
const (
	maxFirst    = 3
	maxFirstTag = 12
)

// noteFirst takes in that a command has begun.
func (s *session) noteFirst(name string) {
	if s.srv.commands[name] == nil || strings.Count(s.first, ",") >= maxFirst-1 {
		return // a comma in a tag ends it early
	}
	if s.first != "" {
		s.first += ", "
	}
	s.first += s.cmd.tag[:min(len(s.cmd.tag), maxFirstTag)] + " " + name
	s.findRules()
}

// findRules finds the rules that the session is under by what is known of it now,
// and reports whether they are others than before.
func (s *session) findRules() (changed bool) {
	was := s.rules
	s.rules = nil
	for i := range s.srv.rules {
		if r := &s.srv.rules[i]; r.fits(s) {
			s.rules = append(s.rules, r)
		}
	}
	return !slices.Equal(was, s.rules)
}

func (r *Rule) fits(s *session) bool {
	return (len(r.Listeners) == 0 || slices.Contains(r.Listeners, s.conn.Setting()) || slices.Contains(r.Listeners, s.conn.Listener())) &&
		anyLike(r.Accounts, s.user) && anyLike(r.Clients, s.client) && anyLike(r.First, s.first) &&
		(len(r.TLS) == 0 || slices.Contains(r.TLS, s.conn.Fingerprint()))
}

// anyLike reports whether one of the patterns fits what is known, or there are none.
func anyLike(patterns []string, known string) bool {
	return len(patterns) == 0 || known != "" && slices.ContainsFunc(patterns, func(p string) bool { return like(p, known) })
}

// like reports whether a text is as a pattern says. It goes back to the last "*"
// only, so it takes no more steps than the product of both lengths.
func like(pattern, text string) bool {
	pattern, text = strings.ToLower(pattern), strings.ToLower(text)
	star, again := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, again = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			again++
			p, t = star+1, again
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// hidden reports whether a capability is not announced in this session.
func (s *session) hidden(capability string) bool {
	name, _, _ := strings.Cut(capability, "=")
	return slices.ContainsFunc(s.rules, func(r *Rule) bool {
		return slices.ContainsFunc(r.Hide, func(h string) bool {
			return strings.EqualFold(h, capability) || strings.EqualFold(h, name)
		})
	})
}

// ruleNames lists the rules that the session is under, for the log, but those that everybody is under.
func (s *session) ruleNames() string {
	var names []string
	for _, r := range s.rules {
		if len(r.Listeners)+len(r.Accounts)+len(r.Clients)+len(r.First)+len(r.TLS) > 0 {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, "; ")
}

// behaves reports whether the session is to be treated so.
func (s *session) behaves(b Behavior) bool {
	return slices.ContainsFunc(s.rules, func(r *Rule) bool { return r.Behavior&b != 0 })
}

// still is the time between two signs of life.
func (s *session) still() time.Duration {
	if s.behaves(QuietIdle) {
		return s.srv.limits.StillQuiet
	}
	return s.srv.limits.Still
}
