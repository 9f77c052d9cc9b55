package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postern/internal/mail"
)

// The child process: TestMain becomes it when these are set.
const (
	childDir   = "POSTERN_TEST_CHILD_DIR"   // the store's directory
	childFault = "POSTERN_TEST_CHILD_FAULT" // "sync N": the N-th sync of a file fails, and so on
	childCount = "POSTERN_TEST_CHILD_COUNT" // commits to each account before it ends by itself
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(childMain(dir))
	}
	if dir := os.Getenv(tmpfsDir); dir != "" {
		os.Exit(tmpfsMain(dir))
	}
	os.Exit(m.Run())
}

// childMain works on a store and writes a line for each commit that was
// acknowledged, until it is killed, the store fails, or it is done.
func childMain(dir string) int {
	o := small(nil)
	o.Fatal = nil // the real one
	o.MemTable = 256 << 10
	if fault := os.Getenv(childFault); fault != "" {
		o.FS = faultyFS(vfs.Default, parseFault(fault))
	}
	count := 1 << 30
	if n := os.Getenv(childCount); n != "" {
		fmt.Sscan(n, &count)
	}
	s, err := Open(dir, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "open:", err)
		return 3
	}
	var mu sync.Mutex
	var workers sync.WaitGroup
	failed := make(chan error, 8)
	for id := mail.AccountID(1); id <= 4; id++ {
		workers.Go(func() {
			err := deliver(context.Background(), s, id, count, func(n mail.ModSeq, ref mail.BodyRef) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Printf("%d %d %v\n", id, n, ref)
			})
			if err != nil {
				failed <- err
			}
		})
	}
	workers.Wait()
	if _, err := s.Bodies().Sweep(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
	}
	select {
	case err := <-failed:
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 4
	default:
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "close:", err)
		return 5
	}
	return 0
}

// readAcks reads what a child acknowledged, until it has said enough lines; -1
// is to the end. A line cut off by the child's death was still an
// acknowledgement begun; only whole ones count.
func readAcks(r *bufio.Reader, told *acks, lines int) error {
	for ; lines != 0; lines-- {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		var id mail.AccountID
		var n mail.ModSeq
		var ref string
		if _, err := fmt.Sscan(line, &id, &n, &ref); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		raw, err := hex.DecodeString(ref)
		if err != nil || len(raw) != 16 {
			return fmt.Errorf("%q: %w", line, err)
		}
		told.head[id] = max(told.head[id], n)
		told.refs[mail.BodyRef(raw)] = true
	}
	return nil
}

func startChild(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	errs := &bytes.Buffer{}
	cmd.Stderr = errs
	must(t, cmd.Start())
	return cmd, bufio.NewReader(out), errs
}

// TestKill kills a process that works on a store, again and again, each time
// after another number of acknowledgements.
func TestKill(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 4
	}
	rng := rand.New(rand.NewPCG(5, 8))
	dir, told := filepath.Join(t.TempDir(), "data"), newAcks()
	for i := range kills {
		cmd, out, errs := startChild(t, dir)
		err := readAcks(out, told, rng.IntN(150))
		must(t, cmd.Process.Signal(syscall.SIGKILL))
		if err == nil {
			if err = readAcks(out, told, -1); err == io.EOF {
				err = nil
			}
		}
		_ = cmd.Wait() // killed
		if err != nil {
			t.Fatalf("life %d: %v\n%s", i, err, errs)
		}
		if i%5 != 0 && i != kills-1 {
			continue // the next child opens what this one left
		}
		s, err := Open(dir, small(nil))
		must(t, err)
		if err := verify(t.Context(), s, told); err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		must(t, s.Close())
	}
	t.Logf("%d commits acknowledged over %d kills", len(told.refs), kills)
}

// fault is a command to errorfs: the n-th operation of a kind on a file whose
// path has a word in it fails.
type fault struct {
	kind string // "sync", "write", "create" or "any"
	word string
	err  error
	mu   sync.Mutex
	left int
}

