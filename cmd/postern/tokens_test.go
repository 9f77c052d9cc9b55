package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postern/test/peer"
)

// tokenSettings are the configuration of a provider.
func tokenSettings(p *peer.TokenProvider, more string) string {
	return fmt.Sprintf("[[auth.oidc]]\nissuer = %q\naudience = [\"imap\"]\nscope = \"imap.access\"\n%s\n", p.Issuer, more)
}

func bearer(user, token string) string {
	return "AUTHENTICATE OAUTHBEARER " + base64.StdEncoding.EncodeToString([]byte("n,a="+user+",\x01auth=Bearer "+token+"\x01\x01"))
}

// refused says a command and gives up after the challenge that says why not.
func (c *client) refused(command, status string) {
	c.t.Helper()
	c.send("t " + command)
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.expect("+ "), "+ "))
	if err != nil || !strings.Contains(string(challenge), `{"status":"`+status+`"`) {
		c.t.Errorf("the challenge is %q, %v, want %s", challenge, err, status)
	}
	c.send("AQ==")
	c.expect("t NO [AUTHENTICATIONFAILED]")
}

// TestTokens signs in with tokens of two providers, each of which speaks for a domain of its own.
func TestTokens(t *testing.T) {
	here, there := peer.NewTokenProvider(t), peer.NewTokenProvider(t)
	s := newSite(t)
	trail := s.dir + "/audit.jsonl"
	secret := file(t, filepath.Join(s.dir, "secret"), there.Secret+"\n")
	settings := fmt.Sprintf("[auth]\nfailure_delay = \"0s\"\n[audit]\nfile = %q\n", trail) +
		tokenSettings(here, `domains = ["Example.org"]`) +
		tokenSettings(there, fmt.Sprintf("domains = [\"far.example\"]\nintrospection_client = %q\nintrospection_secret_file = %q", there.Client, secret))
	s.write(t, settings)
	s.run(t, "", "config", "check")
	r := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	s.account(t, "eve@far.example")
	s.run(t, "", "alias", "add", "countess@example.org", "ada@example.org")
	grant := func(user string) peer.Grant {
		return peer.Grant{User: user, Audience: []string{"imap"}, Scopes: []string{"imap.access"}}
	}
	opaque := func(g peer.Grant) peer.Grant { g.Opaque = true; return g }
	ada, eve := here.Token(t, grant("ada@example.org")), there.Token(t, opaque(grant("eve@far.example")))

	c := dial(t, s.imaps, false)
	if caps := strings.Join(c.do("CAPABILITY", "OK"), " "); !strings.Contains(caps, "AUTH=OAUTHBEARER AUTH=XOAUTH2") {
		t.Errorf("announced is %s", caps)
	}
	c.do(bearer("ada@example.org", ada), "OK")
	c.do("SELECT INBOX", "OK")
	dial(t, s.imaps, false).do(bearer("eve@far.example", eve), "OK")
	dial(t, s.imaps, false).do(bearer("countess@example.org", here.Token(t, grant("countess@example.org"))), "OK")
	dial(t, s.imaps, false).do("AUTHENTICATE XOAUTH2 "+base64.StdEncoding.EncodeToString([]byte("user=ada@example.org\x01auth=Bearer "+ada+"\x01\x01")), "OK")

	dial(t, s.imaps, false).refused(bearer("bob@example.org", ada), "invalid_token") // another's token
	dial(t, s.imaps, false).refused(bearer("nobody@example.org", here.Token(t, grant("nobody@example.org"))), "invalid_token")
	dial(t, s.imaps, false).refused(bearer("eve@far.example", here.Token(t, grant("eve@far.example"))), "invalid_token") // another domain's provider
	dial(t, s.imaps, false).refused(bearer("ada@example.org", there.Token(t, opaque(grant("ada@example.org")))), "invalid_token")
	dial(t, s.imaps, false).refused(bearer("ada@example.org", here.Token(t, opaque(grant("ada@example.org")))), "invalid_token") // which cannot be asked about
	webmail := grant("ada@example.org")
	webmail.Scopes = []string{"openid"}
	dial(t, s.imaps, false).refused(bearer("ada@example.org", here.Token(t, webmail)), "insufficient_scope")

	// A provider that is down makes no token bad.
	there.Break(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	dial(t, s.imaps, false).do(bearer("eve@far.example", "another.opaque"), "NO [UNAVAILABLE]")

	// A session ends with the token that it was begun with, whatever it is at (number 58 of the test matrix).
	key, name := here.Key()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"kid": name}})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": here.Issuer, "aud": "imap", "scope": "imap.access", "email": "ada@example.org", "exp": time.Now().Unix() + 3})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	short, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	waiting, leaving := dial(t, s.imaps, false), dial(t, s.imaps, false)
	waiting.do(bearer("ada@example.org", short), "OK")
	leaving.do(bearer("ada@example.org", short), "OK")
	leaving.do("UNAUTHENTICATE", "OK")
	leaving.do("LOGIN ada@example.org "+secretWord, "OK")
	waiting.send("i IDLE")
	waiting.expect("+ ")
	waiting.expect("* BYE")
	leaving.do("NOOP", "OK") // it has signed in otherwise since

	log := r.log.String()
	for _, token := range []string{ada, eve, short, there.Secret} {
		if strings.Contains(log, token) {
			t.Error("a token or secret is in the log")
		}
	}
	for _, why := range []string{`detail="its scopes are`, `detail="its user is not of a domain`, "reason=unknown_user", "reason=not_authorized"} {
		if !strings.Contains(log, why) {
			t.Errorf("%s is not said in the log", why)
		}
	}
	audit, err := os.ReadFile(trail)
	if err != nil || !strings.Contains(string(audit), `"mechanism":"OAUTHBEARER"`) || strings.Contains(string(audit), ada) {
		t.Errorf("the audit trail: %v", err)
	}

	// A reload with a secret that cannot be read changes nothing; one without providers ends the mechanisms.
	s.write(t, strings.Replace(settings, secret, secret+"-not", 1))
	refuses(t, postern(t, "", "--config", s.config, "config", "check"), exitConfig, "auth.oidc.introspection_secret_file")
	r.signal(t, syscall.SIGHUP)
	r.await(t, r.log, "not reloaded")
	dial(t, s.imaps, false).do(bearer("ada@example.org", ada), "OK")
	s.write(t, "[auth]\nfailure_delay = \"0s\"\n")
	r.signal(t, syscall.SIGHUP)
	r.await(t, r.log, "configuration and certificates reread")
	dial(t, s.imaps, false).do(bearer("ada@example.org", ada), "NO [CANNOT]")
}
