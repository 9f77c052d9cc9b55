package imapserver

import (
	"time"

	"postern/internal/account"
	"postern/internal/mail"
)

// Object identifiers (RFC 8474) are made when they are asked for, from numbers
// that are stored anyway. There is no THREADID: it is NIL in every answer, and no
// search finds one (RFC 8474 5.2).

// mailboxObject is what the MAILBOXID of a mailbox is made of.
func (s *session) mailboxObject(info *account.Info) mail.MailboxObject {
	return mail.MailboxObject{Account: s.account.ID(), Mailbox: info.ID, Validity: info.Validity}
}

// mailboxIDCode gives the MAILBOXID as a response code.
func (s *session) mailboxIDCode(info *account.Info) string {
	return "MAILBOXID (" + s.mailboxObject(info).String() + ")"
}

// emailObject is what the EMAILID of a message is made of.
func (s *session) emailObject(row *account.Row) mail.EmailObject {
	return mail.EmailOf(s.account.ID(), &mail.Message{ID: row.ID, Date: row.Date, Size: row.Size})
}

// saveDate is when a message came into its mailbox (RFC 8514 3), on a clock that
// shows UTC: the days that SAVEDON and its like compare with are those that are
// shown.
func saveDate(row *account.Row) mail.InternalDate {
	return mail.NewInternalDate(time.Unix(int64(row.Saved), 0).UTC())
}
