package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTerminate(t *testing.T) {
	s := newSite(t)
	r := s.serve(t)
	s.account(t, "ada@example.org")

	idler := signIn(t, s.imaps, "ada@example.org")
	idler.do("SELECT INBOX", "OK")
	idler.send("i IDLE")
	idler.expect("+")
	quiet := dial(t, s.imaps, false)
	busy := signIn(t, s.imaps, "ada@example.org")
	text := "Subject: last\r\n\r\nhello\r\n"
	busy.send(fmt.Sprintf("b APPEND INBOX {%d}", len(text)))
	busy.expect("+") // the command is under way: the message is still to come

	r.signal(t, syscall.SIGTERM)
	idler.expect("* BYE ")
	idler.closed()
	quiet.expect("* BYE ")
	quiet.closed()
	if conn, err := net.Dial("tcp", s.imaps); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v, %v", conn, err)
	}
	select {
	case <-r.exited:
		t.Fatal("it did not wait for the command under way")
	default:
	}
	busy.send(text)
	busy.expect("b OK")
	busy.expect("* BYE ")
	busy.closed()
	if code := r.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	r.await(t, r.log, `msg="Postern stops"`)
	for _, left := range []string{s.lmtp, filepath.Join(s.data, "control.sock")} {
		if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind: %v", left, err)
		}
	}

	s.serve(t)
	c := signIn(t, s.imaps, "ada@example.org")
	c.send("t EXAMINE INBOX")
	c.expect("* 1 EXISTS")
}

// A killed server leaves its sockets behind, and nothing else is wrong.
func TestKilled(t *testing.T) {
	s := newSite(t)
	r := s.serve(t)
	s.account(t, "ada@example.org")
	c := signIn(t, s.imaps, "ada@example.org")
	c.append("Subject: kept\r\n\r\nhello\r\n")
	r.signal(t, syscall.SIGKILL)
	r.code(t)
	if _, err := os.Lstat(filepath.Join(s.data, "control.sock")); err != nil {
		t.Fatalf("the control socket should be stale now: %v", err)
	}
	if got := s.run(t, "", "account", "list"); got != "ada@example.org\n" { // without a server
		t.Errorf("accounts: %q", got)
	}
	s.serve(t)
	if got := s.run(t, "", "mailbox", "status", "ada@example.org", "INBOX"); !strings.Contains(got, "messages 1\t") {
		t.Errorf("INBOX: %q", got)
	}
	deliver(t, s.lmtp, "ada@example.org")
}

func TestReload(t *testing.T) {
	s, p := newSite(t), ports(t, 1)
	cert, key := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	tlsTable := fmt.Sprintf("[tls]\ncertificate = %q\nkey = %q\n", cert, key)
	first := newCertificate(t, cert, key)
	s.write(t, tlsTable)
	r := s.serve(t)
	s.account(t, "ada@example.org")
	idler := signIn(t, s.imaps, "ada@example.org")
	idler.do("SELECT INBOX", "OK")
	idler.send("i IDLE")
	idler.expect("+")
	reload := func(word string) {
		t.Helper()
		r.signal(t, syscall.SIGHUP)
		r.await(t, r.log, word)
	}

	// A new certificate, a listener more, one less, and other settings.
	second := newCertificate(t, cert, key)
	old := s.imap
	s.imap = p[0]
	settings := "[imap]\nmax_message = \"100 KiB\"\ndisabled_capabilities = [\"IDLE\"]\n[lmtp]\nmax_message = \"200 KiB\"\n[log]\nlevel = \"debug\"\n[[imap.rules]]\naccounts = [\"ada@*\"]\nhide = [\"SORT\"]\n"
	s.write(t, tlsTable+settings)
	reload("configuration and certificates reread")
	if got := serial(t, s.imaps); got.Cmp(second) != 0 || got.Cmp(first) == 0 {
		t.Errorf("certificate %v is shown, want %v", got, second)
	}
	news := func() string { return signIn(t, s.imaps, "ada@example.org").do("CAPABILITY", "OK")[0] }
	capabilities := news()
	if !strings.Contains(capabilities, "APPENDLIMIT=102400") || strings.Contains(capabilities, " IDLE") || strings.Contains(capabilities, " SORT ") {
		t.Errorf("a new session has %s", capabilities)
	}
	dial(t, s.imap, true).do("LOGOUT", "OK")
	if _, err := net.Dial("tcp", old); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener that is gone: %v", err)
	}

	// What is wrong leaves all of it as it is.
	for _, c := range []struct {
		says  string
		spoil func()
	}{
		{`error="` + s.config + `:`, func() { s.write(t, tlsTable+"nonsense = 1\n") }},
		{`error="certificate ` + cert, func() {
			s.write(t, tlsTable)
			file(t, cert, "rubbish")
		}},
		{"is taken by", func() {
			newCertificate(t, cert, key) // good, and still not to be used
			s.write(t, tlsTable+fmt.Sprintf("[[listen.imap]]\naddress = %q\n", fakeServer(t)))
		}},
	} {
		c.spoil()
		reload(c.says)
		if got := serial(t, s.imaps); got.Cmp(second) != 0 {
			t.Errorf("%s: certificate %v is shown, want %v", c.says, got, second)
		}
		if again := news(); again != capabilities {
			t.Errorf("%s: a new session has %s", c.says, again)
		}
	}
	s.write(t, tlsTable)

	// Nobody noticed; and the session of the first configuration is still one
	// of Ada's.
	deliver(t, s.lmtp, "ada@example.org")
	idler.expect("* 1 EXISTS")
	s.run(t, "another-Word-99\n", "account", "passwd", "ada@example.org")
	idler.expect("* BYE ")
	idler.closed()
}

// What a reload cannot change is said, and the rest is done.
// A reload that begins a new generation gives nobody more sessions.
func TestReloadCountsSessions(t *testing.T) {
	s := newSite(t)
	s.write(t, "[imap]\nsessions_per_account = 2\n")
	r := s.serve(t)
	s.account(t, "ada@example.org")
	first := signIn(t, s.imaps, "ada@example.org")
	s.write(t, "[imap]\nsessions_per_account = 2\nautologout = \"45m\"\n")
	r.signal(t, syscall.SIGHUP)
	r.await(t, r.log, "configuration and certificates reread")
	signIn(t, s.imaps, "ada@example.org")
	third := dial(t, s.imaps, false)
	third.do("LOGIN ada@example.org "+secretWord, "NO [LIMIT]")
	first.do("LOGOUT", "OK")
	first.closed() // it is counted until then
	third.do("LOGIN ada@example.org "+secretWord, "OK")
}

func TestReloadKeepsWhatIsReadAtStart(t *testing.T) {
	s := newSite(t)
	r := s.serve(t)
	s.write(t, "[mailboxes]\ntrash = \"Bin\"\n[lmtp]\ndetail_separator = \"-\"\n")
	r.signal(t, syscall.SIGHUP)
	r.await(t, r.log, "read at start only")
	r.await(t, r.log, "configuration and certificates reread")
	s.account(t, "ada@example.org")
	if got := s.run(t, "", "mailbox", "list", "ada@example.org"); !strings.Contains(got, "Trash\t\\Trash\n") {
		t.Errorf("mailboxes: %s", got)
	}
	deliver(t, s.lmtp, "ada-detail@example.org")
}
