package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postern/internal/mail"
	"postern/internal/store"
)

func free(fs *vfs.MemFS, octets uint64) {
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: octets, TotalBytes: 1 << 40, UsedBytes: 1<<40 - octets})
}

// TestReserve walks a disk down through the stretches of free space and up again.
func TestReserve(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	free(fs, 1<<30)
	o := small(fs)
	o.Reserve, o.Ballast = 64<<20, 8<<20
	s := openStore(t, "data", o)
	s.disk.every = 0
	ballast := func() bool {
		_, err := fs.Stat("data/BALLAST")
		return err == nil
	}
	store1 := func() error {
		_, _, err := s.Bodies().Put(ctx, bytes.NewReader([]byte("mail")))
		return err
	}
	flags := func() error {
		a := s.Account(1)
		head, err := a.Head(ctx)
		must(t, err)
		return a.Commit(ctx, head, store.Entry{Last: head + 1, Record: []byte("expunge")})
	}
	under := put(t, s, []byte("before"))
	steps := []struct {
		free                  uint64
		store, flags, ballast bool
	}{
		{1 << 30, true, true, true},
		{64 << 20, true, true, true},
		{64<<20 - 1, false, true, true},
		{16 << 20, false, true, true},
		{16<<20 - 1, false, true, false}, // the ballast is given up
		{2 << 20, false, true, false},
		{2<<20 - 1, false, false, false},
		{0, false, false, false},
		{20 << 20, false, true, false},
		{70 << 20, true, true, false}, // too little for a new ballast
		{1 << 30, true, true, true},
	}
	for _, step := range steps {
		free(fs, step.free)
		s.disk.upkeep()
		for what, c := range map[string]struct {
			want bool
			got  error
		}{"store": {step.store, store1()}, "flags": {step.flags, flags()}} {
			if c.want != (c.got == nil) || !c.want && mail.KindOf(c.got) != mail.NoSpace {
				t.Errorf("%d free: %s gave %v", step.free, what, c.got)
			}
		}
		err := s.Account(2).Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{under}, Record: []byte("x")})
		if step.store && errors.Is(err, store.ErrStale) {
			err = nil // taken in the first step
		}
		if step.store != (err == nil) {
			t.Errorf("%d free: taking a body gave %v", step.free, err)
		}
		if ballast() != step.ballast {
			t.Errorf("%d free: the ballast is there: %v", step.free, ballast())
		}
	}
}

func TestBallastIsGivenUpToOpen(t *testing.T) {
	fs := vfs.NewMem()
	free(fs, 1<<30)
	o := small(fs)
	o.Reserve, o.Ballast = 64<<20, 8<<20
	s, err := Open("data", o)
	must(t, err)
	info, err := fs.Stat("data/BALLAST")
	must(t, err)
	if info.Size() != 8<<20 {
		t.Errorf("the ballast has %d octets", info.Size())
	}
	must(t, s.Close())
	free(fs, 1<<20)
	s = openStore(t, "data", o)
	if _, err := fs.Stat("data/BALLAST"); err == nil {
		t.Error("the ballast is still there")
	}
	_ = s
}

// TestNoSpaceForBodyFile lets the file of a body meet the end of the disk.
func TestNoSpaceForBodyFile(t *testing.T) {
	for _, kind := range []string{"write", "sync", "create"} {
		mem := vfs.NewMem()
		broken := parseFault(kind + " bodies 3 ENOSPC")
		s := openStore(t, "data", small(faultyFS(mem, broken)))
		failed := 0
		for range 4 {
			if _, _, err := s.Bodies().Put(t.Context(), bytes.NewReader(noise(1, 600<<10))); err != nil {
				if mail.KindOf(err) != mail.NoSpace {
					t.Errorf("%s: Put gave %v", kind, err)
				}
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing failed", kind)
		}
		// What failed has left neither a file nor an entry.
		entries := 0
		for ref, err := range s.Bodies().All(t.Context()) {
			must(t, err)
			if _, err := readBody(t.Context(), s, ref); err != nil {
				t.Error(err)
			}
			entries++
		}
		files := 0
		dirs, _ := mem.List("data/bodies") // none made, if the first create failed
		for _, dir := range dirs {
			names, err := mem.List("data/bodies/" + dir)
			must(t, err)
			files += len(names)
		}
		if files != entries || entries != 4-failed {
			t.Errorf("%s: %d files, %d entries after %d failures of 4", kind, files, entries, failed)
		}
	}
}

// TestFatalThatReturns shows that nothing is acknowledged after the engine gave
// up, even if the process goes on.
func TestFatalThatReturns(t *testing.T) {
	mem := vfs.NewMem()
	var said []string
	o := small(faultyFS(mem, parseFault("sync .log 12")))
	o.Fatal = func(m string) { said = append(said, m) }
	s, err := Open("data", o)
	must(t, err)
	a := s.Account(1)
	acked := mail.ModSeq(0)
	for err == nil && acked < 100 {
		if err = a.Commit(t.Context(), acked, store.Entry{Last: acked + 1}); err == nil {
			acked++
		}
	}
	if !errors.Is(err, store.ErrUnknown) || len(said) == 0 || !strings.Contains(said[0], "data cannot go on") {
		t.Fatalf("after %d commits: %v; said %q", acked, err, said)
	}
	if err := s.Account(2).Commit(t.Context(), 0, store.Entry{Last: 1}); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("the next commit gave %v", err)
	}
}

