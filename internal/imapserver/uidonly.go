package imapserver

import (
	"slices"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// UIDONLY (RFC 9586): a session that enables it names messages by UID alone, and so do we. Sequence numbers are counted on
// below, because others of the mailbox's sessions may want them, and never told.

// uidRequired refuses a command in which a message is named by its sequence number.
func uidRequired() error {
	return &refusal{reply: reply{statusBad, "UIDREQUIRED", "this session has given up message numbers: name messages by UID"}}
}

// asksNumbers reports whether criteria name messages by sequence number. "$" does not.
func asksNumbers(c *mail.Criteria) bool {
	if c.Op == mail.SearchSeq && !c.Set.Saved {
		return true
	}
	for i := range c.Children {
		if asksNumbers(&c.Children[i]) {
			return true
		}
	}
	return false
}

// enableUIDOnly gives up message numbers. What has happened in the selected mailbox is told by number for the last time, and
// searches whose results the client has by number are not kept up any more.
func (s *session) enableUIDOnly() error {
	if s.box == nil {
		s.uidOnly = true
		return nil
	}
	if err := s.tell(true); err != nil {
		return err
	}
	s.uidOnly = true
	s.box.contexts = slices.DeleteFunc(s.box.contexts, func(x *searchContext) bool {
		if !x.uid {
			s.refuseUpdate(x.tag, "its results are message numbers")
		}
		return !x.uid
	})
	return nil
}

// beginFetch begins the response that tells something of a message.
func (s *session) beginFetch(seq uint32, uid mail.UID) *imapwire.Writer {
	if s.uidOnly {
		return s.w.BeginUIDFetch(uid)
	}
	return s.w.BeginFetch(seq)
}
