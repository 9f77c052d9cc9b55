package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store/embedded"
)

// reach runs an operation on the store as it is: in the server that holds the
// data directory, or here. Here nothing but the store is opened, and nothing in
// it is tidied up in the background; read-only, no file is changed, for it may be
// a backup.
func (c *commands) reach(ctx context.Context, t *terminal, name string, args any, readOnly bool) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if err := becomeOwner(cfg.Data); err != nil {
		return err
	}
	m := t.meter()
	defer m.done()
	socket := cfg.Control.Socket
	if c.Data != "" { // the configured socket may be that of a server on other data
		socket = ""
	}
	err = callControl(ctx, controlPath(socket, cfg.Data), name, args, nil, m.each)
	if !errors.Is(err, errNoServer) {
		return err
	}
	in, err := openQuietly(cfg, readOnly)
	if err != nil {
		return err
	}
	line, err := json.Marshal(args)
	if err == nil {
		err = operations[name](ctx, in, line, bytes.NewReader(nil), &answer{m.each})
	}
	return errors.Join(err, in.store.Close())
}

// openQuietly opens a store that is there, without a pool over it.
func openQuietly(cfg config.Config, readOnly bool) (*instance, error) {
	if cfg.Store.Database != "" {
		st, err := openCluster(cfg, slog.New(slog.DiscardHandler), -1)
		if err != nil {
			return nil, err
		}
		in := &instance{cfg: cfg, log: slog.New(slog.DiscardHandler), store: st}
		in.rules.set(rulesOf(cfg))
		return in, nil
	}
	dir := filepath.Join(cfg.Data, storeDirectory)
	if err := storeIsThere(cfg.Data); err != nil {
		return nil, err
	}
	st, err := embedded.Open(dir, embedded.Options{
		Cache: int64(cfg.Store.Cache), Reserve: -1, Ballast: -1, SweepEvery: -1, ReadOnly: readOnly,
	})
	var locked *embedded.LockedError
	switch {
	case err == nil:
	case errors.As(err, &locked):
		return nil, fmt.Errorf("%w (and its control socket does not answer)", explainOpen(cfg.Data, err))
	case mail.KindOf(err) == mail.Corrupt:
		return nil, fmt.Errorf("%w\naffected: all mail, for the store does not open\nnext: %s", err, account.HarmAccount.Remedy())
	default:
		return nil, explainOpen(cfg.Data, err)
	}
	in := &instance{cfg: cfg, log: slog.New(slog.DiscardHandler), store: st}
	in.rules.set(rulesOf(cfg))
	return in, nil
}

// storeIsThere says why a data directory, or a backup, has no store to be opened:
// opened it would get a new one.
func storeIsThere(data string) error {
	dir := filepath.Join(data, storeDirectory)
	if _, err := os.Stat(filepath.Join(dir, unfinishedFile)); err == nil {
		return setupErrorf("the backup in %s was begun and not finished: make another one", data)
	}
	_, err := os.Stat(filepath.Join(dir, "FORMAT"))
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return explainOpen(data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, embedded.RestoringFile)); err == nil {
		return setupErrorf("a restore into %s was begun and did not end: run postern restore again", data)
	}
	if _, err := os.Stat(filepath.Join(data, "FORMAT")); err == nil {
		return setupErrorf("%s is the store itself: name the directory it is in, %s", data, filepath.Dir(filepath.Clean(data)))
	}
	return setupErrorf("there is no store in %s: name the directory that %s/ is in (--data or --config names the data directory)", data, storeDirectory)
}
