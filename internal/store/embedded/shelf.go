package embedded

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

const (
	maxShelfKey  = 1024
	maxShelfData = 1 << 20
)

// Shelf implements store.Store.
func (s *Store) Shelf() store.Shelf { return shelf{s} }

// shelf implements store.Shelf. Changes to one key are made one after another;
// those to different keys share their syncs.
type shelf struct{ s *Store }

var shelfSeed = maphash.MakeSeed()

func (h shelf) lock(key string) *sync.Mutex {
	return &h.s.shelf[maphash.String(shelfSeed, key)%uint64(len(h.s.shelf))]
}

// stored gives what lies under a key, expired or not.
func (h shelf) stored(name string) (v store.Value, ok bool, err error) {
	k := shelfKey(name)
	value, ok, err := h.s.get(k)
	if err != nil || !ok {
		return store.Value{}, false, err
	}
	if v, ok = decodeValue(name, value); !ok {
		return store.Value{}, false, corrupt("a value on the shelf", k)
	}
	return v, true, nil
}

func (h shelf) expired(v store.Value) bool {
	return !v.Expires.IsZero() && !h.s.o.Now().Before(v.Expires)
}

// Get implements store.Shelf.
func (h shelf) Get(ctx context.Context, name string) (store.Value, error) {
	if err := h.s.enter(ctx); err != nil {
		return store.Value{}, err
	}
	defer h.s.exit()
	v, ok, err := h.stored(name)
	if err == nil && (!ok || h.expired(v)) {
		return store.Value{}, mail.Errorf(mail.NotFound, "the shelf has no %q", name)
	}
	return v, err
}

// Put implements store.Shelf.
func (h shelf) Put(ctx context.Context, name string, data []byte, expect uint64, expires time.Time) (uint64, error) {
	if err := h.s.enter(ctx); err != nil {
		return 0, err
	}
	defer h.s.exit()
	if name == "" || len(name) > maxShelfKey {
		return 0, mail.Errorf(mail.Invalid, "a key has 1 to 1,024 octets, not %d", len(name))
	}
	if len(data) > maxShelfData {
		return 0, mail.Errorf(mail.Limit, "a value has up to 1 MiB, not %d octets", len(data))
	}
	if err := h.s.disk.room(false); err != nil {
		return 0, err
	}
	mu := h.lock(name)
	mu.Lock()
	defer mu.Unlock()
	old, ok, err := h.stored(name)
	if err != nil {
		return 0, err
	}
	var version uint64
	if ok && !h.expired(old) {
		version = old.Version
	}
	if expect != store.AnyVersion && expect != version {
		return 0, store.ErrStale
	}
	next, err := h.s.versions.take(nil)
	if err != nil {
		return 0, err
	}
	return next, h.write(name, old, func(w *batchWriter) {
		w.set(shelfKey(name), encodeValue(store.Value{Version: next, Expires: expires, Data: data}))
		if !expires.IsZero() {
			w.set(expiryKey(micros(expires), name), nil)
		}
	})
}

// Delete implements store.Shelf.
func (h shelf) Delete(ctx context.Context, name string, expect uint64) error {
	if err := h.s.enter(ctx); err != nil {
		return err
	}
	defer h.s.exit()
	mu := h.lock(name)
	mu.Lock()
	defer mu.Unlock()
	old, ok, err := h.stored(name)
	if err != nil || !ok {
		return err
	}
	if expect != store.AnyVersion && expect != old.Version && !h.expired(old) {
		return store.ErrStale
	}
	return h.write(name, old, func(w *batchWriter) { w.delete(shelfKey(name)) })
}

// write replaces what was stored under a name, durably. The caller holds the
// name's lock.
func (h shelf) write(name string, old store.Value, fill func(*batchWriter)) error {
	b := h.s.db.NewBatch()
	w := batchWriter{b: b}
	if !old.Expires.IsZero() {
		w.delete(expiryKey(micros(old.Expires), name))
	}
	fill(&w)
	if w.err != nil {
		return h.s.fault(w.err)
	}
	return h.s.write(b, pebble.Sync)
}

// List implements store.Shelf.
func (h shelf) List(ctx context.Context, prefix string) iter.Seq2[store.Value, error] {
	return func(yield func(store.Value, error) bool) {
		err := h.s.each(ctx, shelfKey(prefix), func(k, value []byte) (bool, error) {
			v, ok := decodeValue(string(k[1:]), value)
			if !ok {
				return false, corrupt("a value on the shelf", k)
			}
			return h.expired(v) || yield(v, nil), nil
		})
		if err != nil {
			yield(store.Value{}, err)
		}
	}
}

// sweepShelf removes the values that have expired.
func (s *Store) sweepShelf(ctx context.Context) error {
	type due struct {
		key  []byte
		name string
	}
	var list []due
	now := s.o.Now()
	err := s.scanRange(s.db, []byte{tableExpiry}, expiryKey(micros(now)+1, ""), func(it *pebble.Iterator) error {
		for ok := it.First(); ok && len(list) < 10000; ok = it.Next() {
			k := append([]byte(nil), it.Key()...)
			if len(k) < 9 {
				return corrupt("a key", k)
			}
			list = append(list, due{k, string(k[9:])})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		if err := s.removeExpired(d.key, d.name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removeExpired(k []byte, name string) error {
	h := shelf{s}
	mu := h.lock(name)
	mu.Lock()
	defer mu.Unlock()
	v, ok, err := h.stored(name)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	w := batchWriter{b: b}
	w.delete(k)
	if ok && h.expired(v) {
		w.delete(shelfKey(name))
	}
	if w.err != nil {
		return s.fault(w.err)
	}
	return s.write(b, pebble.NoSync)
}
