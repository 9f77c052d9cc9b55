package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// underSystemd gives a command its environment: a socket to notify, and sockets
// to listen on, which it knows by number from 3 on. LISTEN_PID must be its own.
func underSystemd(t *testing.T, cmd *exec.Cmd, names string, listeners ...net.Listener) (notified func() string) {
	t.Helper()
	path := filepath.Join(shortDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	if len(listeners) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(listeners)), "LISTEN_FDNAMES="+names)
	}
	for _, l := range listeners {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("systemd is not told: %v", err)
		}
		return string(b[:n])
	}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestSocketActivation(t *testing.T) {
	s := newSite(t)
	byAddress, byName, unused := listenTCP(t), listenTCP(t), listenTCP(t)
	s.imaps = byAddress.Addr().String()
	s.imap = "systemd:plain"
	s.write(t, "")
	cmd := command("--config", s.config, "serve")
	notified := underSystemd(t, cmd, "postern.socket:plain:unused", byAddress, byName, unused)
	// Whoever comes before the server does waits in line.
	early, err := net.Dial("tcp", byName.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	r := start(t, cmd)
	if got := notified(); got != "READY=1" {
		t.Errorf("systemd is told %q", got)
	}
	if err := early.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 5)
	if _, err := early.Read(greeting); err != nil || string(greeting) != "* OK " {
		t.Errorf("the early client got %q, %v", greeting, err)
	}
	s.account(t, "ada@example.org")
	signIn(t, s.imaps, "ada@example.org").do("LOGOUT", "OK")
	r.await(t, r.log, "used by no listener")
	r.await(t, r.log, unused.Addr().String())

	// Reload, as Type=notify-reload wants it: RELOADING and when, then READY.
	r.signal(t, syscall.SIGHUP)
	reloading := notified()
	lines := strings.Split(reloading, "\n")
	if lines[0] != "RELOADING=1" || len(lines) < 2 || !strings.HasPrefix(lines[1], "MONOTONIC_USEC=") {
		t.Errorf("systemd is told %q", reloading)
	}
	if got := notified(); got != "READY=1" {
		t.Errorf("systemd is told %q", got)
	}
	r.signal(t, syscall.SIGTERM)
	if got := notified(); got != "STOPPING=1" {
		t.Errorf("systemd is told %q", got)
	}
	if code := r.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := net.Dial("tcp", s.imaps); err != nil { // systemd still has it open
		t.Errorf("systemd's socket was closed for others too: %v", err)
	}
}

func TestSystemdNameThatIsNot(t *testing.T) {
	s := newSite(t)
	s.imap = "systemd:plain"
	s.write(t, "")
	refuses(t, postern(t, "", "--config", s.config, "serve"), exitConfig, "listen.imap", "plain")
}

// The units in dist are well-formed, as far as systemd itself can say here.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	for _, unit := range []string{"postern.service", "postern.socket"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "dist", unit))
		if err != nil {
			t.Fatal(err)
		}
		// The binary is not installed here, and neither is its user.
		here := strings.NewReplacer("/usr/local/bin/postern", binary, "User=postern", "User=daemon", "Group=postern", "Group=daemon").Replace(string(text))
		file(t, filepath.Join(dir, unit), here)
	}
	for _, unit := range []string{"postern.service", "postern.socket"} {
		cmd := exec.Command(analyze, "--man=no", "verify", filepath.Join(dir, unit))
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "Failed to") && !strings.Contains(string(out), unit+":") {
			t.Skipf("systemd-analyze does not work here: %s", out)
		}
		if err != nil || strings.Contains(string(out), dir) {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
	// The threshold is in tenths: 1.5 of 10. A version of systemd that knows more dangers may find more.
	cmd := exec.Command(analyze, "security", "--offline=yes", "--threshold=15", "--no-pager", filepath.Join(dir, "postern.service"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("exposed more than 1.5: %v\n%s", err, out)
	}
}
