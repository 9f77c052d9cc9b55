package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

const (
	maxName        = 1024
	maxCredentials = 64 << 10
)

// Directory implements store.Store.
func (s *Store) Directory() store.Directory { return directory{s} }

// directory implements store.Directory. Changes are rare: whoever makes one locks
// the table's one row first, so that they come one after another on all nodes.
type directory struct{ s *Store }

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return mail.Errorf(mail.Invalid, "a name has 1 to 1,024 octets, not %d", len(name))
	}
	return nil
}

func checkIdentity(d store.Identity) error {
	if len(d.Credentials) > maxCredentials {
		return mail.Errorf(mail.Limit, "credentials are larger than 64 KiB")
	}
	return checkName(d.Name)
}

// change makes a change. It is not tried again once its COMMIT may have been
// heard: a name that is taken then may have been taken by itself.
func (d directory) change(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	err := d.s.ask(ctx, func(ctx context.Context) error {
		tx, err := d.s.db.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		if _, err := tx.Exec(ctx, `UPDATE directory SET changes = changes + 1`); err != nil {
			return err
		}
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil && !wasRefused(err) {
			return fmt.Errorf("%w: %w", store.ErrUnknown, err)
		} else if err != nil {
			return err
		}
		return nil
	})
	if errors.Is(err, store.ErrUnknown) {
		err = mail.Wrap(err, mail.Unavailable, "the database was lost while the directory was changed: look whether it was")
	}
	if err == nil {
		d.s.wake.directoryChanged()
	}
	return err
}

const identityColumns = `account_id, version, name, credentials, disabled, shared, created`

func scanIdentity(r pgx.CollectableRow) (d store.Identity, err error) {
	var name []byte
	err = r.Scan(&d.ID, &d.Version, &name, &d.Credentials, &d.Disabled, &d.Shared, &d.Created)
	d.Name, d.Created = string(name), d.Created.UTC()
	return d, err
}

func identityIn(ctx context.Context, q querier, id mail.AccountID) (store.Identity, error) {
	rows, err := q.Query(ctx, `SELECT `+identityColumns+` FROM identities WHERE account_id = $1`, int64(id))
	if err != nil {
		return store.Identity{}, err
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanIdentity)
	if err == pgx.ErrNoRows {
		return store.Identity{}, mail.Errorf(mail.NotFound, "there is no account %d", id)
	}
	return d, err
}

func scanTarget(r pgx.CollectableRow) (t store.Target, err error) {
	var name []byte
	err = r.Scan(&name, &t.Alias, &t.Accounts)
	t.Name = string(name)
	return t, err
}

// find gives what a name stands for, with ok false for nothing.
func find(ctx context.Context, q querier, name string) (t store.Target, ok bool, err error) {
	rows, err := q.Query(ctx, `SELECT name, alias, accounts FROM names WHERE name = $1`, []byte(name))
	if err != nil {
		return store.Target{}, false, err
	}
	t, err = pgx.CollectExactlyOneRow(rows, scanTarget)
	if err == pgx.ErrNoRows {
		return store.Target{}, false, nil
	}
	return t, err == nil, err
}

// free gives mail.AlreadyExists unless nobody bears the name.
func free(ctx context.Context, q querier, name string) error {
	_, taken, err := find(ctx, q, name)
	if err == nil && taken {
		return mail.Errorf(mail.AlreadyExists, "%s is taken", name)
	}
	return err
}

func setName(ctx context.Context, tx pgx.Tx, name string, alias bool, accounts []mail.AccountID) error {
	numbers := make([]int64, len(accounts))
	for i, id := range accounts {
		numbers[i] = int64(id)
	}
	_, err := tx.Exec(ctx, `INSERT INTO names (name, alias, accounts) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET alias = $2, accounts = $3`, []byte(name), alias, numbers)
	return err
}

func removeName(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM names WHERE name = $1`, []byte(name))
	return err
}

// Create implements store.Directory.
func (d directory) Create(ctx context.Context, identity store.Identity, now time.Time) (store.Identity, error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.s.exit()
	if err := checkIdentity(identity); err != nil {
		return store.Identity{}, err
	}
	identity.Version, identity.Created = 1, now.Truncate(time.Microsecond).UTC()
	identity.Credentials = bytes.Clone(identity.Credentials)
	err := d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := free(ctx, tx, identity.Name); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `UPDATE directory SET accounts = accounts + 1 RETURNING accounts`).Scan(&identity.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO identities (`+identityColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			int64(identity.ID), int64(identity.Version), []byte(identity.Name), notNull(identity.Credentials),
			identity.Disabled, identity.Shared, identity.Created)
		if err != nil {
			return err
		}
		return setName(ctx, tx, identity.Name, false, []mail.AccountID{identity.ID})
	})
	if err != nil {
		return store.Identity{}, err
	}
	return identity, nil
}

// Identity implements store.Directory.
func (d directory) Identity(ctx context.Context, id mail.AccountID) (identity store.Identity, err error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.s.exit()
	err = d.s.ask(ctx, func(ctx context.Context) error {
		identity, err = identityIn(ctx, d.s.db, id)
		return err
	})
	return identity, err
}

// Find implements store.Directory.
func (d directory) Find(ctx context.Context, name string) (t store.Target, err error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Target{}, err
	}
	defer d.s.exit()
	ok := false
	err = d.s.ask(ctx, func(ctx context.Context) error {
		t, ok, err = find(ctx, d.s.db, name)
		return err
	})
	if err == nil && !ok {
		err = mail.Errorf(mail.NotFound, "nobody bears the name %s", name)
	}
	return t, err
}

