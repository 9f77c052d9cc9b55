package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// importMbox writes an mbox file of n messages, some of them seen.
func importMbox(t *testing.T, dir string, n int) string {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "From a@example.org Mon Nov 23 10:%02d:%02d 2026\nSubject: message %d\nStatus: %s\n\nbody of message %d\n\n",
			i/60%60, i%60, i, []string{"RO", "O"}[i%2], i)
	}
	return file(t, filepath.Join(dir, "in.mbox"), b.String())
}

// TestImportBesideTheServerAndWithoutIt imports the same file twice: through the
// control socket of a running server and, again, with no server. Nothing comes in
// twice, and a client that waits learns of it at once.
func TestImportBesideTheServerAndWithoutIt(t *testing.T) {
	s := newSite(t)
	r := s.serve(t)
	s.account(t, "ada@example.org")
	c := signIn(t, s.imaps, "ada@example.org")
	c.do("SELECT INBOX", "OK")
	c.send("i IDLE")
	c.expect("+ ")
	mbox := importMbox(t, s.dir, 300)
	out := s.run(t, "", "import", "--account", "ada@example.org", "mbox", mbox)
	if !strings.Contains(out, "INBOX\t300 imported\n300 messages imported") {
		t.Errorf("got %q", out)
	}
	for line := ""; !strings.HasPrefix(line, "* 300 EXISTS"); {
		line = c.expect("* ")
	}
	c.send("DONE")
	c.expect("i OK")
	if got := c.do("SEARCH SEEN SUBJECT \"message 29\"", "OK"); !strings.Contains(strings.Join(got, "\n"), "* SEARCH 291 293 295 297 299") {
		t.Errorf("flags or text did not come along: %q", got) // messages 290, 292 ... and 29 is unseen
	}
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out = s.run(t, "", "import", "--account", "ada@example.org", "mbox", mbox)
	if !strings.Contains(out, "0 imported, 300 there already") {
		t.Errorf("got %q", out)
	}
	s.run(t, "", "check")

	// An account that is removed takes its notes along: made anew, it is empty.
	s.run(t, "", "account", "remove", "--yes", "ada@example.org")
	for note, err := range instanceOf(t, s).store.Shelf().List(t.Context(), "import/") {
		t.Errorf("left on the shelf: %s, %v", note.Key, err)
	}
}

// TestInterruptedImportGoesOn kills the importing command, and the server under
// it, and lets the import be run again until it is through.
func TestInterruptedImportGoesOn(t *testing.T) {
	s := newSite(t)
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	s.account(t, "ada@example.org")
	const n = 3000
	mbox := importMbox(t, s.dir, n)
	for _, kill := range []func(importing, serving *running){
		func(importing, _ *running) { importing.signal(t, syscall.SIGKILL) },
		func(importing, _ *running) { importing.signal(t, syscall.SIGINT) },
		func(_, serving *running) { serving.signal(t, syscall.SIGKILL) },
	} {
		serving := s.serve(t)
		importing := start(t, command("--config", s.config, "import", "--account", "ada@example.org", "mbox", mbox))
		importing.await(t, importing.log, "imported: ")
		kill(importing, serving)
		importing.code(t)
		if serving.cmd.Process.Kill() == nil { // unless it is gone already
			serving.code(t)
		}
	}
	out := s.run(t, "", "import", "--account", "ada@example.org", "mbox", mbox)
	words := strings.Fields(out)
	came, err := strconv.Atoi(words[1])
	if err != nil || !strings.Contains(out, fmt.Sprintf("%d there already", n-came)) && came != n {
		t.Errorf("got %q", out)
	}
	if out := s.run(t, "", "mailbox", "status", "ada@example.org", "INBOX"); !strings.Contains(out, fmt.Sprintf("messages %d\t", n)) {
		t.Errorf("got %q", out)
	}
	s.run(t, "", "check")
}

// TestExportIsImportedEqual writes a maildir, reads it into another account and
// writes that: the two are alike, UIDs and all.
func TestExportIsImportedEqual(t *testing.T) {
	s := newSite(t)
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ada@example.org", "bob@example.org"} {
		s.account(t, name)
	}
	s.run(t, "", "import", "--account", "ada@example.org", "mbox", importMbox(t, s.dir, 20))
	s.run(t, "", "import", "--account", "ada@example.org", "--mailbox", "Old/2024", "mbox", filepath.Join(s.dir, "in.mbox"))
	one, two := filepath.Join(s.dir, "one"), filepath.Join(s.dir, "two")
	s.run(t, "", "export", "--account", "ada@example.org", "maildir", one)
	out := s.run(t, "", "import", "--account", "bob@example.org", "maildir", one)
	if !strings.Contains(out, "INBOX\t20 imported, UIDs kept") {
		t.Errorf("got %q", out)
	}
	s.run(t, "", "export", "--account", "bob@example.org", "maildir", two)
	if a, b := tree(t, one), tree(t, two); a != b {
		t.Errorf("the first export is\n%s\nthe second\n%s", a, b)
	}
	refuses(t, postern(t, "", "--config", s.config, "export", "--account", "ada@example.org", "maildir", one), 1, "is not empty")
}

// tree lists the message files below a directory with their contents, without
// the parts of their names that are made up anew.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Base(filepath.Dir(path)) != "cur" {
			return err
		}
		text, err := os.ReadFile(path)
		folder, _ := filepath.Rel(dir, filepath.Dir(path))
		_, flags, _ := strings.Cut(entry.Name(), ":2,")
		fmt.Fprintf(&b, "%s %s %q\n", folder, flags, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestImportReadsWhatOnlyRootMay is root importing its own file into the store
// of an ordinary user, with no server: the file is read as root, the store
// written as its owner.
func TestImportReadsWhatOnlyRootMay(t *testing.T) {
	needRoot(t)
	s := newSite(t)
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	s.account(t, "ada@example.org")
	mbox := importMbox(t, s.dir, 10)
	if err := os.Chmod(mbox, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.config, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := s.run(t, "", "import", "--account", "ada@example.org", "mbox", mbox); !strings.Contains(out, "10 imported") {
		t.Errorf("got %q", out)
	}
	err := filepath.WalkDir(s.data, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("%s is not the owner's", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	refuses(t, postern(t, "", "--config", s.config, "import", "--account", "nobody@example.org", "mbox", mbox), 1, "nobody@example.org")
}
