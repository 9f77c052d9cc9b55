package clients

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"

	"postern/test/peer"
)

// interimap keeps two IMAP accounts in step by QRESYNC, over COMPRESS=DEFLATE: it asks each for what changed and
// vanished since the mod-sequence it remembers, and brings that to the other.
func TestInterimap(t *testing.T) {
	interimap, env := needProgram(t, "interimap")
	server := peer.Postern(t)
	_, port, err := net.SplitHostPort(server.TLS)
	if err != nil {
		t.Fatal(err)
	}
	sides := map[string]*account{}
	dir := t.TempDir()
	config := fmt.Sprintf("database = %s\nlist-mailbox = INBOX Archive\n", filepath.Join(dir, "sync.db"))
	for _, side := range []string{"local", "remote"} {
		a := &account{server: server, host: "localhost", port: port}
		a.name, a.password = server.NewAccount(t)
		sides[side] = a
		config += fmt.Sprintf("[%s]\ntype = imaps\nhost = localhost\nport = %s\nusername = %s\npassword = %s\ncompress = YES\nSSL_CAfile = %s\n",
			side, port, a.name, a.password, server.CertFile)
	}
	write(t, filepath.Join(dir, "config"), config)
	home := append(env, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	sync := func() { run(t, home, interimap, "--config="+filepath.Join(dir, "config")) }
	here, there := sides["local"], sides["remote"]

	n := count(400)
	here.fill(t, "INBOX", 1, n)
	there.fill(t, "Archive", n+1, n+3)
	sync()
	same := func(mailbox string, want int) map[string]held {
		t.Helper()
		left, right := here.mailbox(t, mailbox), there.mailbox(t, mailbox)
		if len(left) != want || len(right) != want {
			t.Errorf("%s has %d and %d messages, want %d", mailbox, len(left), len(right), want)
		}
		for subject, m := range left {
			if right[subject].text != m.text {
				t.Errorf("%s: %s is %q and %q", mailbox, subject, m.text, right[subject].text)
			}
			for _, flag := range []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagAnswered} {
				if m.has(flag) != right[subject].has(flag) {
					t.Errorf("%s: %s has %v and %v", mailbox, subject, m.flags, right[subject].flags)
				}
			}
		}
		return left
	}
	same("INBOX", n)
	same("Archive", 3)

	// Both change while it is away: flags, new messages and removals on each side.
	here.store(t, "INBOX", 1, imap.StoreFlagsAdd, imap.FlagSeen)
	there.store(t, "INBOX", 2, imap.StoreFlagsAdd, imap.FlagFlagged, imap.FlagAnswered)
	here.remove(t, "INBOX", 3)
	there.remove(t, "INBOX", 4)
	there.remove(t, "Archive", n+2)
	here.fill(t, "INBOX", n+10, n+12)
	there.fill(t, "INBOX", n+20, n+21)
	sync()
	inbox := same("INBOX", n-2+3+2)
	if !inbox["message 1"].has(imap.FlagSeen) || !inbox["message 2"].has(imap.FlagFlagged) || !inbox["message 2"].has(imap.FlagAnswered) {
		t.Errorf("flags: %v, %v", inbox["message 1"].flags, inbox["message 2"].flags)
	}
	for _, gone := range []int{3, 4} {
		if _, is := inbox[fmt.Sprintf("message %d", gone)]; is {
			t.Errorf("message %d was removed and is still there", gone)
		}
	}
	same("Archive", 2)
	sync() // and nothing is left to do
	same("INBOX", n-2+3+2)
}

// remove deletes and expunges message n.
func (a *account) remove(t *testing.T, mailbox string, n int) {
	t.Helper()
	a.store(t, mailbox, n, imap.StoreFlagsAdd, imap.FlagDeleted)
	c := a.dial(t)
	defer hangUp(t, c)
	if _, err := c.Select(mailbox, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
}
