package imapserver

import (
	"regexp"
	"testing"
)

// TestObjectIDsDiffer looks at what a dialogue cannot say: which identifiers are
// not the same (RFC 8474 4, 5.1).
func TestObjectIDsDiffer(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	seen := map[string]string{}
	pattern := regexp.MustCompile(`(?:MAILBOXID|EMAILID) \(([^)]*)\)`)
	one := func(command string) string {
		t.Helper()
		untagged, last := c.do(command)
		for _, line := range append(untagged, last) {
			if m := pattern.FindStringSubmatch(line); m != nil {
				return m[1]
			}
		}
		t.Fatalf("%s gave no identifier: %q %q", command, untagged, last)
		return ""
	}
	fresh := func(command string) string {
		t.Helper()
		id := one(command)
		if before, known := seen[id]; known {
			t.Errorf("%s gave %s, as did %s", command, id, before)
		}
		seen[id] = command
		return id
	}

	inbox := fresh("STATUS INBOX (MAILBOXID)")
	fresh("CREATE Box")
	c.ok("DELETE Box")
	fresh("CREATE Box")

	// The same octets and the same date, appended twice: nobody compares them.
	c.append("INBOX", `"17-Jul-1996 02:44:25 -0700" `, sample(1))
	c.append("INBOX", `"17-Jul-1996 02:44:25 -0700" `, sample(1))
	c.ok("SELECT INBOX", anything)
	first := fresh("FETCH 1 EMAILID")
	second := fresh("FETCH 2 EMAILID")

	// "Treated as creating a new mailbox and moving the messages" (RFC 8474 4).
	c.ok("UNSELECT")
	c.ok("RENAME INBOX Old")
	fresh("STATUS Old (MAILBOXID)")
	if now := one("STATUS INBOX (MAILBOXID)"); now != inbox {
		t.Errorf("INBOX was %s and is %s", inbox, now)
	}
	c.ok("SELECT Old", anything)
	if a, b := one("FETCH 1 EMAILID"), one("FETCH 2 EMAILID"); a != first || b != second {
		t.Errorf("messages were %s, %s and are %s, %s", first, second, a, b)
	}

	// Another account has none of these, though its numbers begin anew.
	c.ok("LOGOUT", anything)
	c = w.dial("tls")
	c.ok("LOGIN bob@example.org secret")
	fresh("STATUS INBOX (MAILBOXID)")
	c.append("INBOX", `"17-Jul-1996 02:44:25 -0700" `, sample(1))
	c.ok("SELECT INBOX", anything)
	fresh("FETCH 1 EMAILID")
	c.ok("SEARCH EMAILID "+first, "* SEARCH")
}

// TestNewValidity gives a mailbox another UIDVALIDITY, as after a restore: it is
// another mailbox then (RFC 8474 4), and the messages in it are the same.
func TestNewValidity(t *testing.T) {
	w := newWorld(t, nil)
	ids := regexp.MustCompile(`(?:MAILBOXID|EMAILID) \(([^)]*)\)`)
	look := func() (mailbox, email string) {
		c := w.login()
		status, _ := c.do("STATUS INBOX (MAILBOXID)")
		c.ok("EXAMINE INBOX", anything)
		fetched, _ := c.do("FETCH 1 EMAILID")
		c.ok("LOGOUT", anything)
		return ids.FindStringSubmatch(status[0])[1], ids.FindStringSubmatch(fetched[0])[1]
	}
	c := w.login()
	c.append("INBOX", "", sample(1))
	c.ok("LOGOUT", anything)
	mailbox, email := look()
	if _, err := w.pool.Renumber(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if m, e := look(); m == mailbox || e != email {
		t.Errorf("%s and %s became %s and %s", mailbox, email, m, e)
	}
}
