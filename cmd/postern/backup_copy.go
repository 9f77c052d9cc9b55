package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	sums   sums // of what was copied, as below a backup
}

// notCopied is what in a store's directory is not the store: who has it open,
// and the ballast; and FORMAT, which comes last.
var notCopied = []string{"FORMAT", "FORMAT.new", "LOCK", "BALLAST", unfinishedFile}

// planCopy lists what there is to copy.
func planCopy(from string) (*treeCopy, error) {
	c := &treeCopy{from: from, sums: sums{}}
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

// copyTo copies everything into a directory that is there, FORMAT under another
// name. It is durable when it returns.
func (c *treeCopy) copyTo(ctx context.Context, to string, progress func(done, total int64)) error {
	for _, dir := range c.dirs {
		if err := os.Mkdir(filepath.Join(to, dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var done int64
	for _, name := range c.names {
		sum, err := copyOne(ctx, filepath.Join(c.from, name), filepath.Join(to, name), func(n int64) {
			done += n
			progress(done, max(c.octets, 1))
		})
		if err != nil {
			return err
		}
		c.sums[filepath.Join(storeDirectory, name)] = sum
	}
	sum, err := copyOne(ctx, filepath.Join(c.from, "FORMAT"), filepath.Join(to, "FORMAT.new"), nil)
	if err != nil {
		return err
	}
	c.sums[filepath.Join(storeDirectory, "FORMAT")] = sum
	for _, dir := range slices.Backward(c.dirs) {
		if err := syncPath(filepath.Join(to, dir)); err != nil {
			return err
		}
	}
	return nil
}

// completeStore gives FORMAT its name, which makes a copy a store.
func completeStore(dir string) error {
	return errors.Join(os.Rename(filepath.Join(dir, "FORMAT.new"), filepath.Join(dir, "FORMAT")), syncPath(dir))
}

// copyStep is how much is copied between two looks at whether to go on, and
// before it is sent to the disk: a flood of writes at the end would hold up the
// syncs of whoever else writes there.
const copyStep = 4 << 20

// copyOne copies a file to one that is not there yet, durably but for its name,
// and gives the SHA-256 sum of what it read.
func copyOne(ctx context.Context, from, to string, progress func(int64)) (sum string, err error) {
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", mail.Wrap(err, mail.Canceled, "given up")
		}
		n, err := io.CopyN(io.MultiWriter(h, target), source, copyStep)
		if err != nil && err != io.EOF {
			return "", err
		}
		if progress != nil {
			progress(n)
		}
		if err := target.Sync(); err != nil {
			return "", err
		}
		if n < copyStep {
			return hex.EncodeToString(h.Sum(nil)), nil
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
