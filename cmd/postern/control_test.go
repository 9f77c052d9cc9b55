package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern/config"
)

// Everything an administrator does, with a server and without.
func TestAdministration(t *testing.T) {
	for _, withServer := range []bool{true, false} {
		t.Run(map[bool]string{true: "running", false: "stopped"}[withServer], func(t *testing.T) {
			s := newSite(t)
			if withServer {
				s.serve(t)
			} else if err := os.Mkdir(s.data, 0o700); err != nil {
				t.Fatal(err)
			}
			administer(t, s)
		})
	}
}

func administer(t *testing.T, s *site) {
	for _, step := range []struct {
		args string
		in   string
		says string
		code int
	}{
		{"account add Ada@Example.ORG", secretWord + "\n", "added ada@example.org\n", 0},
		{"account add bob@example.org", secretWord, "added bob@example.org\n", 0}, // no line end
		{"account add ada@example.org", "x-9-Long-enough\n", "", 1},
		{"account add eve@example.org", "", "", 1},
		{"account add eve@example.org", "\n", "", 1},
		{"account add eve", secretWord + "\n", "", 1},
		{"account list", "", "ada@example.org\nbob@example.org\n", 0},
		{"account rename bob@example.org robert@example.org", "", "bob@example.org is now robert@example.org\n", 0},
		{"account passwd bob@example.org", secretWord + "\n", "", 1},
		{"account passwd robert@example.org", "Other-word-55\n", "robert@example.org has a new password; its sessions were ended\n", 0},
		{"alias add info@example.org ada@example.org robert@example.org", "", "info@example.org stands for ada@example.org, robert@example.org\n", 0},
		{"alias add @example.net ada@example.org", "", "@example.net stands for ada@example.org\n", 0},
		{"alias add ada@example.org robert@example.org", "", "", 1},
		{"alias list", "", "@example.net\tada@example.org\ninfo@example.org\tada@example.org robert@example.org\n", 0},
		{"alias remove info@example.org", "", "removed info@example.org\n", 0},
		{"alias remove info@example.org", "", "", 1},
		{"mailbox list ada@example.org", "", "Archive\t\\Archive\nDrafts\t\\Drafts\nINBOX\nJunk\t\\Junk\nSent\t\\Sent\nTrash\t\\Trash\n", 0},
		{"mailbox create ada@example.org Work/Plans", "", "made Work/Plans\n", 0},
		{"mailbox rename ada@example.org Work Labour", "", "Work is now Labour\n", 0},
		{"mailbox delete ada@example.org Labour/Plans", "", "deleted Labour/Plans\n", 0},
		{"mailbox delete ada@example.org INBOX", "", "", 1},
		{"mailbox limit ada@example.org Labour 5MiB", "", "Labour takes messages of at most 5 MiB\n", 0},
		{"mailbox limit ada@example.org Labour 0B", "", "Labour takes messages of at most 0 B\n", 0},
		{"mailbox limit ada@example.org Labour none", "", "Labour has no limit of its own\n", 0},
		{"mailbox limit ada@example.org Labour 5", "", "", 1},
		{"mailbox limit ada@example.org Labour 3GiB", "", "", 1},
		{"mailbox limit ada@example.org nowhere 5MiB", "", "", 1},
		{"mailbox status ada@example.org nowhere", "", "", 1},
		{"account quota ada@example.org", "", "storage\t0 B\tof no limit\tdefault\nmessages\t0\tof no limit\tdefault\nmailboxes\t7\tof no limit\tdefault\n", 0},
		{"account quota ada@example.org --storage=1GiB --messages=100 --mailboxes=none", "",
			"storage\t0 B\tof 1 GiB\tits own\nmessages\t0\tof 100\tits own\nmailboxes\t7\tof no limit\tits own\n", 0},
		{"account quota ada@example.org --messages=default", "", "storage\t0 B\tof 1 GiB\tits own\nmessages\t0\tof no limit\tdefault\nmailboxes\t7\tof no limit\tits own\n", 0},
		{"account quota ada@example.org --messages=many", "", "", 1},
		{"account quota ada@example.org --storage=12", "", "", 1},
		{"account quota nobody@example.org", "", "", 1},
		{"metadata set /shared/Admin mailto:ops@example.org", "", "set /shared/admin\n", 0},
		{"metadata set /shared/admin ops", "", "", 1},
		{"metadata set /private/comment x", "", "", 1},
		{"metadata set /shared/vendor/x x", "", "", 1},
		{"metadata set /shared/comment hello", "", "set /shared/comment\n", 0},
		{"metadata list", "", "/shared/admin\t\"mailto:ops@example.org\"\n/shared/comment\t\"hello\"\n", 0},
		{"metadata remove /shared/COMMENT", "", "removed /shared/comment\n", 0},
		{"metadata remove /shared/comment", "", "", 1},
		{"account add --shared Team@example.org", "", "added team@example.org\n", 0},
		{"account passwd team@example.org", secretWord + "\n", "", 1},
		{"mailbox acl list team@example.org", "", "", 0},
		{"mailbox acl set team@example.org INBOX robert@example.org lrsd", "", "INBOX\trobert@example.org\tlrsted\n", 0},
		{"mailbox acl set team@example.org INBOX anyone lrswi", "", "INBOX\tanyone\tlrswi\n", 0},
		{"mailbox acl set team@example.org INBOX -- anyone -w", "", "INBOX\tanyone\tlrsi\n", 0},
		{"mailbox acl set team@example.org INBOX -- -ada@example.org +i", "", "INBOX\t-ada@example.org\ti\n", 0},
		{"mailbox acl set team@example.org INBOX nobody@example.org lr", "", "", 1},
		{"mailbox acl set team@example.org INBOX team@example.org lr", "", "", 1},
		{"mailbox acl set team@example.org INBOX ada@example.org lrq", "", "", 1},
		{"mailbox acl set team@example.org Nowhere ada@example.org lr", "", "", 1},
		{"mailbox acl list team@example.org", "", "INBOX\tanyone\tlrsi\nINBOX\t-ada@example.org\ti\nINBOX\trobert@example.org\tlrsted\n", 0},
		{"mailbox acl remove team@example.org INBOX anyone", "", "INBOX\tanyone\tno entry\n", 0},
		{"mailbox acl list team@example.org INBOX", "", "INBOX\t-ada@example.org\ti\nINBOX\trobert@example.org\tlrsted\n", 0},
		{"account remove robert@example.org", "", "", 1}, // nobody there to ask
		{"account remove --yes robert@example.org", "", "removed robert@example.org\n", 0},
		{"mailbox acl list team@example.org", "", "INBOX\t-ada@example.org\ti\n", 0}, // who is gone has no name
		{"account list", "", "ada@example.org\nteam@example.org\tshared\n", 0},
	} {
		r := postern(t, step.in, append([]string{"--config", s.config}, strings.Fields(step.args)...)...)
		if step.args == "mailbox list ada@example.org" {
			r.out = sorted(r.out)
		}
		if r.code != step.code || r.out != step.says || (r.err == "") != (step.code == 0) {
			t.Errorf("%s: exit code %d\n%s%swant %d\n%s", step.args, r.code, r.out, r.err, step.code, step.says)
		}
	}
	// What is refused is named once.
	for args, says := range map[string]string{
		"account passwd nobody@example.org":      "nobody bears the name nobody@example.org",
		"account add ada@example.org":            "ada@example.org is taken",
		"account rename nobody@example.org x@y":  "nobody bears the name nobody@example.org",
		"alias remove info@example.org":          "there is no alias info@example.org",
		"mailbox status ada@example.org nowhere": "nowhere: there is no such mailbox",
		"mailbox rename ada@example.org a b":     "a: there is no such mailbox",
	} {
		r := postern(t, secretWord, append([]string{"--config", s.config}, strings.Fields(args)...)...)
		if want := "postern: " + says + "\n"; r.code != 1 || r.err != want {
			t.Errorf("%s: exit code %d\n%swant\n%s", args, r.code, r.err, want)
		}
	}
	status := s.run(t, "", "mailbox", "status", "ada@example.org", "INBOX")
	if !strings.HasPrefix(status, "INBOX\tmessages 0\tunseen 0\toctets 0\tuidnext 1\tuidvalidity ") {
		t.Errorf("status: %q", status)
	}
}

