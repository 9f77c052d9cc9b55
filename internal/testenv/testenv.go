// Package testenv tells a test what the machine it runs on offers.
//
// Some tests need a program that is not ours: a mail client, another IMAP server, a C compiler. They ask for it
// here, by name, and are skipped with a reason where it is not found. The table in programs.go says which Debian
// packages bring each program; `make test` fetches them where it runs as root on Debian.
//
// Skipping is loud on purpose. With POSTERN_SKIP=never, which is how .ci/run calls the tests, every skip is a
// failure, so that a suite cannot fall silent because a package was renamed. The one skip that is always allowed is
// the long form of a test that has a short one: ask for it with Long.
//
// Only tests and the programs under test/ import this package.
package testenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// SkipVariable is the environment variable that, set to "never", turns every skip into a failure.
const SkipVariable = "POSTERN_SKIP"

// LongForm begins the reason of a skip that happens only because the short form of the tests was asked for.
// The runner does not count such a skip as a suite that was left out.
const LongForm = "long form: make test-long"

// Long skips the rest of a test in the short form (go test -short, which is what make test runs).
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip(LongForm)
	}
}

// Skip skips the test for a reason that names what is missing and how to get it. With POSTERN_SKIP=never it fails
// the test instead.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv(SkipVariable) == "never" {
		t.Fatalf("%s=never and yet: %s", SkipVariable, reason)
	}
	t.Skip(reason)
}

// Need returns the path of a program of the table, or skips the test. A name that is not in the table is a mistake
// in the test and fails it.
func Need(t testing.TB, name string) string {
	t.Helper()
	path, err := find(t, name).Find()
	if err != nil {
		Skip(t, "%v", err)
	}
	return path
}

// NeedPeer returns the directory a server of the table was unpacked into: a small root directory of its own, to be
// entered with chroot(2). It skips the test where the server was not fetched or the test does not run as root.
func NeedPeer(t testing.TB, name string) string {
	t.Helper()
	program := find(t, name)
	if program.How != Rooted {
		t.Fatalf("testenv: %q is no server of the table; use Need", name)
	}
	if os.Geteuid() != 0 {
		Skip(t, "%s runs in a root directory of its own, which takes root", name)
	}
	if _, err := program.Find(); err != nil {
		Skip(t, "%v", err)
	}
	return program.Root()
}

// find looks a name up in the table.
func find(t testing.TB, name string) Program {
	t.Helper()
	for _, program := range Programs() {
		if program.Name == name {
			return program
		}
	}
	t.Fatalf("testenv: no program called %q in the table of internal/testenv/programs.go", name)
	return Program{}
}

// Find returns the path of the program's binary, or an error that says what is missing and how to get it.
func (p Program) Find() (string, error) {
	if p.Private() {
		path := filepath.Join(p.Root(), p.Binary)
		if !p.stamped() {
			return "", fmt.Errorf("%s is not unpacked under build/peers (make test does it as root on Debian)", p.Name)
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", p.Name, err)
		}
		return path, nil
	}
	if _, err := os.Stat(p.Binary); err == nil {
		return p.Binary, nil
	}
	path, err := exec.LookPath(filepath.Base(p.Binary))
	if err != nil {
		return "", fmt.Errorf("%s is not installed (Debian: %v)", p.Name, p.Packages)
	}
	return path, nil
}

// Environment returns the variables, as os.Environ has them, that a privately unpacked program needs beside the
// usual ones to find its libraries.
func (p Program) Environment() []string {
	if p.How != Unpacked {
		return nil
	}
	libraries := filepath.Join(p.Root(), "usr/lib") + ":" + filepath.Join(p.Root(), "usr/lib", Multiarch())
	return []string{"LD_LIBRARY_PATH=" + libraries}
}

// Root is the directory a private program is unpacked into.
func (p Program) Root() string { return filepath.Join(PeersDir(), p.Name, "root") }

// Stamp is the file whose existence says that unpacking came to its end; it holds the versions unpacked.
func (p Program) Stamp() string { return filepath.Join(PeersDir(), p.Name, "versions") }

// Lock is the file that says which versions npm is to bring.
func (p Program) Lock() string {
	return filepath.Join(ModuleRoot(), "test", "clients", p.Name, "package-lock.json")
}

// stamped reports whether unpacking came to its end, and with npm of what is to be had now.
func (p Program) stamped() bool {
	stamp, err := os.ReadFile(p.Stamp())
	if err != nil || p.How != FromNPM {
		return err == nil
	}
	lock, err := os.ReadFile(p.Lock())
	return err == nil && bytes.Equal(stamp, lock)
}

// PeersDir is the directory under which everything private is unpacked.
func PeersDir() string { return filepath.Join(ModuleRoot(), "build", "peers") }

// ModuleRoot is the directory of our go.mod, found by walking up from the working directory.
var ModuleRoot = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic("testenv: no working directory: " + err.Error())
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			panic("testenv: no go.mod above the working directory")
		}
		dir = parent
	}
})
