package oidc

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/internal/mail"
)

// known is what introspection said of a token, for a while: a client with five
// connections asks once. That a token was not good is not remembered.
type known struct {
	claims Claims
	until  time.Time
}

// introspect asks the provider about a token (RFC 7662 2).
func (p *Provider) introspect(ctx context.Context, token string) (Claims, error) {
	sum, now := sha256.Sum256([]byte(token)), p.o.Now()
	p.mu.Lock()
	k, ok := p.known[sum]
	p.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.claims, nil
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		return Claims{}, mail.Errorf(mail.Unavailable, "too many tokens are being asked about at this moment, try again")
	}
	found, err := p.discover()
	if err != nil {
		return Claims{}, err
	}
	if found.Introspection == "" {
		return Claims{}, bad("it is no JWT, and the provider has no introspection")
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, found.Introspection, strings.NewReader(form.Encode()))
	var claims map[string]any
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(url.QueryEscape(p.o.Client), url.QueryEscape(p.o.Secret)) // RFC 6749 2.3.1
		err = p.get(request, &claims)
	}
	switch {
	case ctx.Err() != nil:
		return Claims{}, mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	case err != nil:
		return Claims{}, mail.Wrap(err, mail.Unavailable, "the provider of tokens cannot be asked at this moment")
	case claims["active"] != true:
		return Claims{}, bad("the provider says that it is not active")
	}
	good, err := p.judge(claims)
	if err != nil {
		return Claims{}, err
	}
	p.keep(sum, good, now)
	return good, nil
}

// keep remembers what was said of a token, for as long as it is good and not for longer than remember.
func (p *Provider) keep(sum [sha256.Size]byte, claims Claims, now time.Time) {
	until := now.Add(remember)
	if !claims.Expires.IsZero() && claims.Expires.Before(until) {
		until = claims.Expires
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= remembered {
		for s, k := range p.known {
			if !now.Before(k.until) || len(p.known) >= remembered {
				delete(p.known, s)
			}
		}
	}
	p.known[sum] = known{claims, until}
}
