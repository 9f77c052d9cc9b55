package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/imapserver"
	"postern/internal/netserver"
)

// Who sets nothing has the limits that the packages would take by themselves: a
// default has one owner more than it should, and they agree.
func TestDefaultLimitsAgree(t *testing.T) {
	cfg := config.Default()
	if got, want := fmt.Sprintf("%+v", imapLimits(cfg)), fmt.Sprintf("%+v", imapserver.DefaultLimits()); got != want {
		t.Errorf("imap:\n%s\nwant\n%s", got, want)
	}
	want := netserver.DefaultLimits()
	want.Handshake, want.Stall = 0, 0 // no settings
	if got := netLimits(cfg); got != want {
		t.Errorf("network:\n%+v\nwant\n%+v", got, want)
	}
}

// Each limit is met where it was set, and not before.
func TestLimitsAreSettings(t *testing.T) {
	s := newSite(t)
	s.write(t, `[limits]
before_login_per_address = 2
command_line = "8 KiB"
literal = "9 KiB"
arguments = "10 KiB"
bad_commands = 4
mailboxes_per_account = 10
keywords_per_mailbox = 2
`)
	s.serve(t)
	s.account(t, "ada@example.org")

	c := signIn(t, s.imaps, "ada@example.org") // and no longer before login
	first, second := dial(t, s.imaps, false), dial(t, s.imaps, false)
	third := dial(t, s.imaps, false)
	first.conn.SetReadDeadline(time.Now().Add(patience))
	first.closed() // the oldest that keeps us waiting
	second.do("NOOP", "OK")
	third.do("NOOP", "OK")

	for i := range 4 { // beside the six that an account begins with
		c.do(fmt.Sprintf("CREATE box%d", i), "OK")
	}
	c.do("CREATE one-more", "NO [LIMIT]")

	c.do("SELECT INBOX", "OK")
	c.do("SEARCH SUBJECT {9216+}\r\n"+strings.Repeat("x", 9216), "OK")
	c.do("SEARCH SUBJECT {9217+}\r\n"+strings.Repeat("x", 9217), "NO [TOOBIG]")
	c.do("SEARCH SUBJECT {9216+}\r\n"+strings.Repeat("x", 9216)+" SUBJECT {1024+}\r\n"+strings.Repeat("x", 1024), "OK")
	c.do("SEARCH SUBJECT {9216+}\r\n"+strings.Repeat("x", 9216)+" SUBJECT {1025+}\r\n"+strings.Repeat("x", 1025), "NO [LIMIT]")
	c.append("Subject: x\r\n\r\n")
	c.do("STORE 1 +FLAGS (one two)", "OK")
	c.do("STORE 1 +FLAGS (three)", "NO [LIMIT]")

	for range 3 {
		c.do("FROB", "BAD")
		c.do("NOOP", "OK")
	}
	c.do("FROB", "BAD") // the fourth
	c.expect("* BYE")
	c.closed()

	c = signIn(t, s.imaps, "ada@example.org")
	line := func(octets int) string { return "NOOP" + strings.Repeat(" ", octets-len("t NOOP\r\n")) }
	c.do(line(8<<10), "BAD") // a NOOP has no arguments
	c.do("NOOP", "OK")
	c.do(line(8<<10+1), "BAD")
	c.expect("* BYE [TOOBIG]")
	c.closed()
}
