// Package oidc says whether an access token is one of an OpenID Connect provider's, for
// this server, and whose: by its signature (JWT, RFC 9068) or by asking the provider
// (introspection, RFC 7662). Where the provider's keys and endpoints are it tells itself
// (OpenID Connect Discovery 1.0); keys that change are fetched anew.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"postern/internal/mail"
)

// Options are what a Provider needs. All but those with another word are a must.
type Options struct {
	Issuer   string   // as it is in tokens; discovery begins there
	Audience []string // a token is for one of these
	Scope    string   // and allows this
	Claim    string   // the claim with the user's address; "" is email

	// Client and Secret are what introspection is asked with; "" asks nothing, and then tokens that are no
	// JWT are not good.
	Client, Secret string

	Transport http.RoundTripper // nil is http.DefaultTransport
	Now       func() time.Time  // nil is time.Now
}

// Claims are what a good token says.
type Claims struct {
	User    string    // as the token has it; nobody has looked whether there is such an account
	Expires time.Time // zero if it was not told
}

// Times and sizes.
const (
	patience    = 10 * time.Second // for one answer of the provider
	pause       = 10 * time.Second // between two times that the same is asked, whether it went well or not
	largest     = 64 << 10         // octets of an answer
	remember    = time.Minute      // of what introspection said
	remembered  = 10_000
	asking      = 16 // introspections at a time
	notYet      = time.Minute
	longestSeen = 16 << 10 // octets of a token
)

// Provider is one provider. Its methods may be called from any goroutine.
type Provider struct {
	o      Options
	client *http.Client
	keys   keys
	slots  chan struct{}

	discovering sync.Mutex
	asked       time.Time
	discovered  *endpoints
	fault       error

	mu    sync.Mutex
	known map[[32]byte]known
}

// endpoints are what discovery told.
type endpoints struct {
	Keys          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
}

