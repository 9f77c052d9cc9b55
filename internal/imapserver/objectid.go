package imapserver

import (
	"context"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/search"
)

// Object identifiers (RFC 8474) are made when they are asked for, from numbers
// that are stored anyway; THREADID alone is found when a message comes in.

// mailboxObject is what the MAILBOXID of a mailbox is made of.
func (s *session) mailboxObject(info *account.Info) mail.MailboxObject {
	return mail.MailboxObject{Account: info.Account, Mailbox: info.ID, Validity: info.Validity}
}

// mailboxIDCode gives the MAILBOXID as a response code.
func (s *session) mailboxIDCode(info *account.Info) string {
	return "MAILBOXID (" + s.mailboxObject(info).String() + ")"
}

// emailObject is what the EMAILID of a message is made of.
func (s *session) emailObject(row *account.Row) mail.EmailObject {
	return mail.EmailOf(s.box.sel.Account(), &mail.Message{ID: row.ID, Date: row.Date, Size: row.Size})
}

// threadOf gives the thread a message belongs to. Mail that came in before threads
// were found belongs to the one that its fields name: as new mail does which
// nothing is known of.
func threadOf(m *account.Summary) (mail.ThreadID, error) {
	if thread, found := m.Thread(); found {
		return thread, nil
	}
	var h search.Heading
	if err := readHeading(m, search.FieldReferences|search.FieldInReplyTo|search.FieldMessageID, &h); err != nil {
		return 0, err
	}
	r := search.RelativesOf(h.MessageID, h.InReplyTo, h.References)
	return r.Thread(m.Object()), nil
}

// Thread gives a search the message's thread.
func (s *searchSource) Thread(context.Context) (mail.ThreadID, error) { return threadOf(s.stored) }

// saveDate is when a message came into its mailbox (RFC 8514 3), on a clock that
// shows UTC: the days that SAVEDON and its like compare with are those that are
// shown.
func saveDate(row *account.Row) mail.InternalDate {
	return mail.NewInternalDate(time.Unix(int64(row.Saved), 0).UTC())
}
