package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asPostern makes the test binary be postern. The tests start it under that name,
// so it is the program with its main, its signals and its exit codes, and under
// the race detector whenever the tests are.
const asPostern = "POSTERN_TEST_AS_POSTERN"

// binary is the test binary by the name of postern, in a directory that other
// users may enter.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(asPostern) != "" { // and so is what it starts
		main()
	}
	os.Exit(testAll(m))
}

func testAll(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "postern-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err == nil {
		binary = filepath.Join(dir, "postern")
		err = errors.Join(os.Chmod(dir, 0o755), copyFile(binary, self, 0o755))
	}
	if err != nil {
		panic(err)
	}
	return m.Run()
}

func copyFile(to, from string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

// patience bounds every wait for something that must happen, on a busy machine.
const patience = 60 * time.Second

// command prepares postern with arguments.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), asPostern+"=1", "NOTIFY_SOCKET=", "LISTEN_FDS=", "JOURNAL_STREAM=",
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")) // the race detector lingers for a second at each exit
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// end runs a command to its end.
func end(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	late := time.AfterFunc(patience, func() {
		if cmd.Process != nil {
			cmd.Process.Kill()
		}
	})
	defer late.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// postern runs postern to its end with something on its standard input.
func postern(t *testing.T, in string, args ...string) result {
	t.Helper()
	cmd := command(args...)
	cmd.Stdin = strings.NewReader(in)
	return end(t, cmd)
}

// must is postern that has to succeed; it gives what was printed.
func must(t *testing.T, in string, args ...string) string {
	t.Helper()
	r := postern(t, in, args...)
	if r.code != 0 {
		t.Fatalf("postern %v: exit code %d\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// refuses checks that a command ends with a code and says certain things.
func refuses(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s", r.code, code, r.err)
	}
	for _, part := range parts {
		if !strings.Contains(r.err, part) {
			t.Errorf("%q is not said in\n%s", part, r.err)
		}
	}
	for line := range strings.Lines(r.err) {
		if !strings.HasPrefix(line, "postern: ") && !strings.HasPrefix(line, "time=") {
			t.Errorf("a line that nobody says: %q", line)
		}
	}
}

// running is a postern that serves.
type running struct {
	cmd      *exec.Cmd
	out, log *output
	exited   chan struct{} // closed when it has
}

// output collects what a process writes and lets one wait for it.
type output struct {
	mu   sync.Mutex
	text []byte
	more chan struct{} // closed and replaced with each write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// await waits until text has been written.
func (r *running) await(t *testing.T, o *output, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		o.mu.Lock()
		found, more := bytes.Contains(o.text, []byte(text)), o.more
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-r.exited:
			if !strings.Contains(o.String(), text) {
				t.Fatalf("ended without %q\n%s\n%s", text, r.out, r.log)
			}
		case <-late:
			t.Fatalf("%q does not come\n%s\n%s", text, r.out, r.log)
		}
	}
}

// start starts a command and sees to its end. Its log goes elsewhere if that is
// given.
func start(t *testing.T, cmd *exec.Cmd, elsewhere ...*os.File) *running {
	t.Helper()
	r := &running{cmd: cmd, out: newOutput(), log: newOutput(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.out, r.log
	for _, f := range elsewhere {
		cmd.Stderr = f
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.exited)
		cmd.Wait() // how it ended is in its ProcessState
	}()
	t.Cleanup(func() {
		select {
		case <-r.exited:
		default:
			if code := r.stop(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}
		if t.Failed() {
			t.Logf("log of %v:\n%s", cmd.Args[1:], r.log)
		}
	})
	return r
}

// signal sends a signal.
func (r *running) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// stop ends it with SIGTERM and gives its exit code.
func (r *running) stop(t *testing.T) int {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	return r.code(t)
}

// code waits for the end and gives the exit code.
func (r *running) code(t *testing.T) int {
	t.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.cmd.Process.Kill()
		t.Fatalf("it does not end\n%s", r.log)
	}
	return r.cmd.ProcessState.ExitCode()
}

// file writes a file into the directory of a test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// shortDir is a directory whose path leaves room for the path of a Unix socket.
// Others may enter it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// given are the addresses that ports has given, so that it gives none twice.
var given sync.Map

// ports gives addresses on 127.0.0.1 that were free a moment ago.
func ports(t *testing.T, n int) []string {
	t.Helper()
	var list []string
	for len(list) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end
		if _, again := given.LoadOrStore(l.Addr().String(), true); !again {
			list = append(list, l.Addr().String())
		}
	}
	return list
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// site is a directory with a configuration of one listener each.
type site struct{ dir, config, data, imaps, imap, lmtp string }

func newSite(t *testing.T) *site {
	t.Helper()
	dir, p := shortDir(t), ports(t, 2)
	s := &site{dir: dir, config: filepath.Join(dir, "postern.toml"), data: filepath.Join(dir, "data"),
		imaps: p[0], imap: p[1], lmtp: filepath.Join(dir, "lmtp.sock")}
	s.write(t, "")
	return s
}

// write writes the configuration, with more at its end.
func (s *site) write(t *testing.T, more string) {
	t.Helper()
	file(t, s.config, fmt.Sprintf(`data = %q
hostname = "localhost"
[[listen.imaps]]
address = %q
[[listen.imap]]
address = %q
[[listen.lmtp]]
address = "unix:%s"
%s`, s.data, s.imaps, s.imap, s.lmtp, more))
}

// serve starts the server and waits until it serves.
func (s *site) serve(t *testing.T) *running {
	t.Helper()
	r := start(t, command("--config", s.config, "serve"))
	r.await(t, r.log, `msg="Postern serves"`)
	return r
}

// run runs an administrative command.
func (s *site) run(t *testing.T, in string, args ...string) string {
	t.Helper()
	return must(t, in, append([]string{"--config", s.config}, args...)...)
}

// secretWord is the password of the tests' accounts. It must be in no log.
const secretWord = "Velvet-Thunder-417"

// account makes an account.
func (s *site) account(t *testing.T, name string) {
	t.Helper()
	s.run(t, secretWord+"\n", "account", "add", name)
}

// client speaks IMAP as a person would.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial connects and reads the greeting.
func dial(t *testing.T, address string, insecure bool) *client {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	d := &net.Dialer{Timeout: patience}
	var conn net.Conn
	var err error
	if insecure {
		conn, err = d.Dial(network, address)
	} else {
		conn, err = tls.DialWithDialer(d, network, address, &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &client{t, conn, bufio.NewReader(conn)}
	c.expect("* OK ")
	return c
}

// signIn is dial and LOGIN.
func signIn(t *testing.T, address, name string) *client {
	t.Helper()
	c := dial(t, address, false)
	c.do("LOGIN "+name+" "+secretWord, "OK")
	return c
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatalf("sending %q: %v", line, err)
	}
}

// line reads a line.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading: %v after %q", err, line)
	}
	return strings.TrimRight(line, "\r\n")
}

// expect reads lines until one begins with prefix, and gives it. Tagged lines
// are not passed over.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	for {
		line := c.line()
		if strings.HasPrefix(line, prefix) {
			return line
		}
		if !strings.HasPrefix(line, "* ") {
			c.t.Fatalf("got %q, want %q", line, prefix)
		}
	}
}

// do sends a command and gives the lines of its answer, which must be status.
func (c *client) do(cmd, status string) []string {
	c.t.Helper()
	c.send("t " + cmd)
	var lines []string
	for {
		line := c.line()
		lines = append(lines, line)
		if strings.HasPrefix(line, "t ") {
			if !strings.HasPrefix(line, "t "+status+" ") {
				c.t.Fatalf("%s: got %q, want %s", cmd, lines, status)
			}
			return lines
		}
	}
}

// closed checks that nothing more comes.
func (c *client) closed() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err == nil {
		c.t.Errorf("got %q after the end", line)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection stays open")
	}
}

