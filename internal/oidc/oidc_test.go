package oidc

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postern/internal/mail"
	"postern/test/peer"
)

// clock is a clock that a test sets forward.
type clock struct{ ahead time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

func provider(t *testing.T, change func(*Options)) (*Provider, *peer.TokenProvider, *clock) {
	t.Helper()
	real, c := peer.NewTokenProvider(t), &clock{}
	o := Options{Issuer: real.Issuer, Audience: []string{"imap", "mail"}, Scope: "imap.access", Client: real.Client, Secret: real.Secret,
		Transport: &http.Transport{DisableKeepAlives: true}, Now: c.now}
	if change != nil {
		change(&o)
	}
	return New(o), real, c
}

func want(t *testing.T, p *Provider, what, token string, kind mail.Kind, user string) {
	t.Helper()
	claims, err := p.Verify(t.Context(), token)
	if user != "" {
		if err != nil || claims.User != user || claims.Expires.IsZero() {
			t.Errorf("%s: %+v, %v", what, claims, err)
		}
		return
	}
	if err == nil || mail.KindOf(err) != kind {
		t.Errorf("%s: %+v, %v, want %s", what, claims, err, kind)
	}
	if err != nil && strings.Contains(err.Error(), token) && token != "" {
		t.Errorf("%s: the token is in the error", what)
	}
}

var good = peer.Grant{User: "ada@example.org", Audience: []string{"web", "imap"}, Scopes: []string{"openid", "imap.access"}}

// The provider's own tokens are good if they are for this service, both those that say so themselves and those that it has to
// be asked about.
func TestTokens(t *testing.T) {
	p, real, _ := provider(t, nil)
	for _, opaque := range []bool{false, true} {
		g := good
		g.Opaque = opaque
		want(t, p, "good", real.Token(t, g), 0, "ada@example.org")
		g.Audience = []string{"mail"}
		want(t, p, "the other audience", real.Token(t, g), 0, "ada@example.org")
		g.Audience = []string{"web"}
		want(t, p, "for webmail", real.Token(t, g), mail.AuthFailed, "")
		g.Audience = nil
		want(t, p, "for nobody", real.Token(t, g), mail.AuthFailed, "")
		g = good
		g.Opaque, g.Scopes = opaque, []string{"openid", "imap"}
		want(t, p, "without the scope", real.Token(t, g), mail.NotPermitted, "")
		g.Scopes = []string{"imap.access.not"}
		want(t, p, "with a longer scope", real.Token(t, g), mail.NotPermitted, "")
		g = good
		g.Opaque, g.User = opaque, ""
		want(t, p, "of nobody", real.Token(t, g), mail.AuthFailed, "")
	}
	want(t, p, "nonsense", "nonsense", mail.AuthFailed, "")
	want(t, p, "more of it", "a.b.c", mail.AuthFailed, "")
	want(t, p, "much of it", strings.Repeat("x", 20_000), mail.AuthFailed, "")
	if n := real.Fetched.Load(); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	alone, real, _ := provider(t, func(o *Options) { o.Client, o.Secret = "", "" })
	g := good
	g.Opaque = true
	if token := real.Token(t, g); alone.Issued(token) {
		t.Error("without introspection it takes tokens that say nothing")
	} else {
		want(t, alone, "without introspection", token, mail.AuthFailed, "")
	}
}

// sign makes a token of the header and claims given.
func sign(t *testing.T, key jose.SigningKey, header map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestForgedTokens is number 57 of the test matrix.
func TestForgedTokens(t *testing.T) {
	p, real, c := provider(t, nil)
	key, name := real.Key()
	now := time.Now().Unix()
	claims := func(change map[string]any) map[string]any {
		all := map[string]any{"iss": real.Issuer, "aud": "imap", "scope": "imap.access", "email": "ada@example.org", "exp": now + 300, "iat": now, "sub": "x"}
		for k, v := range change {
			if all[k] = v; v == nil {
				delete(all, k)
			}
		}
		return all
	}
	by := jose.SigningKey{Algorithm: jose.RS256, Key: key}
	named := map[jose.HeaderKey]any{"kid": name}
	token := func(change map[string]any) string { return sign(t, by, named, claims(change)) }

	want(t, p, "as it should be", token(nil), 0, "ada@example.org")
	want(t, p, "several audiences", token(map[string]any{"aud": []string{"web", "imap"}}), 0, "ada@example.org")
	want(t, p, "scp", token(map[string]any{"scope": nil, "scp": []string{"imap.access"}}), 0, "ada@example.org")
	want(t, p, "no kid", sign(t, by, nil, claims(nil)), 0, "ada@example.org")
	for what, change := range map[string]map[string]any{
		"no audience": {"aud": nil}, "another audience": {"aud": "web"}, "other audiences": {"aud": []string{"web", "imapx"}}, "audience of another kind": {"aud": 1},
		"another issuer": {"iss": "https://login.example.net"}, "no issuer": {"iss": nil}, "the issuer with a slash": {"iss": real.Issuer + "/"},
		"expired": {"exp": now - 1}, "no expiry": {"exp": nil}, "not yet": {"nbf": now + 3600},
		"no user": {"email": nil}, "not verified": {"email_verified": false}, "not verified, as text": {"email_verified": "false"}, "users": {"email": []string{"ada@example.org"}},
	} {
		want(t, p, what, token(change), mail.AuthFailed, "")
	}
	want(t, p, "wrong scope", token(map[string]any{"scope": "openid email"}), mail.NotPermitted, "")
	want(t, p, "no scope", token(map[string]any{"scope": nil}), mail.NotPermitted, "")

	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + name + `"}`))
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	want(t, p, "alg none", none+"."+base64.RawURLEncoding.EncodeToString(payload)+".", mail.AuthFailed, "")
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	want(t, p, "HS256 with the public key", sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: public}, named, claims(nil)), mail.AuthFailed, "")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forger := jose.SigningKey{Algorithm: jose.RS256, Key: other}
	want(t, p, "another key", sign(t, forger, named, claims(nil)), mail.AuthFailed, "")
	fetched := real.Fetched.Load()
	c.ahead = time.Minute
	for _, kid := range []string{"", "../../etc/passwd", "https://forger.example/keys", "unknown", "\x00"} {
		want(t, p, "kid "+kid, sign(t, forger, map[jose.HeaderKey]any{"kid": kid}, claims(nil)), mail.AuthFailed, "")
	}
	want(t, p, "a key of its own", sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: other}}, map[jose.HeaderKey]any{
		"jku": "https://forger.example/keys"}, claims(nil)), mail.AuthFailed, "")
	// Whoever makes up names of keys does not have them fetched each time.
	if n := real.Fetched.Load() - fetched; n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	good := token(nil)
	want(t, p, "changed", good[:len(good)-8]+"AAAAAAAA", mail.AuthFailed, "")
	c.ahead = 10 * time.Minute
	want(t, p, "later", good, mail.AuthFailed, "")
}

