package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postern/internal/testenv"
)

// Everything the tests know of Postern's command line and configuration stands in this file.

// RaceVariable is the environment variable that, when set, has Postern itself built with the race detector.
const RaceVariable = "POSTERN_TEST_RACE"

// Postern builds ./cmd/postern from this checkout and starts it on free ports with an empty store in a directory of
// the test's own.
func Postern(t testing.TB) *Server {
	t.Helper()
	return PosternWith(t, dialogueSettings)
}

// dialogueSettings turn on what is off unless somebody wants it.
const dialogueSettings = `
[imap]
uid_only = true
quota_administrators = ["@` + administrators + `"]
`

// PosternWith is Postern with more settings: whole tables of a configuration that the tests' own does not have.
func PosternWith(t testing.TB, settings string) *Server {
	t.Helper()
	binary := posternBinary(t)
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir)
	ports := freePorts(t, 3)
	config := filepath.Join(dir, "postern.toml")
	text := posternConfig(filepath.Join(dir, "data"), certFile, keyFile, ports[0], ports[1], ports[2]) + settings
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	log := &lockedBuffer{}
	start(t, exec.Command(binary, "serve", "--config", config), log)
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, ports[0], "* OK "); err != nil {
		t.Fatalf("postern: %v\n%s", err, log)
	}
	administer := func(t testing.TB, input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"--config", config}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("postern %s: %v\n%s\nserver:\n%s", strings.Join(args, " "), err, out, log)
		}
		return string(out)
	}
	// The tests of one server fail at more accounts than one network may while it knows few of them, and come in no order.
	administer(t, "", "guard", "allow", "127.0.0.0/8")
	return &Server{
		Name: "postern", Plain: ports[0], TLS: ports[1], LMTP: ports[2], CertFile: certFile, log: log,
		newAccount: func(t testing.TB, name, password string) {
			t.Helper()
			administer(t, password+"\n", "account", "add", name)
		},
		administer: administer,
	}
}

// Administer runs a command of postern beside the server, which must be a Postern, and returns what it printed. A
// command that fails fails the test.
func (s *Server) Administer(t testing.TB, args ...string) string {
	t.Helper()
	return s.administer(t, "", args...)
}

// SetQuota gives what sets limits of an account, by the names RFC 9208 5 has for resources; nil for a server that is no
// Postern.
func (s *Server) SetQuota(t testing.TB) func(account string, limits map[string]uint64) error {
	if s.administer == nil {
		return nil
	}
	return func(account string, limits map[string]uint64) error {
		args := []string{"account", "quota", account}
		for resource, flag := range map[string]string{"STORAGE": "--storage=%d KiB", "MESSAGE": "--messages=%d", "MAILBOX": "--mailboxes=%d"} {
			if n, ok := limits[resource]; ok {
				args = append(args, fmt.Sprintf(flag, n))
			}
		}
		s.Administer(t, args...)
		return nil
	}
}

// posternConfig is the configuration the tests run with: everything on loopback and on free ports.
func posternConfig(data, certFile, keyFile, imap, imaps, lmtp string) string {
	return fmt.Sprintf(`data = %q
hostname = "mail.example.org" # dialogues name it in URLs

[auth]
failure_delay = "50ms" # tests fail often on purpose

[[auth.oidc]] # nobody is there: dialogues see what is said of tokens that cannot be good
issuer = "http://127.0.0.1:1"
audience = ["imap"]
scope = "imap.access"

[tls]
certificate = %q
key = %q
min_version = "1.2" # Debian's older clients

[[listen.imap]]
address = %q

[[listen.imaps]]
address = %q

[[listen.lmtp]]
address = %q
`, data, certFile, keyFile, imap, imaps, lmtp)
}

// posternBinary builds Postern once per test binary and returns its path.
func posternBinary(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(testenv.ModuleRoot(), "cmd", "postern")); err != nil {
		testenv.Skip(t, "there is no ./cmd/postern to build: %v", err)
	}
	path, err := buildPostern()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildPostern builds into build/test, by way of a name of its own, so that test binaries that run side by side never
// start a half-written program.
var buildPostern = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(testenv.ModuleRoot(), "build", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "postern")
	args := []string{"build"}
	if os.Getenv(RaceVariable) != "" {
		args, path = append(args, "-race"), path+"-race"
	}
	draft := fmt.Sprintf("%s.%d", path, os.Getpid())
	cmd := exec.Command("go", append(args, "-o", draft, "./cmd/postern")...)
	cmd.Dir = testenv.ModuleRoot()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building ./cmd/postern: %w\n%s", err, out.String())
	}
	return path, os.Rename(draft, path)
})
