package imapserver

import (
	"context"
	"strings"

	"postern/internal/auth"
	"postern/internal/mail"
)

// noTokens are those of a provider that is never there: of its own tokens, which have three parts, nobody can say whether
// they are good, and others are not.
type noTokens struct{}

func (noTokens) Verify(_ context.Context, token string) (auth.Token, error) {
	if strings.Count(token, ".") == 2 {
		return auth.Token{}, mail.Errorf(mail.Unavailable, "the provider cannot be asked")
	}
	return auth.Token{}, mail.Errorf(mail.AuthFailed, "it is of no provider")
}

func (noTokens) Hint(string) auth.TokenHint {
	return auth.TokenHint{Scope: "imap.access", Configuration: "http://127.0.0.1:1/.well-known/openid-configuration"}
}

// withTokens is a world with a provider set up.
func withTokens(o *Options) {
	o.Auth = auth.New(auth.Config{Directory: o.Finder.(auth.Directory), Cost: cheap, Now: o.Now, Iterations: 10_000,
		ScramReady: func() bool { return true }, Tokens: noTokens{}})
}