// A provider that signs with another key is believed, at once or, if somebody made up names of
// keys just before, a moment later; its old key is not any more.
func TestRotation(t *testing.T) {
	p, real, c := provider(t, nil)
	old := real.Token(t, good)
	want(t, p, "before", old, 0, "ada@example.org")
	real.Rotate(t)
	want(t, p, "the old key goes on until the new one is known", old, 0, "ada@example.org")
	c.ahead = pause
	want(t, p, "after", real.Token(t, good), 0, "ada@example.org")
	want(t, p, "the old key", old, mail.AuthFailed, "")
}

// TestProviderInTrouble is number 59 of the test matrix: what is known goes on, and nobody is told that their token is bad.
func TestProviderInTrouble(t *testing.T) {
	opaque := good
	opaque.Opaque = true
	for what, broken := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"a huge answer": func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
					return
				}
			}
		},
		"a way elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
	} {
		p, real, c := provider(t, nil)
		first, second := real.Token(t, good), real.Token(t, opaque)
		real.Break(broken)
		want(t, p, what+", before anything is known", first, mail.Unavailable, "")
		want(t, p, what+", of one to ask about", second, mail.Unavailable, "")
		real.Break(nil)
		want(t, p, what+", just now", first, mail.Unavailable, "") // it is left alone for a while
		c.ahead += pause
		want(t, p, what+", over", first, 0, "ada@example.org")
		want(t, p, what+", over", second, 0, "ada@example.org")
		third := real.Token(t, opaque)
		real.Break(broken)
		want(t, p, what+", with keys that are known", first, 0, "ada@example.org")
		want(t, p, what+", with one that was asked about", second, 0, "ada@example.org")
		want(t, p, what+", with one that was not", third, mail.Unavailable, "")
		real.Break(nil)
		real.Rotate(t)
		fourth := real.Token(t, good)
		real.Break(broken)
		c.ahead += pause
		want(t, p, what+", with a key that is not known", fourth, mail.Unavailable, "")
	}
}

// What was taken back is known to be once it is asked about again.
func TestRevokedToken(t *testing.T) {
	p, real, c := provider(t, nil)
	g := good
	g.Opaque = true
	token := real.Token(t, g)
	want(t, p, "before", token, 0, "ada@example.org")
	real.Revoke("ada@example.org")
	want(t, p, "within a minute", token, 0, "ada@example.org")
	c.ahead = remember
	want(t, p, "after it", token, mail.AuthFailed, "")
}

// What is remembered of tokens has a bound.
func TestRemembered(t *testing.T) {
	p := New(Options{Issuer: "https://login.example.org"})
	now := time.Now()
	for i := range remembered + 100 {
		p.keep([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, Claims{}, now)
	}
	if len(p.known) != remembered {
		t.Errorf("%d tokens are remembered", len(p.known))
	}
}
