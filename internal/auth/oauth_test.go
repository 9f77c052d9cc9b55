package auth

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
)

// tokens knows some.
type tokens map[string]Token

func (t tokens) Verify(_ context.Context, token string) (Token, error) {
	switch token {
	case "down":
		return Token{}, mail.Errorf(mail.Unavailable, "nobody is there")
	case "scope":
		return Token{}, mail.Errorf(mail.NotPermitted, "its scopes are others")
	}
	if found, ok := t[token]; ok {
		return found, nil
	}
	return Token{}, mail.Errorf(mail.AuthFailed, "it is of no provider")
}

func (tokens) Hint(string) TokenHint {
	return TokenHint{Scope: "example_scope", Configuration: "https://example.com/.well-known/openid-config"}
}

// rfcToken is that of the examples in RFC 7628 4.
const rfcToken = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="

func tokenFixture(t *testing.T) (*fixture, time.Time) {
	t.Helper()
	until := time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *Config) {
		c.Tokens = tokens{rfcToken: {User: "user@example.com", Expires: until}, "ada": {User: "ada@example.org"}, "off": {User: "off@example.org"}, "nobody": {User: "nobody@example.org"}}
	})
	f.dir.set(t, "user@example.com", "", cheap, nil)
	return f, until
}

// The exchanges of RFC 7628 4.1 and 4.3, in base64 as they stand there.
func TestBearerExamples(t *testing.T) {
	f, until := tokenFixture(t)
	m, err := f.Start("OAUTHBEARER", peer)
	if err != nil {
		t.Fatal(err)
	}
	first, err := base64.StdEncoding.DecodeString("bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB")
	if err != nil {
		t.Fatal(err)
	}
	challenge, id, err := m.Next(t.Context(), first)
	if err != nil || challenge != nil || id == nil || id.Name != "user@example.com" || !id.Expires.Equal(until) {
		t.Fatalf("%q %+v %v", challenge, id, err)
	}
	if m, err = f.Start("OAUTHBEARER", peer); err != nil {
		t.Fatal(err)
	}
	challenge, id, err = m.Next(t.Context(), []byte("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01"))
	const said = `{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-config"}`
	if string(challenge) != said || id != nil || err != nil {
		t.Fatalf("%s %+v %v", challenge, id, err)
	}
	challenge, id, err = m.Next(t.Context(), []byte("\x01"))
	if challenge != nil || id != nil || mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("%s %+v %v", challenge, id, err)
	}
}

