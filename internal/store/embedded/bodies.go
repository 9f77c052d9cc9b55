package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// Bodies implements store.Store.
func (s *Store) Bodies() store.Bodies { return bodies{s} }

type bodies struct{ s *Store }

// ref gives a body its name in the whole world: this store's and its own.
func (s *Store) ref(id bodyID) mail.BodyRef {
	var ref mail.BodyRef
	copy(ref[:], s.birth[:])
	binary.BigEndian.PutUint64(ref[8:], uint64(id))
	return ref
}

// owns reports whether this store gave the name, and whose it is.
func (s *Store) owns(ref mail.BodyRef) (bodyID, bool) {
	return bodyID(binary.BigEndian.Uint64(ref[8:])), [8]byte(ref[:8]) == s.birth
}

// own gives the bodies of those names that are this store's.
func (s *Store) own(refs []mail.BodyRef) []bodyID {
	if len(refs) == 0 {
		return nil
	}
	list := make([]bodyID, 0, len(refs))
	for _, ref := range refs {
		if id, ok := s.owns(ref); ok {
			list = append(list, id)
		}
	}
	return list
}

// meta reads where a body is.
func (s *Store) meta(id bodyID) (m bodyMeta, ok bool, err error) {
	k := key(tableBody, uint64(id))
	value, ok, err := s.get(k)
	if err != nil || !ok {
		return bodyMeta{}, false, err
	}
	if m, ok = decodeBodyMeta(value); !ok {
		return bodyMeta{}, false, corrupt("a body's entry", k)
	}
	return m, true, nil
}

// borne reports whether any account's mark is on a body.
func (s *Store) borne(id bodyID) (borne bool, err error) {
	err = s.scan(s.db, key(tableBearer, uint64(id)), func(it *pebble.Iterator) error {
		borne = it.First()
		return nil
	})
	return borne, err
}

// chunks lends the buffers Put reads into.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// Put implements store.Bodies. What fits goes into pebble in one batch that is
// not synced: the commit that takes the body is synced, and comes later in the
// same log. What does not fit goes to a file as it arrives.
func (b bodies) Put(ctx context.Context, r io.Reader) (mail.BodyRef, int64, error) {
	if err := b.s.enter(ctx); err != nil {
		return mail.BodyRef{}, 0, err
	}
	defer b.s.exit()
	if err := b.s.disk.room(true); err != nil {
		return mail.BodyRef{}, 0, err
	}
	var held [][]byte
	defer func() {
		for _, c := range held {
			chunks.Put((*[chunkSize]byte)(c[:chunkSize]))
		}
	}()
	size := 0
	for size < smallBody {
		c := chunks.Get().(*[chunkSize]byte)[:]
		n, err := readFull(ctx, r, c)
		held = append(held, c[:n])
		size += n
		if err == io.EOF {
			return b.putSmall(held, size)
		}
		if err != nil {
			return mail.BodyRef{}, 0, err
		}
	}
	var more [1]byte
	switch n, err := readFull(ctx, r, more[:]); {
	case n == 1: // with io.EOF or without
		return b.putLarge(ctx, held, io.MultiReader(sliceReader(more), r))
	case err == io.EOF:
		return b.putSmall(held, size)
	default:
		return mail.BodyRef{}, 0, err
	}
}

// sliceReader reads one octet.
func sliceReader(b [1]byte) io.Reader { return io.LimitReader(repeat(b[0]), 1) }

