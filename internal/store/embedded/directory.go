package embedded

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

const (
	maxName        = 1024
	maxCredentials = 64 << 10
)

// Directory implements store.Store.
func (s *Store) Directory() store.Directory { return directory{s} }

// directory implements store.Directory. Changes are rare: they are made one
// after another, and each is synced.
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

// begin begins a change; end must follow unless it gives an error.
func (d directory) begin(ctx context.Context) error {
	if err := d.s.enter(ctx); err != nil {
		return err
	}
	d.s.names.Lock()
	return nil
}

func (d directory) end() {
	d.s.names.Unlock()
	d.s.exit()
}

// change writes a change that begin has begun.
func (d directory) change(fill func(w *batchWriter) error) error {
	if err := d.s.disk.room(false); err != nil {
		return err
	}
	b := d.s.db.NewBatch()
	w := batchWriter{b: b}
	if err := fill(&w); err != nil {
		return err
	}
	if w.err != nil {
		return d.s.fault(w.err)
	}
	if err := d.s.write(b, pebble.Sync); err != nil {
		return err
	}
	d.s.watchers.tell()
	return nil
}

func (d directory) identity(id mail.AccountID) (store.Identity, error) {
	k := key(tableIdentity, uint64(id))
	value, ok, err := d.s.get(k)
	if err != nil {
		return store.Identity{}, err
	}
	if !ok {
		return store.Identity{}, mail.Errorf(mail.NotFound, "there is no account %d", id)
	}
	identity, ok := decodeIdentity(id, value)
	if !ok {
		return store.Identity{}, corrupt("an account", k)
	}
	return identity, nil
}

// find gives what a name stands for, with ok false for nothing.
func (d directory) find(name string) (t store.Target, ok bool, err error) {
	k := nameKey(name)
	value, ok, err := d.s.get(k)
	if err != nil || !ok {
		return store.Target{}, false, err
	}
	if t, ok = decodeTarget(name, value); !ok {
		return store.Target{}, false, corrupt("a name", k)
	}
	return t, true, nil
}

// free gives mail.AlreadyExists unless nobody bears the name.
func (d directory) free(name string) error {
	_, taken, err := d.find(name)
	if err == nil && taken {
		return mail.Errorf(mail.AlreadyExists, "%s is taken", name)
	}
	return err
}

func (w *batchWriter) setIdentity(d store.Identity) {
	w.set(key(tableIdentity, uint64(d.ID)), encodeIdentity(d))
	w.set(nameKey(d.Name), encodeTarget(false, []mail.AccountID{d.ID}))
}

// Create implements store.Directory.
func (d directory) Create(ctx context.Context, identity store.Identity, now time.Time) (store.Identity, error) {
	if err := d.begin(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.end()
	if err := checkIdentity(identity); err != nil {
		return store.Identity{}, err
	}
	if err := d.free(identity.Name); err != nil {
		return store.Identity{}, err
	}
	value, ok, err := d.s.get(keyAccounts)
	if err != nil {
		return store.Identity{}, err
	}
	var last uint64
	if ok {
		if last, ok = decodeU64(value); !ok {
			return store.Identity{}, corrupt("a counter", keyAccounts)
		}
	}
	identity.ID, identity.Version = mail.AccountID(last+1), 1
	identity.Created = now.Truncate(time.Microsecond).UTC()
	identity.Credentials = bytes.Clone(identity.Credentials)
	return identity, d.change(func(w *batchWriter) error {
		w.set(keyAccounts, appendU64(nil, last+1))
		w.setIdentity(identity)
		return nil
	})
}

// Identity implements store.Directory.
func (d directory) Identity(ctx context.Context, id mail.AccountID) (store.Identity, error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.s.exit()
	return d.identity(id)
}

// Find implements store.Directory.
func (d directory) Find(ctx context.Context, name string) (store.Target, error) {
	if err := d.s.enter(ctx); err != nil {
		return store.Target{}, err
	}
	defer d.s.exit()
	t, ok, err := d.find(name)
	if err == nil && !ok {
		err = mail.Errorf(mail.NotFound, "nobody bears the name %s", name)
	}
	return t, err
}

// Update implements store.Directory.
func (d directory) Update(ctx context.Context, identity store.Identity) (store.Identity, error) {
	if err := d.begin(ctx); err != nil {
		return store.Identity{}, err
	}
	defer d.end()
	if err := checkIdentity(identity); err != nil {
		return store.Identity{}, err
	}
	old, err := d.identity(identity.ID)
	if err != nil {
		return store.Identity{}, err
	}
	if old.Version != identity.Version {
		return store.Identity{}, store.ErrStale
	}
	if identity.Name != old.Name {
		if err := d.free(identity.Name); err != nil {
			return store.Identity{}, err
		}
	}
	identity.Version, identity.Created = old.Version+1, old.Created
	identity.Credentials = bytes.Clone(identity.Credentials)
	return identity, d.change(func(w *batchWriter) error {
		w.delete(nameKey(old.Name))
		w.setIdentity(identity)
		return nil
	})
}

// Remove implements store.Directory. Aliases are few beside accounts, and
// accounts are rarely removed: every name is looked at.
func (d directory) Remove(ctx context.Context, id mail.AccountID) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.end()
	old, err := d.identity(id)
	if err != nil {
		return err
	}
	return d.change(func(w *batchWriter) error {
		w.delete(key(tableIdentity, uint64(id)))
		w.delete(nameKey(old.Name))
		return d.targets(ctx, d.s.db, func(t store.Target) (bool, error) {
			if !t.Alias || !slices.Contains(t.Accounts, id) {
				return true, nil
			}
			rest := slices.DeleteFunc(t.Accounts, func(a mail.AccountID) bool { return a == id })
			if len(rest) == 0 {
				w.delete(nameKey(t.Name))
			} else {
				w.set(nameKey(t.Name), encodeTarget(true, rest))
			}
			return true, nil
		})
	})
}

