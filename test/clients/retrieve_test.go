package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// retrieveMessages is how many messages the clients fetch that only fetch.
const retrieveMessages = 200

// retrieved fails the test unless dir, a Maildir, holds the messages 1 to n.
func retrieved(t *testing.T, dir string, n int) {
	t.Helper()
	files := maildir(t, dir)
	if len(files) != n {
		t.Errorf("%d messages were retrieved of %d", len(files), n)
	}
	for k := 1; k <= n; k++ {
		if path := files[fmt.Sprintf("message %d", k)]; path == "" {
			t.Errorf("message %d was not retrieved", k)
		} else {
			sameText(t, path, k)
		}
	}
}

// makeMaildir makes an empty Maildir.
func makeMaildir(t *testing.T, dir string) string {
	t.Helper()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGetmail(t *testing.T) {
	getmail, env := needProgram(t, "getmail")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		n := count(retrieveMessages)
		a.fill(t, "INBOX", 1, n)
		mail := makeMaildir(t, filepath.Join(dir, "mail"))
		certificate, err := os.ReadFile(a.server.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "cert.pem"), string(certificate)) // where nobody can read it
		write(t, filepath.Join(dir, "getmailrc"), fmt.Sprintf(`
[retriever]
type = SimpleIMAPSSLRetriever
server = %s
port = %s
username = %s
password = %s
ca_certs = %s
mailboxes = ("INBOX",)

[destination]
type = Maildir
path = %s/

[options]
read_all = false
delete = false
delivered_to = false
received = false
verbose = 0
`, a.host, a.port, a.name, a.password, filepath.Join(dir, "cert.pem"), mail))
		fetch := func() {
			runAsNobody(t, dir, append(env, "HOME="+dir, "PATH=/usr/bin:/bin"), getmail, "--getmaildir", dir)
		}
		fetch()
		retrieved(t, mail, n)
		// It knows by UIDs what it had: only what is new comes again.
		a.fill(t, "INBOX", n+1, n+2)
		fetch()
		retrieved(t, mail, n+2)
		if there := a.mailbox(t, "INBOX"); len(there) != n+2 {
			t.Errorf("%d messages are left on the server of %d", len(there), n+2)
		}
	})
}

func TestFetchmail(t *testing.T) {
	fetchmail, env := needProgram(t, "fetchmail")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		n := count(retrieveMessages)
		a.fill(t, "INBOX", 1, n)
		mail := makeMaildir(t, filepath.Join(dir, "mail"))
		// Its hand-over program: what comes on standard input is a message.
		write(t, filepath.Join(dir, "deliver"), fmt.Sprintf("#!/bin/sh\nexec cat > %s/new/$$\n", mail))
		if err := os.Chmod(filepath.Join(dir, "deliver"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`
set no bouncemail
poll %q service %s protocol IMAP
  user %q password %q
  ssl sslcertck sslcertfile %q
  mda %q
  nokeep fetchall norewrite no dropdelivered
`, a.host, a.port, a.name, a.password, a.server.CertFile, filepath.Join(dir, "deliver")))
		run(t, append(env, "HOME="+dir, "FETCHMAILHOME="+dir), fetchmail, "-f", filepath.Join(dir, "rc"), "--nodetach", "--silent", "--invisible", "--auth", "password")
		retrieved(t, mail, n)
		if there := a.mailbox(t, "INBOX"); len(there) != 0 {
			t.Errorf("%d messages are left on the server, and all were to be removed", len(there))
		}
	})
}
