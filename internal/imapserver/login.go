package imapserver

import (
	"cmp"
	"context"
	"time"

	"postern/internal/auth"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Authenticator says who somebody is; *auth.Authenticator is one.
type Authenticator interface {
	// Login checks the user name and password of LOGIN.
	Login(ctx context.Context, peer auth.Peer, user, password string) (auth.Identity, error)
	// Mechanisms lists the SASL mechanisms that may be announced, best first.
	Mechanisms(peer auth.Peer) []string
	// Start begins a SASL exchange.
	Start(mechanism string, peer auth.Peer) (auth.Mechanism, error)
}

var _ Authenticator = (*auth.Authenticator)(nil)

// maxGuesses is how often signing in may fail on one connection.
const maxGuesses = 3

// login is the command LOGIN (RFC 9051 6.2.3).
func (s *session) login(c *command) error {
	if err := s.private(); err != nil {
		return err
	}
	var args imapwire.LoginArgs
	if !s.r.ExpectLoginArgs(&args) {
		return s.r.Err()
	}
	id, err := s.srv.auth.Login(s.ctx, s.peer(), args.User, args.Password)
	if err != nil {
		return s.guessed(err)
	}
	return s.signIn(c, id)
}

// private refuses a password that everybody could read, before the client is
// asked for the literal it may be in. If it sent it already there is no help
// but to tell its owner: the counter is for that.
func (s *session) private() error {
	if s.conn.Private() {
		return nil
	}
	s.srv.count.leaked.Add()
	return mail.Errorf(mail.PrivacyNeeded, "no password before TLS is active")
}

func (s *session) peer() auth.Peer {
	return auth.Peer{
		Session: s.conn.ID(), Remote: s.conn.Remote(), TLS: s.conn.TLS(), Client: s.conn.Fingerprint(), Failures: s.guesses,
		NoBinding: s.hidden("AUTH=SCRAM-SHA-256-PLUS"),
	}
}

// guessed counts a failure to sign in.
func (s *session) guessed(err error) error {
	switch mail.KindOf(err) {
	case mail.AuthFailed, mail.NotAuthorized:
	case mail.Invalid:
		// Not what the mechanism asks for. The protocol was kept to, so it does not
		// count as a bad command (RFC 4616 2 has no other word for it than failed).
		return no(codeOf(mail.AuthFailed), "authentication failed")
	case mail.Limit:
		// Too many wait for the answer to a wrong password already.
		answer, _ := s.replyTo(mail.Errorf(mail.AuthFailed, "authentication failed"))
		return &ending{reason: endGuesses, say: "too many failed logins", answer: answer}
	default:
		return err
	}
	if s.guesses++; s.guesses >= maxGuesses {
		answer, _ := s.replyTo(err)
		return &ending{reason: endGuesses, say: "too many failed logins", answer: answer}
	}
	return err
}

// signIn opens the account of somebody who has proved who they are.
func (s *session) signIn(c *command, id auth.Identity) error {
	most := s.srv.limits.Sessions
	if s.srv.sessionsOf != nil {
		most = cmp.Or(s.srv.sessionsOf(id.Name), most)
	}
	if !s.srv.census.admit(id.Account, most) {
		return mail.Errorf(mail.Limit, "there are %d sessions of this account already", most)
	}
	acc, err := s.srv.accounts.Open(s.ctx, id.Account)
	if err != nil {
		s.srv.census.dismiss(id.Account)
		return err
	}
	s.account, s.user, s.readOnly = acc, id.Name, id.ReadOnly
	s.app.Store(id.App)
	s.by.Store(uint64(id.By))
	s.accountID.Store(uint64(id.Account))
	s.state = authenticated
	if !id.Expires.IsZero() { // who may come in until then does not stay for longer
		s.expiry = time.AfterFunc(time.Until(id.Expires), func() { s.link.raise(sessionRevoked) })
	}
	s.findRules()
	if err := s.conn.Authenticated(); err != nil {
		return s.lost(err)
	}
	if !s.link.trace.On() {
		s.link.trace = s.srv.trace.Open(s.conn.ID(), s.conn.Remote().Addr(), s.user)
	}
	s.link.open = true
	c.done(s.capabilityCode(), "signed in")
	return nil
}
