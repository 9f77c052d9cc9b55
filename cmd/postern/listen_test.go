package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/test/peer"
)

func TestEveryKindOfListener(t *testing.T) {
	s, p := newSite(t), ports(t, 4)
	six := ""
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		six = l.Addr().String()
		l.Close()
	}
	sock := filepath.Join(s.dir, "imap.sock")
	more := fmt.Sprintf(`[[listen.imaps]]
address = %q
[[listen.imap]]
address = "localhost:%s"
plaintext = true
[[listen.imap]]
address = "unix:%s"
mode = "0606"
group = "65534"
plaintext = true
[[listen.lmtp]]
address = %q
`, p[0], port(p[1]), sock, p[2])
	if six != "" {
		more += fmt.Sprintf("[[listen.imaps]]\naddress = %q\n[[listen.lmtp]]\naddress = %q\n", six, "[::1]:"+port(p[3]))
	}
	if os.Geteuid() != 0 { // only root may give a socket away
		more = strings.Replace(more, `group = "65534"`, fmt.Sprintf("group = %q", fmt.Sprint(os.Getegid())), 1)
	}
	s.write(t, more)
	s.serve(t)
	s.account(t, "ada@example.org")
	deliver(t, s.lmtp, "ada@example.org")
	deliver(t, p[2], "ada@example.org")
	secure := []string{s.imaps, p[0]}
	want := "* 2 EXISTS"
	if six != "" {
		deliver(t, "[::1]:"+port(p[3]), "ada@example.org")
		secure = append(secure, six)
		want = "* 3 EXISTS"
	}
	examine := func(c *client) {
		t.Helper()
		c.do("LOGIN ada@example.org "+secretWord, "OK")
		c.send("t EXAMINE INBOX")
		c.expect(want)
		c.expect("t OK")
	}
	for _, address := range secure {
		examine(dial(t, address, false))
	}
	for _, address := range []string{p[1], sock} {
		examine(dial(t, address, true))
	}
	c := dial(t, s.imap, true) // STARTTLS: no password before it
	c.do("LOGIN ada@example.org "+secretWord, "NO")

	info, err := os.Stat(sock)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o606 || os.Geteuid() == 0 && owner.Gid != 65534 {
		t.Errorf("the socket has mode %v and group %d", info.Mode(), owner.Gid)
	}
	if info, err := os.Stat(s.lmtp); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the LMTP socket: %v, %v", info.Mode(), err)
	}
}

// Two Posterns and somebody else's server live on one machine.
func TestNeighbours(t *testing.T) {
	foreign := func(t *testing.T) string { return peer.Dovecot(t).Plain }
	for name, other := range map[string]func(*testing.T) string{"dovecot": foreign, "anything": fakeServer} {
		t.Run(name, func(t *testing.T) {
			there := other(t)
			one, two := newSite(t), newSite(t)
			one.serve(t)
			two.serve(t)
			one.account(t, "ada@example.org")
			two.account(t, "bob@example.org")
			signIn(t, one.imaps, "ada@example.org").do("LOGOUT", "OK")
			signIn(t, two.imaps, "bob@example.org").do("LOGOUT", "OK")
			dial(t, one.imaps, false).do("LOGIN bob@example.org "+secretWord, "NO")
			c := dial(t, there, true)
			c.send("a LOGOUT")
			c.expect("* BYE")
		})
	}
}

// fakeServer is somebody else's IMAP server.
func fakeServer(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "* OK hello\r\n* BYE bye\r\n")
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestTakenPort(t *testing.T) {
	taken := fakeServer(t) // held by this very process
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	holder := fmt.Sprintf("port %s is taken by %s (pid %d): stop it, or set ", port(taken), strings.TrimSpace(string(name)), os.Getpid())

	s := newSite(t)
	s.imaps = taken
	s.write(t, fmt.Sprintf("[[listen.imap]]\naddress = %q\n", fakeServer(t)))
	r := postern(t, "", "--config", s.config, "serve")
	refuses(t, r, exitConfig, "cannot listen on "+taken, holder+"listen.imaps", "set listen.imap\n")

	r = postern(t, "", "--data", filepath.Join(s.dir, "trial"), "trial", "--imaps", port(taken), "--imap", port(fakeServer(t)), "--lmtp", port(fakeServer(t)))
	refuses(t, r, exitConfig, holder+"--imaps PORT", "set --imap PORT", "set --lmtp PORT")
	if r.out != "" {
		t.Errorf("it says how to connect to a server that does not run:\n%s", r.out)
	}

	first := newSite(t)
	running := first.serve(t)
	second := newSite(t)
	second.imaps = first.imaps
	second.write(t, "")
	refuses(t, postern(t, "", "--config", second.config, "serve"), exitConfig,
		fmt.Sprintf("port %s is taken by postern (pid %d)", port(first.imaps), running.cmd.Process.Pid))
}

func TestTakenSocket(t *testing.T) {
	one, two := newSite(t), newSite(t)
	running := one.serve(t)
	two.lmtp = one.lmtp
	two.write(t, "")
	refuses(t, postern(t, "", "--config", two.config, "serve"), exitConfig, one.lmtp,
		fmt.Sprintf("postern (pid %d)", running.cmd.Process.Pid), "listen.lmtp")
	deliverable := newSite(t)
	deliverable.write(t, "")
	file(t, deliverable.lmtp, "precious")
	refuses(t, postern(t, "", "--config", deliverable.config, "serve"), exitConfig, "is no socket")
	if text, err := os.ReadFile(deliverable.lmtp); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

func TestPrivilegedPort(t *testing.T) {
	lowest, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil || strings.TrimSpace(string(lowest)) == "0" {
		t.Skip("on this machine no port needs a privilege")
	}
	s := newSite(t)
	s.imaps = "127.0.0.1:993"
	s.write(t, "")
	cmd := command("--config", s.config, "serve")
	if os.Geteuid() == 0 {
		if err := os.Mkdir(s.data, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{s.dir, s.data, s.config} {
			if err := os.Chown(name, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	refuses(t, end(t, cmd), exitConfig, "cannot listen on 127.0.0.1:993", "port 993 needs a privilege", "systemd", "postern.socket",
		"setcap cap_net_bind_service=+ep "+binary, "set listen.imaps to a port from "+strings.TrimSpace(string(lowest)))
}

func TestSecondServerOnTheSameData(t *testing.T) {
	one, two := newSite(t), newSite(t)
	first := one.serve(t)
	r := postern(t, "", "--config", two.config, "--data", one.data, "serve")
	refuses(t, r, exitConfig, fmt.Sprintf("process with pid %d", first.cmd.Process.Pid), "--data")
	one.account(t, "ada@example.org") // the first is none the worse
}
