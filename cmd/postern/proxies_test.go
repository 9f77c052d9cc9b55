package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func plainAs(as, who, password string) string {
	return "AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte(as+"\x00"+who+"\x00"+password))
}

// TestProxySignIn has a webmail server act as its users, by a right of its own and not beyond it (numbers 49 and 63 of the
// test matrix). Both names are in the log and in the audit trail.
func TestProxySignIn(t *testing.T) {
	s := newSite(t)
	trail := s.dir + "/audit.jsonl"
	s.write(t, fmt.Sprintf("[auth]\nfailure_delay = \"0s\"\n[audit]\nfile = %q\n", trail)+`
[[auth.proxy]]
who = ["Webmail@example.org"]
as = ["@Example.org", "eve@far.example"]
networks = ["127.0.0.0/8"]
[[auth.proxy]]
who = ["elsewhere@example.org"]
as = ["@example.org"]
networks = ["192.0.2.0/24"]
`)
	s.run(t, "", "config", "check")
	r := s.serve(t)
	for _, name := range []string{"webmail@example.org", "elsewhere@example.org", "ada@example.org", "eve@far.example", "fay@far.example"} {
		s.account(t, name)
	}
	s.run(t, "", "account", "add", "--shared", "team@example.org")
	s.run(t, "", "alias", "add", "countess@example.org", "ada@example.org")
	s.run(t, "", "mailbox", "create", "ada@example.org", "Letters")
	reading := strings.Split(s.run(t, "", "account", "app", "add", "--read-only", "webmail@example.org", "search"), "\n")[1]

	for _, as := range []string{"ada@example.org", "ADA@example.org", "countess@example.org"} {
		c := dial(t, s.imaps, false)
		c.do(plainAs(as, "webmail@example.org", secretWord), "OK")
		c.do("STATUS Letters (MESSAGES)", "OK")
	}
	dial(t, s.imaps, false).do(plainAs("eve@far.example", "webmail@example.org", secretWord), "OK")
	c := dial(t, s.imaps, false)
	c.do(plainAs("ada@example.org", "webmail@example.org", reading), "OK")
	c.do("CREATE Not", "NO")
	dial(t, s.imaps, false).do(plainAs("", "webmail@example.org", secretWord), "OK") // as itself

	for _, no := range [][3]string{
		{"fay@far.example", "webmail@example.org", secretWord},    // not one of those
		{"nobody@example.org", "webmail@example.org", secretWord}, // nobody
		{"team@example.org", "webmail@example.org", secretWord},   // nobody signs in to that
		{"no address", "webmail@example.org", secretWord},         //
		{"webmail@example.org", "ada@example.org", secretWord},    // it is not mutual
		{"ada@example.org", "elsewhere@example.org", secretWord},  // not from here
	} {
		dial(t, s.imaps, false).do(plainAs(no[0], no[1], no[2]), "NO [AUTHORIZATIONFAILED]")
	}
	// The password is that of who signs in, and comes first.
	for _, no := range [][3]string{
		{"ada@example.org", "webmail@example.org", "wrong-password"}, {"fay@far.example", "webmail@example.org", "wrong-password"},
		{"ada@example.org", "nobody@example.org", secretWord},
	} {
		dial(t, s.imaps, false).do(plainAs(no[0], no[1], no[2]), "NO [AUTHENTICATIONFAILED]")
	}

	acting := dial(t, s.imaps, false)
	acting.do(plainAs("ada@example.org", "webmail@example.org", secretWord), "OK")
	own := signIn(t, s.imaps, "ada@example.org")
	s.run(t, "Another-Thunder-417\n", "account", "passwd", "webmail@example.org")
	acting.expect("* BYE") // whoever has the old password is out, whoever they were
	own.do("NOOP", "OK")

	if log := r.log.String(); strings.Count(log, " as=ada@example.org") != 5 {
		t.Errorf("both names are in %d lines of the log, want 5", strings.Count(log, "as=ada@example.org"))
	}
	both := 0
	for _, record := range auditRecords(t, trail) {
		if record["event"] == "sign-in" && record["outcome"] == "accepted" && record["user"] == "webmail@example.org" && record["as"] == "ada@example.org" {
			both++
		}
	}
	if both != 5 {
		t.Errorf("both names are in %d records, want 5", both)
	}

	s.write(t, "[[auth.proxy]]\nwho = [\"x@@y\"]\n[[auth.proxy]]\nas = [\"@a b\"]\nnetworks = [\"far\"]\n")
	refuses(t, postern(t, "", "--config", s.config, "config", "check"), exitConfig, "auth.proxy.who: \"x@@y\"", "auth.proxy.as: name whom", "auth.proxy.who: name the", "auth.proxy.as: \"@a b\"", "auth.proxy.networks: \"far\"")
}
