// Package clients has real mail clients do real work on a server, and looks at what came of it: on the client's side by
// its files, on the server's with another client (go-imap). Each suite runs against Postern, and against Dovecot to
// show that it is the client's work that is tested and not our expectations.
package clients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"postern/internal/testenv"
	"postern/test/peer"
)

// clientPatience bounds one run of a client; one that goes well never waits for it.
const clientPatience = 3 * time.Minute

// An account is one account on one server, as a client is told of it.
type account struct {
	server         *peer.Server
	name, password string
	host, port     string // of IMAP over TLS
}

// onEach runs a suite against each server.
func onEach(t *testing.T, suite func(t *testing.T, a *account)) {
	t.Helper()
	servers := []struct {
		name  string
		start func(testing.TB) *peer.Server
	}{{"postern", peer.Postern}, {"dovecot", peer.Dovecot}}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			server := s.start(t)
			a := &account{server: server}
			a.name, a.password = server.NewAccount(t)
			_, port, err := net.SplitHostPort(server.TLS)
			if err != nil {
				t.Fatal(err)
			}
			a.host, a.port = "localhost", port
			suite(t, a)
		})
	}
}

// run runs a client and fails the test where it fails.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	return runAs(t, nil, env, name, args...)
}

// nobody is the user clients run as that refuse root; it is Debian's number for it.
const nobody = 65534

// runAsNobody is run for a client that refuses root. dir, a t.TempDir with all the client needs, becomes nobody's.
func runAsNobody(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return run(t, env, name, args...)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // where this test's temporary directories are
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	return runAs(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, env, name, args...)
}

func runAs(t *testing.T, attributes *syscall.SysProcAttr, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = attributes
	cmd.Env = append(append(os.Environ(), "LC_ALL=C.UTF-8"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// write writes a client's configuration.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dial signs in with go-imap.
func (a *account) dial(t *testing.T) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(a.server.TLS, &imapclient.Options{TLSConfig: a.server.TLSConfig(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Login(a.name, a.password).Wait(); err != nil {
		c.Close()
		t.Fatal(err)
	}
	return c
}

// hangUp signs out.
func hangUp(t *testing.T, c *imapclient.Client) {
	t.Helper()
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
	c.Close() // the server may have closed it already
}

// message is the n-th message of these tests.
func message(n int) string {
	return fmt.Sprintf("Date: Mon, 1 Jan 2024 10:00:00 +0000\r\nFrom: sender@example.net\r\nTo: reader@example.org\r\n"+
		"Subject: message %d\r\nMessage-ID: <%d@example.net>\r\n\r\nText %d, \xc3\xa9 and a line after it.\r\n.\r\nThe end.\r\n", n, n, n)
}

// fill appends the messages first to last to a mailbox.
func (a *account) fill(t *testing.T, mailbox string, first, last int) {
	t.Helper()
	c := a.dial(t)
	defer hangUp(t, c)
	for n := first; n <= last; n++ {
		text := message(n)
		cmd := c.Append(mailbox, int64(len(text)), nil)
		if _, err := io.WriteString(cmd, text); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// held is a message as the server has it.
type held struct {
	text  string
	flags []imap.Flag
}

func (h held) has(flag imap.Flag) bool { return slices.Contains(h.flags, flag) }

// mailbox reads a whole mailbox, by subject. A subject that comes twice fails the test.
func (a *account) mailbox(t *testing.T, name string) map[string]held {
	t.Helper()
	c := a.dial(t)
	defer hangUp(t, c)
	selected, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]held{}
	if selected.NumMessages == 0 {
		return all
	}
	fetched, err := c.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		Flags: true, Envelope: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}},
	}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fetched {
		subject := m.Envelope.Subject
		if _, twice := all[subject]; twice {
			t.Errorf("%s is in %s twice", subject, name)
		}
		all[subject] = held{string(m.BodySection[0].Bytes), m.Flags}
	}
	if len(fetched) != int(selected.NumMessages) {
		t.Errorf("%d messages were fetched of %d", len(fetched), selected.NumMessages)
	}
	return all
}

// store changes the flags of message n.
func (a *account) store(t *testing.T, mailbox string, n int, op imap.StoreFlagsOp, flags ...imap.Flag) {
	t.Helper()
	c := a.dial(t)
	defer hangUp(t, c)
	if _, err := c.Select(mailbox, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("<%d@example.net>", n)
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: id}}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 1 {
		t.Fatalf("looking for %s: %v, %v", id, found, err)
	}
	if err := c.Store(imap.UIDSetNum(found.AllUIDs()...), &imap.StoreFlags{Op: op, Silent: true, Flags: flags}, nil).Close(); err != nil {
		t.Fatal(err)
	}
}

// maildir reads a Maildir: the file names by the subject within.
func maildir(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			path := filepath.Join(dir, sub, entry.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			subject := subjectOf(text)
			if other, twice := files[subject]; twice {
				t.Errorf("%q is in %s and in %s", subject, other, path)
			}
			files[subject] = path
		}
	}
	return files
}

func subjectOf(text []byte) string {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("Subject: ")); ok {
			return string(bytes.TrimRight(value, "\r\n"))
		}
	}
	return ""
}

// sameText fails the test unless the file holds message n, line ends aside: clients store them as their system does.
func sameText(t *testing.T, path string, n int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(text), "\r\n", "\n")
	want := strings.ReplaceAll(message(n), "\r\n", "\n")
	gotHead, gotBody, _ := strings.Cut(got, "\n\n")
	wantHead, wantBody, _ := strings.Cut(want, "\n\n")
	missing := slices.ContainsFunc(strings.Split(wantHead, "\n"), func(field string) bool {
		return !slices.Contains(strings.Split(gotHead, "\n"), field) // clients add fields of their own
	})
	if missing || gotBody != wantBody {
		t.Errorf("%s holds\n%q\nwant\n%q", path, got, want)
	}
}

// flagsOf are the Maildir flags in a file's name.
func flagsOf(path string) string {
	_, flags, _ := strings.Cut(filepath.Base(path), ":2,")
	return flags
}

// count is how many messages a suite works on: fewer in the short form.
func count(long int) int {
	if testing.Short() {
		return max(long/20, 10)
	}
	return long
}

// needProgram returns a program's path and environment.
func needProgram(t *testing.T, name string) (path string, env []string) {
	t.Helper()
	path = testenv.Need(t, name)
	for _, program := range testenv.Programs() {
		if program.Name == name {
			env = program.Environment()
		}
	}
	return path, env
}
