package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A Node is a Postern that a test may kill and start again on the same data. Its addresses stay the same.
type Node struct {
	Server
	Data string // its data directory

	binary, config string
	process        *exec.Cmd
	ended          chan struct{} // closed when process has ended
}

// NewNode prepares a Postern that is not running yet, with its data in the directory data. What more says is
// appended to its configuration; unless it has a listener for LMTP, there is one on a free port.
func NewNode(t testing.TB, data, more string) *Node {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir)
	ports := freePorts(t, 3)
	n := &Node{
		Server: Server{Name: "postern", Plain: ports[0], TLS: ports[1], CertFile: certFile, KeyFile: keyFile, log: &lockedBuffer{}},
		Data:   data, binary: posternBinary(t), config: filepath.Join(dir, "postern.toml"),
	}
	text := fmt.Sprintf("hostname = \"postern.example.org\"\ndata = %q\n\n[auth]\nfailure_delay = \"50ms\"\n\n[tls]\ncertificate = %q\nkey = %q\n\n", data, certFile, keyFile)
	text += fmt.Sprintf("[[listen.imap]]\naddress = %q\n\n[[listen.imaps]]\naddress = %q\n\n", ports[0], ports[1])
	if !strings.Contains(more, "[[listen.lmtp]]") {
		n.LMTP = ports[2]
		text += fmt.Sprintf("[[listen.lmtp]]\naddress = %q\n\n", ports[2])
	}
	if err := os.WriteFile(n.config, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	n.newAccount = func(t testing.TB, name, password string) {
		t.Helper()
		n.command(t, password+"\n", "account", "add", name)
	}
	t.Cleanup(func() {
		n.Kill(t)
		if t.Failed() {
			t.Logf("log of postern:\n%s", n.log)
		}
	})
	return n
}

// Start starts it and waits until it listens.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	if err := n.TryStart(); err != nil {
		t.Fatalf("postern: %v\n%s", err, n.log)
	}
}

// TryStart is Start for a server that may rightly refuse.
func (n *Node) TryStart() error {
	cmd := exec.Command(n.binary, "serve", "--config", n.config)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed, as often as not
	}()
	n.process, n.ended = cmd, ended
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	go func() { // who has ended will not answer any more
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return awaitGreeting(ctx, n.Plain, "* OK ")
}

// Kill ends it without a warning, kill -9, and waits until the kernel is done with it. It may have ended before.
func (n *Node) Kill(t testing.TB) { n.end(t, syscall.SIGKILL) }

// Stop asks it to end in good order, and waits.
func (n *Node) Stop(t testing.TB) { n.end(t, syscall.SIGTERM) }

func (n *Node) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if n.process == nil {
		return
	}
	if err := n.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("ending postern: %v", err)
	}
	<-n.ended
	n.process = nil
}

// Command runs one of the administrator's commands, such as "alias", "add".
func (n *Node) Command(t testing.TB, arguments ...string) string {
	t.Helper()
	return n.command(t, "", arguments...)
}

func (n *Node) command(t testing.TB, stdin string, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"--config", n.config}, arguments...)
	cmd := exec.Command(n.binary, arguments...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("postern %s: %v\n%s\nserver:\n%s", strings.Join(arguments, " "), err, out, n.log)
	}
	return string(out)
}

// AddAccount makes an account of that name and returns its password.
func (n *Node) AddAccount(t testing.TB, name string) (password string) {
	t.Helper()
	n.newAccount(t, name, accountPassword)
	return accountPassword
}

// Wrapper makes a directory for PATH in which "postern" is this one, with its configuration.
func (n *Node) Wrapper(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' --config '%s' \"$@\"\n", n.binary, n.config)
	if err := os.WriteFile(filepath.Join(dir, "postern"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
