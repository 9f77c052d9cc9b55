package clients

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postern/test/peer"
)

// GNU SASL signs in by each mechanism over STARTTLS, with the right password and with
// a wrong one. It is not ours and not of the library that we use.
func TestGSASL(t *testing.T) {
	gsasl, env := needProgram(t, "gsasl")
	server := peer.Postern(t)
	name, password := server.NewAccount(t)
	_, port, err := net.SplitHostPort(server.Plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} {
		for _, given := range []string{password, password + "x"} {
			args := []string{"--imap", "--no-client-first", "--verbose", "--mechanism=" + mechanism, "--authentication-id=" + name,
				"--authorization-id=", "--password=" + given, "--connect=localhost:" + port, "--x509-ca-file=" + server.CertFile}
			if mechanism == "SCRAM-SHA-256" {
				args = append(args, "--no-cb") // it insists on binding where it can
			}
			ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
			cmd := exec.CommandContext(ctx, gsasl, args...)
			cmd.Env = append(append(os.Environ(), "LC_ALL=C.UTF-8"), env...)
			out, err := cmd.CombinedOutput()
			cancel()
			said := string(out)
			switch {
			case given == password && (err != nil || !strings.Contains(said, "signed in")):
				t.Errorf("%s: %v\n%s", mechanism, err, said)
			case given != password && (err == nil || !strings.Contains(said, "NO [AUTHENTICATIONFAILED] authentication failed")):
				t.Errorf("%s with a wrong password: %v\n%s", mechanism, err, said)
			}
		}
	}
}
