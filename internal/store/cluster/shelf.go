package cluster

import (
	"context"
	"encoding/binary"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

const (
	maxShelfKey  = 1024
	maxShelfData = 1 << 20
)

// Shelf implements store.Store.
func (s *Store) Shelf() store.Shelf { return shelf{s} }

// shelf implements store.Shelf. The database's clock says what has expired.
type shelf struct{ s *Store }

// scanValue reads a row of shelf.
func scanValue(r pgx.CollectableRow) (v store.Value, err error) {
	var key []byte
	var expires *time.Time
	err = r.Scan(&key, &v.Version, &expires, &v.Data)
	v.Key = string(key)
	if expires != nil {
		v.Expires = expires.UTC()
	}
	return v, err
}

// Get implements store.Shelf.
func (h shelf) Get(ctx context.Context, key string) (store.Value, error) {
	if err := h.s.enter(ctx); err != nil {
		return store.Value{}, err
	}
	defer h.s.exit()
	values, err := collect(ctx, h.s, scanValue, `SELECT key, version, expires, data FROM shelf
		WHERE key = $1 AND (expires IS NULL OR expires > now())`, []byte(key))
	if err != nil {
		return store.Value{}, err
	}
	if len(values) == 0 {
		return store.Value{}, mail.Errorf(mail.NotFound, "the shelf has no %q", key)
	}
	return values[0], nil
}

// Put implements store.Shelf. Versions are drawn from 63 bits of chance: so none
// comes twice though nothing is left of what was deleted, and a Put whose answer
// was lost knows its own when it is made again.
func (h shelf) Put(ctx context.Context, key string, data []byte, expect uint64, expires time.Time) (uint64, error) {
	if err := h.s.enter(ctx); err != nil {
		return 0, err
	}
	defer h.s.exit()
	if key == "" || len(key) > maxShelfKey {
		return 0, mail.Errorf(mail.Invalid, "a key has 1 to 1,024 octets, not %d", len(key))
	}
	if len(data) > maxShelfData {
		return 0, mail.Errorf(mail.Limit, "a value has up to 1 MiB, not %d octets", len(data))
	}
	version := binary.BigEndian.Uint64(randomName())>>1 | 1
	var until *time.Time
	if !expires.IsZero() {
		at := expires.Truncate(time.Microsecond)
		until = &at
	}
	const gone = `shelf.expires <= now()`
	var statement string
	args := []any{[]byte(key), int64(version), until, notNull(data)}
	switch expect {
	case store.AnyVersion:
		statement = `INSERT INTO shelf (key, version, expires, data) VALUES ($1, $2, $3, $4)
			ON CONFLICT (key) DO UPDATE SET version = $2, expires = $3, data = $4`
	case 0:
		statement = `INSERT INTO shelf (key, version, expires, data) VALUES ($1, $2, $3, $4)
			ON CONFLICT (key) DO UPDATE SET version = $2, expires = $3, data = $4 WHERE ` + gone + ` OR shelf.version = $2`
	default:
		statement = `UPDATE shelf SET version = $2, expires = $3, data = $4
			WHERE key = $1 AND (version = $5 AND NOT coalesce(` + gone + `, false) OR version = $2)`
		args = append(args, int64(expect))
	}
	err := h.s.ask(ctx, func(ctx context.Context) error {
		tag, err := h.s.db.Exec(ctx, statement, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return store.ErrStale
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Delete implements store.Shelf.
func (h shelf) Delete(ctx context.Context, key string, expect uint64) error {
	if err := h.s.enter(ctx); err != nil {
		return err
	}
	defer h.s.exit()
	return h.s.ask(ctx, func(ctx context.Context) error {
		// One statement: what is there under another version is seen as it was
		// when the other was not deleted.
		var stale bool
		err := h.s.db.QueryRow(ctx, `WITH gone AS (
				DELETE FROM shelf WHERE key = $1 AND ($3 OR version = $2 OR expires <= now()) RETURNING 1)
			SELECT NOT EXISTS (SELECT 1 FROM gone)
				AND EXISTS (SELECT 1 FROM shelf WHERE key = $1 AND (expires IS NULL OR expires > now()))`,
			[]byte(key), int64(expect), expect == store.AnyVersion).Scan(&stale)
		if err == nil && stale {
			return store.ErrStale
		}
		return err
	})
}

// valuesAtOnce is how many values one question asks for: each may have 1 MiB.
const valuesAtOnce = 16

// List implements store.Shelf.
func (h shelf) List(ctx context.Context, prefix string) iter.Seq2[store.Value, error] {
	return func(yield func(store.Value, error) bool) {
		steps(ctx, h.s, valuesAtOnce, func(before store.Value, first bool) ([]store.Value, error) {
			from := []byte(before.Key)
			if first {
				from = []byte(prefix)
			}
			return collect(ctx, h.s, scanValue, `SELECT key, version, expires, data FROM shelf
				WHERE (key > $1 OR $2 AND key = $1) AND substring(key FROM 1 FOR $3) = $4 AND (expires IS NULL OR expires > now())
				AND ($5::bytea IS NULL OR key < $5) ORDER BY key LIMIT $6`,
				from, first, len(prefix), []byte(prefix), behind(prefix), valuesAtOnce)
		}, yield)
	}
}

// behind gives the first key after all that begin with prefix, nil if there is none.
func behind(prefix string) []byte {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
