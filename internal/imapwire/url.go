package imapwire

import (
	"bufio"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/mail"
)

// URL is an IMAP URL that names a message or a part of one (RFC 5092 11,
// imessagepart), absolute or relative to the server or the selected mailbox. URLs
// that name other things no command takes.
type URL struct {
	Absolute bool   // it begins with "imap://"
	User     string // "" if none is named
	Auth     string // ";AUTH=": "" if it is not there
	Host     string // with its port, if it names one; of an absolute URL

	Mailbox  string           // "" is the selected one
	Validity mail.UIDValidity // 0 if it is not said
	UID      mail.UID
	Section  Section // SectionWhole without a part is the message

	// Partial says that ";PARTIAL=" is there: octets from Offset on, at most Count
	// of them.
	Partial       bool
	Offset, Count int64

	Authorized *URLAuth // nil without ";URLAUTH="
}

// URLAuth is what stands behind the message in a URL for others to use (RFC 4467
// 9, iurlauth).
type URLAuth struct {
	Expire time.Time // zero if it does not
	Access string    // in small letters: "submit+", "user+", "authuser" or "anonymous"
	User   string    // of the first two

	// Rump is all of the URL before Mechanism and Token, octet by octet as it came;
	// those are "" in a rump.
	Rump, Mechanism, Token string
}

// MaxURL is the longest URL that is read, in octets: the name of a mailbox, each
// of its octets escaped, and a long list of header fields.
const MaxURL = 16 << 10

// ParseURL reads a URL that names a message or a part of one.
func ParseURL(text string) (u URL, ok bool) {
	if len(text) > MaxURL {
		return URL{}, false
	}
	p := urlParser{text: text, rest: text}
	ok = p.server(&u) && p.message(&u) && p.authorized(&u) && p.rest == ""
	return u, ok
}

type urlParser struct{ text, rest string }

// word takes a word off the front, in any case.
func (p *urlParser) word(w string) bool {
	if len(p.rest) < len(w) || !strings.EqualFold(p.rest[:len(w)], w) {
		return false
	}
	p.rest = p.rest[len(w):]
	return true
}

// upTo takes what stands before the first of the octets given, which may be all.
func (p *urlParser) upTo(ends string) string {
	i := strings.IndexAny(p.rest, ends)
	if i < 0 {
		i = len(p.rest)
	}
	taken := p.rest[:i]
	p.rest = p.rest[i:]
	return taken
}

// server reads "imap://", user and host. What does not begin like that is
// relative. Relative to another host, or with a user but no host, a URL makes no
// sense.
func (p *urlParser) server(u *URL) bool {
	if !p.word("imap://") {
		return !strings.HasPrefix(p.rest, "//")
	}
	u.Absolute = true
	authority := p.upTo("/")
	if user, host, ok := strings.Cut(authority, "@"); ok {
		authority = host
		if i := strings.IndexByte(user, ';'); i >= 0 {
			q := urlParser{rest: user[i:]}
			if !q.word(";AUTH=") || q.rest != "*" && !decodeURL(&u.Auth, q.rest, achar) {
				return false
			}
			if q.rest == "*" {
				u.Auth = "*"
			}
			user = user[:i]
		} else if user == "" {
			return false
		}
		if user != "" && !decodeURL(&u.User, user, achar) {
			return false
		}
	}
	u.Host = authority
	return authority != "" && isHost(authority)
}

