package embedded

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logFS tells at once when pebble's log cannot be written, synced or begun.
// pebble ends the process on all of these, but how depends on who meets the error
// first: a commit that waits gets a Fatalf, a commit that is just beginning the
// next log file gets a panic, with a stack in place of the reason and without
// the exit status of an I/O error (v2.1.7, rotateWAL).
type logFS struct {
	vfs.FS
	failed func(format string, args ...any)
	watch  atomic.Bool // while the store is open; before and after, errors are handed up
}

// Create implements vfs.FS.
func (fs *logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.watched(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs *logFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, category)
	return fs.watched(to, f, err)
}

// OpenDir implements vfs.FS. A log file that its directory may forget is as good as none, and pebble panics there too.
func (fs *logFS) OpenDir(name string) (vfs.File, error) {
	d, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &logDir{File: d, fs: fs, name: name}, nil
}

// Unwrap implements vfs.FS.
func (fs *logFS) Unwrap() vfs.FS { return fs.FS }

func (fs *logFS) watched(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	if err != nil {
		return nil, fs.told(name, err)
	}
	return &logFile{File: f, fs: fs, name: name}, nil
}

func (fs *logFS) told(name string, err error) error {
	if err != nil && fs.watch.Load() {
		fs.failed("its log %s: %v", name, err)
	}
	return err
}

// logDir is the directory of pebble's files.
type logDir struct {
	vfs.File
	fs   *logFS
	name string
}

// Sync implements vfs.File.
func (d *logDir) Sync() error {
	err := d.File.Sync()
	if err != nil && d.fs.watch.Load() {
		d.fs.failed("its directory %s: %v", d.name, err)
	}
	return err
}

// logFile is a file of pebble's log.
type logFile struct {
	vfs.File
	fs   *logFS
	name string
}

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.told(f.name, err)
}

// Sync implements vfs.File.
func (f *logFile) Sync() error { return f.fs.told(f.name, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *logFile) SyncData() error { return f.fs.told(f.name, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *logFile) SyncTo(length int64) (bool, error) {
	whole, err := f.File.SyncTo(length)
	return whole, f.fs.told(f.name, err)
}
