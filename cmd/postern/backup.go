package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

type backupCommand struct {
	Dir string `arg:"" help:"Directory for the backup: empty or missing, and on another disk."`
}

type backupArgs struct{ Dir string }

// Run backs the store up.
func (b backupCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	dir, err := filepath.Abs(b.Dir) // the server may be somewhere else
	if err != nil {
		return err
	}
	return c.reach(ctx, t, "backup", backupArgs{Dir: dir}, false)
}

const (
	// unfinishedFile is in a backup's store until the backup is whole. With
	// something there and no FORMAT, nothing takes it for room for a new store.
	unfinishedFile = "UNFINISHED-BACKUP"

	// noteFile tells people what a backup is of. Nothing reads it.
	noteFile = "BACKUP"

	// stagingDirectory, in the data directory, holds the backup of the moment, as
	// hard links, while it is copied. What a crash left there goes with the next
	// backup.
	stagingDirectory = "backup-in-progress"
)

// besideStore are the files beside the store that are worth keeping: a
// certificate that clients were told to trust, and a trial's password. The
// configuration is the administrator's own.
var besideStore = []string{"selfsigned.pem", trialSecret}

// backUp makes a consistent copy of the store, and of the files beside it. The
// driver's copy of the moment is made with hard links, next to the store, and
// takes an instant; the copying that takes long is done from there. So the server
// is not held up, no file of the backup is shared with the store, and it can be
// given up at any time.
func backUp(ctx context.Context, in *instance, raw json.RawMessage, body io.Reader, out *answer) (err error) {
	args, err := decode[backupArgs](raw)
	if err != nil {
		return err
	}
	if err := drain(body); err != nil {
		return err
	}
	source, ok := in.store.(store.Backuper)
	if !ok {
		return mail.Errorf(mail.Cannot, "this kind of store is backed up with its own tools")
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := backupDirectory(in.cfg.Data, args.Dir); err != nil {
		return err
	}
	staging, release, err := claimStaging(in.cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	at := time.Now()
	moment := filepath.Join(staging, storeDirectory)
	if err := source.Backup(ctx, moment, nil); err != nil {
		return fmt.Errorf("the copy of the moment, in %s: %w", staging, err)
	}
	copied, err := copyBackup(ctx, in.cfg.Data, moment, args.Dir, at, out.paced("copied", stop))
	if err != nil {
		// Nothing was there before, so all of it is ours.
		if left := removeBackup(args.Dir); left != nil {
			err = fmt.Errorf("%w; what was copied stays in %s, marked as not finished (%w)", err, args.Dir, left)
		}
		return errors.Join(explainBackup(err), context.Cause(ctx))
	}
	return out.printf("backed up to %s: %d files with %s, as of %s", args.Dir, copied.files, octets(copied.octets), at.UTC().Format(time.RFC3339))
}

// backupDirectory makes the directory of a backup, and refuses one that holds
// anything.
func backupDirectory(data, dir string) error {
	if !filepath.IsAbs(dir) {
		return mail.Errorf(mail.Invalid, "the directory %q is not given from the root", dir)
	}
	if inside, err := isInside(dir, data); err != nil || inside {
		return errors.Join(err, setupErrorf("%s is in the data directory: a backup belongs on another disk", dir))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explainBackup(err)
	}
	names, err := entries(dir)
	if err != nil {
		return explainBackup(err)
	}
	if len(names) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, storeDirectory, unfinishedFile)); err == nil {
		return setupErrorf("%s holds a backup that was not finished: remove it, or name another directory", dir)
	}
	return setupErrorf("%s is not empty, and a backup wants a directory of its own", dir)
}

// entries lists a directory, but for what every file system has.
func entries(dir string) (names []string, err error) {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		if e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// isInside reports whether path is dir or below it, links followed as far as
// path exists.
func isInside(path, dir string) (bool, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			rel, err := filepath.Rel(dir, filepath.Join(real, rest))
			return err == nil && rel != ".." && !strings.HasPrefix(rel, "../"), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return false, explainBackup(err)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}

// explainBackup says what to do about a directory that cannot be written: it is
// the server that writes, not the command.
func explainBackup(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: the owner of the data directory must be allowed to write there, and a server under systemd needs ReadWritePaths= for it (docs/backup.md)", err)
	}
	return err
}

// claimStaging gives an empty directory next to the store. One backup at a time
// has it.
func claimStaging(data string) (dir string, release func() error, err error) {
	dir = filepath.Join(data, stagingDirectory)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", nil, err
	}
	held, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	// A lock on the directory rather than its being there: it ends with the process.
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return "", nil, errors.Join(mail.Errorf(mail.InUse, "another backup is being made"), held.Close())
	}
	release = func() error { return errors.Join(os.RemoveAll(dir), held.Close()) }
	names, err := entries(dir)
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err != nil {
		return "", nil, errors.Join(err, held.Close())
	}
	return dir, release, nil
}

// copyBackup copies the driver's copy and the files beside the store. The backup
// is whole when its FORMAT is there.
func copyBackup(ctx context.Context, data, moment, dir string, at time.Time, progress func(done, total int64)) (*treeCopy, error) {
	to := filepath.Join(dir, storeDirectory)
	if err := os.Mkdir(to, 0o700); err != nil {
		return nil, err
	}
	if err := writeDurably(filepath.Join(to, unfinishedFile), nil); err != nil {
		return nil, err
	}
	if err := errors.Join(syncPath(to), syncPath(dir)); err != nil {
		return nil, err
	}
	c, err := planCopy(moment)
	if err != nil {
		return nil, err
	}
	if err := c.copyTo(ctx, to, progress); err != nil {
		return nil, err
	}
	if err := copyBeside(ctx, data, dir, c.sums); err != nil {
		return nil, err
	}
	note := fmt.Sprintf("Backup of a Postern data directory, %s, as of %s, made by postern %s.\n"+
		"It is one itself: postern check --data this directory, or postern restore it.\n", data, at.UTC().Format(time.RFC3339), version())
	err = errors.Join(writeDurably(filepath.Join(dir, noteFile), []byte(note)),
		writeDurably(filepath.Join(dir, sumsFile), c.sums.text()), syncPath(dir))
	if err != nil {
		return nil, err
	}
	if err := completeStore(to); err != nil {
		return nil, err
	}
	return c, errors.Join(os.Remove(filepath.Join(to, unfinishedFile)), syncPath(to))
}

// copyBeside copies the files beside the store that are there and not yet in to,
// and adds their sums to s.
func copyBeside(ctx context.Context, from, to string, s sums) error {
	for _, name := range besideStore {
		sum, err := copyOne(ctx, filepath.Join(from, name), filepath.Join(to, name), nil)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		s[name] = sum
	}
	return nil
}

// removeBackup removes what copyBackup made, the mark of being unfinished last.
func removeBackup(dir string) error {
	to := filepath.Join(dir, storeDirectory)
	names, err := entries(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if name != unfinishedFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(to, name)))
		}
	}
	for _, name := range slices.Concat(besideStore, []string{noteFile, sumsFile}) {
		if gone := os.Remove(filepath.Join(dir, name)); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(to)
}
