package embedded

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"postern/internal/mail"
	"postern/internal/store"
)

// errFailed is what writing gives after Options.Fatal has returned.
var errFailed = mail.Errorf(mail.Unavailable, "storage has failed")

// write commits a batch and lets go of it. After Sync, it and all that was
// written before it is durable.
func (s *Store) write(b *pebble.Batch, o *pebble.WriteOptions) error {
	if s.failed.Load() {
		return errors.Join(errFailed, b.Close())
	}
	err := errors.Join(b.Commit(o), b.Close())
	if s.failed.Load() {
		// Only where Options.Fatal returns. The batch may or may not be there.
		return store.ErrUnknown
	}
	return s.fault(err)
}

// batchWriter writes to a batch and remembers the first error, of which there
// is none but for programming errors: a batch grows in memory.
type batchWriter struct {
	b   *pebble.Batch
	err error
}

func (w *batchWriter) set(key, value []byte) {
	if err := w.b.Set(key, value, nil); w.err == nil {
		w.err = err
	}
}

func (w *batchWriter) delete(key []byte) {
	if err := w.b.Delete(key, nil); w.err == nil {
		w.err = err
	}
}

// deleteSized deletes a key that was written once, with a value of that size.
// pebble goes to such places first when it gives room back.
func (w *batchWriter) deleteSized(key []byte, size int) {
	if err := w.b.DeleteSized(key, uint32(size), nil); w.err == nil {
		w.err = err
	}
}

// deleteRange deletes every key from from up to below to.
func (w *batchWriter) deleteRange(from, to []byte) {
	if err := w.b.DeleteRange(from, to, nil); w.err == nil {
		w.err = err
	}
}

// scan makes an iterator over the keys that begin with prefix, at one moment.
func (s *Store) scan(r pebble.Reader, prefix []byte, fn func(*pebble.Iterator) error) error {
	return s.scanRange(r, prefix, after(prefix), fn)
}

// scanRange makes an iterator over the keys from lower up to below upper. fn's
// error goes first: what it saw at the time.
func (s *Store) scanRange(r pebble.Reader, lower, upper []byte, fn func(*pebble.Iterator) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return s.fault(err)
	}
	err = fn(it)
	if err == nil {
		err = s.fault(it.Error())
	}
	if closed := it.Close(); err == nil {
		err = s.fault(closed)
	}
	return err
}
