package main

import (
	"strings"
	"testing"
)

// TestAppPasswords makes one, signs in with it, sees when it was used, takes it back,
// and does so with and without a server.
func TestAppPasswords(t *testing.T) {
	s := newSite(t)
	server := s.serve(t)
	s.account(t, "ada@example.org")
	shown := strings.Split(s.run(t, "", "account", "app", "add", "ada@example.org", "phone"), "\n")
	if len(shown) != 3 || !strings.HasPrefix(shown[1], "app-") {
		t.Fatalf("%q", shown)
	}
	phone := shown[1]
	reader := strings.Split(s.run(t, "", "account", "app", "add", "--read-only", "--expires", "24h", "--network", "127.0.0.0/8", "ada@example.org", "reader"), "\n")[1]
	elsewhere := strings.Split(s.run(t, "", "account", "app", "add", "--network", "192.0.2.0/24", "ada@example.org", "elsewhere"), "\n")[1]
	refuses(t, postern(t, "", "--config", s.config, "account", "app", "add", "ada@example.org", "phone"), 1, "already")
	refuses(t, postern(t, "", "--config", s.config, "account", "app", "add", "--network", "nowhere", "ada@example.org", "x"), 1, "no network")

	onPhone, onReader, own := dial(t, s.imaps, false), dial(t, s.imaps, false), signIn(t, s.imaps, "ada@example.org")
	onPhone.do("LOGIN ada@example.org "+phone, "OK")
	onPhone.do("CREATE Made", "OK")
	onReader.do("LOGIN ada@example.org "+reader, "OK")
	onReader.do("CREATE Unmade", "NO [NOPERM]")
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+elsewhere, "NO [AUTHENTICATIONFAILED]")

	s.run(t, "", "account", "app", "remove", "ada@example.org", "phone")
	onPhone.expect("* BYE ")
	onReader.do("NOOP", "OK")
	own.do("NOOP", "OK")
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+phone, "NO [AUTHENTICATIONFAILED]")
	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	list := s.run(t, "", "account", "app", "list", "ada@example.org")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "reader\t") || !strings.Contains(lines[0], "\tlast used ") ||
		!strings.HasSuffix(lines[0], "\tread-only\tfrom 127.0.0.0/8") || !strings.HasPrefix(lines[1], "elsewhere\t") || !strings.Contains(lines[1], "never used") {
		t.Errorf("list: %q", list)
	}
	s.run(t, "", "account", "app", "remove", "ada@example.org", "reader")
	refuses(t, postern(t, "", "--config", s.config, "account", "app", "remove", "ada@example.org", "reader"), 1, "no app password of that name")
	s.serve(t)
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+reader, "NO [AUTHENTICATIONFAILED]")
	own = signIn(t, s.imaps, "ada@example.org")
	own.do("SELECT Made", "OK")
}
