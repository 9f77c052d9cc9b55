package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"postern/cmd/postern/config"
	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/oidc"
)

// tokenProviders are those who give tokens, as package auth asks for them.
type tokenProviders struct {
	list  []tokenProvider
	rules auth.Rules
}

type tokenProvider struct {
	*oidc.Provider
	domains []string // whose people it may speak for; empty: all
}

// providersOf makes the providers of a configuration; nil where there are none. The error names the setting.
func providersOf(cfg config.Config) (auth.Tokens, error) {
	if len(cfg.Auth.OIDC) == 0 {
		return nil, nil
	}
	all := tokenProviders{rules: rulesOf(cfg)}
	for i := range cfg.Auth.OIDC {
		c := &cfg.Auth.OIDC[i]
		secret := ""
		if c.SecretFile != "" {
			text, err := os.ReadFile(c.SecretFile)
			if err != nil {
				return nil, setupErrorf("auth.oidc.introspection_secret_file: %w", err)
			}
			secret = strings.TrimSpace(string(text))
		}
		p := tokenProvider{Provider: oidc.New(oidc.Options{
			Issuer: c.Issuer, Audience: c.Audience, Scope: c.Scope, Claim: c.Claim, Client: c.Client, Secret: secret,
		})}
		for _, d := range c.Domains {
			domain, err := auth.Domain(d)
			if err != nil {
				return nil, setupErrorf("auth.oidc.domains: %q: %w", d, err)
			}
			p.domains = append(p.domains, domain)
		}
		all.list = append(all.list, p)
	}
	return all, nil
}

// checkTokens finds domains that are none, and secrets that cannot be read.
func checkTokens(cfg *config.Config, note func(setting, mistake string)) {
	for i := range cfg.Auth.OIDC {
		for _, d := range cfg.Auth.OIDC[i].Domains {
			if _, err := auth.Domain(d); err != nil {
				note(fmt.Sprintf("auth.oidc[%d].domains", i), fmt.Sprintf("%q: %s", d, err))
			}
		}
	}
}

func (p *tokenProvider) speaksFor(address auth.Address) bool {
	return len(p.domains) == 0 || slices.Contains(p.domains, address.Domain)
}

// Verify asks the provider that a token names or, if it names none, those that can be asked, in their order.
func (t tokenProviders) Verify(ctx context.Context, token string) (auth.Token, error) {
	var failure error = mail.Errorf(mail.AuthFailed, "it is of no provider that is known here")
	for i := range t.list {
		p := &t.list[i]
		if !p.Issued(token) {
			continue
		}
		claims, err := p.Verify(ctx, token)
		if err == nil {
			var address auth.Address
			address, err = t.rules.Parse(claims.User)
			if err == nil && p.speaksFor(address) {
				return auth.Token{User: address.String(), Expires: claims.Expires}, nil
			}
			err = error(mail.Errorf(mail.AuthFailed, "its user is not of a domain that its provider is for"))
		}
		// That one could not be asked weighs more than that another does not know it.
		if kind := mail.KindOf(err); kind != mail.AuthFailed || mail.KindOf(failure) == mail.AuthFailed {
			failure = err
		}
	}
	return auth.Token{}, failure
}

// Hint names the provider of the user's domain.
func (t tokenProviders) Hint(user string) auth.TokenHint {
	p := &t.list[0]
	if address, err := t.rules.Parse(user); err == nil {
		if i := slices.IndexFunc(t.list, func(p tokenProvider) bool { return p.speaksFor(address) }); i >= 0 {
			p = &t.list[i]
		}
	}
	return auth.TokenHint{Scope: p.Scope(), Configuration: p.Configuration()}
}
