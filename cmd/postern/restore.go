package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store/embedded"
)

type restoreCommand struct {
	Backup   string `arg:"" help:"Directory that postern backup made, or a copy of a data directory."`
	KeepUIDs bool   `name:"keep-uids" help:"Leave every UIDVALIDITY as it is. Only for a store that has not served since the backup was made: otherwise clients take one message for another."`
}

// Run restores a backup into the configured data directory.
func (r restoreCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if cfg.Store.Database != "" {
		return setupErrorf("mail is kept in the database of store.database, and a backup is of an embedded store: bring the database back with its own tools")
	}
	from, err := filepath.Abs(r.Backup)
	if err != nil {
		return err
	}
	if err := becomeOwner(cfg.Data); err != nil {
		return err
	}
	m := t.meter()
	defer m.done()
	out := &answer{m.each}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done, err := restore(ctx, from, cfg.Data, r.KeepUIDs, out.paced("copied", stop))
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if err := out.printf("restored %d accounts, %d files with %s, into %s", done.accounts, done.files, octets(done.octets), cfg.Data); err != nil {
		return err
	}
	if r.KeepUIDs {
		return out.printf("every UIDVALIDITY is as it was")
	}
	return out.printf("all %d mailboxes have a new UIDVALIDITY: clients fetch their mail anew", done.mailboxes)
}

// restored is what a restore did.
type restored struct{ accounts, mailboxes, files, octets int64 }

// restoringDirectory, in the store's place, is where a restore builds the store.
const restoringDirectory = "restoring"

// restore copies the store of a backup into a data directory that has none. It is
// built beside its place, in DATA/store/restoring, and renumbered there; its files
// are then moved to where they belong, FORMAT last. Until then DATA/store holds
// RESTORING and no FORMAT, which no server opens, and restore may be run again.
func restore(ctx context.Context, from, data string, keep bool, progress func(done, total int64)) (r restored, err error) {
	if err := storeIsThere(from); err != nil {
		return r, err
	}
	unlock, err := lockBackup(from)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := os.MkdirAll(data, 0o700); err != nil {
		return r, explainOpen(data, err)
	}
	place := filepath.Join(data, storeDirectory)
	release, err := claimRestore(place)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, release()) }()
	kept, sealed, err := readSums(from)
	if err != nil {
		return r, err
	}
	c, err := planCopy(filepath.Join(from, storeDirectory))
	if err != nil {
		return r, err
	}
	r.files, r.octets = int64(c.files), c.octets
	build := filepath.Join(place, restoringDirectory)
	if err := os.Mkdir(build, 0o700); err != nil {
		return r, err
	}
	if err := c.copyTo(ctx, build, progress); err != nil {
		return r, err
	}
	if wrong := kept.ofStore().compare(c.sums); sealed && len(wrong) > 0 {
		return r, mail.Errorf(mail.Corrupt, "the backup is damaged: %s\ntake another backup; or, to restore what there is, remove %s and check the store afterwards",
			strings.Join(wrong, "; "), filepath.Join(from, sumsFile))
	}
	if err := completeStore(build); err != nil {
		return r, err
	}
	if err := renumber(ctx, build, keep, &r); err != nil {
		return r, err
	}
	if err := copyBeside(ctx, from, data, c.sums); err != nil {
		return r, err
	}
	if err := syncPath(data); err != nil {
		return r, err
	}
	return r, moveIn(build, place)
}

// lockBackup keeps the source from being a store that somebody has open. It
// writes nothing: a backup may be on a medium that can only be read.
func lockBackup(from string) (unlock func() error, err error) {
	f, err := os.Open(filepath.Join(from, storeDirectory, "LOCK"))
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(setupErrorf("a server has %s open: it is no backup; make one with postern backup", from), f.Close())
	} else if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// claimRestore marks the store's place as being restored into, and removes what
// an interrupted restore left there. The mark stays if the restore fails.
func claimRestore(place string) (release func() error, err error) {
	if err := os.Mkdir(place, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, explainOpen(place, err)
	}
	names, err := entries(place)
	if err != nil {
		return nil, explainOpen(place, err)
	}
	begun := slices.Contains(names, embedded.RestoringFile)
	switch {
	case slices.Contains(names, "FORMAT"):
		return nil, setupErrorf("%s holds a store: stop its server and move the directory away first, or name another with --data", place)
	case !begun && slices.ContainsFunc(names, func(n string) bool { return n != "LOCK" }):
		return nil, setupErrorf("%s is not empty, and no restore was begun there: name another data directory with --data", place)
	}
	mark, err := os.OpenFile(filepath.Join(place, embedded.RestoringFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explainOpen(place, err)
	}
	if err := syscall.Flock(int(mark.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(mail.Errorf(mail.InUse, "another restore into %s is under way", place), mark.Close())
	}
	for _, name := range names {
		if name != embedded.RestoringFile && name != "LOCK" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(place, name)))
		}
	}
	if err := errors.Join(err, mark.Sync(), syncPath(place), syncPath(filepath.Dir(place))); err != nil {
		return nil, errors.Join(err, mark.Close())
	}
	return mark.Close, nil
}

// renumber opens the copy, which recovers it, and gives every mailbox a new
// UIDVALIDITY unless they are to be kept.
func renumber(ctx context.Context, dir string, keep bool, r *restored) (err error) {
	st, err := embedded.Open(dir, embedded.Options{Reserve: -1, Ballast: -1, SweepEvery: -1})
	if err != nil {
		return fmt.Errorf("the backup cannot be opened: %w: try an older one", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	pool := account.NewPool(st, account.Options{Log: slog.New(slog.DiscardHandler), Every: -1})
	defer func() { err = errors.Join(err, pool.Close(context.WithoutCancel(ctx))) }()
	for id, err := range st.Accounts(ctx) {
		if err != nil {
			return err
		}
		r.accounts++
		if keep {
			continue
		}
		n, err := pool.Renumber(ctx, id)
		if err != nil {
			return fmt.Errorf("account %d cannot be given new UIDVALIDITYs: %w: postern check --data says what is wrong with the backup", id, err)
		}
		r.mailboxes += int64(n)
	}
	return nil
}

// moveIn moves the built store to its place. FORMAT comes last, once everything
// else is there durably: with it the restore is done.
func moveIn(build, place string) error {
	names, err := entries(build)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "FORMAT" || name == "LOCK" {
			continue
		}
		if err := os.Rename(filepath.Join(build, name), filepath.Join(place, name)); err != nil {
			return err
		}
	}
	if err := errors.Join(syncPath(build), syncPath(place)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(build, "FORMAT"), filepath.Join(place, "FORMAT")); err != nil {
		return err
	}
	if err := syncPath(place); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(build), os.Remove(filepath.Join(place, embedded.RestoringFile)), syncPath(place))
}
