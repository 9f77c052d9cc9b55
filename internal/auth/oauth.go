package auth

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"postern/internal/mail"
)

// OAUTHBEARER (RFC 7628) signs in with an access token that an OpenID Connect provider
// gave to the client, and XOAUTH2 is what Google made before there was an RFC, which most clients know.

const (
	mechBearer  = "OAUTHBEARER"
	mechXOAuth2 = "XOAUTH2"
)

// Tokens says whose access token a token is. The roof makes one of package oidc's.
type Tokens interface {
	// Verify gives what a token says. mail.AuthFailed is a token that is not good,
	// mail.NotPermitted one that is not for this service; their text is for the log.
	// mail.Unavailable is that the provider could not be asked.
	Verify(ctx context.Context, token string) (Token, error)
	// Hint is told to clients whose token is not good, so that they can get another.
	// user is who they want to be; "" if they did not say.
	Hint(user string) TokenHint
}

// Token is what a good token says.
type Token struct {
	User    string    // an address
	Expires time.Time // zero if it is not known
}

// TokenHint is where tokens come from.
type TokenHint struct {
	Scope         string // that they need
	Configuration string // URL of the provider's description of itself
}

// bearer is one exchange of either mechanism.
type bearer struct {
	auth    *Authenticator
	peer    Peer
	name    string
	failure error // what is told once the client has heard why
}

// Next takes the token, and after a failure the client's dummy response.
func (m *bearer) Next(ctx context.Context, response []byte) ([]byte, *Identity, error) {
	if m.failure != nil { // RFC 7628 3.2.3: whatever it is, it is the end
		return nil, nil, m.failure
	}
	if response == nil {
		return []byte{}, nil, nil
	}
	parse := parseBearer
	if m.name == mechXOAuth2 {
		parse = parseXOAuth2
	}
	authzid, token, ok := parse(string(response))
	if !ok {
		return nil, nil, m.auth.malformed(ctx, m.peer, m.name)
	}
	id, status, err := m.auth.signInByToken(ctx, m.peer, m.name, authzid, token)
	switch {
	case err == nil:
		return nil, &id, nil
	case status == "": // the token may be good: a client must not be told to get another
		return nil, nil, err
	}
	m.failure = err
	hint := m.auth.tokens.Hint(authzid)
	if m.name == mechXOAuth2 {
		challenge, err := json.Marshal(struct {
			Status  string `json:"status"`
			Schemes string `json:"schemes"`
			Scope   string `json:"scope"`
		}{"401", "bearer", hint.Scope})
		return challenge, nil, err
	}
	challenge, err := json.Marshal(struct {
		Status        string `json:"status"`
		Scope         string `json:"scope"`
		Configuration string `json:"openid-configuration"`
	}{status, hint.Scope, hint.Configuration})
	return challenge, nil, err
}

// The statuses that clients are told (RFC 6750 3.1).
const (
	statusInvalid = "invalid_token"
	statusScope   = "insufficient_scope"
)

// signInByToken looks at a token. The status is empty where that could not be done.
func (a *Authenticator) signInByToken(ctx context.Context, peer Peer, mechanism, authzid, token string) (id Identity, status string, err error) {
	begun := time.Now()
	try := Attempt{Time: a.now(), Peer: peer, Mechanism: mechanism}
	id, status, err = a.verifyToken(ctx, &try, authzid, token)
	a.report(ctx, try, try.User, err)
	if err != nil {
		return Identity{}, status, a.repent(ctx, &try, begun, err)
	}
	return id, "", nil
}