// Update implements store.Directory.
func (d directory) Update(ctx context.Context, identity store.Identity) (store.Identity, error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.s.exit()
	if err := checkIdentity(identity); err != nil {
		return store.Identity{}, err
	}
	identity.Credentials = bytes.Clone(identity.Credentials)
	was := identity.Version
	err := d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		old, err := identityIn(ctx, tx, identity.ID)
		if err != nil {
			return err
		}
		if old.Version != was {
			return store.ErrStale
		}
		if identity.Name != old.Name {
			if err := free(ctx, tx, identity.Name); err != nil {
				return err
			}
			if err := removeName(ctx, tx, old.Name); err != nil {
				return err
			}
		}
		identity.Version, identity.Created = was+1, old.Created
		_, err = tx.Exec(ctx, `UPDATE identities SET version = $2, name = $3, credentials = $4, disabled = $5, shared = $6 WHERE account_id = $1`,
			int64(identity.ID), int64(identity.Version), []byte(identity.Name), notNull(identity.Credentials), identity.Disabled, identity.Shared)
		if err != nil {
			return err
		}
		return setName(ctx, tx, identity.Name, false, []mail.AccountID{identity.ID})
	})
	if err != nil {
		return store.Identity{}, err
	}
	return identity, nil
}

// Remove implements store.Directory. Aliases are few beside accounts, and accounts
// are rarely removed: every alias is looked at.
func (d directory) Remove(ctx context.Context, id mail.AccountID) error {
	if err := d.s.enter(ctx); err != nil {
		return err
	}
	defer d.s.exit()
	return d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		old, err := identityIn(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM identities WHERE account_id = $1`, int64(id)); err != nil {
			return err
		}
		if err := removeName(ctx, tx, old.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE names SET accounts = array_remove(accounts, $1::bigint) WHERE alias AND $1::bigint = ANY(accounts)`, int64(id)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM names WHERE alias AND accounts = '{}'`)
		return err
	})
}

// SetAlias implements store.Directory.
func (d directory) SetAlias(ctx context.Context, name string, accounts []mail.AccountID) error {
	if err := d.s.enter(ctx); err != nil {
		return err
	}
	defer d.s.exit()
	if err := checkName(name); err != nil {
		return err
	}
	if len(accounts) == 0 {
		return mail.Errorf(mail.Invalid, "an alias stands for one account at least")
	}
	accounts = slices.Compact(slices.Sorted(slices.Values(accounts)))
	return d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		old, ok, err := find(ctx, tx, name)
		if err != nil {
			return err
		}
		if ok && !old.Alias {
			return mail.Errorf(mail.AlreadyExists, "%s is an account", name)
		}
		for _, id := range accounts {
			if _, err := identityIn(ctx, tx, id); err != nil {
				return err
			}
		}
		return setName(ctx, tx, name, true, accounts)
	})
}

// RemoveAlias implements store.Directory.
func (d directory) RemoveAlias(ctx context.Context, name string) error {
	if err := d.s.enter(ctx); err != nil {
		return err
	}
	defer d.s.exit()
	return d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		old, ok, err := find(ctx, tx, name)
		if err != nil {
			return err
		}
		if !ok || !old.Alias {
			return mail.Errorf(mail.NotFound, "there is no alias %s", name)
		}
		return removeName(ctx, tx, name)
	})
}

// Identities implements store.Directory.
func (d directory) Identities(ctx context.Context) iter.Seq2[store.Identity, error] {
	return func(yield func(store.Identity, error) bool) {
		steps(ctx, d.s, idsAtOnce, func(before store.Identity, _ bool) ([]store.Identity, error) {
			return collect(ctx, d.s, scanIdentity, `SELECT i.account_id, i.version, i.name, i.credentials, i.disabled, i.shared, i.created
				FROM names n JOIN identities i ON i.account_id = n.accounts[1]
				WHERE NOT n.alias AND n.name > $1 ORDER BY n.name LIMIT $2`, []byte(before.Name), idsAtOnce)
		}, yield)
	}
}

// Aliases implements store.Directory.
func (d directory) Aliases(ctx context.Context) iter.Seq2[store.Alias, error] {
	return func(yield func(store.Alias, error) bool) {
		steps(ctx, d.s, idsAtOnce, func(before store.Alias, _ bool) ([]store.Alias, error) {
			return collect(ctx, d.s, func(r pgx.CollectableRow) (store.Alias, error) {
				t, err := scanTarget(r)
				return store.Alias{Name: t.Name, Accounts: t.Accounts}, err
			}, `SELECT name, alias, accounts FROM names WHERE alias AND name > $1 ORDER BY name LIMIT $2`, []byte(before.Name), idsAtOnce)
		}, yield)
	}
}

// watchers are those who asked to be told of changes to the directory.
type watchers struct {
	mu sync.Mutex
	of map[chan struct{}]bool
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.of {
		signal(ch)
	}
}

// signal sends to a channel with room for one, unless there is a signal in it.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Watch implements store.Directory.
func (d directory) Watch() (<-chan struct{}, func()) {
	w := &d.s.wake.watchers
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[chan struct{}]bool{}
	}
	w.of[ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of, ch)
	}
}
