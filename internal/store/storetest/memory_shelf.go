package storetest

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// memShelf is the shelf's data, guarded by memData.mu.
type memShelf struct {
	last   uint64 // version ever given out, so that none comes twice
	values map[string]store.Value
}

type memShelfHandle struct{ d *memData }

// value gives what lies under a key and has not expired.
func (d *memData) value(key string) (store.Value, bool) {
	v, ok := d.shelf.values[key]
	if ok && !v.Expires.IsZero() && !d.now().Before(v.Expires) {
		return store.Value{}, false
	}
	return v, ok
}

func (m memShelfHandle) Get(ctx context.Context, key string) (store.Value, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Value{}, err
	}
	defer m.d.mu.Unlock()
	v, ok := m.d.value(key)
	if !ok {
		return store.Value{}, mail.Errorf(mail.NotFound, "the shelf has no %q", key)
	}
	v.Data = bytes.Clone(v.Data)
	return v, nil
}

func (m memShelfHandle) Put(ctx context.Context, key string, data []byte, expect uint64, expires time.Time) (uint64, error) {
	if err := m.d.enter(ctx); err != nil {
		return 0, err
	}
	defer m.d.mu.Unlock()
	if key == "" || len(key) > 1024 {
		return 0, mail.Errorf(mail.Invalid, "a key has 1 to 1,024 octets, not %d", len(key))
	}
	if len(data) > 1<<20 {
		return 0, mail.Errorf(mail.Limit, "a value has up to 1 MiB, not %d octets", len(data))
	}
	if v, _ := m.d.value(key); expect != store.AnyVersion && v.Version != expect {
		return 0, store.ErrStale
	}
	if !expires.IsZero() {
		expires = expires.Truncate(time.Microsecond).UTC()
	}
	m.d.shelf.last++
	m.d.shelf.values[key] = store.Value{Key: key, Data: bytes.Clone(data), Version: m.d.shelf.last, Expires: expires}
	return m.d.shelf.last, nil
}

func (m memShelfHandle) Delete(ctx context.Context, key string, expect uint64) error {
	if err := m.d.enter(ctx); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	v, ok := m.d.value(key)
	if ok && expect != store.AnyVersion && v.Version != expect {
		return store.ErrStale
	}
	delete(m.d.shelf.values, key)
	return nil
}

func (m memShelfHandle) List(ctx context.Context, prefix string) iter.Seq2[store.Value, error] {
	return sequence(ctx, m.d, func() []store.Value {
		var list []store.Value
		for _, key := range slices.Sorted(maps.Keys(m.d.shelf.values)) {
			if v, ok := m.d.value(key); ok && strings.HasPrefix(key, prefix) {
				v.Data = bytes.Clone(v.Data)
				list = append(list, v)
			}
		}
		return list
	})
}
