package storetest

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// memDirectory is the directory's data, guarded by memData.mu.
type memDirectory struct {
	last     mail.AccountID // ever given out
	accounts map[mail.AccountID]store.Identity
	names    map[string]store.Target
	watchers map[chan struct{}]bool
}

func (m *memDirectory) init() {
	m.accounts = map[mail.AccountID]store.Identity{}
	m.names = map[string]store.Target{}
	m.watchers = map[chan struct{}]bool{}
}

func (m *memDirectory) changed() {
	for ch := range m.watchers {
		poke(ch)
	}
}

// checkIdentity refuses what a directory does not hold.
func checkIdentity(d store.Identity) error {
	if err := checkName(d.Name); err != nil {
		return err
	}
	if len(d.Credentials) > 64<<10 {
		return mail.Errorf(mail.Limit, "credentials are larger than 64 KiB")
	}
	return nil
}

func checkName(name string) error {
	if name == "" || len(name) > 1024 {
		return mail.Errorf(mail.Invalid, "a name has 1 to 1,024 octets, not %d", len(name))
	}
	return nil
}

type memDirectoryHandle struct{ d *memData }

func (m memDirectoryHandle) Create(ctx context.Context, d store.Identity, now time.Time) (store.Identity, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer m.d.mu.Unlock()
	if err := checkIdentity(d); err != nil {
		return store.Identity{}, err
	}
	dir := &m.d.dir
	if _, taken := dir.names[d.Name]; taken {
		return store.Identity{}, mail.Errorf(mail.AlreadyExists, "%s is taken", d.Name)
	}
	dir.last++
	d.ID, d.Version, d.Created = dir.last, 1, now.Truncate(time.Microsecond).UTC()
	return m.keep(d), nil
}

// keep stores an identity under its name and gives a copy of its own.
func (m memDirectoryHandle) keep(d store.Identity) store.Identity {
	d.Credentials = bytes.Clone(d.Credentials)
	m.d.dir.accounts[d.ID] = d
	m.d.dir.names[d.Name] = store.Target{Name: d.Name, Accounts: []mail.AccountID{d.ID}}
	m.d.dir.changed()
	d.Credentials = bytes.Clone(d.Credentials)
	return d
}

func (m memDirectoryHandle) Identity(ctx context.Context, id mail.AccountID) (store.Identity, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer m.d.mu.Unlock()
	d, ok := m.d.dir.accounts[id]
	if !ok {
		return store.Identity{}, mail.Errorf(mail.NotFound, "there is no account %d", id)
	}
	d.Credentials = bytes.Clone(d.Credentials)
	return d, nil
}

func (m memDirectoryHandle) Find(ctx context.Context, name string) (store.Target, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Target{}, err
	}
	defer m.d.mu.Unlock()
	target, ok := m.d.dir.names[name]
	if !ok {
		return store.Target{}, mail.Errorf(mail.NotFound, "nobody bears the name %s", name)
	}
	target.Accounts = slices.Clone(target.Accounts)
	return target, nil
}

func (m memDirectoryHandle) Update(ctx context.Context, d store.Identity) (store.Identity, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Identity{}, err
	}
	defer m.d.mu.Unlock()
	if err := checkIdentity(d); err != nil {
		return store.Identity{}, err
	}
	dir := &m.d.dir
	old, ok := dir.accounts[d.ID]
	if !ok {
		return store.Identity{}, mail.Errorf(mail.NotFound, "there is no account %d", d.ID)
	}
	if old.Version != d.Version {
		return store.Identity{}, store.ErrStale
	}
	if _, taken := dir.names[d.Name]; taken && d.Name != old.Name {
		return store.Identity{}, mail.Errorf(mail.AlreadyExists, "%s is taken", d.Name)
	}
	delete(dir.names, old.Name)
	d.Version, d.Created = old.Version+1, old.Created
	return m.keep(d), nil
}

func (m memDirectoryHandle) Remove(ctx context.Context, id mail.AccountID) error {
	if err := m.d.enter(ctx); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	dir := &m.d.dir
	old, ok := dir.accounts[id]
	if !ok {
		return mail.Errorf(mail.NotFound, "there is no account %d", id)
	}
	delete(dir.accounts, id)
	delete(dir.names, old.Name)
	for name, target := range dir.names {
		if !target.Alias || !slices.Contains(target.Accounts, id) {
			continue
		}
		target.Accounts = slices.DeleteFunc(slices.Clone(target.Accounts), func(a mail.AccountID) bool { return a == id })
		if len(target.Accounts) == 0 {
			delete(dir.names, name)
		} else {
			dir.names[name] = target
		}
	}
	dir.changed()
	return nil
}

func (m memDirectoryHandle) SetAlias(ctx context.Context, name string, accounts []mail.AccountID) error {
	if err := m.d.enter(ctx); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	if err := checkName(name); err != nil {
		return err
	}
	if len(accounts) == 0 {
		return mail.Errorf(mail.Invalid, "an alias stands for one account at least")
	}
	dir := &m.d.dir
	if old, ok := dir.names[name]; ok && !old.Alias {
		return mail.Errorf(mail.AlreadyExists, "%s is an account", name)
	}
	for _, id := range accounts {
		if _, ok := dir.accounts[id]; !ok {
			return mail.Errorf(mail.NotFound, "there is no account %d", id)
		}
	}
	sorted := slices.Sorted(slices.Values(accounts))
	dir.names[name] = store.Target{Name: name, Alias: true, Accounts: slices.Compact(sorted)}
	dir.changed()
	return nil
}

func (m memDirectoryHandle) RemoveAlias(ctx context.Context, name string) error {
	if err := m.d.enter(ctx); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	if !m.d.dir.names[name].Alias {
		return mail.Errorf(mail.NotFound, "there is no alias %s", name)
	}
	delete(m.d.dir.names, name)
	m.d.dir.changed()
	return nil
}

func (m memDirectoryHandle) Identities(ctx context.Context) iter.Seq2[store.Identity, error] {
	return sequence(ctx, m.d, func() []store.Identity {
		var list []store.Identity
		for _, name := range slices.Sorted(maps.Keys(m.d.dir.names)) {
			if target := m.d.dir.names[name]; !target.Alias {
				d := m.d.dir.accounts[target.Accounts[0]]
				d.Credentials = bytes.Clone(d.Credentials)
				list = append(list, d)
			}
		}
		return list
	})
}

func (m memDirectoryHandle) Aliases(ctx context.Context) iter.Seq2[store.Alias, error] {
	return sequence(ctx, m.d, func() []store.Alias {
		var list []store.Alias
		for _, name := range slices.Sorted(maps.Keys(m.d.dir.names)) {
			if target := m.d.dir.names[name]; target.Alias {
				list = append(list, store.Alias{Name: name, Accounts: slices.Clone(target.Accounts)})
			}
		}
		return list
	})
}

func (m memDirectoryHandle) Watch() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	m.d.mu.Lock()
	m.d.dir.watchers[ch] = true
	m.d.mu.Unlock()
	return ch, func() {
		m.d.mu.Lock()
		delete(m.d.dir.watchers, ch)
		m.d.mu.Unlock()
	}
}
