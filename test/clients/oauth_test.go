package clients

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postern/test/peer"
)

// curl signs in with an access token that a provider gave, by OAUTHBEARER and by XOAUTH2, and is refused with another's.
func TestCurlBearer(t *testing.T) {
	curl, env := needProgram(t, "curl")
	provider := peer.NewTokenProvider(t)
	settings := fmt.Sprintf("\n[[auth.oidc]]\nissuer = %q\naudience = [\"imap\"]\nscope = \"imap.access\"\n", provider.Issuer)
	for mechanism, c := range map[string]struct{ settings, refused string }{
		"OAUTHBEARER": {"", "NO [AUTHENTICATIONFAILED]"},
		// curl takes the other where it is announced, whatever it is told. Of this one it leaves at the challenge, {"status":"401".
		"XOAUTH2": {"[imap]\ndisabled_capabilities = [\"AUTH=OAUTHBEARER\"]\n", "< + eyJzdGF0dXMiOiI0MDEi"},
	} {
		server := peer.PosternWith(t, settings+c.settings)
		name, _ := server.NewAccount(t)
		_, port, err := net.SplitHostPort(server.TLS)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(user string) (string, error) {
			token := provider.Token(t, peer.Grant{User: user, Audience: []string{"imap"}, Scopes: []string{"openid", "imap.access"}})
			ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
			defer cancel()
			cmd := exec.CommandContext(ctx, curl, "--silent", "--show-error", "--verbose", "--cacert", server.CertFile, "--user", name+":",
				"--oauth2-bearer", token, "imaps://localhost:"+port+"/", "--request", "LIST \"\" *")
			cmd.Env = append(os.Environ(), env...)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := ask(name); err != nil || !strings.Contains(out, "AUTHENTICATE "+mechanism+" ") || !strings.Contains(out, "* LIST ") {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
		}
		if out, err := ask("other@example.org"); err == nil || !strings.Contains(out, c.refused) {
			t.Errorf("%s with another's token: %v\n%s", mechanism, err, out)
		}
	}
}
