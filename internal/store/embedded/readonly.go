package embedded

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
)

// openReadOnly opens a store that is there and changes no file: a store that
// stands still is looked at as it is, and a backup stays what it was, also on a
// medium that cannot be written. What writes gives mail.Unavailable.
func (s *Store) openReadOnly() error {
	s.o.Reserve, s.o.Ballast, s.o.SweepEvery = 0, 0, -1
	s.fs = lockless{s.fs}
	var err error
	if s.lock, err = shareDir(s.fs, s.dir); err != nil {
		return err
	}
	state, err := readFormat(s.fs, s.dir)
	if err != nil {
		return err
	}
	if state != formatComplete {
		return mail.Errorf(mail.NotFound, "there is no store in %s", s.dir)
	}
	s.disk = newDisk(s.fs, s.dir, s.o)
	if err := s.openPebble(true); err != nil {
		return err
	}
	return s.load(false)
}

// lockless keeps pebble from making its lock file. Our own lock, beside it, is
// the one that counts.
type lockless struct{ vfs.FS }

// Lock implements vfs.FS.
func (lockless) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap implements vfs.FS.
func (fs lockless) Unwrap() vfs.FS { return fs.FS }

// shareDir keeps processes that write out of dir, without writing itself. Where
// there is no LOCK, as in a backup, nobody has had it open, and nothing is locked.
func shareDir(fs vfs.FS, dir string) (io.Closer, error) {
	if vfs.Root(fs) != vfs.Default {
		return io.NopCloser(nil), nil
	}
	f, err := os.Open(filepath.Join(dir, "LOCK"))
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // unreadable: pid 0
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, errors.Join(&LockedError{Dir: dir, PID: pid}, f.Close())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
