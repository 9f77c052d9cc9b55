package peer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// TokenProvider is an OpenID Connect provider, of the library by ZITADEL, on a port of its own. It gives access tokens for
// whatever is asked of it.
type TokenProvider struct {
	Issuer string
	// Client and Secret may introspect tokens.
	Client, Secret string
	Fetched        atomic.Int64 // times that its keys were fetched

	server *httptest.Server
	store  *tokenStore
	broken atomic.Pointer[http.HandlerFunc]
}

// Grant is what a token is to say.
type Grant struct {
	User     string // the claim email
	Audience []string
	Scopes   []string
	Opaque   bool // no JWT: it says nothing by itself
}

// tokenStore is the library's own example of a store, with what a test wants put in the place of what it would say.
type tokenStore struct {
	*storage.Storage
	mu      sync.Mutex
	grant   Grant
	grants  map[string]Grant // by what is their subject
	key     *rsa.PrivateKey
	keyName string
	revoked map[string]bool
}

// NewTokenProvider starts one.
func NewTokenProvider(t testing.TB) *TokenProvider {
	t.Helper()
	p := &TokenProvider{Client: "postern", Secret: "it's 100% secret"}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	p.Issuer = "http://" + p.server.Listener.Addr().String()
	clients := map[string]*storage.Client{p.Client: storage.WebClient(p.Client, p.Secret)}
	p.store = &tokenStore{Storage: storage.NewStorageWithClients(storage.NewUserStore(p.Issuer), clients), grants: map[string]Grant{}, revoked: map[string]bool{}}
	p.Rotate(t)
	provider, err := op.NewProvider(&op.Config{AuthMethodPost: true}, p.store, op.StaticIssuer(p.Issuer), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	p.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			p.Fetched.Add(1)
		}
		if broken := p.broken.Load(); broken != nil {
			(*broken)(w, r)
			return
		}
		provider.ServeHTTP(w, r)
	})
	p.server.Start()
	t.Cleanup(p.server.Close)
	return p
}

// Break has it answer everything by f, until it is nil.
func (p *TokenProvider) Break(f http.HandlerFunc) {
	if f == nil {
		p.broken.Store(nil)
		return
	}
	p.broken.Store(&f)
}

// Rotate has it sign with another key from now on, and show that one only.
func (p *TokenProvider) Rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.key, p.store.keyName = key, fmt.Sprintf("key-%d", time.Now().UnixNano())
}

// Token has it give a token.
func (p *TokenProvider) Token(t testing.TB, g Grant) string {
	t.Helper()
	p.store.mu.Lock()
	p.store.grant = g
	p.store.mu.Unlock()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(g.Scopes, " ")}}
	request, err := http.NewRequest(http.MethodPost, p.Issuer+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(p.Client), url.QueryEscape(p.Secret))
	response, err := p.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var given struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal(body, &given) != nil || given.Token == "" {
		t.Fatalf("no token: %s %v", body, err)
	}
	return given.Token
}

// Revoke takes the tokens of a user back.
func (p *TokenProvider) Revoke(user string) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.revoked[user] = true
}

// Key is what it signs with, and what that is called.
func (p *TokenProvider) Key() (*rsa.PrivateKey, string) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return p.store.key, p.store.keyName
}

// tokenClient is a client that gets tokens for itself.
type tokenClient struct {
	op.Client
	opaque bool
}

// AccessTokenType is part of op.Client.
func (c tokenClient) AccessTokenType() op.AccessTokenType {
	if c.opaque {
		return op.AccessTokenTypeBearer
	}
	return op.AccessTokenTypeJWT
}

// GrantTypes is part of op.Client.
func (tokenClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

// IsScopeAllowed is part of op.Client.
func (tokenClient) IsScopeAllowed(string) bool { return true }

// ClientCredentials is part of op.ClientCredentialsStorage.
func (s *tokenStore) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	client, err := s.GetClientByClientID(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return tokenClient{client, s.grant.Opaque}, err
}

// ClientCredentialsTokenRequest is part of op.ClientCredentialsStorage.
func (s *tokenStore) ClientCredentialsTokenRequest(context.Context, string, []string) (op.TokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject := fmt.Sprintf("subject-%d", len(s.grants))
	s.grants[subject] = s.grant
	return &oidc.JWTTokenRequest{Subject: subject, Audience: s.grant.Audience, Scopes: s.grant.Scopes}, nil
}

func (s *tokenStore) granted(subject string) (Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[subject]
	if !ok || s.revoked[g.User] {
		return g, errors.New("there is no such token")
	}
	return g, nil
}

// GetPrivateClaimsFromScopes is part of op.Storage.
func (s *tokenStore) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, _ []string) (map[string]any, error) {
	g, err := s.granted(subject)
	return map[string]any{"email": g.User, "email_verified": true, "scope": strings.Join(g.Scopes, " ")}, err
}

// SetIntrospectionFromToken is part of op.Storage.
func (s *tokenStore) SetIntrospectionFromToken(_ context.Context, r *oidc.IntrospectionResponse, _, subject, _ string) error {
	g, err := s.granted(subject)
	r.Scope, r.Audience, r.Subject = g.Scopes, g.Audience, subject
	r.Expiration = oidc.FromTime(time.Now().Add(5 * time.Minute))
	r.SetUserInfo(&oidc.UserInfo{Subject: subject, UserInfoEmail: oidc.UserInfoEmail{Email: g.User, EmailVerified: true}})
	return err
}

type tokenKey struct {
	name string
	key  any
}

// ID, Algorithm, SignatureAlgorithm, Use and Key are of op.Key and op.SigningKey.
func (k tokenKey) ID() string                                { return k.name }
func (tokenKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (tokenKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (tokenKey) Use() string                                 { return "sig" }
func (k tokenKey) Key() any                                  { return k.key }

// SigningKey is part of op.Storage.
func (s *tokenStore) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tokenKey{s.keyName, s.key}, nil
}

// KeySet is part of op.Storage.
func (s *tokenStore) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []op.Key{tokenKey{s.keyName, &s.key.PublicKey}}, nil
}
