package netserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/observe"
)

// patience is how long a test waits for something that must happen. It is no
// measure of anything: it only ends a test that has already failed.
const patience = 20 * time.Second

// childRole is set in the environment of copies of the test program that play
// another program.
const childRole = "POSTERN_NETSERVER_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "":
		goleak.VerifyTestMain(m)
	case "hold":
		childHold()
	case "activated":
		childActivated()
	}
}

// child starts a copy of the test program in a role. Its output is read line by
// line; closing its input ends it.
func child(t *testing.T, role string, files []*os.File, env ...string) *bufio.Reader {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), append(env, childRole+"="+role)...)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return bufio.NewReader(out)
}

// logBuffer is a log that a test can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type testServer struct {
	*Server
	log     *logBuffer
	metrics *observe.Registry
	certs   *Certificates
	roots   *x509.CertPool
}

func newTestServer(t *testing.T, limits Limits) *testServer {
	t.Helper()
	s := &testServer{log: new(logBuffer), metrics: observe.NewRegistry(), roots: x509.NewCertPool()}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Server = New(Config{Limits: limits, Log: log, Metrics: s.metrics})
	pair, _, err := SelfSigned(t.TempDir(), []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s.certs, err = NewCertificates(time.Now, pair); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	s.roots.AppendCertsFromPEM(pem)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve listens with each spec on a free port of 127.0.0.1 unless it names an
// address, and starts.
func (s *testServer) serve(t *testing.T, specs ...Listen) {
	t.Helper()
	for i := range specs {
		if specs[i].Address == "" {
			specs[i].Address = "127.0.0.1:0"
		}
		if specs[i].Setting == "" {
			specs[i].Setting = fmt.Sprintf("listen.%d", i)
		}
		if specs[i].TLS == nil && specs[i].Security != Plaintext {
			cfg, err := NewTLSConfig(s.certs, "", "imap")
			if err != nil {
				t.Fatal(err)
			}
			specs[i].TLS = cfg
		}
	}
	if err := s.Listen(specs); err != nil {
		t.Fatal(err)
	}
	s.Start()
}

func (s *testServer) dial(t *testing.T, setting string) net.Conn {
	t.Helper()
	addrs := s.Addrs(setting)
	if len(addrs) == 0 {
		t.Fatalf("nothing listens for %s", setting)
	}
	return dial(t, addrs[0])
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func (s *testServer) client() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: "localhost", NextProtos: []string{"imap"}}
}

// figure reads a counter or gauge, "name" or "name label".
func (s *testServer) figure(t *testing.T, name string) float64 {
	t.Helper()
	families, err := s.metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			have := f.GetName()
			for _, l := range m.Label {
				have += " " + l.GetValue()
			}
			if have == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no figure %s", name)
	return 0
}

// eventually waits for something another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// echo greets and then returns every line until the client goes.
func echo(_ context.Context, c *Conn) {
	fmt.Fprintf(c, "* hello private=%v\r\n", c.Private())
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(c, line)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

// expectEnd reads until the server closes and gives what came.
func expectEnd(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatalf("the server did not close; it sent %q", b)
	}
	return string(b)
}

func send(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func haveIPv6(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6 loopback: ", err)
	}
	ln.Close()
}

func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in: %s", p, text)
		}
	}
}
