package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// syncMessages is how many messages the two-way clients keep in step.
const syncMessages = 1000

// twoWay has a client keep a mailbox and a Maildir in step, both ways: sync is one run of it, local the Maildir.
func twoWay(t *testing.T, a *account, local string, sync func()) {
	t.Helper()
	n := count(syncMessages)
	a.fill(t, "INBOX", 1, n)

	// All comes down.
	sync()
	files := maildir(t, local)
	if len(files) != n {
		t.Fatalf("%d messages came down of %d", len(files), n)
	}
	for k := 1; k <= n; k++ {
		sameText(t, files[fmt.Sprintf("message %d", k)], k)
	}

	// Both sides change: a flag, a new message and a removal on each.
	rename := func(k int, flags string) {
		from := files[fmt.Sprintf("message %d", k)]
		base, _, _ := strings.Cut(filepath.Base(from), ":2,")
		if err := os.Rename(from, filepath.Join(local, "cur", base+":2,"+flags)); err != nil {
			t.Fatal(err)
		}
	}
	rename(1, "S")
	rename(2, "FS")
	if err := os.Remove(files["message 3"]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(local, "new", "1704103200.1.here"), strings.ReplaceAll(message(n+1), "\r\n", "\n"))
	a.store(t, "INBOX", 4, imap.StoreFlagsAdd, imap.FlagAnswered)
	a.fill(t, "INBOX", n+2, n+2)
	sync()

	there := a.mailbox(t, "INBOX")
	if got, want := len(there), n+1; got != want { // one was removed, two are new
		t.Errorf("the server has %d messages, want %d", got, want)
	}
	if m := there["message 1"]; !m.has(imap.FlagSeen) || m.text != message(1) {
		t.Errorf("message 1 is %q with %v on the server", m.text, m.flags)
	}
	if !there["message 2"].has(imap.FlagFlagged) {
		t.Errorf("message 2 has %v on the server", there["message 2"].flags)
	}
	if _, is := there["message 3"]; is {
		t.Error("message 3 was removed here and is still on the server")
	}
	if _, is := there[fmt.Sprintf("message %d", n+1)]; !is {
		t.Error("the message written here is not on the server")
	}
	files = maildir(t, local)
	if !strings.Contains(flagsOf(files["message 4"]), "R") {
		t.Errorf("message 4 was answered on the server and is %s", files["message 4"])
	}
	if _, is := files[fmt.Sprintf("message %d", n+2)]; !is {
		t.Error("the message that came to the server did not come down")
	}

	// Nothing changed: nothing happens.
	sync()
	if again := a.mailbox(t, "INBOX"); len(again) != len(there) {
		t.Errorf("another run made %d messages of %d", len(again), len(there))
	}
}

func TestMbsync(t *testing.T) {
	mbsync, env := needProgram(t, "mbsync")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "mbsyncrc"), fmt.Sprintf(`
IMAPAccount a
Host %s
Port %s
User %s
Pass %s
SSLType IMAPS
CertificateFile %s
AuthMechs PLAIN

IMAPStore far
Account a

MaildirStore near
Path %[6]s/mail/
Inbox %[6]s/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Expunge Both
SyncState *
`, a.host, a.port, a.name, a.password, a.server.CertFile, dir))
		if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
			t.Fatal(err)
		}
		twoWay(t, a, filepath.Join(dir, "mail", "INBOX"), func() {
			run(t, append(env, "HOME="+dir), mbsync, "-c", filepath.Join(dir, "mbsyncrc"), "-a")
		})
	})
}

func TestOfflineIMAP(t *testing.T) {
	offlineimap, env := needProgram(t, "offlineimap")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`
[general]
accounts = a
metadata = %[6]s/meta
ui = basic

[Account a]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = %[6]s/mail

[Repository far]
type = IMAP
remotehost = %[1]s
remoteport = %[2]s
remoteuser = %[3]s
remotepass = %[4]s
ssl = yes
sslcacertfile = %[5]s
auth_mechanisms = PLAIN
folderfilter = lambda name: name == 'INBOX'
`, a.host, a.port, a.name, a.password, a.server.CertFile, dir))
		twoWay(t, a, filepath.Join(dir, "mail", "INBOX"), func() {
			// The package's own Python, whatever python3 is first in the PATH.
			run(t, append(env, "HOME="+dir, "PYTHONWARNINGS=ignore", "PATH=/usr/bin:/bin"), offlineimap, "-c", filepath.Join(dir, "rc"), "-o")
		})
	})
}
