package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
)

// chunkReader gives a body's chunks, from pebble or from a file.
type chunkReader interface {
	// chunk reads the chunk into p, which has its exact size, and checks it.
	chunk(index int64, p []byte) error
	Close() error
}

// body implements store.Body. A read that takes a whole chunk is checked where
// it goes to; others share one chunk that is kept, for whoever reads a body in
// small steps.
type body struct {
	s      *Store
	ref    mail.BodyRef
	size   int64
	chunks chunkReader

	mu     sync.Mutex
	cached int64  // index of the chunk in keep, -1: none
	keep   []byte // made on first use
}

// Size implements store.Body.
func (b *body) Size() int64 { return b.size }

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
		index := off / chunkSize
		length := min(chunkSize, b.size-index*chunkSize)
		within := off % chunkSize
		var m int
		if within == 0 && int64(len(p)-n) >= length {
			m = int(length)
			err = b.chunks.chunk(index, p[n:n+m])
		} else {
			m, err = b.readPart(index, length, p[n:], within)
		}
		if err != nil {
			return n, err
		}
		n += m
		off += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPart copies from the middle of a chunk, by way of the kept one.
func (b *body) readPart(index, length int64, p []byte, within int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cached != index {
		if b.keep == nil {
			b.keep = make([]byte, min(chunkSize, b.size))
		}
		b.cached = -1
		if err := b.chunks.chunk(index, b.keep[:length]); err != nil {
			return 0, err
		}
		b.cached = index
	}
	return copy(p, b.keep[within:length]), nil
}

// Close implements store.Body.
func (b *body) Close() error { return b.chunks.Close() }

// insideChunks reads a body that is in pebble.
type insideChunks struct {
	s   *Store
	id  bodyID
	ref mail.BodyRef
}

func (c insideChunks) chunk(index int64, p []byte) error {
	value, closer, err := c.s.db.Get(chunkKey(c.id, int(index)))
	if errors.Is(err, pebble.ErrNotFound) {
		if _, ok, err := c.s.meta(c.id); err != nil || !ok { // swept since it was opened
			return errors.Join(noBody(c.ref), err)
		}
		return damaged(c.ref, "a part of it is missing")
	}
	if pebble.IsCorruptionError(err) {
		return mail.Wrap(err, mail.Corrupt, "body "+c.ref.String()+" is damaged")
	}
	if err != nil {
		return c.s.fault(err)
	}
	ok := len(value) == len(p)+crcSize && binary.BigEndian.Uint32(value[len(p):]) == chunkSum(c.ref, index, value[:len(p)])
	if ok {
		copy(p, value)
	}
	if err := closer.Close(); err != nil {
		return c.s.fault(err)
	}
	if !ok {
		return damaged(c.ref, "a checksum does not agree")
	}
	return nil
}

func (insideChunks) Close() error { return nil }
