package embedded

import (
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// durableFS is the file system pebble and the body files are written through.
// It does two things of its own.
//
// pebble v2.1.7 writes a new manifest and then a marker file that names it, and
// syncs the directory once, after both. A power cut may keep the marker's entry
// and lose the manifest's, and the store does not open any more
// (cockroachdb/pebble#5825). So the directory is synced before a marker is made:
// what it names is there first.
//
// And files are for their owner alone, whatever the umask says.
type durableFS struct{ vfs.FS }

// Create implements vfs.FS.
func (fs *durableFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), "marker.") {
		if err := syncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return private(fs.FS.Create(name, category))
}

// OpenReadWrite implements vfs.FS.
func (fs *durableFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return private(fs.FS.OpenReadWrite(name, category, opts...))
}

// Lock implements vfs.FS.
func (fs *durableFS) Lock(name string) (io.Closer, error) {
	if _, err := fs.FS.Stat(name); oserror.IsNotExist(err) {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return fs.FS.Lock(name)
}

// Unwrap implements vfs.FS.
func (fs *durableFS) Unwrap() vfs.FS { return fs.FS }

// private takes a new file away from group and others, where there are such.
func private(f vfs.File, err error) (vfs.File, error) {
	if err != nil || f.Fd() == vfs.InvalidFd {
		return f, err
	}
	if err := syscall.Fchmod(int(f.Fd()), 0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// makeDir makes a directory, with those above it that are missing, durably and
// for their owner alone.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); !oserror.IsNotExist(err) {
		return err
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

// syncDir makes a directory's entries durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