func TestControlSocketIsTheOwnersAlone(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	info, err := os.Stat(filepath.Join(s.data, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	needRoot(t)
	if err := os.Chmod(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.config, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := command("--config", s.config, "account", "list")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	refuses(t, end(t, cmd), exitConfig, "control.sock", "permission denied", "as root")
}

// What root does in somebody else's data directory leaves nothing of root's
// there; a server that root starts there runs as the owner.
func TestRootBecomesTheOwner(t *testing.T) {
	needRoot(t)
	s := newSite(t)
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	s.account(t, "ada@example.org")
	r := s.serve(t)
	s.account(t, "bob@example.org")
	deliver(t, s.lmtp, "bob@example.org")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil || !strings.Contains(string(status), "\nUid:\t65534\t65534\t65534\t65534\n") || !strings.Contains(string(status), "\nGroups:\t \n") {
		t.Errorf("the server runs as somebody else: %v\n%s", err, status)
	}
	err = filepath.Walk(s.data, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != nobody {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
		if name != s.data && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := os.Chmod(s.config, 0o644); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGHUP) // the files it needs can still be read
	r.await(t, r.log, "configuration and certificates reread")
}

func TestNoDataDirectory(t *testing.T) {
	s := newSite(t)
	refuses(t, postern(t, "", "--config", s.config, "account", "list"), exitConfig, "there is no data directory "+s.data)
	if _, err := os.Stat(s.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

func TestPasswordChangeEndsSessions(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	ada, bob := signIn(t, s.imaps, "ada@example.org"), signIn(t, s.imaps, "bob@example.org")
	ada.do("SELECT INBOX", "OK")
	ada.send("i IDLE")
	ada.expect("+")
	quiet := signIn(t, s.imaps, "ada@example.org")
	s.run(t, "Other-word-55\n", "account", "passwd", "ada@example.org")
	for _, c := range []*client{ada, quiet} {
		c.expect("* BYE ")
		c.closed()
	}
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+secretWord, "NO") // though it was remembered
	dial(t, s.imaps, false).do("LOGIN ada@example.org Other-word-55", "OK")
	s.run(t, "", "account", "remove", "--yes", "bob@example.org")
	bob.expect("* BYE ")
}

// A command that is cut off in the middle changes nothing and harms nobody.
func TestControlDisconnect(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	path := filepath.Join(s.data, "control.sock")
	for _, text := range []string{
		"", "POST", "POST /account-add HTTP/1.1\r\nHost: postern\r\nContent-Length: 100\r\n\r\n{\"Account\":\"eve@example.org\",",
		"GET / HTTP/1.1\r\nHost: postern\r\n\r\n", "\x00\xff\r\n\r\n",
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		conn.Close()
	}
	if got := s.run(t, "", "account", "list"); got != "" {
		t.Errorf("accounts: %q", got)
	}
}

func TestControlOfAnotherVersion(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	path := filepath.Join(s.data, "control.sock")
	err := callControl(t.Context(), path, "mailbox-juggle", struct{}{}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "mailbox-juggle") || !strings.Contains(err.Error(), "version") {
		t.Errorf("an unknown operation: %v", err)
	}
	err = callControl(t.Context(), path, "account-list", map[string]int{"Colour": 5}, nil, func(answerLine) error { return nil })
	if err != nil {
		t.Errorf("arguments that nobody reads: %v", err)
	}
	err = callControl(t.Context(), path, "mailbox-list", map[string]string{"Account": "a@b", "Colour": "red"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("an unknown argument: %v", err)
	}
}

// An operation whose command goes away is told, and so is one at work when the
// server stops.
func TestControlCancels(t *testing.T) {
	dir := shortDir(t)
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	operations["test-wait"] = func(ctx context.Context, _ *instance, _ json.RawMessage, _ io.Reader, _ *answer) error {
		began <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	t.Cleanup(func() { delete(operations, "test-wait") })
	in := &instance{cfg: config.Default(), log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(dir, "control.sock")
	stop, err := serveControl(t.Context(), path, in)
	if err != nil {
		t.Fatal(err)
	}
	call := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() { done <- callControl(ctx, path, "test-wait", struct{}{}, nil, nil) }()
		receive(t, began)
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := call(ctx)
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the operation: %v", err)
	}
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("the command: %v", err)
	}
	done = call(t.Context())
	stop()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the operation: %v", err)
	}
	if err := receive(t, done); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("the command: %v", err)
	}
	if err := callControl(t.Context(), path, "test-wait", struct{}{}, nil, nil); !errors.Is(err, errNoServer) {
		t.Errorf("after the end: %v", err)
	}
}

func TestListenControl(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "control.sock")
	first, err := listenControl(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	go http.Serve(first, http.NotFoundHandler())
	for name, c := range map[string]struct{ path, says string }{
		"taken":     {path, "another server answers"},
		"file":      {file(t, filepath.Join(dir, "file"), "precious"), "is no socket"},
		"long":      {filepath.Join(dir, strings.Repeat("x", 110)), "too long"},
		"directory": {filepath.Join(dir, "none", "control.sock"), "no such file"},
	} {
		l, err := listenControl(c.path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || exitCode(err) != exitConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}
