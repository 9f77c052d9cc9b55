package imapserver

import (
	"strings"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// lsub is the command LSUB (RFC 3501 6.3.9): names subscribed to, whether there
// are such mailboxes or not. A pattern that ends in "%" also names the levels
// above those it does not match, as \Noselect. What a mailbox is for is said here as
// well: Outlook 2013 and 2016 look for it in LSUB.
func (s *session) lsub(*command) error {
	var args imapwire.ListArgs
	if !s.r.ExpectLsubArgs(&args) {
		return s.r.Err()
	}
	pattern := &args.Patterns[0]
	if pattern.Empty {
		s.w.List(&imapwire.ListData{Lsub: true, Attributes: []string{`\Noselect`}})
		return nil
	}
	levels := strings.HasSuffix(pattern.Text, "%")
	boxes, err := s.mailboxesFor(args.Patterns)
	if err != nil {
		return err
	}
	uses := make(map[string]mail.SpecialUse)
	for i := range boxes {
		if boxes[i].Use != 0 {
			uses[boxes[i].Name] = boxes[i].Use
		}
	}
	subscribed := s.account.Subscriptions()
	listed := make(map[string]bool, len(subscribed))
	for _, name := range subscribed {
		listed[name] = true
	}
	for _, name := range subscribed {
		if pattern.Match(name) {
			s.w.List(&imapwire.ListData{Lsub: true, Attributes: uses[name].Names(), Mailbox: name})
			continue
		}
		if !levels {
			continue
		}
		for at := strings.LastIndexByte(name, mail.Separator); at > 0; at = strings.LastIndexByte(name[:at], mail.Separator) {
			if above := name[:at]; !listed[above] && pattern.Match(above) {
				listed[above] = true
				s.w.List(&imapwire.ListData{Lsub: true, Attributes: []string{`\Noselect`}, Mailbox: above})
			}
		}
	}
	return nil
}