// repeat is an endless row of one octet.
type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// readFull fills p. Unlike io.ReadFull it gives io.EOF, and nothing else, at the
// reader's end, whatever came before: io.ErrUnexpectedEOF is the error of a
// reader whose message was cut off, and must not pass for an end.
func readFull(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, mail.Wrap(err, mail.Canceled, "given up")
	}
	for idle := 0; n < len(p); {
		m, err := r.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
		if m > 0 {
			idle = 0
		} else if idle++; idle == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

func (b bodies) putSmall(held [][]byte, size int) (mail.BodyRef, int64, error) {
	n, err := b.s.ids.take(func(n uint64) { b.s.leases.begin(bodyID(n), false) })
	if err != nil {
		return mail.BodyRef{}, 0, err
	}
	id := bodyID(n)
	ref := b.s.ref(id)
	batch := b.s.db.NewBatchWithSize(size + 64*(len(held)+1))
	w := batchWriter{b: batch}
	for i, c := range held {
		if len(c) == 0 {
			continue
		}
		op := batch.SetDeferred(10, len(c)+crcSize)
		copy(op.Key, chunkKey(id, i))
		sum := chunkSum(ref, int64(i), c)
		binary.BigEndian.PutUint32(op.Value[copy(op.Value, c):], sum)
		if err := op.Finish(); err != nil {
			return mail.BodyRef{}, 0, b.s.fault(err)
		}
	}
	w.set(key(tableBody, n), bodyMeta{bodyInside, int64(size)}.encode())
	if w.err != nil {
		return mail.BodyRef{}, 0, b.s.fault(w.err)
	}
	if err := b.s.write(batch, pebble.NoSync); err != nil {
		return mail.BodyRef{}, 0, err
	}
	return ref, int64(size), nil
}

func (b bodies) putLarge(ctx context.Context, held [][]byte, rest io.Reader) (mail.BodyRef, int64, error) {
	n, err := b.s.ids.take(func(n uint64) { b.s.leases.begin(bodyID(n), true) })
	if err != nil {
		return mail.BodyRef{}, 0, err
	}
	id := bodyID(n)
	size, err := b.s.writeBodyFile(ctx, id, held, rest)
	if err == nil {
		batch := b.s.db.NewBatch()
		w := batchWriter{b: batch}
		w.set(key(tableBody, n), bodyMeta{bodyFile, size}.encode())
		if err = b.s.fault(w.err); err == nil {
			err = b.s.write(batch, pebble.NoSync)
		}
	}
	b.s.leases.done(id, err == nil)
	if err != nil {
		return mail.BodyRef{}, 0, err
	}
	return b.s.ref(id), size, nil
}

// Abandon implements store.Bodies. A body without marks is noted for the next
// sweep; one with marks will be when it loses them.
func (b bodies) Abandon(ctx context.Context, ref mail.BodyRef) {
	id, ok := b.s.owns(ref)
	if !ok || b.s.enter(context.WithoutCancel(ctx)) != nil {
		return
	}
	defer b.s.exit()
	if !b.s.leases.running(id) {
		return
	}
	b.s.leases.end(id)
	if borne, err := b.s.borne(id); err != nil || borne {
		return
	}
	batch := b.s.db.NewBatch()
	w := batchWriter{b: batch}
	w.set(key(tableCandidate, uint64(id)), nil)
	// Without the note, the sweep of everything older than a lease finds it.
	_ = b.s.write(batch, pebble.NoSync)
}

// Open implements store.Bodies.
func (b bodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	if err := b.s.enter(ctx); err != nil {
		return nil, err
	}
	defer b.s.exit()
	id, ok := b.s.owns(ref)
	if !ok {
		return nil, noBody(ref)
	}
	m, ok, err := b.s.meta(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noBody(ref)
	}
	if m.where == bodyInside {
		return &body{s: b.s, ref: ref, size: m.size, chunks: insideChunks{b.s, id, ref}, cached: -1}, nil
	}
	chunks, err := b.s.openBodyFile(id, m.size)
	if oserror.IsNotExist(err) {
		if _, ok, err := b.s.meta(id); err != nil || !ok { // swept in between
			return nil, errors.Join(noBody(ref), err)
		}
		return nil, mail.Wrap(err, mail.Corrupt, "the file of body "+ref.String()+" is missing")
	}
	if err != nil {
		return nil, b.s.fault(err)
	}
	return &body{s: b.s, ref: ref, size: m.size, chunks: chunks, cached: -1}, nil
}

func noBody(ref mail.BodyRef) error { return mail.Errorf(mail.NotFound, "there is no body %v", ref) }

func damaged(ref mail.BodyRef, what string) error {
	return mail.Errorf(mail.Corrupt, "body %v is damaged: %s", ref, what)
}

// All implements store.Bodies.
func (b bodies) All(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return refsOf(ctx, b.s, []byte{tableBody}, 0)
}

// Marked implements store.Account.
func (a account) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return refsOf(ctx, a.s, key(tableMark, uint64(a.id)), 1)
}

func refsOf(ctx context.Context, s *Store, prefix []byte, n int) iter.Seq2[mail.BodyRef, error] {
	return func(yield func(mail.BodyRef, error) bool) {
		for id, err := range numbersOf[bodyID](ctx, s, prefix, n) {
			if err != nil {
				yield(mail.BodyRef{}, err)
				return
			}
			if !yield(s.ref(id), nil) {
				return
			}
		}
	}
}
