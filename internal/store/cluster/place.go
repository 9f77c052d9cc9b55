package cluster

import (
	"context"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
)

// The places a body's octets can be in, as bodies.place has them. A store may have
// bodies in both: the bucket is for those that come after it was named.
const (
	inDatabase = 0
	inBucket   = 1
)

// place keeps the octets of bodies.
type place interface {
	// put stores a body with its entry, durably. Doing it twice does no harm.
	put(ctx context.Context, in incoming) error
	// read fills p with the octets from a chunk on; mail.NotFound where they are not.
	read(ctx context.Context, ref mail.BodyRef, chunk int64, p []byte) error
	// remove removes the octets of a body that has no entry any more. That they are
	// not there is no error.
	remove(ctx context.Context, ref mail.BodyRef) error
}

// databasePlace keeps them in the table chunks.
type databasePlace struct{ s *Store }

// chunksAtOnce is how many chunks of a larger body are sent in one go.
const chunksAtOnce = 16

func (d databasePlace) put(ctx context.Context, in incoming) error {
	if in.size <= smallBody { // one round trip
		return d.s.ask(ctx, func(ctx context.Context) error {
			b := &pgx.Batch{}
			b.Queue(entry, d.s.entryArgs(in, inDatabase)...)
			if err := queueChunks(b, in, 0, smallBody/chunkSize); err != nil {
				return err
			}
			return d.s.db.SendBatch(ctx, b).Close()
		})
	}
	return d.s.askFor(ctx, d.s.patienceFor(in.size), func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, d.s.db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, entry, d.s.entryArgs(in, inDatabase)...); err != nil {
				return err
			}
			for from := int64(0); from*chunkSize < in.size; from += chunksAtOnce {
				b := &pgx.Batch{}
				if err := queueChunks(b, in, from, chunksAtOnce); err != nil {
					return err
				}
				if err := tx.SendBatch(ctx, b).Close(); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// queueChunks adds up to n chunks to a batch.
func queueChunks(b *pgx.Batch, in incoming, from, n int64) error {
	for i := from; i < from+n && i*chunkSize < in.size; i++ {
		data := make([]byte, min(chunkSize, in.size-i*chunkSize))
		if m, err := in.data.ReadAt(data, i*chunkSize); m < len(data) {
			return spoolFault(err)
		}
		b.Queue(`INSERT INTO chunks (ref, chunk, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, in.ref[:], int32(i), data)
	}
	return nil
}

func (d databasePlace) read(ctx context.Context, ref mail.BodyRef, chunk int64, p []byte) error {
	n := (int64(len(p)) + chunkSize - 1) / chunkSize
	rows, err := d.s.db.Query(ctx, `SELECT chunk, data FROM chunks WHERE ref = $1 AND chunk >= $2 AND chunk < $3 ORDER BY chunk`,
		ref[:], int32(chunk), int32(chunk+n))
	if err != nil {
		return err
	}
	defer rows.Close()
	next := chunk
	for rows.Next() {
		var index int32
		var data []byte
		if err := rows.Scan(&index, &data); err != nil {
			return err
		}
		if int64(index) != next || copy(p[(next-chunk)*chunkSize:], data) != len(data) {
			break
		}
		next++
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	if next < chunk+n {
		return noBody(ref)
	}
	return nil
}

// remove has nothing to do: chunks go in the transaction in which the entry goes.
func (d databasePlace) remove(context.Context, mail.BodyRef) error { return nil }
