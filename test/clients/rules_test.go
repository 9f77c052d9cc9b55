package clients

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"postern/test/peer"
)

// The administrator sees in the log what mutt's TLS hello is like, and hides from such clients the mechanism that mutt fails with:
// it signs in with the one below, and its password does not cross the wire.
func TestMuttByRule(t *testing.T) {
	mutt, env := needProgram(t, "mutt")
	visit := func(settings, wanted string) string {
		t.Helper()
		server := peer.PosternWith(t, settings)
		name, password := server.NewAccount(t)
		_, port, err := net.SplitHostPort(server.TLS)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`
set imap_user = %q
set imap_pass = %q
set folder = "imaps://localhost:%[3]s/"
set spoolfile = "imaps://localhost:%[3]s/INBOX"
set certificate_file = %[4]q
set ssl_usesystemcerts = no
set quit = yes
set sleep_time = 0
set tmpdir = %[5]q
`, name, password, port, server.CertFile, dir))
		command := fmt.Sprintf("%s -F %s -e 'push <quit>'", mutt, filepath.Join(dir, "rc"))
		run(t, append(env, "HOME="+dir, "TERM=xterm"), "/usr/bin/script", "-qec", command, "/dev/null")
		for patience := time.Now().Add(clientPatience); ; time.Sleep(10 * time.Millisecond) {
			if found := regexp.MustCompile(wanted).FindStringSubmatch(server.Log()); found != nil {
				return found[1]
			}
			if time.Now().After(patience) {
				t.Fatalf("the log does not have %s:\n%s", wanted, server.Log())
			}
		}
	}
	const signedIn = `msg=login .* mechanism="?([A-Z0-9-]+).* reason=accepted`
	hello := visit("[log]\nlevel = \"debug\"\n", `msg="session ended" .* hello=([0-9a-f]{16}) reason=logout`)
	rule := fmt.Sprintf("[[imap.rules]]\nhello = [%q]\nhide = [\"AUTH=SCRAM-SHA-256-PLUS\"]\n", hello)
	if got := visit(rule, signedIn); got != "SCRAM-SHA-256" {
		t.Errorf("mutt signs in by %s", got)
	}
}