const tmpfsDir = "POSTERN_TEST_TMPFS_DIR"

// TestSmallDisk fills a real file system to its end. It is a tmpfs in a mount
// namespace of a child process, which is gone when the child is, however it ends.
func TestSmallDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a tmpfs wants root")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), tmpfsDir+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "mount: operation not permitted") {
		t.Skip("mounting is not permitted here")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

// tmpfsMain is TestSmallDisk's child.
func tmpfsMain(dir string) int {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		fmt.Println("mount:", err)
		return 1
	}
	if err := syscall.Mount("postern-test", dir, "tmpfs", 0, "size=64m"); err != nil {
		fmt.Println("mount:", err)
		return 1
	}
	if err := fillDisk(dir); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// fillDisk delivers until the disk is full, deletes, and delivers again.
func fillDisk(dir string) error {
	o := small(nil)
	o.Reserve, o.Ballast = 16<<20, 4<<20
	s, err := Open(filepath.Join(dir, "data"), o)
	if err != nil {
		return err
	}
	s.disk.every = 0
	ctx := context.Background()
	var refs []mail.BodyRef
	deliverUntilFull := func() (int, error) {
		for n := 0; ; n++ {
			ref, _, err := s.Bodies().Put(ctx, bytes.NewReader(noise(uint64(n), []int{10 << 10, 300 << 10}[n%2])))
			if err == nil {
				head, _ := s.Account(1).Head(ctx)
				err = s.Account(1).Commit(ctx, head, store.Entry{Last: head + 1, Take: []mail.BodyRef{ref}})
			}
			if err != nil {
				if mail.KindOf(err) != mail.NoSpace {
					return n, fmt.Errorf("a full disk gave %w", err)
				}
				return n, nil
			}
			refs = append(refs, ref)
		}
	}
	first, err := deliverUntilFull()
	if err != nil || first < 50 {
		return fmt.Errorf("%d deliveries before the disk was full, %w", first, err)
	}
	// Somebody else eats the reserve, too: deleting must go on.
	eater, err := os.Create(filepath.Join(dir, "eater"))
	if err != nil {
		return err
	}
	_, err = io.CopyN(eater, neverEnding{}, 14<<20)
	if err = errors.Join(err, eater.Close()); err != nil {
		return err
	}
	for i, ref := range refs {
		head, err := s.Account(1).Head(ctx)
		if err == nil {
			err = s.Account(1).Commit(ctx, head, store.Entry{Last: head + 1, Release: []mail.BodyRef{ref}})
		}
		if err != nil {
			return fmt.Errorf("deleting body %d on a full disk: %w", i, err)
		}
	}
	if _, err := s.Bodies().Sweep(ctx); err != nil {
		return err
	}
	if err := os.Remove(eater.Name()); err != nil {
		return err
	}
	refs = nil
	second, err := deliverUntilFull()
	if err != nil || second < first/3 {
		return fmt.Errorf("%d deliveries after deleting, %d before, %w", second, first, err)
	}
	for _, ref := range refs {
		if _, err := readBody(ctx, s, ref); err != nil {
			return err
		}
	}
	fmt.Printf("%d deliveries until full, %d after deleting", first, second)
	return s.Close()
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// TestEngineSettings keeps the settings that were decided on from changing by a
// slip.
func TestEngineSettings(t *testing.T) {
	s := openStore(t, "data", small(vfs.NewMem()))
	if v := s.db.FormatMajorVersion(); v != pebble.FormatTableFormatV6 {
		t.Errorf("format major version %d", v)
	}
}

// fullWhile is a disk that another program has filled between two looks: writes
// of the engine's log fail for as long as the ballast takes its room.
type fullWhile struct {
	mem  *vfs.MemFS
	full atomic.Bool
}

func (*fullWhile) String() string { return "full while the ballast is there" }

func (f *fullWhile) MaybeError(op errorfs.Op) error {
	if !f.full.Load() || op.Kind != errorfs.OpFileWrite || !strings.HasSuffix(op.Path, ".log") {
		return nil
	}
	if _, err := f.mem.Stat("data/BALLAST"); err != nil {
		return nil
	}
	return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
}

// TestFullBetweenLooks shows that a commit which meets the end of the disk before
// anybody has looked is made by the room of the ballast.
func TestFullBetweenLooks(t *testing.T) {
	mem := vfs.NewMem()
	free(mem, 1<<30)
	broken := &fullWhile{mem: mem}
	o := small(noReuse{errorfs.Wrap(mem, broken)})
	o.Reserve, o.Ballast = 64<<20, 8<<20
	o.Fatal = func(m string) { t.Error(m) }
	s := openStore(t, "data", o)
	s.disk.every = time.Hour
	a := s.Account(1)
	must(t, a.Commit(t.Context(), 0, store.Entry{Last: 1, Record: []byte("before")}))
	broken.full.Store(true)
	must(t, a.Commit(t.Context(), 1, store.Entry{Last: 2, Record: []byte("at the end of the disk")}))
	if _, err := mem.Stat("data/BALLAST"); err == nil {
		t.Error("the ballast is still there")
	}
	free(mem, 32<<20) // what the ballast gave back
	if _, _, err := s.Bodies().Put(t.Context(), bytes.NewReader([]byte("mail"))); mail.KindOf(err) != mail.NoSpace {
		t.Errorf("the next message, an hour before the next look is due: %v", err)
	}
}