func TestBearerMessages(t *testing.T) {
	f, _ := tokenFixture(t)
	const malformed, success, down = "malformed", "success", "down"
	for _, c := range []struct{ mechanism, message, want string }{
		{"OAUTHBEARER", "n,,\x01auth=Bearer ada\x01\x01", success},
		{"OAUTHBEARER", "y,,\x01auth=bEaReR   ada\x01\x01", success},
		{"OAUTHBEARER", "n,a=ada@example.org,\x01auth=Bearer ada\x01unknown=1\x01\x01", success},
		{"OAUTHBEARER", "n,a=user@example.com,\x01auth=Bearer ada\x01\x01", "invalid_token"}, // another user's token
		{"OAUTHBEARER", "n,a=ada=2Cx@example.org,\x01auth=Bearer ada\x01\x01", "invalid_token"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer wrong\x01\x01", "invalid_token"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer scope\x01\x01", "insufficient_scope"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer off\x01\x01", "invalid_token"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer nobody\x01\x01", "invalid_token"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer down\x01\x01", down},
		{"OAUTHBEARER", "", malformed}, {"OAUTHBEARER", "\x01", malformed}, {"OAUTHBEARER", "n,,\x01\x01", malformed},
		{"OAUTHBEARER", "n,,\x01auth=Bearer ada\x01", malformed}, {"OAUTHBEARER", "n,,auth=Bearer ada\x01\x01", malformed},
		{"OAUTHBEARER", "p=tls-exporter,,\x01auth=Bearer ada\x01\x01", malformed}, {"OAUTHBEARER", "n,ada@example.org,\x01auth=Bearer ada\x01\x01", malformed},
		{"OAUTHBEARER", "n,a=,\x01auth=Bearer ada\x01\x01", malformed}, {"OAUTHBEARER", "n,a=a=da,\x01auth=Bearer ada\x01\x01", malformed},
		{"OAUTHBEARER", "n,,\x01auth=Bearer ada\x01auth=Bearer ada\x01\x01", malformed}, {"OAUTHBEARER", "n,,\x01auth=Basic ada\x01\x01", malformed},
		{"OAUTHBEARER", "n,,\x01auth=Bearer a da\x01\x01", malformed}, {"OAUTHBEARER", "n,,\x01auth=Bearer ada\x00\x01\x01", malformed},
		{"OAUTHBEARER", "n,,\x01a1=x\x01auth=Bearer ada\x01\x01", malformed}, {"OAUTHBEARER", "n,,\x01auth=Bearer ada\x01\x01more\x01", malformed},
		{"OAUTHBEARER", "n,,\x01auth=Bearer\x01\x01", malformed}, {"OAUTHBEARER", "n,,\x01auth=Bearer =\x01\x01", malformed},
		{"XOAUTH2", "user=ada@example.org\x01auth=Bearer ada\x01\x01", success},
		{"XOAUTH2", "user=ADA@example.org\x01auth=Bearer ada\x01\x01", success},
		{"XOAUTH2", "user=user@example.com\x01auth=Bearer ada\x01\x01", "401"}, {"XOAUTH2", "user=ada@example.org\x01auth=Bearer wrong\x01\x01", "401"},
		{"XOAUTH2", "user=ada@example.org\x01auth=Bearer down\x01\x01", down},
		{"XOAUTH2", "user=\x01auth=Bearer ada\x01\x01", malformed}, {"XOAUTH2", "auth=Bearer ada\x01\x01", malformed},
		{"XOAUTH2", "n,,\x01auth=Bearer ada\x01\x01", malformed}, {"XOAUTH2", "user=ada@example.org\x01\x01", malformed},
	} {
		m, err := f.Start(c.mechanism, peer)
		if err != nil {
			t.Fatal(err)
		}
		if challenge, _, err := m.Next(t.Context(), nil); challenge == nil || len(challenge) > 0 || err != nil {
			t.Fatalf("without an initial response: %q %v", challenge, err)
		}
		challenge, id, err := m.Next(t.Context(), []byte(c.message))
		got := ""
		switch {
		case id != nil:
			got = success
		case mail.KindOf(err) == mail.Invalid:
			got = malformed
		case mail.KindOf(err) == mail.Unavailable:
			got = down
		case err == nil:
			got = string(challenge)
			if _, id, err := m.Next(t.Context(), []byte("\x01")); id != nil || mail.KindOf(err) != mail.AuthFailed {
				t.Errorf("%q: after the challenge %+v, %v", c.message, id, err)
			}
		}
		if got != c.want && !strings.Contains(got, `"status":"`+c.want+`"`) {
			t.Errorf("%s %q: %s %v, want %s", c.mechanism, c.message, got, err, c.want)
		}
	}
	if strings.Contains(f.log.String(), rfcToken) {
		t.Error("a token is in the log")
	}
}

// Without a provider there are no such mechanisms.
func TestNoTokens(t *testing.T) {
	f := newFixture(t, nil)
	for _, name := range []string{"OAUTHBEARER", "XOAUTH2"} {
		if _, err := f.Start(name, peer); mail.KindOf(err) != mail.Cannot {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token is not a password: an account from which strangers are kept away is open to it.
func TestTokenIsStrong(t *testing.T) {
	var asked []Question
	f := newFixture(t, func(c *Config) {
		c.Tokens = tokens{"ada": {User: "ada@example.org"}}
		c.Guard = guardFunc(func(q *Question) Ruling {
			asked = append(asked, *q)
			return Ruling{Check: true, Settle: func(Outcome) {}}
		})
	})
	m, err := f.Start("OAUTHBEARER", peer)
	if err != nil {
		t.Fatal(err)
	}
	if _, id, err := m.Next(t.Context(), []byte("n,,\x01auth=Bearer ada\x01\x01")); id == nil || err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || !asked[0].Strong || asked[0].Account != 1 || asked[0].Password != "" {
		t.Errorf("the guard was asked %+v", asked)
	}
}

type guardFunc func(*Question) Ruling

func (g guardFunc) Ask(_ context.Context, q *Question) Ruling { return g(q) }