// SetAlias implements store.Directory.
func (d directory) SetAlias(ctx context.Context, name string, accounts []mail.AccountID) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.end()
	if err := checkName(name); err != nil {
		return err
	}
	if len(accounts) == 0 {
		return mail.Errorf(mail.Invalid, "an alias stands for one account at least")
	}
	old, ok, err := d.find(name)
	if err != nil {
		return err
	}
	if ok && !old.Alias {
		return mail.Errorf(mail.AlreadyExists, "%s is an account", name)
	}
	accounts = slices.Compact(slices.Sorted(slices.Values(accounts)))
	for _, id := range accounts {
		if _, err := d.identity(id); err != nil {
			return err
		}
	}
	return d.change(func(w *batchWriter) error {
		w.set(nameKey(name), encodeTarget(true, accounts))
		return nil
	})
}

// RemoveAlias implements store.Directory.
func (d directory) RemoveAlias(ctx context.Context, name string) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.end()
	old, ok, err := d.find(name)
	if err != nil {
		return err
	}
	if !ok || !old.Alias {
		return mail.Errorf(mail.NotFound, "there is no alias %s", name)
	}
	return d.change(func(w *batchWriter) error {
		w.delete(nameKey(name))
		return nil
	})
}

// targets gives every name, ascending, until fn says false.
func (d directory) targets(ctx context.Context, r pebble.Reader, fn func(store.Target) (bool, error)) error {
	return d.s.scan(r, []byte{tableName}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				return mail.Wrap(err, mail.Canceled, "given up")
			}
			t, ok := decodeTarget(string(it.Key()[1:]), it.Value())
			if !ok {
				return corrupt("a name", it.Key())
			}
			if more, err := fn(t); err != nil || !more {
				return err
			}
		}
		return nil
	})
}

// Identities implements store.Directory. It shows one moment.
func (d directory) Identities(ctx context.Context) iter.Seq2[store.Identity, error] {
	return func(yield func(store.Identity, error) bool) {
		err := d.atOneMoment(ctx, func(r pebble.Reader) error {
			return d.targets(ctx, r, func(t store.Target) (bool, error) {
				if t.Alias {
					return true, nil
				}
				k := key(tableIdentity, uint64(t.Accounts[0]))
				value, ok, err := d.s.getFrom(r, k)
				if err != nil {
					return false, err
				}
				identity, valid := decodeIdentity(t.Accounts[0], value)
				if !ok || !valid {
					return false, corrupt("an account", k)
				}
				return yield(identity, nil), nil
			})
		})
		if err != nil {
			yield(store.Identity{}, err)
		}
	}
}

// Aliases implements store.Directory. It shows one moment.
func (d directory) Aliases(ctx context.Context) iter.Seq2[store.Alias, error] {
	return func(yield func(store.Alias, error) bool) {
		err := d.atOneMoment(ctx, func(r pebble.Reader) error {
			return d.targets(ctx, r, func(t store.Target) (bool, error) {
				return !t.Alias || yield(store.Alias{Name: t.Name, Accounts: t.Accounts}, nil), nil
			})
		})
		if err != nil {
			yield(store.Alias{}, err)
		}
	}
}

func (d directory) atOneMoment(ctx context.Context, fn func(pebble.Reader) error) error {
	if err := d.s.enter(ctx); err != nil {
		return err
	}
	defer d.s.exit()
	snapshot := d.s.db.NewSnapshot()
	err := fn(snapshot)
	if closed := snapshot.Close(); err == nil {
		err = d.s.fault(closed)
	}
	return err
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
		select {
		case ch <- struct{}{}:
		default: // it has a signal to find already
		}
	}
}

// Watch implements store.Directory.
func (d directory) Watch() (<-chan struct{}, func()) {
	w := &d.s.watchers
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
