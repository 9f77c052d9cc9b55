package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postern/internal/mail"
)

// keys are those that a provider signs with, as it last told. A token that names
// another has them fetched anew, but not oftener than every pause: anybody can
// make up names. Where that fails the keys that are known go on.
type keys struct {
	mu    sync.RWMutex
	known []jose.JSONWebKey

	fetching sync.Mutex
	asked    time.Time
	fault    error
}

// verification is the check of one signature, as the library asks for it.
type verification struct {
	p     *Provider
	url   string
	fault error // why it could not be checked, which the library would make a string of
}

var errSignature = errors.New("its signature is not by a key of the provider")

// VerifySignature gives what was signed.
func (v *verification) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	accepted := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, a := range algorithms {
		accepted[i] = jose.SignatureAlgorithm(a)
	}
	signed, err := jose.ParseSignedCompact(token, accepted)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errSignature
	}
	name := signed.Signatures[0].Header.KeyID
	k := &v.p.keys
	for range 2 {
		k.mu.RLock()
		known := k.known
		k.mu.RUnlock()
		named := false
		for i := range known {
			if name != "" && known[i].KeyID != name {
				continue
			}
			named = name != ""
			if payload, err := signed.Verify(&known[i]); err == nil {
				return payload, nil
			}
		}
		if named { // it is the provider's, and the signature is not by it
			return nil, errSignature
		}
		fresh, err := k.fetch(v.p, v.url)
		if err != nil {
			v.fault = mail.Wrap(err, mail.Unavailable, "the provider of tokens cannot be asked at this moment")
			return nil, v.fault
		}
		if !fresh {
			break
		}
	}
	return nil, errSignature
}

// fetch fetches the keys, unless that was tried just now: then it reports false, or how it failed.
func (k *keys) fetch(p *Provider, url string) (fresh bool, _ error) {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	now := p.o.Now()
	if !k.asked.IsZero() && now.Sub(k.asked) < pause {
		return false, k.fault
	}
	k.asked = now
	request, err := http.NewRequest(http.MethodGet, url, nil)
	var set jose.JSONWebKeySet
	if err == nil {
		err = p.get(request, &set)
	}
	if k.fault = err; err != nil {
		return false, err
	}
	set.Keys = slices.DeleteFunc(set.Keys, func(key jose.JSONWebKey) bool {
		return !key.IsPublic() || key.Use != "" && key.Use != "sig"
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = set.Keys
	return true, nil
}

func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// issuerOf gives the issuer that a token names, which is proved by nothing.
func issuerOf(token string) string {
	part := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Issuer
}
