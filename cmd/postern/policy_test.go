package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/mail"
)

// TestPolicySignIn keeps out who may not sign in so, with the answer that a wrong password gets, and lets in who may;
// a reload changes that.
func TestPolicySignIn(t *testing.T) {
	s := newSite(t)
	const more = "[auth]\nfailure_delay = \"0s\"\n[audit]\nfile = \"%s\"\n"
	trail := s.dir + "/audit.jsonl"
	rules := `
[[policy]]
name = "everybody"
sessions = 2
mechanisms = ["LOGIN"]
[[policy]]
name = "strict"
accounts = ["Ada@Example.ORG"]
app_passwords_only = true
[[policy]]
name = "elsewhere"
accounts = ["@far.example"]
networks = ["192.0.2.0/24"]
`
	settings := strings.ReplaceAll(more, "%s", trail)
	s.write(t, settings+rules)
	server := s.serve(t)
	for _, name := range []string{"ada@example.org", "bob@example.org", "eve@far.example"} {
		s.account(t, name)
	}
	app := strings.Split(s.run(t, "", "account", "app", "add", "ada@example.org", "phone"), "\n")[1]

	const refused = "NO [AUTHENTICATIONFAILED]"
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+secretWord, refused)
	dial(t, s.imaps, false).do("LOGIN ada@example.org wrong", refused)
	dial(t, s.imaps, false).do("LOGIN eve@far.example "+secretWord, refused)
	dial(t, s.imaps, false).do("AUTHENTICATE PLAIN AGJvYkBleGFtcGxlLm9yZwBWZWx2ZXQtVGh1bmRlci00MTc=", refused) // bob's
	phone := dial(t, s.imaps, false)
	phone.do("LOGIN ada@example.org "+app, "OK")
	signIn(t, s.imaps, "bob@example.org")
	signIn(t, s.imaps, "bob@example.org")
	dial(t, s.imaps, false).do("LOGIN bob@example.org "+secretWord, "NO [LIMIT]")

	s.write(t, settings+"[[policy]]\nname = \"relaxed\"\nsessions = 3\n")
	server.signal(t, syscall.SIGHUP)
	server.await(t, server.log, "reread")
	signIn(t, s.imaps, "ada@example.org")
	signIn(t, s.imaps, "bob@example.org")
	dial(t, s.imaps, false).do("LOGIN bob@example.org "+secretWord, "NO [LIMIT]")
	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	n := 0
	for _, r := range auditRecords(t, trail) {
		if r["outcome"] == "not_permitted" {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d records of what was not permitted, want 3", n)
	}
}

// TestPolicySharing lets nobody share beyond what the rules say; what was shared before stays, and can be taken back.
func TestPolicySharing(t *testing.T) {
	s := newSite(t)
	s.write(t, "[imap]\nacl_anyone = true\n")
	server := s.serve(t)
	for _, name := range []string{"ada@example.org", "bob@example.org", "eve@far.example"} {
		s.account(t, name)
	}
	c := signIn(t, s.imaps, "ada@example.org")
	c.do("SETACL INBOX eve@far.example lr", "OK")
	s.write(t, "[imap]\nacl_anyone = true\n[[policy]]\nname = \"home\"\naccounts = [\"@example.org\"]\nshare_with = \"domain\"\n")
	server.signal(t, syscall.SIGHUP)
	server.await(t, server.log, "reread")
	c = signIn(t, s.imaps, "ada@example.org")
	c.do("SETACL INBOX bob@example.org lr", "OK")
	c.do("SETACL INBOX eve@far.example lrs", "NO [NOPERM]")
	c.do("SETACL INBOX anyone lr", "NO [NOPERM]")
	c.do("SETACL INBOX eve@far.example -r", "OK")
	c.do("SETACL INBOX -eve@far.example lr", "OK")
	c.do("DELETEACL INBOX eve@far.example", "OK")
	c = signIn(t, s.imaps, "eve@far.example")
	c.do("SETACL INBOX ada@example.org lr", "OK")
}

