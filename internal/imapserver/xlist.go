package imapserver

import (
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// xlist is the command XLIST, which Gmail had before there was RFC 6154: LIST with
// what mailboxes are for, INBOX among them. Outlook 2013 and 2016 know no other
// way, and some send it unasked. It is understood and not announced: what it says
// is in every LIST. Who wants those clients to find their mailboxes announces XLIST
// to them by a Rule.
func (s *session) xlist(*command) error {
	var args imapwire.ListArgs
	if !s.r.ExpectLsubArgs(&args) {
		return s.r.Err()
	}
	if args.Patterns[0].Empty {
		s.w.List(&imapwire.ListData{Xlist: true, Attributes: []string{`\Noselect`}})
		return nil
	}
	boxes, err := s.mailboxesFor(args.Patterns)
	if err != nil {
		return err
	}
	for _, e := range s.listed(&args, boxes) {
		d := e.data()
		d.Xlist = true
		if e.name == mail.Inbox {
			d.Attributes = append(d.Attributes, `\Inbox`)
		}
		s.w.List(d)
	}
	return nil
}
