package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
	"postern/internal/store"
)

const (
	// chunkSize is what a checksum covers, and what is read at least.
	chunkSize = 64 << 10
	// smallBody is up to where a body waits in memory for its end.
	smallBody = 256 << 10
)

// Bodies implements store.Store.
func (s *Store) Bodies() store.Bodies { return bodies{s} }

type bodies struct{ s *Store }

// newRef gives a body a name that nobody has had: the time, so that names ascend
// more or less and lie together, and 80 bits of chance.
func newRef() mail.BodyRef {
	ref := mail.BodyRef(randomName())
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint16(ref[:], uint16(now>>32))
	binary.BigEndian.PutUint32(ref[2:], uint32(now))
	return ref
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf covers the body's name and the chunk's place too: octets in each other's
// place are damage, not another message.
func sumOf(ref mail.BodyRef, index int64, data []byte) uint32 {
	var place [24]byte
	copy(place[:], ref[:])
	binary.BigEndian.PutUint64(place[16:], uint64(index))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, data)
}

// incoming is a body that was read to its end: its size and checksums are known
// before anything is stored.
type incoming struct {
	ref  mail.BodyRef
	size int64
	sums []byte // 4 octets for each chunk
	data io.ReaderAt
}

// Put implements store.Bodies.
func (b bodies) Put(ctx context.Context, r io.Reader) (mail.BodyRef, int64, error) {
	if err := b.s.enter(ctx); err != nil {
		return mail.BodyRef{}, 0, err
	}
	defer b.s.exit()
	in := incoming{ref: newRef()}
	held := make([]byte, 0, chunkSize)
	var file *os.File
	defer func() {
		if file != nil {
			_ = file.Close()
		}
	}()
	chunk := make([]byte, chunkSize)
	for index := int64(0); ; index++ {
		n, err := readFull(ctx, r, chunk)
		if err != nil && err != io.EOF {
			return mail.BodyRef{}, 0, err
		}
		if n > 0 {
			in.sums = binary.BigEndian.AppendUint32(in.sums, sumOf(in.ref, index, chunk[:n]))
			in.size += int64(n)
			if file == nil && len(held)+n > smallBody {
				if file, err = spool(b.s.o.Spool, held); err != nil {
					return mail.BodyRef{}, 0, err
				}
				held = nil
			}
			if file == nil {
				held = append(held, chunk[:n]...)
			} else if _, failed := file.Write(chunk[:n]); failed != nil {
				return mail.BodyRef{}, 0, spoolFault(failed)
			}
		}
		if n < chunkSize {
			break // readFull fills the chunk unless the reader is at its end
		}
	}
	if in.data = bytes.NewReader(held); file != nil {
		in.data = file
	}
	if err := b.s.places[b.s.puts].put(ctx, in); err != nil {
		return mail.BodyRef{}, 0, b.s.fault(ctx, err)
	}
	return in.ref, in.size, nil
}

// spool begins a file for a body too large to wait in memory. It has no name: it
// is gone with the process.
func spool(dir string, held []byte) (*os.File, error) {
	f, err := os.CreateTemp(dir, "postern-body-")
	if err != nil {
		return nil, spoolFault(err)
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = f.Write(held)
	}
	if err != nil {
		_ = f.Close()
		return nil, spoolFault(err)
	}
	return f, nil
}

func spoolFault(err error) error {
	return mail.Wrap(err, mail.NoSpace, "a large message finds no room on its way in")
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
		if err == io.EOF && n == len(p) {
			return n, nil // the next call finds the end again
		}
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

// entry writes down that there is a body, under lease. It comes before its octets
// or with them: octets that nobody wrote down would never be removed.
const entry = `INSERT INTO bodies (ref, place, size, sums, lease)
	VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') ON CONFLICT DO NOTHING`

func (s *Store) entryArgs(in incoming, where int) []any {
	return []any{in.ref[:], int16(where), in.size, notNull(in.sums), s.o.LeaseTime.Seconds()}
}

// Abandon implements store.Bodies.
func (b bodies) Abandon(ctx context.Context, ref mail.BodyRef) {
	ctx = context.WithoutCancel(ctx)
	if b.s.enter(ctx) != nil {
		return
	}
	defer b.s.exit()
	// If it fails the lease ends by itself.
	_ = b.s.ask(ctx, func(ctx context.Context) error {
		_, err := b.s.db.Exec(ctx, `UPDATE bodies SET lease = now() WHERE ref = $1 AND lease > now()`, ref[:])
		return err
	})
}

// Open implements store.Bodies. The first chunk comes along: most messages, and
// nearly all headers, need no other.
func (b bodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	if err := b.s.enter(ctx); err != nil {
		return nil, err
	}
	defer b.s.exit()
	o := &body{s: b.s, ref: ref, kept: -1, fetched: -1}
	var where int16
	var first []byte
	err := b.s.ask(ctx, func(ctx context.Context) error {
		return b.s.db.QueryRow(ctx, `SELECT b.place, b.size, b.sums, c.data FROM bodies b
			LEFT JOIN chunks c ON c.ref = b.ref AND c.chunk = 0 WHERE b.ref = $1`, ref[:]).Scan(&where, &o.size, &o.sums, &first)
	})
	if err == pgx.ErrNoRows {
		return nil, noBody(ref)
	}
	if err != nil {
		return nil, err
	}
	if chunks := (o.size + chunkSize - 1) / chunkSize; int64(len(o.sums)) != 4*chunks {
		return nil, damaged(ref, fmt.Sprintf("it has %d octets and checksums for %d chunks", o.size, len(o.sums)/4))
	}
	if where < 0 || int(where) >= len(b.s.places) || b.s.places[where] == nil {
		return nil, mail.Wrap(errNoBucket, mail.Unavailable, "body "+ref.String()+" cannot be reached")
	}
	o.place = b.s.places[where]
	if int64(len(first)) == min(o.size, chunkSize) && o.size > 0 && o.check(0, first) == nil {
		o.kept, o.keep, o.fetched = 0, first, 0
	}
	return o, nil
}

func noBody(ref mail.BodyRef) error { return mail.Errorf(mail.NotFound, "there is no body %v", ref) }

func damaged(ref mail.BodyRef, what string) error {
	return mail.Errorf(mail.Corrupt, "body %v is damaged: %s", ref, what)
}

// All implements store.Bodies.
func (b bodies) All(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return func(yield func(mail.BodyRef, error) bool) {
		steps(ctx, b.s, idsAtOnce, func(before mail.BodyRef, _ bool) ([]mail.BodyRef, error) {
			return collect(ctx, b.s, scanRef, `SELECT ref FROM bodies WHERE ref > $1 ORDER BY ref LIMIT $2`, before[:], idsAtOnce)
		}, yield)
	}
}
