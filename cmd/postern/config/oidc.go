package config

import (
	"fmt"
	"net/netip"
	"net/url"
)

// OIDC is an OpenID Connect provider whose access tokens let people in.
type OIDC struct {
	Issuer     string   `toml:"issuer" doc:"The provider's issuer, an https URL, to the letter as it stands in its tokens. Its keys and endpoints are found from there."`
	Audience   []string `toml:"audience" doc:"What a token must be for (aud): one of these."`
	Scope      string   `toml:"scope" doc:"The scope that a token must have. Clients whose token is not good are told it."`
	Claim      string   `toml:"claim" doc:"The claim that holds the account's address."`
	Domains    []string `toml:"domains" doc:"The domains whose people the provider may speak for; empty: all."`
	Client     string   `toml:"introspection_client" doc:"Client ID to ask the provider with about tokens that are no JWT (RFC 7662); empty: they are not taken."`
	SecretFile string   `toml:"introspection_secret_file" doc:"File that holds that client's secret."`
}

// checkOIDC finds what cannot work of providers.
func (c *Config) checkOIDC(r *reader) {
	issuers := map[string]bool{}
	for i := range c.Auth.OIDC {
		p, path := &c.Auth.OIDC[i], fmt.Sprintf("auth.oidc[%d]", i)
		at := func(setting string) int { return max(r.lines[path+"."+setting], r.lines[path]) }
		u, err := url.Parse(p.Issuer)
		switch {
		case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			r.mistake(at("issuer"), "auth.oidc.issuer: %q is no URL as in \"https://login.example.org\"", p.Issuer)
		case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
			r.mistake(at("issuer"), "auth.oidc.issuer: %q: whoever can change what comes from there signs in as anybody, so it begins with https://", p.Issuer)
		case issuers[p.Issuer]:
			r.mistake(at("issuer"), "auth.oidc.issuer: %s is given twice", p.Issuer)
		}
		issuers[p.Issuer] = true
		if len(p.Audience) == 0 {
			r.mistake(at("audience"), "auth.oidc.audience: without one, tokens for any other service of the provider would let people in")
		}
		if p.Scope == "" {
			r.mistake(at("scope"), "auth.oidc.scope: without one, tokens that are not for mail would let people in")
		}
		if p.Claim == "" {
			r.mistake(at("claim"), "auth.oidc.claim: a claim is needed, as in \"email\"")
		}
		if (p.Client == "") != (p.SecretFile == "") {
			r.mistake(max(at("introspection_client"), at("introspection_secret_file")), "auth.oidc.introspection_client and auth.oidc.introspection_secret_file go together: one of them is missing")
		}
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
