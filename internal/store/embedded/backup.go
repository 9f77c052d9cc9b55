package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
)

// Backup implements store.Backuper. The copy is a store like any other, made
// whole by the FORMAT file, which is written last. On the same file system it
// takes hard links, for nothing that is linked is ever written to again; on
// another it copies.
//
// The engine's checkpoint comes first and says which body files there must be;
// a body's file is older than what refers to it, and none is removed until the
// backup is done.
func (s *Store) Backup(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.exit()
	if progress == nil {
		progress = func(int64, int64) {}
	}
	s.unlinks.Lock()
	defer s.unlinks.Unlock()
	if err := makeDir(s.fs, dir); err != nil {
		return s.fault(err)
	}
	if names, err := s.fs.List(dir); err != nil {
		return s.fault(err)
	} else if len(names) > 0 {
		return mail.Errorf(mail.AlreadyExists, "%s is not empty, and a backup wants a directory of its own", dir)
	}
	engine := s.fs.PathJoin(dir, "pebble")
	if err := s.db.Checkpoint(engine, pebble.WithFlushedWAL()); err != nil {
		return s.fault(err)
	}
	c := copier{s: s, ctx: ctx, dir: dir, progress: progress}
	if err := c.plan(engine); err != nil {
		return fmt.Errorf("back up to %s: %w", dir, err)
	}
	if err := c.copyFiles(); err != nil {
		return fmt.Errorf("back up to %s: %w", dir, s.fault(err))
	}
	return s.fault(writeFormat(s.fs, dir, formatComplete))
}

// copier copies the body files a checkpoint refers to.
type copier struct {
	s        *Store
	ctx      context.Context
	dir      string
	progress func(done, total int64)
	files    []bodyID
	sizes    []int64
	done     int64
	total    int64
}

// plan reads the checkpoint: which files, and how large all is.
func (c *copier) plan(engine string) error {
	names, err := c.s.fs.List(engine)
	if err != nil {
		return c.s.fault(err)
	}
	for _, name := range names {
		info, err := c.s.fs.Stat(c.s.fs.PathJoin(engine, name))
		if err != nil {
			return c.s.fault(err)
		}
		c.done += info.Size()
	}
	db, err := pebble.Open(engine, &pebble.Options{FS: c.s.fs, ReadOnly: true, Logger: engineLog{c.s}, Cache: c.s.cache})
	if err != nil {
		return c.s.fault(err)
	}
	c.total = c.done
	err = c.s.scan(db, []byte{tableBody}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			n, okKey := number(it.Key(), 0)
			m, okValue := decodeBodyMeta(it.Value())
			if !okKey || !okValue {
				return corrupt("a body's entry", it.Key())
			}
			if m.where == bodyFile {
				c.files = append(c.files, bodyID(n))
				c.sizes = append(c.sizes, bodyFileSize(m.size))
				c.total += bodyFileSize(m.size)
			}
			if err := c.ctx.Err(); err != nil {
				return mail.Wrap(err, mail.Canceled, "given up")
			}
		}
		return nil
	})
	if closed := db.Close(); err == nil {
		err = c.s.fault(closed)
	}
	c.progress(c.done, c.total)
	return err
}

func (c *copier) copyFiles() error {
	fs, last := c.s.fs, ""
	for i, id := range c.files {
		if err := c.ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		from := c.s.bodyPath(id)
		to := fs.PathJoin(c.dir, "bodies", fs.PathBase(c.s.bodyDir(id)))
		if to != last {
			if err := c.syncBodies(last); err != nil {
				return err
			}
			if err := makeDir(fs, to); err != nil {
				return err
			}
			last = to
		}
		err := vfs.LinkOrCopy(fs, from, fs.PathJoin(to, fs.PathBase(from)))
		if oserror.IsNotExist(err) {
			// The copy is as good as the original: one lost body must not keep
			// the others from being saved.
			c.s.o.Log.Error("the file of a body is missing, and will be in the backup", "body", c.s.ref(id).String(), "file", from)
		} else if err != nil {
			return err
		}
		c.done += c.sizes[i]
		c.progress(c.done, c.total)
	}
	return c.syncBodies(last)
}

// syncBodies makes the entries of a copied directory durable.
func (c *copier) syncBodies(dir string) error {
	if dir == "" {
		return nil
	}
	return syncDir(c.s.fs, dir)
}
