package imapserver

import (
	"context"
	"strconv"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// append is the command APPEND (RFC 9051 6.3.12). The mailbox is looked up and
// the size checked before a waiting client is asked for the message, which then
// goes through a small buffer into the store.
func (s *session) append(c *command) error {
	var name string
	if !s.r.ExpectAppendMailbox(&name) {
		return s.r.Err()
	}
	supplied := s.r.Denormalized()
	mailbox, err := s.mailbox(name, mail.RightInsert)
	if err != nil {
		return tryCreate(err)
	}
	var msg imapwire.AppendMessage
	if !s.r.ExpectAppendMessage(&msg) {
		return s.r.Err()
	}
	switch {
	case len(msg.Other) > 0:
		return bad("unknown option of APPEND")
	case msg.UTF8 && !s.utf8Accept && !s.rev2:
		return bad("UTF8 is not enabled") // RFC 6855 4; RFC 9755 knows it no more
	case msg.Literal.Size == 0:
		return no("", "a message has at least one octet")
	}
	if err := mailbox.AdmitKeywords(s.ctx, msg.Flags); err != nil {
		return err
	}
	content, err := s.receive(&msg)
	if err != nil {
		return err
	}
	defer content.Abandon(s.ctx)
	added, err := patiently(s.ctx, s, func(ctx context.Context) (account.Appended, error) {
		return mailbox.Append(ctx, []account.NewMessage{{Content: content, Flags: msg.Flags, Date: s.dateOf(&msg)}})
	})
	if err != nil {
		return tryCreate(err)
	}
	info := mailbox.Info()
	s.tellOldName(supplied, &info)
	s.tally.appended++
	s.srv.count.appended.Add()
	c.done("APPENDUID "+strconv.FormatUint(uint64(added.Validity), 10)+" "+added.UIDs.String(), "appended")
	return nil
}

// receive takes the message in and reads the command to its end.
func (s *session) receive(msg *imapwire.AppendMessage) (*account.Content, error) {
	body, err := s.r.AcceptLiteral()
	if err != nil {
		return nil, err
	}
	l := &s.srv.limits
	if err := s.link.atRate(l.MessageRate, l.MessageWindow); err != nil {
		return nil, err
	}
	content, err := s.srv.accounts.Keep(s.ctx, body)
	if err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		content.Abandon(s.ctx)
		return nil, err
	}
	if !s.r.ExpectAppendEnd(msg) || !s.r.ExpectCRLF() {
		content.Abandon(s.ctx)
		return nil, s.r.Err()
	}
	return content, nil
}

// dateOf gives a message's internal date: the one the client gave, or now.
func (s *session) dateOf(msg *imapwire.AppendMessage) mail.InternalDate {
	if msg.HasDate {
		return msg.Date
	}
	return mail.NewInternalDate(s.srv.now())
}
