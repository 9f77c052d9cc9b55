package imapserver

import (
	"context"
	"io"
	"strconv"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// append is the command APPEND (RFC 9051 6.3.12), of one message or of several
// (RFC 3502). The mailbox is looked up and the size checked before a waiting
// client is asked for a message, which then goes through a small buffer into the
// store. No message is in the mailbox before all are.
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
	in := s.arrivalsIn(mailbox)
	defer in.abandon()
	for more := true; more; more = s.r.MoreMessages() {
		if err := in.next(); err != nil {
			return err
		}
	}
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	added, err := patiently(s.ctx, s, func(ctx context.Context) (account.Appended, error) {
		return mailbox.Append(ctx, in.messages)
	})
	if err != nil {
		return tryCreate(err)
	}
	s.noteOwn(mailbox, added.UIDs)
	info := mailbox.Info()
	s.tellOldName(supplied, &info)
	s.countAppended(len(in.messages))
	c.done(appendUID(added), "appended")
	return nil
}

// appendUID is the response code APPENDUID (RFC 4315 3; RFC 3502 4: of several
// messages).
func appendUID(a account.Appended) string {
	return "APPENDUID " + strconv.FormatUint(uint64(a.Validity), 10) + " " + a.UIDs.String()
}

func (s *session) countAppended(n int) {
	s.tally.appended += uint64(n)
	s.srv.count.appended.AddN(uint64(n))
}

// What one APPEND may bring. The messages are in the store by then, but what was
// learnt of them waits in memory for the one commit that takes them all.
const (
	maxTogether       = 10_000
	maxTogetherOctets = 32 << 20
)

// arrivals are the messages of one command on their way in.
type arrivals struct {
	s        *session
	mailbox  *account.Mailbox
	limit    int64 // octets each may have
	messages []account.NewMessage
	keywords mail.Flags // of all of them
	octets   int        // what is known of them in memory
	used     mail.Usage // of the account's quota, by all of them
	freed    mail.Usage // of it, by what they replace
}

func (s *session) arrivalsIn(m *account.Mailbox) arrivals {
	info := m.Info()
	return arrivals{s: s, mailbox: m, limit: s.appendLimit(&info)}
}

// abandon lets go of what was not appended. After the append it does nothing.
func (in *arrivals) abandon() {
	for i := range in.messages {
		in.messages[i].Content.Abandon(in.s.ctx)
	}
}

// next takes the next message in.
func (in *arrivals) next() error {
	s := in.s
	var msg imapwire.AppendMessage
	if !s.r.ExpectAppendMessage(&msg) {
		return s.r.Err()
	}
	switch {
	case len(msg.Other) > 0:
		return bad("unknown option of %s", s.cmd.spec.name)
	case msg.UTF8 && !s.takesUTF8():
		return utf8Disabled()
	case !msg.Catenate && msg.Literal.Size > in.limit:
		return tooBig(in.limit)
	case !msg.Catenate && msg.Literal.Size == 0:
		return emptyMessage() // RFC 3502 4: this is how one gives up
	}
	if err := s.maySaveMore(len(in.messages)); err != nil {
		return err
	}
	if len(in.messages) == maxTogether || in.octets > maxTogetherOctets {
		return mail.Errorf(mail.Limit, "these are too many messages for one %s", s.cmd.spec.name)
	}
	in.keywords = in.keywords.Add(mail.Flags{Keywords: msg.Flags.Keywords})
	if len(msg.Flags.Keywords) > 0 {
		if err := in.mailbox.AdmitKeywords(s.ctx, in.keywords); err != nil {
			return err
		}
	}
	in.used.Messages++
	// With CATENATE nobody knows yet how large the message will be.
	more := mail.Usage{Octets: in.used.Octets + uint64(msg.Literal.Size), Messages: in.used.Messages}
	if err := in.mailbox.RoomFor(more.Less(in.freed)); err != nil {
		return err
	}
	content, err := s.receive(&msg, in.limit)
	if err != nil {
		return err
	}
	in.octets += content.Held()
	in.used.Octets += uint64(content.Size())
	in.messages = append(in.messages, account.NewMessage{Content: content, Flags: msg.Flags, Date: s.dateOf(&msg)})
	return nil
}

// takesUTF8 reports whether a message, or a part of one, may come in the form
// UTF8 (~{n} of RFC 6855 4, which RFC 9755 knows no more.
func (s *session) takesUTF8() bool { return s.utf8Accept || s.rev2 }

func utf8Disabled() error { return bad("UTF8 is not enabled") }

func tooBig(limit int64) error {
	return mail.Errorf(mail.TooBig, "a message here has at most %d octets", limit)
}

func emptyMessage() error { return no("", "a message has at least one octet") }

// receive takes the octets of a message in and reads up to what stands behind it.
func (s *session) receive(msg *imapwire.AppendMessage, limit int64) (*account.Content, error) {
	var octets io.Reader
	if msg.Catenate {
		parts := &catenation{s: s, limit: limit}
		defer parts.close()
		octets = parts
	} else {
		literal, err := s.accept()
		if err != nil {
			return nil, err
		}
		octets = literal
	}
	content, err := s.srv.accounts.Keep(s.ctx, octets)
	if err != nil {
		return nil, err
	}
	if err := s.received(msg, content); err != nil {
		content.Abandon(s.ctx)
		return nil, err
	}
	return content, nil
}

// accept makes a literal come, at the rate that is asked of a message.
func (s *session) accept() (io.Reader, error) {
	literal, err := s.r.AcceptLiteral()
	if err != nil {
		return nil, err
	}
	l := &s.srv.limits
	return literal, s.link.atRate(l.MessageRate, l.MessageWindow)
}

// received reads what stands behind a message's octets.
func (s *session) received(msg *imapwire.AppendMessage, content *account.Content) error {
	if err := s.listen(); err != nil {
		return err
	}
	if !s.r.ExpectAppendEnd(msg) {
		return s.r.Err()
	}
	if content.Size() == 0 {
		return emptyMessage() // CATENATE of parts in which nothing is
	}
	return nil
}

// dateOf gives a message's internal date: the one the client gave, or now.
func (s *session) dateOf(msg *imapwire.AppendMessage) mail.InternalDate {
	if msg.HasDate {
		return msg.Date
	}
	return mail.NewInternalDate(s.srv.now())
}