// TestPolicyExplained says where each setting comes from, and lists every mistake in rules with its line.
func TestPolicyExplained(t *testing.T) {
	s := newSite(t)
	s.write(t, `[quota]
storage = "1 GiB"
[[policy]]
name = "everybody"
empty_trash = "30d"
keep_deleted = "14d"
[[policy]]
name = "court"
accounts = ["ada@example.org"]
legal_hold = true
networks = ["10.0.0.0/8", "2001:db8::/32"]
`)
	s.serve(t)
	s.account(t, "ada@example.org")
	s.run(t, "", "account", "quota", "--messages", "100", "ada@example.org")
	want := `mechanisms: all
networks: 10.0.0.0/8, 2001:db8::/32 (rule "court")
app_passwords_only: no
sessions: 50 (imap.sessions_per_account)
share_with: all
empty_trash: after 30 days (rule "everybody")
empty_junk: never
keep_deleted: 14 days (rule "everybody")
legal_hold: yes (rule "court")
quota of storage: 1 GiB (quota.storage)
quota of messages: 100 (postern account quota)
quota of mailboxes: no limit (quota.mailboxes)
`
	if got := s.run(t, "", "policy", "explain", "ada@example.org"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	// What is shown reads back as the same.
	shown := s.run(t, "", "config", "show")
	if !strings.Contains(shown, "[[policy]]\nname = \"court\"\naccounts = [\"ada@example.org\"]\nnetworks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nlegal_hold = true\n") {
		t.Errorf("config show:\n%s", shown)
	}

	wrong := file(t, s.dir+"/wrong.toml", `[[policy]]
accounts = []
mechanisms = ["CRAM-MD5"]
[[policy]]
name = "x"
accounts = ["@exa mple", "ada@"]
networks = ["10.0.0.0"]
sessions = 0
share_with = "friends"
empty_trash = "30 days"
[[policy]]
name = "x"
hold = true
`)
	refuses(t, postern(t, "", "--config", wrong, "config", "check"), exitConfig,
		"wrong.toml:1: policy.name: a rule needs a name", "wrong.toml:2: policy.accounts: a rule for nobody", "wrong.toml:3: policy.mechanisms: \"CRAM-MD5\" is not one of",
		"wrong.toml:6: policy.accounts: \"@exa mple\"", "wrong.toml:6: policy.accounts: \"ada@\"", "wrong.toml:7: policy.networks: \"10.0.0.0\" is no network",
		"wrong.toml:8: policy.sessions: at least 1", "wrong.toml:9: policy.share_with: \"friends\"", "wrong.toml:10: policy[1].empty_trash: expected a duration",
		"wrong.toml:12: policy.name: another rule is called \"x\"", "wrong.toml:13: unknown setting policy[2].hold")
}

// TestRestoreDeleted deletes and brings back, with a server and without, and erases; a legal hold keeps mail and account.
func TestRestoreDeleted(t *testing.T) {
	s := newSite(t)
	s.write(t, "[[policy]]\nname = \"court\"\naccounts = [\"bob@example.org\"]\nlegal_hold = true\n")
	server := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	deliver(t, s.lmtp, "ada@example.org")
	deliver(t, s.lmtp, "ada@example.org")
	c := signIn(t, s.imaps, "ada@example.org")
	c.do("CREATE Work", "OK")
	c.do("SELECT INBOX", "OK")
	c.do("MOVE 1 Work", "OK")
	c.do(`STORE 1 +FLAGS (\Deleted \Flagged)`, "OK")
	c.do("EXPUNGE", "OK")
	c.do("DELETE Work", "OK")

	nothing := s.run(t, "", "restore-deleted", "--list", "bob@example.org")
	if !strings.Contains(nothing, "nothing that was deleted is kept") {
		t.Errorf("%q", nothing)
	}
	list := s.run(t, "", "restore-deleted", "--list", "ada@example.org")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "INBOX\t1 message\t") || !strings.HasPrefix(lines[1], "Work\t1 message\t") || !strings.HasSuffix(lines[1], "\tthe mailbox was deleted") {
		t.Errorf("%q", list)
	}
	refuses(t, postern(t, "", "--config", s.config, "restore-deleted", "--mailbox", "Sent", "ada@example.org"), 1, "nothing that was deleted from Sent is kept")
	refuses(t, postern(t, "", "--config", s.config, "restore-deleted", "--since", "yesterday", "ada@example.org"), 1, "\"yesterday\" is no time")
	if out := s.run(t, "", "restore-deleted", "--mailbox", "Work", "ada@example.org"); out != "1 message from Work to Work\n" {
		t.Errorf("%q", out)
	}
	c.do("SELECT Work", "OK")
	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if out := s.run(t, "", "restore-deleted", "--since", "1h", "--into", "Found/again", "ada@example.org"); out != "1 message from INBOX to Found/again\n" {
		t.Errorf("%q", out)
	}
	s.serve(t)
	c = signIn(t, s.imaps, "ada@example.org")
	c.do("SELECT Found/again", "OK")
	if got := strings.Join(c.do("FETCH 1 (UID FLAGS)", "OK"), "\n"); !strings.Contains(got, `\Flagged`) || strings.Contains(got, `\Deleted`) {
		t.Errorf("%q", got)
	}
	c.do(`STORE 1 +FLAGS (\Deleted)`, "OK")
	c.do("CLOSE", "OK")
	if out := s.run(t, "", "account", "erase", "--yes", "ada@example.org"); out != "what ada@example.org had deleted is erased: only a backup can bring it back\n" {
		t.Errorf("%q", out)
	}
	if got := s.run(t, "", "restore-deleted", "--list", "ada@example.org"); !strings.Contains(got, "nothing that was deleted is kept") {
		t.Errorf("%q", got)
	}
	for _, args := range [][]string{{"remove", "--yes", "bob@example.org"}, {"erase", "--yes", "bob@example.org"}, {"rename", "bob@example.org", "rob@example.org"}} {
		refuses(t, postern(t, "", append([]string{"--config", s.config, "account"}, args...)...), 1, "legal hold")
	}
}

// TestPolicyOfMail asks what account.Options.Rules asks.
func TestPolicyOfMail(t *testing.T) {
	s := newSite(t)
	s.write(t, "[[policy]]\nname = \"bin\"\naccounts = [\"ada@example.org\"]\nempty_trash = \"30d\"\nempty_junk = \"7d\"\nkeep_deleted = \"60d\"\n")
	r := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	r.stop(t)
	cfg, err := config.Read(s.config, checkPolicies)
	if err != nil {
		t.Fatal(err)
	}
	held := &policies{directory: instanceOf(t, s).store.Directory()}
	held.set(rulesOfPolicy(&cfg, nil))
	const day = 24 * time.Hour
	got, err := held.mail(t.Context(), 1)
	if err != nil || got.Hold != 60*day || got.Keep || got.Expire[mail.UseTrash] != 30*day || got.Expire[mail.UseJunk] != 7*day {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []mail.AccountID{2, 99} { // another's, and nobody's
		if got, err := held.mail(t.Context(), id); err != nil || got.Hold != 0 || len(got.Expire) != 0 {
			t.Errorf("%d: %+v, %v", id, got, err)
		}
	}
}
