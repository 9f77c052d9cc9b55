package imapserver

import (
	"errors"
	"fmt"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/observe"
)

// ending is why a session is over. Whoever finds out returns one as the error of
// the command; say, if not empty, goes out as an untagged BYE.
type ending struct {
	reason string // for the log, from the list below
	code   string // response code of the BYE, "" for none
	say    string // text of the BYE
	answer reply  // the tagged line before it, if it has a status
}

func (e *ending) Error() string { return "imapserver: session ends: " + e.reason }

// Why sessions end.
const (
	endLogout     = "logout"
	endGone       = "client went away"
	endIdle       = "autologout"
	endSlow       = "client too slow"
	endLoginTime  = "no login in time"
	endBad        = "too many bad commands"
	endNotIMAP    = "not IMAP"
	endTooBig     = "line or literal too big"
	endInjection  = "octets behind STARTTLS"
	endHandshake  = "TLS handshake failed"
	endDraining   = "server stops"
	endHeldBack   = "expunge held back too long"
	endNotDone    = "something else than DONE"
	endGuesses    = "too many failed logins"
	endRevoked    = "access revoked"
	endDamaged    = "damaged compression"
	endFault      = "fault of the server"
	endUnreadable = "client does not read"
	endBoxGone    = "selected mailbox deleted"
)

// endings lists them for the counter.
func endings() []string {
	return []string{
		endLogout, endGone, endIdle, endSlow, endLoginTime, endBad, endNotIMAP, endTooBig, endInjection,
		endHandshake, endDraining, endHeldBack, endNotDone, endGuesses, endRevoked, endDamaged, endFault, endUnreadable, endBoxGone,
	}
}

// errAnswered is given by a command that has written its tagged line itself.
var errAnswered = errors.New("imapserver: answered already")

// status is the word a tagged reply begins with.
type status string

const (
	statusOK  status = "OK"
	statusNo  status = "NO"
	statusBad status = "BAD"
)

// reply is what a tagged line says after the tag.
type reply struct {
	status status
	code   string // without brackets, "" for none
	text   string
}

// codes are the response codes of RFC 5530, RFC 9051 7.1 and the RFCs named,
// by the kind of the error that makes us say them.
func codeOf(kind mail.Kind) string {
	switch kind {
	case mail.Internal:
		return "SERVERBUG"
	case mail.Unavailable, mail.NoSpace:
		return "UNAVAILABLE"
	case mail.NotFound:
		return "NONEXISTENT"
	case mail.AlreadyExists:
		return "ALREADYEXISTS"
	case mail.NotPermitted:
		return "NOPERM"
	case mail.OverQuota:
		return "OVERQUOTA"
	case mail.TooBig:
		return "TOOBIG" // RFC 7889 4, after RFC 4469
	case mail.Limit:
		return "LIMIT"
	case mail.Cannot:
		return "CANNOT"
	case mail.HasChildren:
		return "HASCHILDREN"
	case mail.InUse:
		return "INUSE"
	case mail.BadCharset:
		return "BADCHARSET"
	case mail.UnknownCTE:
		return "UNKNOWN-CTE" // RFC 3516 4.3
	case mail.AuthFailed:
		return "AUTHENTICATIONFAILED"
	case mail.NotAuthorized:
		return "AUTHORIZATIONFAILED"
	case mail.PrivacyNeeded:
		return "PRIVACYREQUIRED"
	case mail.Corrupt:
		return "CORRUPTION"
	}
	return "" // ReadOnly, Invalid, Canceled
}

// refusal is an error with a reply of its own, where the kind does not say
// enough: TRYCREATE, NOTSAVED, MODIFIED.
type refusal struct {
	reply     reply
	cause     error // for the log; may be nil
	blameless bool  // a BAD that is not counted against the client
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s [%s] %s", r.reply.status, r.reply.code, r.reply.text)
}
func (r *refusal) Unwrap() error { return r.cause }

