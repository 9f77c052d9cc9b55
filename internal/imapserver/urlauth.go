package imapserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// URLs that are good for others (RFC 4467). Whoever owns a mailbox has us put a
// token behind the URL of a message of his; whoever has that URL can fetch the
// message, if he is among those the URL names, with the rights of its owner. The
// token is a keyed hash over the rest of the URL, octet by octet. The key is the
// mailbox's and never leaves us: another key, and no such URL is good any more.

// Finder finds the account of a user by its address.
type Finder interface {
	// Find gives mail.NotFound for an address that is nobody's, or of more than one,
	// or of somebody who may not sign in.
	Find(ctx context.Context, address string) (mail.AccountID, error)
}

// urlMechanism is the response code that tells how URLs are made good.
const urlMechanism = "URLMECH " + imapwire.MechanismInternal

// offersURLAuth reports whether there can be such URLs: they name our host and
// their owner.
func (srv *Server) offersURLAuth() bool { return srv.hostname != "" && srv.finder != nil }

func noURLAuth() error { return bad("there is no URLAUTH here") }

// genURLAuth is the command GENURLAUTH (RFC 4467 7).
func (s *session) genURLAuth(c *command) error {
	if !s.srv.offersURLAuth() {
		return noURLAuth()
	}
	var rumps []imapwire.Rump
	if !s.r.ExpectGenURLAuthArgs(&rumps) {
		return s.r.Err()
	}
	urls := make([]string, len(rumps))
	for i := range rumps {
		mailbox, err := s.authorizable(&rumps[i])
		if err != nil {
			return err
		}
		key, err := patiently(s.ctx, s, mailbox.MakeAccessKey)
		if err != nil {
			return err
		}
		s.keyTold(mailbox)
		urls[i] = rumps[i].URL + ":" + strings.ToLower(imapwire.MechanismInternal) + ":" + urlToken(&key, rumps[i].URL)
	}
	s.w.Star().Raw("GENURLAUTH")
	for _, url := range urls {
		s.w.SP().String(url)
	}
	s.w.CRLF()
	return nil
}

// authorizable gives the mailbox of a URL that is to be made good. What is wrong
// with the URL is BAD (RFC 4467 7).
func (s *session) authorizable(r *imapwire.Rump) (*account.Mailbox, error) {
	u, ok := imapwire.ParseURL(r.URL)
	switch {
	case r.Mechanism != imapwire.MechanismInternal:
		return nil, bad("there is no such mechanism, only %s", imapwire.MechanismInternal)
	case !ok || !u.Absolute || u.Authorized == nil:
		return nil, bad("expected an absolute URL of a message that ends with ;URLAUTH= and who may use it")
	case u.Authorized.Mechanism != "":
		return nil, bad("the URL has a token already")
	case !s.srv.isOurs(u.Host):
		return nil, bad("the URL names another server")
	case !strings.EqualFold(u.User, s.user):
		return nil, bad("the URL must name you as its user")
	}
	mailbox, err := s.mailbox(u.Mailbox, mail.RightRead)
	if mail.KindOf(err) == mail.NotFound && err != nil {
		return nil, bad("there is no such mailbox")
	}
	if err == nil && mailbox.Info().Account != s.account.ID() {
		return nil, mail.Errorf(mail.NotPermitted, "URLs are made for mailboxes of one's own alone")
	}
	return mailbox, err
}

// tokenHMAC names the algorithm of a token, in its first octet: HMAC-SHA-256.
const tokenHMAC = "01"

// urlToken is the token for a URL: at least 128 bits that nobody can tell who does
// not have the key (RFC 4467 3).
func urlToken(key *mail.AccessKey, rump string) string {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(rump)) // never fails
	return tokenHMAC + hex.EncodeToString(mac.Sum(nil))
}

// resetKey is the command RESETKEY (RFC 4467 7): other keys, and none of the URLs
// made before is good any more.
func (s *session) resetKey(c *command) error {
	if !s.srv.offersURLAuth() {
		return noURLAuth()
	}
	var args imapwire.ResetKeyArgs
	if !s.r.ExpectResetKeyArgs(&args) {
		return s.r.Err()
	}
	for _, m := range args.Mechanisms {
		if m != imapwire.MechanismInternal {
			return bad("there is no such mechanism, only %s", imapwire.MechanismInternal)
		}
	}
	var mailbox *account.Mailbox
	reset := s.account.ForgetAccessKeys
	if args.Mailbox != "" {
		var err error
		if mailbox, err = s.mailbox(args.Mailbox, mail.RightRead); err != nil {
			return err
		}
		if mailbox.Info().Account != s.account.ID() {
			return mail.Errorf(mail.NotPermitted, "the keys of a mailbox are its owner's")
		}
		reset = mailbox.RenewAccessKey
	}
	_, err := patiently(s.ctx, s, func(ctx context.Context) (without, error) { return without{}, reset(ctx) })
	if err != nil {
		return err
	}
	s.keyTold(mailbox)
	c.done(urlMechanism, "the URLs made before are void")
	return nil
}

