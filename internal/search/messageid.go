package search

import "strings"

// maxReferences is how many references of one message are looked at. Of more, the
// first and the last of them are: the thread's beginning and the nearest
// ancestors, which is what RFC 5537 3.4.4 wants kept when the field is shortened.
const maxReferences = 1000

// messageIDs reads msg-ids (RFC 5322 3.6.4) off a field. Whatever stands between
// them is passed over, as is what is none.
type messageIDs struct {
	rest  string
	plain bool   // quotes mean nothing any more: one of them has no end
	id    []byte // the one read last
}

// of begins to read a field.
func (m *messageIDs) of(field string) { m.rest, m.plain = field, false }

// next reads the next msg-id and gives it normalised (RFC 5256 3, THREAD):
// without angle brackets, white space and quoting. It is good until the next is
// read. A field is read in linear time: an attempt that fails before the field's
// end goes on behind what it has read, and only one can reach it.
func (m *messageIDs) next() (id []byte, ok bool) {
	for {
		at := strings.IndexByte(m.rest, '<')
		if at < 0 {
			m.rest = ""
			return nil, false
		}
		begun := m.rest[at+1:]
		n, valid, ended := m.read(begun)
		switch {
		case valid:
			m.rest = begun[n:]
			return m.id, true
		case ended:
			m.rest = begun[n:]
		case m.plain:
			m.rest = ""
			return nil, false
		default: // perhaps a quote without end has swallowed the rest
			m.plain, m.rest = true, m.rest[at:]
		}
	}
}

// read reads what stands between angle brackets and says how far it went. It has
// not ended if the field has before.
func (m *messageIDs) read(s string) (n int, valid, ended bool) {
	m.id = m.id[:0]
	at := -1 // where in id the "@" is
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			m.id = append(m.id, s[i])
		case c == '"' && !m.plain:
			quoted = !quoted
		case quoted:
			m.id = append(m.id, c)
		case c == '>':
			return i + 1, at > 0 && at < len(m.id)-1, true
		case c == '<':
			return i, false, true
		case isWSP(c) || c == '\r' || c == '\n': // a fold, or obsolete syntax
		default:
			if c == '@' {
				at = len(m.id)
			}
			m.id = append(m.id, c)
		}
	}
	return len(s), false, false
}