// isHost reports whether text can be a host and a port (RFC 3986 3.2.2).
func isHost(text string) bool {
	for i := range len(text) {
		if c := text[i]; !unreserved(c) && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return true
}

// message reads what names the message. A mailbox's name ends at the first ";",
// which it cannot hold: what comes is its UIDVALIDITY, or "/" came before and what
// comes is the UID. A relative URL that begins with the UID is one of the selected
// mailbox: the base has its name (RFC 4469 3).
func (p *urlParser) message(u *URL) bool {
	switch {
	case p.word("/"):
		name := p.upTo(";")
		if trimmed, ok := strings.CutSuffix(name, "/"); ok {
			name = trimmed
		} else if !p.word(";UIDVALIDITY=") || !p.number32((*uint32)(&u.Validity)) || !p.word("/") {
			return false
		}
		if name == "" || !decodeURL(&u.Mailbox, name, bchar) {
			return false
		}
	case u.Absolute:
		return false
	}
	if !p.word(";UID=") || !p.number32((*uint32)(&u.UID)) {
		return false
	}
	if p.word("/;SECTION=") {
		text := p.upTo(";")
		if trimmed, ok := strings.CutSuffix(text, "/"); ok {
			text, p.rest = trimmed, "/"+p.rest
		}
		var section string
		if !decodeURL(&section, text, bchar) || !parseSection(section, &u.Section) {
			return false
		}
	}
	return !p.word("/;PARTIAL=") || p.partial(u)
}

// partial reads offset ["." length] (RFC 5092 11, partial-range).
func (p *urlParser) partial(u *URL) bool {
	u.Partial, u.Count = true, math.MaxInt64
	offset, length, ok := strings.Cut(p.upTo(";"), ".")
	n, good := parseNumber([]byte(offset), math.MaxInt64)
	u.Offset = int64(n)
	if !good || !ok {
		return good
	}
	n, good = parseNumber([]byte(length), math.MaxInt64)
	u.Count = int64(n)
	return good && n > 0 && length[0] != '0'
}

// number32 reads a number that is not 0.
func (p *urlParser) number32(dst *uint32) bool {
	n, ok := parseNumber([]byte(p.upTo("/;")), 1<<32-1)
	*dst = uint32(n)
	return ok && n > 0
}

// authorized reads [expire] ";URLAUTH=" access [":" mechanism ":" token], if that
// is there.
func (p *urlParser) authorized(u *URL) bool {
	if p.rest == "" {
		return true
	}
	a := &URLAuth{}
	u.Authorized = a
	if p.word(";EXPIRE=") {
		t, err := time.Parse(time.RFC3339, strings.ToUpper(p.upTo(";")))
		if a.Expire = t; err != nil {
			return false
		}
	}
	if !p.word(";URLAUTH=") {
		return false
	}
	access := p.upTo(":")
	a.Rump = p.text[:len(p.text)-len(p.rest)]
	q := urlParser{rest: access}
	switch {
	case q.word("submit+"):
		a.Access = "submit+"
	case q.word("user+"):
		a.Access = "user+"
	case strings.EqualFold(access, "authuser"), strings.EqualFold(access, "anonymous"):
		a.Access = lowerASCII(access)
	default:
		return false
	}
	if strings.HasSuffix(a.Access, "+") && (q.rest == "" || !decodeURL(&a.User, q.rest, achar)) {
		return false
	}
	if p.rest == "" {
		return true
	}
	p.word(":")
	a.Mechanism = p.upTo(":")
	if !p.word(":") || !isMechanism(a.Mechanism) {
		return false
	}
	a.Token, p.rest = p.rest, ""
	return len(a.Token) >= 32 && strings.Trim(a.Token, "0123456789abcdefABCDEF") == ""
}

// isMechanism reports whether text can name a mechanism (RFC 4467 9).
func isMechanism(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '-' && c != '.' && !isAlnum(c) {
			return false
		}
	}
	return text != ""
}

// parseSection reads what FETCH takes between the brackets of BODY[].
func parseSection(text string, dst *Section) bool {
	if text == "" {
		return false // RFC 5092 11: enc-section has one character at least
	}
	text = "[" + text + "]\r\n"
	r := NewReader(bufio.NewReaderSize(strings.NewReader(text), 64), Limits{Line: len(text), Items: len(text), Depth: 2}, nil)
	r.begin()
	return r.section(dst) && r.ExpectCRLF()
}

// The characters that stand for themselves in a URL (RFC 5092 11), beside those
// that do so everywhere.
const (
	achar = "!$'()*+,&="
	bchar = achar + ":@/"
)

// decodeURL undoes the escapes in text, once, which gives UTF-8 without NUL. Other
// characters than those that stand for themselves must be escaped.
func decodeURL(dst *string, text, themselves string) bool {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '%':
			if i+2 >= len(text) {
				return false
			}
			high, ok1 := unhex(text[i+1])
			low, ok2 := unhex(text[i+2])
			if !ok1 || !ok2 || high == 0 && low == 0 {
				return false
			}
			out = append(out, high<<4|low)
			i += 2
		case unreserved(c) || strings.IndexByte(themselves, c) >= 0:
			out = append(out, c)
		default:
			return false
		}
	}
	*dst = string(out)
	return len(out) > 0 && utf8.Valid(out)
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func unreserved(c byte) bool {
	return isAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