// keyTold notes that this session knows of a mailbox's key, nil for all: it made it.
func (s *session) keyTold(mailbox *account.Mailbox) {
	if s.box == nil {
		return
	}
	if info := s.box.sel.Info(); mailbox == nil && s.box.host == nil || mailbox != nil && s.box.sel.Holds(mailbox) {
		s.box.keyAt = info.KeyAt
	}
}

// tellKey tells that another session has changed the key of the selected mailbox
// (RFC 4467 7, RESETKEY).
func (s *session) tellKey() {
	if at := s.box.sel.Info().KeyAt; at != s.box.keyAt {
		s.box.keyAt = at
		s.w.Status("", imapwire.OK, urlMechanism, "URLs are made good with another key")
	}
}

// urlFetch is the command URLFETCH (RFC 4467 7). What the session cannot have is
// NIL, whatever the reason. Nothing is selected by it and nothing becomes \Seen.
func (s *session) urlFetch(c *command) error {
	if !s.srv.offersURLAuth() {
		return noURLAuth()
	}
	var urls []string
	if !s.r.ExpectURLFetchArgs(&urls) {
		return s.r.Err()
	}
	for _, url := range urls {
		message, err := s.openAuthorized(url)
		if err != nil && !notToBeHad(err) {
			return err
		}
		s.w.Star().Raw("URLFETCH ").String(url).SP()
		switch {
		case err != nil:
			s.w.Raw("NIL")
		case message.size() == 0:
			s.w.Raw(`""`)
		default:
			s.w.Literal(message.size(), message)
		}
		if message != nil {
			message.close()
		}
		if s.w.CRLF(); s.w.Err() != nil {
			return s.w.Err()
		}
	}
	return nil
}

// notToBeHad reports whether an error says no more than that a URL is not good.
func notToBeHad(err error) bool {
	kind := mail.KindOf(err)
	return kind == mail.NotFound || kind == mail.NotPermitted || kind == mail.Invalid
}

var errNotGood error = mail.Errorf(mail.NotPermitted, "the URL is not good")

// openAuthorized opens what a URL names that was made good for this session, with
// the rights of the URL's owner. The token is computed whether there is such a
// mailbox or not, so that the time it takes does not tell.
func (s *session) openAuthorized(text string) (*urlMessage, error) {
	u, ok := imapwire.ParseURL(text)
	a := u.Authorized
	if !ok || !u.Absolute || a == nil || !strings.EqualFold(a.Mechanism, imapwire.MechanismInternal) || u.User == "" || !s.srv.isOurs(u.Host) {
		return nil, errNotGood
	}
	owner, mailbox, err := s.srv.mailboxOf(s.ctx, u.User, u.Mailbox)
	if owner != nil {
		defer func() {
			if owner != nil {
				owner.Release()
			}
		}()
	}
	if err != nil && !notToBeHad(err) {
		return nil, err
	}
	var key mail.AccessKey
	if err == nil {
		key = mailbox.AccessKey()
	}
	if key == (mail.AccessKey{}) {
		rand.Read(key[:]) // never fails
	}
	if !hmac.Equal([]byte(strings.ToLower(a.Token)), []byte(urlToken(&key, a.Rump))) {
		return nil, errNotGood
	}
	if !a.Expire.IsZero() && !s.srv.now().Before(a.Expire) {
		return nil, errNotGood
	}
	if err := s.mayUse(a); err != nil {
		return nil, err
	}
	sel, err := mailbox.Select(s.ctx, false)
	if err != nil {
		return nil, err
	}
	m := &urlMessage{sel: sel, owner: owner}
	owner = nil // the message has it
	if err := s.openPart(m, sel, false, &u); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// mailboxOf gives a mailbox of the owner of a URL, as the owner may read it. The
// account wants a Release, also with an error, if it is not nil.
func (srv *Server) mailboxOf(ctx context.Context, user, name string) (*account.Account, *account.Mailbox, error) {
	id, err := srv.finder.Find(ctx, user)
	if err != nil {
		return nil, nil, err
	}
	owner, err := srv.accounts.Open(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	mailbox, err := owner.Mailbox(name, mail.RightRead)
	return owner, mailbox, err
}

// mayUse reports whether the session is among those a URL names (RFC 4467 2).
func (s *session) mayUse(a *imapwire.URLAuth) error {
	switch a.Access {
	case "anonymous", "authuser": // nobody here is anonymous
		return nil
	case "user+":
		id, err := s.srv.finder.Find(s.ctx, a.User)
		if err == nil && id != s.account.ID() {
			err = errNotGood
		}
		return err
	case "submit+":
		// Who submits for whom is the submission server's affair.
		if slices.ContainsFunc(s.srv.submitters, func(name string) bool { return strings.EqualFold(name, s.user) }) {
			return nil
		}
	}
	return errNotGood
}
