package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"postern/internal/mail"
)

// treeCopy copies a store's directory, file by file: nothing of the copy is
// shared with the original, so that one bad sector does not harm both.
type treeCopy struct {
	from   string
	dirs   []string // below from, parents first; "." is from itself
	names  []string // of the files, likewise
	sizes  []int64
	files  int
	octets int64
}

// notCopied is what in a store's directory is not the store: who has it open,
// and the ballast; and FORMAT, which comes last.
var notCopied = []string{"FORMAT", "FORMAT.new", "LOCK", "BALLAST", unfinishedFile}

// planCopy lists what there is to copy.
func planCopy(from string) (*treeCopy, error) {
	c := &treeCopy{from: from}
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && e.Name() == "lost+found":
			return fs.SkipDir
		case e.IsDir():
			c.dirs = append(c.dirs, name)
			return nil
		case slices.Contains(notCopied, name):
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory, and no part of a store", path)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		c.names, c.sizes = append(c.names, name), append(c.sizes, info.Size())
		c.files++
		c.octets += info.Size()
		return nil
	})
	return c, err
}

// copyTo copies everything but FORMAT into a directory that is there. It is
// durable when it returns.
func (c *treeCopy) copyTo(ctx context.Context, to string, progress func(done, total int64)) error {
	for _, dir := range c.dirs {
		if err := os.Mkdir(filepath.Join(to, dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var done int64
	for _, name := range c.names {
		err := copyOne(ctx, filepath.Join(c.from, name), filepath.Join(to, name), func(n int64) {
			done += n
			progress(done, max(c.octets, 1))
		})
		if err != nil {
			return err
		}
	}
	for _, dir := range slices.Backward(c.dirs) {
		if err := syncPath(filepath.Join(to, dir)); err != nil {
			return err
		}
	}
	return nil
}

// complete copies FORMAT, which makes the copy a store.
func (c *treeCopy) complete(ctx context.Context, to string) error {
	next := filepath.Join(to, "FORMAT.new")
	if err := copyOne(ctx, filepath.Join(c.from, "FORMAT"), next, nil); err != nil {
		return err
	}
	return errors.Join(os.Rename(next, filepath.Join(to, "FORMAT")), syncPath(to))
}

// copyStep is how much is copied between two looks at whether to go on, and
// before it is sent to the disk: a flood of writes at the end would hold up the
// syncs of whoever else writes there.
const copyStep = 4 << 20

// copyOne copies a file to one that is not there yet, durably but for its name.
// Errors of either file bear its name.
func copyOne(ctx context.Context, from, to string, progress func(int64)) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		n, err := io.CopyN(target, source, copyStep)
		if err != nil && err != io.EOF {
			return err
		}
		if progress != nil {
			progress(n)
		}
		if err := target.Sync(); err != nil {
			return err
		}
		if n < copyStep {
			return nil
		}
	}
}

// writeDurably writes a small new file, durably but for its name.
func writeDurably(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncPath makes the entries of a directory durable.
func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
