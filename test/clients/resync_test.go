package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// neomutt with its header cache and QRESYNC, or CONDSTORE alone, opens a mailbox, leaves, and comes back after another client has
// expunged, flagged and added messages. It has the headers it had in its cache, asks what changed and what is gone, and works
// on with the right messages.
func TestNeomuttResync(t *testing.T) {
	for _, qresync := range []string{"yes", "no"} {
		t.Run("qresync="+qresync, func(t *testing.T) { neomuttResync(t, qresync) })
	}
}

func neomuttResync(t *testing.T, qresync string) {
	neomutt, env := needProgram(t, "neomutt")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		a.fill(t, "INBOX", 1, 12)
		write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`
set imap_user = %q
set imap_pass = %q
set folder = "imaps://%[3]s:%[4]s/"
set spoolfile = "imaps://%[3]s:%[4]s/INBOX"
set ssl_starttls = no
set certificate_file = %[5]q
set ssl_usesystemcerts = no
set header_cache = %[6]q
set imap_condstore = yes
set imap_qresync = %[7]s
set delete = yes
set quit = yes
set mbox = ""
set move = no
set mark_old = no
set sort = mailbox-order
set wait_key = no
set tmpdir = %[6]q
set beep = no
set sleep_time = 0
`, a.name, a.password, a.host, a.port, a.server.CertFile, dir+"/", qresync))
		open := func(visit, keys string) string {
			debug := filepath.Join(dir, visit)
			command := fmt.Sprintf("%s -F %s -d 3 -l %s -e 'push %q'", neomutt, filepath.Join(dir, "rc"), debug, keys)
			run(t, append(env, "HOME="+dir, "TERM=xterm"), "/usr/bin/script", "-qec", command, "/dev/null")
			log, err := os.ReadFile(debug + "0")
			if err != nil {
				t.Fatal(err)
			}
			return string(log)
		}
		open("first", "<first-entry><quit>")

		a.store(t, "INBOX", 2, imap.StoreFlagsAdd, imap.FlagDeleted)
		a.store(t, "INBOX", 8, imap.StoreFlagsAdd, imap.FlagDeleted)
		c := a.dial(t)
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		if err := c.Expunge().Close(); err != nil {
			t.Fatal(err)
		}
		hangUp(t, c)
		a.store(t, "INBOX", 5, imap.StoreFlagsAdd, imap.FlagFlagged)
		a.fill(t, "INBOX", 13, 13)

		// What bears a flag now is the fifth message; the last is new.
		log := open("second", "<limit>~F<enter><first-entry><set-flag>!<limit>all<enter><last-entry><delete-message><jump>7<enter><delete-message><sync-mailbox><quit>")
		// Debian's version then finds its own numbers wrong, which VANISHED (EARLIER) does not move (RFC 7162 3.2.10.1), and reads
		// the mailbox again: with every server.
		if !strings.Contains(log, "CHANGEDSINCE") || strings.Contains(log, "Handling VANISHED") != (qresync == "yes") {
			t.Errorf("it did not come back by what changed:\n%s", log)
		}
		if n := headersFetched(t, log); n > 4 { // one is new, of eleven
			t.Errorf("it fetched the headers of %d messages, and has no use for its cache:\n%s", n, log)
		}
		inbox := a.mailbox(t, "INBOX")
		// 1 3 4 5 6 7 9 10 11 12 13: the seventh is message 9.
		for n := 1; n <= 13; n++ {
			_, there := inbox[fmt.Sprintf("message %d", n)]
			if gone := n == 2 || n == 8 || n == 9 || n == 13; there == gone {
				t.Errorf("message %d: there %v", n, there)
			}
		}
		if m := inbox["message 5"]; !m.has(imap.FlagFlagged) {
			t.Errorf("message 5 has %v", m.flags)
		}
	})
}

// headersFetched counts the messages of which neomutt fetched the header, by its log.
func headersFetched(t *testing.T, log string) int {
	t.Helper()
	n := 0
	for _, found := range regexp.MustCompile(`FETCH ([0-9,:]+) \(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK\[HEADER`).FindAllStringSubmatch(log, -1) {
		for part := range strings.SplitSeq(found[1], ",") {
			var from, to int
			if _, err := fmt.Sscanf(part, "%d:%d", &from, &to); err != nil {
				to = from // one number
			}
			n += to - from + 1
		}
	}
	if n == 0 {
		t.Errorf("it fetched no header, not even the new one:\n%s", log)
	}
	return n
}