// New makes a Provider. Nothing is asked before the first token comes.
func New(o Options) *Provider {
	if o.Claim == "" {
		o.Claim = "email"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	return &Provider{o: o, slots: make(chan struct{}, asking), known: make(map[[32]byte]known), client: &http.Client{
		Timeout: patience, Transport: capped{o.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a secret goes where it was meant to
	}}
}

// Scope is the scope that tokens need.
func (p *Provider) Scope() string { return p.o.Scope }

// Configuration is where the provider describes itself.
func (p *Provider) Configuration() string {
	return strings.TrimSuffix(p.o.Issuer, "/") + "/.well-known/openid-configuration"
}

// Issued reports whether a token says, unproved, that it is of this provider; of one that says
// nothing, whether it can be asked.
func (p *Provider) Issued(token string) bool {
	if !isJWT(token) {
		return p.o.Client != ""
	}
	return issuerOf(token) == p.o.Issuer
}

// Verify gives what a token says. Errors are mail.AuthFailed for a token that is not good, mail.NotPermitted for one
// without the scope, and mail.Unavailable where the provider could not be asked; their text is for a log.
func (p *Provider) Verify(ctx context.Context, token string) (Claims, error) {
	switch {
	case len(token) > longestSeen:
		return Claims{}, bad("it is too long")
	case isJWT(token):
		return p.verifyJWT(ctx, token)
	case p.o.Client == "":
		return Claims{}, bad("it is no JWT, and introspection is not set up")
	}
	return p.introspect(ctx, token)
}

func bad(format string, args ...any) error { return mail.Errorf(mail.AuthFailed, format, args...) }

// algorithms are those of which the provider keeps the secret half: with others who knows the
// public key could sign (none, HS256).
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

func (p *Provider) verifyJWT(ctx context.Context, token string) (Claims, error) {
	found, err := p.discover()
	if err != nil {
		return Claims{}, err
	}
	look := &verification{p: p, url: found.Keys}
	verified, err := oidc.NewVerifier(p.o.Issuer, look, &oidc.Config{
		SkipClientIDCheck:    true, // a client's ID is not what an access token is for: the audience is looked at below
		SupportedSigningAlgs: algorithms, Now: p.o.Now,
	}).Verify(ctx, token)
	switch {
	case look.fault != nil:
		return Claims{}, look.fault
	case err != nil:
		return Claims{}, bad("%s", err)
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		return Claims{}, bad("its claims cannot be read")
	}
	return p.judge(claims)
}

// judge looks at what a token says, which is proved to be said by the provider.
func (p *Provider) judge(claims map[string]any) (Claims, error) {
	now := p.o.Now()
	expires, hasExpiry := timeOf(claims["exp"])
	begins, hasBegin := timeOf(claims["nbf"])
	user, _ := claims[p.o.Claim].(string)
	verified, saysVerified := claims["email_verified"]
	switch {
	case claims["iss"] != nil && claims["iss"] != p.o.Issuer:
		return Claims{}, bad("it is of another issuer")
	case !slices.ContainsFunc(listOf(claims["aud"]), func(a string) bool { return slices.Contains(p.o.Audience, a) }):
		return Claims{}, bad("its audience is %.200q", listOf(claims["aud"]))
	case hasExpiry && !now.Before(expires):
		return Claims{}, bad("it has expired")
	case hasBegin && now.Add(notYet).Before(begins):
		return Claims{}, bad("it is not good yet")
	case !slices.Contains(scopesOf(claims), p.o.Scope):
		return Claims{}, mail.Errorf(mail.NotPermitted, "its scopes are %.200q", scopesOf(claims))
	case user == "":
		return Claims{}, bad("it has no claim %s", p.o.Claim)
	case p.o.Claim == "email" && saysVerified && verified != true && verified != "true":
		return Claims{}, bad("the provider has not verified the address")
	}
	return Claims{User: user, Expires: expires}, nil
}

// listOf reads what may be one string or several.
func listOf(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// scopesOf reads "scope" (RFC 9068 2.2.3), or "scp", where some providers have it.
func scopesOf(claims map[string]any) (list []string) {
	for _, name := range []string{"scope", "scp"} {
		for _, s := range listOf(claims[name]) {
			list = append(list, strings.Fields(s)...)
		}
	}
	return list
}

func timeOf(v any) (time.Time, bool) {
	seconds, ok := v.(float64)
	if !ok || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, v != nil // what is none is long past
	}
	return time.Unix(int64(seconds), 0), true
}

// discover gives where the provider has what. What it told once stays; a failure is told again
// for a while without asking.
func (p *Provider) discover() (*endpoints, error) {
	p.discovering.Lock()
	defer p.discovering.Unlock()
	if p.discovered != nil {
		return p.discovered, nil
	}
	if now := p.o.Now(); p.asked.IsZero() || now.Sub(p.asked) >= pause {
		p.asked = now
		// Not with the context of whoever asks first: others wait for the same.
		told, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.client), p.o.Issuer)
		var found endpoints
		if err == nil {
			err = told.Claims(&found)
		}
		if err == nil && found.Keys == "" {
			err = errors.New("it names no jwks_uri")
		}
		if err == nil {
			p.discovered, p.fault = &found, nil
			return p.discovered, nil
		}
		p.fault = err
	}
	return nil, mail.Wrap(p.fault, mail.Unavailable, "the provider of tokens cannot be asked at this moment")
}

// get asks the provider for JSON.
func (p *Provider) get(request *http.Request, into any) error {
	request.Header.Set("Accept", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answered %s", request.URL.Redacted(), response.Status)
	}
	return json.Unmarshal(body, into)
}

// capped lets no answer be larger than largest.
type capped struct{ http.RoundTripper }

// RoundTrip sends a request.
func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &cappedBody{response.Body, largest}
	}
	return response, err
}

type cappedBody struct {
	io.ReadCloser
	left int
}

var errLarge = errors.New("the provider's answer is too large")

// Read reads, and fails beyond the cap.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
