package cluster

import (
	"container/list"
	"context"
	"encoding/binary"
	"io"
	"sync"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
)

// readAhead is how many chunks are fetched at once for whoever reads a body from
// its beginning on.
const readAhead = 16

// body implements store.Body.
type body struct {
	s     *Store
	ref   mail.BodyRef
	size  int64
	sums  []byte
	place place

	mu      sync.Mutex
	kept    int64 // index of the chunk in keep, -1: none
	keep    []byte
	fetched int64 // index of the last chunk that was fetched, -1: none
}

// Size implements store.Body.
func (b *body) Size() int64 { return b.size }

// Close implements store.Body.
func (b *body) Close() error { return nil }

// ReadAt implements store.Body.
func (b *body) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, mail.Errorf(mail.Invalid, "a body has no octet %d", off)
	}
	if err := b.s.enter(context.Background()); err != nil {
		return 0, err
	}
	defer b.s.exit()
	for n < len(p) && off < b.size {
		data, err := b.chunk(off / chunkSize)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], data[off%chunkSize:])
		n += m
		off += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// chunk gives a chunk that was checked. Nobody writes to it.
func (b *body) chunk(index int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == index {
		return b.keep, nil
	}
	data := b.s.cache.get(chunkName{b.ref, index})
	if data == nil {
		var err error
		if data, err = b.fetch(index); err != nil {
			return nil, err
		}
	}
	b.kept, b.keep = index, data
	return data, nil
}

// fetch reads a chunk from its place, and those after it for a reader that goes on.
func (b *body) fetch(index int64) (first []byte, err error) {
	n := int64(1)
	if index == b.fetched+1 && b.s.cache.limit > 0 {
		n = min(readAhead, (b.size-index*chunkSize+chunkSize-1)/chunkSize)
	}
	p := make([]byte, min(n*chunkSize, b.size-index*chunkSize))
	err = b.s.ask(context.Background(), func(ctx context.Context) error { return b.place.read(ctx, b.ref, index, p) })
	if mail.KindOf(err) == mail.NotFound {
		return nil, b.missing()
	}
	if err != nil {
		return nil, err
	}
	for i := range n {
		data := p[i*chunkSize : min((i+1)*chunkSize, int64(len(p)))]
		if err := b.check(index+i, data); err != nil {
			if i == 0 {
				return nil, err
			}
			break // whoever comes to it is told
		}
		if i == 0 {
			first = data
		}
		if n > 1 { // each has its own memory, or one would keep all
			data = append([]byte(nil), data...)
			if i == 0 {
				first = data
			}
		}
		b.s.cache.add(chunkName{b.ref, index + i}, data)
		b.fetched = index + i
	}
	return first, nil
}

// missing says why there are no octets: the body was swept, or they were lost.
func (b *body) missing() error {
	var one int
	err := b.s.ask(context.Background(), func(ctx context.Context) error {
		return b.s.db.QueryRow(ctx, `SELECT 1 FROM bodies WHERE ref = $1`, b.ref[:]).Scan(&one)
	})
	switch {
	case err == pgx.ErrNoRows:
		return noBody(b.ref)
	case err != nil:
		return err
	}
	return damaged(b.ref, "a part of it is missing")
}

func (b *body) check(index int64, data []byte) error {
	if binary.BigEndian.Uint32(b.sums[4*index:]) != sumOf(b.ref, index, data) {
		return damaged(b.ref, "a checksum does not agree")
	}
	return nil
}

// cache holds chunks that were read lately. They never change, and their bodies'
// names are never used again: it needs no word from anybody.
type cache struct {
	limit int64

	mu   sync.Mutex
	size int64
	of   map[chunkName]*list.Element
	used list.List // of cached, the latest first
}

type chunkName struct {
	ref   mail.BodyRef
	index int64
}

type cached struct {
	name chunkName
	data []byte
}

// cachedCost is what an entry costs beside its octets, roughly.
const cachedCost = 200

func newCache(limit int64) *cache { return &cache{limit: limit, of: map[chunkName]*list.Element{}} }

func (c *cache) get(name chunkName) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of[name]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(cached).data
}

func (c *cache) add(name chunkName, data []byte) {
	cost := int64(len(data)) + cachedCost
	if cost > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[name] != nil {
		return
	}
	c.of[name] = c.used.PushFront(cached{name, data})
	for c.size += cost; c.size > c.limit; {
		last := c.used.Back()
		old := c.used.Remove(last).(cached)
		delete(c.of, old.name)
		c.size -= int64(len(old.data)) + cachedCost
	}
}
