package imapserver

import (
	"fmt"
	"math"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command may work on, where the operator sets that. A
// command that names more does the newest of them and says where it stopped; what must be done whole is refused.

// messageLimit is the response code for a command that stopped at a UID; 0 is none.
func messageLimit(most int, stopped mail.UID) string {
	if stopped == 0 {
		return fmt.Sprintf("MESSAGELIMIT %d", most)
	}
	return fmt.Sprintf("MESSAGELIMIT %d %d", most, stopped)
}

// limitCapabilities announces the limits there are.
func (s *session) limitCapabilities() (all []string) {
	l := &s.srv.limits
	if l.Messages > 0 {
		all = append(all, fmt.Sprintf("MESSAGELIMIT=%d", l.Messages))
	}
	if l.Save > 0 {
		all = append(all, fmt.Sprintf("SAVELIMIT=%d", l.Save))
	}
	return all
}

// newest gives of the messages that a command names those it may work on, and notes where it stops: the conclusion tells
// the client (RFC 9738 3.2).
func (s *session) newest(c *command, uids mail.UIDSet) mail.UIDSet {
	most := s.srv.limits.Messages
	if most == 0 || uids.Len() <= most {
		return uids
	}
	_, uids = uids.Take(uids.Len() - most)
	c.stopped = uids.Min()
	return uids
}

// mostToSave is how many messages one command may save; 0 is any number.
func (s *session) mostToSave() int {
	l := &s.srv.limits
	if l.Save == 0 || l.Messages > 0 && l.Messages < l.Save {
		return l.Messages
	}
	return l.Save
}

// mayCopy refuses to copy more messages than may be saved at a time: COPY does all or nothing (RFC 9738 3.3).
func (s *session) mayCopy(uids mail.UIDSet) error {
	most := s.mostToSave()
	if most == 0 || uids.Len() <= most {
		return nil
	}
	_, newest := uids.Take(uids.Len() - most)
	return no(messageLimit(most, newest.Min()), "at most %d messages at a time can be copied", most)
}

// maySaveMore refuses one more message of an APPEND that has so many.
func (s *session) maySaveMore(have int) error {
	if most := s.mostToSave(); most > 0 && have == most {
		return no(messageLimit(most, 0), "at most %d messages at a time can be appended", most)
	}
	return nil
}

// mayBePart refuses a PARTIAL that is wider than what one command may work on.
func (s *session) mayBePart(has bool, p imapwire.PartialRange) error {
	most := s.srv.limits.Messages
	if width := uint64(max(p.First, p.Last)-min(p.First, p.Last)) + 1; has && most > 0 && width > uint64(most) {
		return no(messageLimit(most, 0), "at most %d messages at a time", most)
	}
	return nil
}

// newestSearched makes criteria look at no more than the newest of the messages they may concern. Those are counted before
// they are looked at (RFC 9738 3.2): all in the view, or what the criteria say by UIDs and numbers that must hold in any case.
func (s *session) newestSearched(c *command, criteria *mail.Criteria) error {
	most := s.srv.limits.Messages
	if most == 0 || s.box.view.UIDs().Len() <= most {
		return nil
	}
	among, err := s.searchedAmong(criteria, s.box.view.UIDs())
	if err != nil {
		return err
	}
	if among.Len() <= most {
		return nil
	}
	low := s.newest(c, among).Min()
	*criteria = mail.Criteria{Op: mail.SearchAnd, Children: []mail.Criteria{
		{Op: mail.SearchUID, Set: mail.NumSet{Ranges: []mail.NumRange{{From: uint32(low), To: math.MaxUint32}}}}, *criteria,
	}}
	return nil
}

func (s *session) searchedAmong(c *mail.Criteria, among mail.UIDSet) (mail.UIDSet, error) {
	switch c.Op {
	case mail.SearchAnd:
		for i := range c.Children {
			var err error
			if among, err = s.searchedAmong(&c.Children[i], among); err != nil {
				return nil, err
			}
		}
	case mail.SearchUID, mail.SearchSeq:
		meant, err := s.box.meant(c.Set, c.Op == mail.SearchUID)
		if err != nil {
			return nil, err
		}
		return among.Intersect(meant), nil
	}
	return among, nil
}

// newestDeleted gives of a set, for UID EXPUNGE, the newest messages that bear \Deleted: only they are worked on.
func (s *session) newestDeleted(c *command, uids mail.UIDSet) mail.UIDSet {
	if most := s.srv.limits.Messages; most == 0 || uids.Len() <= most {
		return uids
	}
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	var deleted mail.UIDSet
	for rest := uids; !rest.Empty(); {
		var rows []account.Row
		if rows, rest = s.box.sel.Rows(room[:0], rest); len(rows) == 0 {
			break
		}
		for i := range rows {
			if !rows[i].Expunged && s.box.sel.Flags(rows[i].Flags).System&mail.Deleted != 0 {
				deleted = deleted.Append(rows[i].UID)
			}
		}
	}
	return s.newest(c, deleted)
}

// tellStopped tells where the command stopped: in its OK, or before that if another code has the place there (RFC 9738 3.2).
func (s *session) tellStopped(answer *reply) {
	c := &s.cmd
	if c.stopped == 0 || answer.status != statusOK && answer.code != "EXPUNGEISSUED" {
		return
	}
	most := s.srv.limits.Messages
	code, text := messageLimit(most, c.stopped), fmt.Sprintf("%d messages done, go on below", most)
	if answer.status == statusOK && c.ok.code == "" {
		c.done(code, text)
		return
	}
	s.w.Status("", imapwire.NO, code, text)
}
