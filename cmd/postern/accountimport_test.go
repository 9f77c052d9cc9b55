package main

import (
	"strings"
	"testing"
)

// passwd is a passwd-file; the passwords are secretWord as "doveadm pw" of Dovecot 2.3.19 keeps it.
const passwd = `# who is here
ada@example.org:{SHA512-CRYPT}$6$BVObmxpNtjal.kQa$J3h/iFPEtw8tPaP7bIeLawunNxlhsA5gZrynV0rBh.JOcv3kRQFXnD8HG1Hs/wZpVJvtCnkKHa2nw90/WNM1q1:1000:1000::/home/ada::userdb_mail=maildir:~/Maildir
Bob:$2y$05$AMcU6OMaKsJxAeDETOjwEO.W0MS8Ki6LaDXxTqW7I8EBCh2ZIp3OW:1000:1000::/home/bob::userdb_quota_rule=*:storage=1G allow_nets=192.0.2.0/24

cyd@example.org:{SSHA}X0YzX9wr3MZg19kex8vgu8KIuYEGcfa3
dan@example.org:{PLAIN}Velvet-Thunder-417:::::
eve@example.org:{DES-CRYPT}gvyHFSlR2ygWA:1000
fay@example.org:
gus@example.org:{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$iCl3yy7m/UqkofcNjEH6og$XHdRpeZLtr3K2URo8aJZs9IemVfMWzkHwbIYiOhzheM:::::: nologin
ADA@example.org:{SSHA}X0YzX9wr3MZg19kex8vgu8KIuYEGcfa3
hal:
not an address@:{PLAIN}abcdefgh
ida@example.org
jo@example.org::::::: nopassword
kim@example.org:{SSHA}X0YzX9wr3MZg19kex8vgu8KIuYEGcfa3
`

// TestAccountImport moves accounts in from a passwd-file beside a running server. Everybody signs in with the
// password they had, which is hashed anew then; what cannot be taken over is named with its line.
func TestAccountImport(t *testing.T) {
	s := newSite(t)
	trail := s.dir + "/audit.jsonl"
	s.write(t, "[auth]\nfailure_delay = \"0s\"\nscram_iterations = 10000\n[audit]\nfile = \""+trail+"\"\n")
	r := s.serve(t)
	s.run(t, "Other-Thunder-417\n", "account", "add", "kim@example.org")
	name := file(t, s.dir+"/passwd", passwd)

	mistakes := []string{
		`passwd:7: "eve@example.org": left out: the scheme DES-CRYPT is not taken over`,
		`passwd:10: "ADA@example.org": left out: line 2 is of the same account`,
		`passwd:12: "not an address@": left out: `,
		`passwd:13: "ida@example.org": left out: it has no password`,
		`passwd:14: "jo@example.org": left out: it says nopassword`,
		`passwd:3: "Bob": left aside: userdb_quota_rule, allow_nets`,
		`passwd:8: "fay@example.org": has no password`,
		`passwd:9: "gus@example.org": is disabled: its line says nologin`,
		`passwd:11: "hal": has no password`,
	}
	imports := func(summary string, args ...string) {
		t.Helper()
		result := postern(t, "", append([]string{"--config", s.config, "account", "import"}, args...)...)
		refuses(t, result, 1, "lines were left out")
		if !strings.Contains(result.out, summary) {
			t.Errorf("%q is not said in\n%s", summary, result.out)
		}
		if strings.HasPrefix(summary, "7 accounts added") {
			for _, m := range mistakes {
				if !strings.Contains(result.out, m) {
					t.Errorf("%q is not said in\n%s", m, result.out)
				}
			}
		}
		for _, secret := range []string{secretWord, "gvyHFSlR2ygWA", "$argon2id", "$6$"} {
			if strings.Contains(result.out+result.err+r.log.String(), secret) {
				t.Errorf("%s is shown", secret)
			}
		}
	}
	imports("7 accounts would be added, 1 there already, 5 lines left out", "--dry-run", "--domain=example.org", name)
	if out := s.run(t, "", "account", "list"); out != "kim@example.org\n" {
		t.Errorf("a dry run made accounts: %q", out)
	}
	imports("5 accounts would be added, 1 there already, 7 lines left out", "--dry-run", name) // Bob and hal are nobody without a domain
	imports("7 accounts added, 1 there already, 5 lines left out", "--domain=example.org", "--scheme=CRYPT", name)
	imports("0 accounts added, 8 there already, 5 lines left out", "--domain=example.org", name)

	want := "ada@example.org\timported SHA512-CRYPT\nbob@example.org\timported CRYPT\ncyd@example.org\timported SSHA\n" +
		"dan@example.org\nfay@example.org\ngus@example.org\tdisabled\timported ARGON2ID\nhal@example.org\nkim@example.org\n"
	if out := s.run(t, "", "account", "list"); out != want {
		t.Errorf("got %q", out)
	}
	const refused = "NO [AUTHENTICATIONFAILED]"
	for _, name := range []string{"ada", "bob", "cyd", "dan"} {
		if name < "cyd" { // who fails at many accounts is kept away by the guard
			dial(t, s.imaps, false).do("LOGIN "+name+"@example.org wrong-password", refused)
		}
		signIn(t, s.imaps, name+"@example.org").do("SELECT INBOX", "OK")
	}
	for _, name := range []string{"eve", "fay", "gus", "kim"} {
		dial(t, s.imaps, false).do("LOGIN "+name+"@example.org "+secretWord, refused)
	}
	want = "ada@example.org\nbob@example.org\ncyd@example.org\n" +
		"dan@example.org\nfay@example.org\ngus@example.org\tdisabled\timported ARGON2ID\nhal@example.org\nkim@example.org\n"
	if out := s.run(t, "", "account", "list"); out != want {
		t.Errorf("passwords were not hashed anew: %q", out)
	}

	// Accounts that are there keep their passwords unless it is said otherwise.
	old := dial(t, s.imaps, false)
	old.do("LOGIN kim@example.org Other-Thunder-417", "OK")
	imports("0 accounts added, 6 given their password, 2 there already", "--domain=example.org", "--replace", name)
	old.expect("* BYE")
	signIn(t, s.imaps, "kim@example.org")
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	added := 0
	for _, r := range auditRecords(t, trail) {
		if r["event"] == "account-add" {
			added++
		}
	}
	if added != 8 {
		t.Errorf("the audit trail has %d accounts added, want 8", added)
	}
	// And with no server, from standard input.
	result := postern(t, "lee@example.org:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n", "--config", s.config, "account", "import", "-")
	if result.code != 0 || !strings.Contains(result.out, "1 accounts added") {
		t.Errorf("got %+v", result)
	}
	s.run(t, "", "check")
}
