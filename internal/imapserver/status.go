package imapserver

import (
	"strconv"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// status is the command STATUS (RFC 9051 6.3.11). It is answered from figures
// that every change carries: no message is looked at.
func (s *session) status(*command) error {
	var args imapwire.StatusArgs
	if !s.r.ExpectStatusArgs(&args) {
		return s.r.Err()
	}
	if err := s.statusAllowed(args.Items); err != nil {
		return err
	}
	mailbox, err := s.mailbox(args.Mailbox, mail.RightRead)
	if err != nil {
		return err
	}
	info := mailbox.Info()
	info.Name = args.Mailbox // the name it was asked under, should it just be renamed
	s.writeStatus(&info, args.Items)
	return nil
}

// statusOffered are the items we know; RECENT is not of IMAP4rev2 (RFC 9051
// Appendix E).
const statusOffered = imapwire.StatusMessages | imapwire.StatusMailboxID | imapwire.StatusRecent | imapwire.StatusUIDNext |
	imapwire.StatusUIDValidity | imapwire.StatusUnseen | imapwire.StatusDeleted | imapwire.StatusSize |
	imapwire.StatusAppendLimit | imapwire.StatusHighestModSeq | imapwire.StatusDeletedStorage

// statusAllowed refuses items we do not know. To ask for HIGHESTMODSEQ makes a
// session one that knows of mod-sequences (RFC 7162 3.1).
func (s *session) statusAllowed(items imapwire.StatusItems) error {
	offered := statusOffered
	if s.rev2 {
		offered &^= imapwire.StatusRecent
	}
	if items&^offered != 0 {
		return bad("unknown status item")
	}
	if items&imapwire.StatusHighestModSeq != 0 {
		return s.enableCondStore()
	}
	return nil
}

// writeStatus writes a STATUS response.
func (s *session) writeStatus(info *account.Info, items imapwire.StatusItems) {
	s.w.MailboxStatus(info.Name, items, &imapwire.StatusData{
		Counts: info.Counts, Recent: info.Recent, UIDValidity: info.Validity,
		HighestModSeq: info.HighestModSeq, AppendLimit: uint64(s.appendLimit(info)),
		MailboxID: s.mailboxObject(info).String(),
	})
}

// appendLimit is how large a message may be that comes into a mailbox by APPEND
// or REPLACE: the mailbox's own limit can be lower than everybody's, not higher.
func (s *session) appendLimit(info *account.Info) int64 {
	limit := s.srv.limits.Message
	if own := info.AppendLimit; own.Own {
		limit = min(limit, int64(own.Octets))
	}
	return limit
}

// appendLimitCapability tells the limit, if it is one for all mailboxes; otherwise
// the client has to ask for each (RFC 7889 2).
func (s *session) appendLimitCapability() string {
	for _, info := range s.home().Mailboxes() {
		if s.appendLimit(&info) != s.srv.limits.Message {
			return "APPENDLIMIT"
		}
	}
	return "APPENDLIMIT=" + strconv.FormatInt(s.srv.limits.Message, 10)
}