func parseFault(text string) *fault {
	f := &fault{err: syscall.EIO}
	var errName string
	fmt.Sscan(text, &f.kind, &f.word, &f.left, &errName)
	if errName == "ENOSPC" {
		f.err = syscall.ENOSPC
	}
	return f
}

func (f *fault) String() string { return f.kind }

func (f *fault) MaybeError(op errorfs.Op) error {
	var is bool
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData:
		is = f.kind == "sync"
	case errorfs.OpFileWrite:
		is = f.kind == "write"
	case errorfs.OpCreate, errorfs.OpReuseForWrite:
		is = f.kind == "create"
	}
	if !is && f.kind != "any" || f.word != "*" && !strings.Contains(op.Path, f.word) {
		return nil
	}
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left > 0 {
		return nil
	}
	return fmt.Errorf("injected: %w", f.err) // and ever after: the disk has failed
}

// faultyFS is errorfs, but that a log used again is not spared: errorfs hands its
// file out bare.
func faultyFS(fs vfs.FS, f *fault) vfs.FS { return noReuse{errorfs.Wrap(fs, f)} }

type noReuse struct{ vfs.FS }

func (fs noReuse) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.FS.Remove(from); err != nil {
		return nil, err
	}
	return fs.FS.Create(to, category)
}

func (fs noReuse) Unwrap() vfs.FS { return fs.FS }

// TestFailedDisk lets the disk fail at the n-th operation of some kind, under a
// real engine in a child process. The child may end as it likes, but what it
// acknowledged is there when the disk works again, and nothing is half there.
func TestFailedDisk(t *testing.T) {
	kinds := []string{"sync .log", "write .log", "sync bodies", "write bodies", "create bodies", "write .sst", "create .sst",
		"write MANIFEST", "sync MANIFEST", "any *"}
	steps := []int{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377}
	if testing.Short() {
		kinds, steps = []string{"sync .log", "write bodies", "any *"}, []int{2, 34}
	}
	for _, kind := range kinds {
		for i, n := range steps {
			name := fmt.Sprintf("%s %d %s", kind, n, []string{"EIO", "ENOSPC"}[i%2])
			t.Run(name, func(t *testing.T) {
				dir, told := filepath.Join(t.TempDir(), "data"), newAcks()
				cmd, out, errs := startChild(t, dir, childFault+"="+name, childCount+"=60")
				hung := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
				err := readAcks(out, told, -1)
				if !hung.Stop() {
					t.Error("the child neither worked nor ended")
				}
				if err != io.EOF {
					t.Error(err)
				}
				var exit *exec.ExitError
				if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				s, err := Open(dir, small(nil))
				if err != nil {
					t.Fatalf("%v\nthe child said: %s", err, errs)
				}
				defer func() { must(t, s.Close()) }()
				if err := verify(t.Context(), s, told); err != nil {
					t.Fatalf("%v\nthe child said: %s", err, errs)
				}
			})
		}
	}
}

// TestFailedLogEndsTheProcess shows the default end: a readable message and the
// exit status of an I/O error, whoever of the engine's goroutines meets it.
func TestFailedLogEndsTheProcess(t *testing.T) {
	// Opening takes some of each. The last is met by a commit that begins the next
	// file of the log.
	for _, fault := range []string{"sync .log 100", "write .log 100", "create .log 40"} {
		t.Run(fault, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			cmd, out, errs := startChild(t, dir, childFault+"="+fault, childCount+"=1000")
			if err := readAcks(out, newAcks(), -1); err != io.EOF {
				t.Error(err)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 74 {
				t.Errorf("the process ended with %v, want exit status 74", err)
			}
			if text := errs.String(); !strings.Contains(text, "postern: the store in "+dir+" cannot go on") || !strings.Contains(text, "injected") {
				t.Errorf("its last words were %q", text)
			}
		})
	}
}