// append puts a message into INBOX.
func (c *client) append(text string) {
	c.t.Helper()
	c.send(fmt.Sprintf("t APPEND INBOX {%d}", len(text)))
	c.expect("+")
	c.send(text)
	c.expect("t OK")
}

// deliver brings a message by LMTP.
func deliver(t *testing.T, address, to string) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &client{t, conn, bufio.NewReader(conn)}
	reply := func(code string) {
		t.Helper()
		for {
			line := c.line()
			if !strings.HasPrefix(line, code) {
				t.Fatalf("got %q, want %s", line, code)
			}
			if len(line) < 4 || line[3] != '-' {
				return
			}
		}
	}
	reply("220")
	for _, step := range []struct{ say, code string }{
		{"LHLO there", "250"}, {"MAIL FROM:<me@example.org>", "250"}, {"RCPT TO:<" + to + ">", "250"}, {"DATA", "354"},
		{"Subject: delivered\r\n\r\nhello\r\n.", "250"}, {"QUIT", "221"},
	} {
		c.send(step.say)
		reply(step.code)
	}
}

// newCertificate writes a certificate and its key and gives the certificate's
// serial number.
func newCertificate(t *testing.T, certFile, keyFile string) *big.Int {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial := big.NewInt(time.Now().UnixNano())
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	file(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return serial
}

// serial gives the serial number of the certificate that is shown.
func serial(t *testing.T, address string) *big.Int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber
}

// needRoot skips a test that takes another user's part.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("takes root, to run a program as another user")
	}
}

// nobody is a user with no rights.
const nobody = 65534