func (a *Authenticator) verifyToken(ctx context.Context, try *Attempt, authzid, token string) (Identity, string, error) {
	t, err := a.tokens.Verify(ctx, token)
	entry := Entry{}
	status := statusInvalid
	switch mail.KindOf(err) {
	case mail.AuthFailed, mail.NotPermitted:
		try.Detail = err.Error()
		if mail.KindOf(err) == mail.NotPermitted {
			status = statusScope
		}
	default:
		if err == nil {
			entry, err = a.find(ctx, try, t.User)
		}
		if err != nil {
			try.Result = Busy
			return Identity{}, "", err
		}
	}
	ruling := a.guard.Ask(ctx, &Question{Account: entry.Account, Name: try.User, Peer: &try.Peer, Strong: true})
	try.Verdict = ruling.Verdict
	if !ruling.Check {
		try.Result = Refused
		return Identity{}, statusInvalid, failed()
	}
	// A token that is not good is most often an old one of a program that does not know yet, and no guess in any
	// case: the network it comes from is not blamed for it.
	outcome := NotChecked
	defer func() { ruling.Settle(outcome) }()
	switch {
	case try.Detail != "":
		try.Result = WrongPassword
	case entry.Account == 0:
		try.Result, try.Detail = UnknownUser, "the token is good, and its user has no account here"
	case entry.Disabled:
		try.Result = Disabled
	case !a.mayAct(authzid, try.User, entry.Name):
		try.Result = NotAuthorized
	case !a.permit(entry.Name, try, true):
		try.Result = NotPermitted
	default:
		try.Result, outcome = Accepted, CheckedRight
		return Identity{Account: entry.Account, Name: entry.Name, Expires: t.Expires}, "", nil
	}
	return Identity{}, status, failed()
}

// parseBearer reads (RFC 7628 3.1)
//
//	client-resp = gs2-header kvsep *kvpair kvsep
//
// with an auth key that holds a bearer token, once, and keys that we do not know.
func parseBearer(message string) (authzid, token string, ok bool) {
	header, rest, ok := strings.Cut(message, "\x01")
	if !ok {
		return "", "", false
	}
	part := strings.Split(header, ",")
	if len(part) != 3 || part[0] != "n" && part[0] != "y" || part[2] != "" { // there is nothing to bind to
		return "", "", false
	}
	if part[1] != "" {
		name, is := strings.CutPrefix(part[1], "a=")
		if authzid, ok = saslName(name); !is || !ok {
			return "", "", false
		}
	}
	token, ok = bearerOf(rest)
	return authzid, token, ok
}

// parseXOAuth2 reads
//
//	"user=" address ^A "auth=Bearer " token ^A ^A
func parseXOAuth2(message string) (user, token string, ok bool) {
	first, rest, ok := strings.Cut(message, "\x01")
	user, is := strings.CutPrefix(first, "user=")
	if !ok || !is || user == "" || !printable(user) {
		return "", "", false
	}
	token, ok = bearerOf(rest)
	return user, token, ok
}

// bearerOf finds the token in *(key "=" value ^A) ^A. It may be empty: so a client asks what
// scope is needed (RFC 7628 4.3).
func bearerOf(pairs string) (token string, ok bool) {
	found := false
	for pairs != "\x01" {
		var pair string
		if pair, pairs, ok = strings.Cut(pairs, "\x01"); !ok {
			return "", false
		}
		key, value, is := strings.Cut(pair, "=")
		if !is || key == "" || strings.Trim(key, letters) != "" || strings.ContainsFunc(value, notOfValue) {
			return "", false
		}
		if key != "auth" {
			continue
		}
		scheme, given, spaced := strings.Cut(value, " ")
		given = strings.TrimLeft(given, " ")
		switch {
		case found:
			return "", false
		case value == "":
		case !spaced || !strings.EqualFold(scheme, "Bearer") || !isBearerToken(given):
			return "", false
		}
		token, found = given, true
	}
	return token, found
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func notOfValue(r rune) bool {
	return (r < 0x20 || r > 0x7e) && r != '\t' && r != '\r' && r != '\n'
}

// isBearerToken reports whether it is a b64token (RFC 6750 2.1).
func isBearerToken(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && strings.Trim(s, letters+"0123456789-._~+/") == ""
}

// saslName reads a name in which "," and "=" are written =2C and =3D (RFC 5801 4).
func saslName(s string) (string, bool) {
	plain := strings.ReplaceAll(strings.ReplaceAll(s, "=2C", ""), "=3D", "")
	if s == "" || strings.Contains(plain, "=") || !printable(s) {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), true
}
