package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postern/internal/netserver"
	"postern/internal/testenv"
)

func sorted(lines string) string {
	list := slices.Sorted(strings.Lines(lines))
	return strings.Join(list, "")
}

// trial starts a trial in a directory and gives what it prints, once it runs.
func trial(t *testing.T, dir string, p []string, args ...string) (*running, string) {
	t.Helper()
	cmd := command(append([]string{"trial", "--imaps", port(p[0]), "--imap", port(p[1]), "--lmtp", port(p[2])}, args...)...)
	cmd.Dir = dir
	r := start(t, cmd)
	r.await(t, r.out, "New mail")
	return r, r.out.String()
}

// field gives the rest of the one line that begins with name.
func field(t *testing.T, text, name string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	if len(found) != 1 || found[0] == "" {
		t.Fatalf("%d lines begin with %q in\n%s", len(found), name, text)
	}
	return found[0]
}

func TestTrial(t *testing.T) {
	dir, p := shortDir(t), ports(t, 3)
	r, first := trial(t, dir, p)
	name, password := field(t, first, "account: "), field(t, first, "password: ")
	c := dial(t, p[0], false)
	c.do("LOGIN "+name+" "+password, "OK")
	c.send("t EXAMINE INBOX")
	c.expect("* 6 EXISTS") // as many as there are in trialmail
	c.expect("t OK")
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "postern-data")); err != nil {
		t.Errorf("its data: %v", err)
	}
	r, second := trial(t, dir, p)
	if second != first {
		t.Errorf("it prints\n%s\nand printed\n%s", second, first)
	}
	c = dial(t, p[0], false)
	c.do("LOGIN "+name+" "+password, "OK")
	c.send("t EXAMINE INBOX")
	c.expect("* 6 EXISTS")
	r.signal(t, syscall.SIGINT) // Ctrl-C
	c.expect("t OK")
	c.expect("* BYE")
	if code := r.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if r.log.String() != "" {
		t.Errorf("it complains:\n%s", r.log)
	}
}

// What a trial says to try is tried, in a directory whose name is awkward.
func TestTrialInstructions(t *testing.T) {
	dir, p := shortDir(t), ports(t, 3)
	_, said := trial(t, dir, p, "--data", "it's new")
	shell := func(in, line string) string {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	contains := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in\n%s", part, text)
			}
		}
	}
	t.Run("new mail", func(t *testing.T) {
		if _, err := exec.LookPath("bash"); err != nil {
			testenv.Skip(t, "bash is not installed")
		}
		contains(shell("", field(t, said, "New mail ")), "354 ", "250 2.0.0 ", "221 ")
	})
	t.Run("curl", func(t *testing.T) {
		testenv.Need(t, "curl")
		line := field(t, said, "curl ")
		contains(shell("", line), "Subject: Welcome to Postern\r\n")
		contains(shell("", strings.Replace(line, "MAILINDEX=1", "MAILINDEX=7", 1)), "Subject: hello\r\n\r\nHello!\r\n")
	})
	t.Run("openssl", func(t *testing.T) {
		testenv.Need(t, "openssl")
		_, rest, _ := strings.Cut(said, "\nopenssl ")
		block, _, _ := strings.Cut(rest, "\n\n")
		lines := strings.Split(block, "\n")
		var typed strings.Builder
		for _, line := range lines[2:] {
			fmt.Fprintln(&typed, strings.TrimSpace(line))
		}
		answer := shell(typed.String(), strings.TrimSpace(lines[0])+" -verify_return_error 2>&1")
		contains(answer, "a OK", "* 7 EXISTS", "b OK", "* 1 FETCH (", "Welcome to Postern", "c OK", "* BYE", "d OK")
	})
}

func TestTrialReadsNoConfiguration(t *testing.T) {
	refuses(t, postern(t, "", "--config", "/dev/null", "trial"), exitConfig, "--config")
}

func TestExplainTrial(t *testing.T) {
	other := errors.New("something else")
	err := explainTrial(errors.Join(
		&netserver.TakenError{Setting: "listen.imaps", Address: "127.0.0.1:1993", Port: "1993", Holder: &netserver.Process{Name: "dovecot", PID: 42}},
		&netserver.PrivilegeError{Setting: "listen.imap", Address: "127.0.0.1:143", Port: "143", Executable: "/bin/postern", Lowest: 1024},
		other))
	want := "cannot listen on 127.0.0.1:1993: port 1993 is taken by dovecot (pid 42): stop it, or set --imaps PORT\n" +
		"cannot listen on 127.0.0.1:143: port 143 needs a privilege: let systemd open it (postern.socket), or allow it with " +
		"setcap cap_net_bind_service=+ep /bin/postern, or set --imap PORT to a port from 1024 on\nsomething else"
	if err.Error() != want || exitCode(err) != exitConfig || !errors.Is(err, other) {
		t.Errorf("%v", err)
	}
	if explainTrial(nil) != nil {
		t.Error("nothing was wrong")
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"postern-data/a.pem": "postern-data/a.pem", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~": "'~'", "żółw": "'żółw'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
