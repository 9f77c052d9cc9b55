package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// LockedError says that another process has the store open.
type LockedError struct {
	Dir string
	PID int // of that process; 0 if it has not said yet
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another process has %s open", e.Dir)
	}
	return fmt.Sprintf("the process with pid %d has %s open", e.PID, e.Dir)
}

// lockDir makes this process the owner of dir until the lock is closed or the
// process ends, however it ends.
func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	if vfs.Root(fs) != vfs.Default {
		return fs.Lock(fs.PathJoin(dir, "LOCK"))
	}
	// pebble's Lock leaves its file empty; ours says who has it. flock rather
	// than fcntl: it also holds between two opens within one process, and no
	// other descriptor's closing gives it up.
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // unreadable: pid 0
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, errors.Join(&LockedError{Dir: dir, PID: pid}, f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	// On a full disk the pid may not fit; the lock holds all the same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	return f, nil
}