// bad is the error of a command whose arguments contradict themselves or the
// state of the session.
func bad(format string, args ...any) error {
	return &refusal{reply: reply{statusBad, "", fmt.Sprintf(format, args...)}}
}

// no is the error of a command that cannot be done, with a response code of its
// own.
func no(code, format string, args ...any) error {
	return &refusal{reply: reply{statusNo, code, fmt.Sprintf(format, args...)}}
}

// tryCreate turns "no such mailbox" into the hint that APPEND, COPY and MOVE owe
// their client (RFC 9051 6.3.12, 6.4.7).
func tryCreate(err error) error {
	if mail.KindOf(err) != mail.NotFound {
		return err
	}
	return &refusal{reply: reply{statusNo, "TRYCREATE", "there is no such mailbox"}, cause: err}
}

// replyTo turns the error of a command into its tagged reply. Faults of ours are
// logged with their whole chain under a reference, which is all of it that the
// client is shown. end is not nil where the session cannot go on.
func (s *session) replyTo(err error) (r reply, end *ending) {
	var (
		over   *ending
		own    *refusal
		syntax *imapwire.SyntaxError
		fatal  *imapwire.FatalError
		known  *mail.Error
	)
	switch {
	case err == nil:
		return reply{status: statusOK}, nil
	case errors.Is(err, errAnswered):
		return reply{}, nil
	case errors.As(err, &over):
		return over.answer, over
	case errors.As(err, &fatal):
		if fatal.NotIMAP() {
			return reply{}, &ending{reason: endNotIMAP, say: fatal.Text}
		}
		return reply{}, &ending{reason: endTooBig, code: codeOf(mail.TooBig), say: fatal.Text}
	case s.r.Broken():
		return reply{}, s.lost(err)
	case errors.As(err, &syntax):
		return reply{statusBad, "", syntax.Error()}, nil
	case errors.As(err, &own):
		return own.reply, nil
	case s.link.writeErr != nil:
		return reply{}, s.lost(err)
	case s.w.Err() != nil:
		// A literal whose size was told could not be written whole: nothing can
		// follow it that the client would not take for part of it.
		observe.Fault(s.ctx, s.log, "reply broken off", err, s.attrs()...)
		return reply{}, &ending{reason: endFault}
	case errors.As(err, &known) && known.Kind != mail.Internal:
		return s.replyToKind(err, known)
	}
	if s.ctx.Err() != nil {
		return reply{}, &ending{reason: endGone}
	}
	ref := observe.Fault(s.ctx, s.log, "command failed", err, s.attrs()...)
	return reply{statusNo, codeOf(mail.Internal), fmt.Sprintf("something went wrong here (ref %s)", ref)}, nil
}

func (s *session) replyToKind(err error, known *mail.Error) (reply, *ending) {
	text := known.Text
	if text == "" {
		text = known.Kind.String()
	}
	switch known.Kind {
	case mail.Invalid:
		return reply{statusBad, "", text}, nil
	case mail.Canceled:
		return reply{}, &ending{reason: endGone}
	case mail.Unavailable, mail.Corrupt:
		ref := observe.Fault(s.ctx, s.log, "command failed", err, s.attrs()...)
		text = fmt.Sprintf("%s (ref %s)", text, ref)
	case mail.TooBig, mail.Limit, mail.NoSpace:
		s.srv.count.refused.Of(known.Kind.String()).Add()
	}
	return reply{statusNo, codeOf(known.Kind), text}, nil
}

// lost tells why a connection that failed did: the client took too long, or it is
// gone.
func (s *session) lost(err error) *ending {
	switch {
	case errors.Is(err, errDamaged):
		return &ending{reason: endDamaged, say: "what you compress cannot be decoded"}
	case isTimeout(s.link.writeErr):
		return &ending{reason: endUnreadable}
	case s.link.writeErr == nil && isTimeout(err):
		return &ending{reason: endSlow, say: "you take too long"}
	}
	return &ending{reason: endGone}
}
