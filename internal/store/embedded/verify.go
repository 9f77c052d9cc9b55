package embedded

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"postern/internal/mail"
	"postern/internal/store"
)

// Verify implements store.Verifier. Reading through the engine would pass over
// what nothing refers to, and what the cache holds; so the tables are read from
// the disk, every block with its checksum, past the engine and its cache. A table
// that a compaction takes away meanwhile was read by that compaction. What was
// written so lately that it is in no table yet is in the engine's log, which is
// checked whenever the store is opened.
func (s *Store) Verify(ctx context.Context, report func(text string), progress func(done, total int64)) (v store.Verified, err error) {
	if err := s.enter(ctx); err != nil {
		return v, err
	}
	defer s.exit()
	tables, total, err := s.tables()
	if err != nil {
		return v, err
	}
	for _, t := range tables {
		if err := ctx.Err(); err != nil {
			return v, mail.Wrap(err, mail.Canceled, "given up")
		}
		if err := s.verifyTable(ctx, t.name); err != nil {
			if gone, listErr := s.replaced(t); listErr != nil {
				return v, listErr
			} else if !gone {
				report(fmt.Sprintf("the file %s is damaged, of %d octets: %v", filepath.Join("pebble", t.name), t.size, err))
			}
		}
		v.Files++
		v.Octets += t.size
		if progress != nil {
			progress(v.Octets, total)
		}
	}
	snapshot := s.db.NewSnapshot()
	err = s.verifyMarks(ctx, snapshot, report)
	if err == nil {
		err = s.countBodies(ctx, snapshot, &v)
	}
	if mail.KindOf(err) == mail.Corrupt {
		report(fmt.Sprintf("the list of bodies and their marks cannot be read: %v", err))
		err = nil
	}
	if closed := snapshot.Close(); err == nil {
		err = s.fault(closed)
	}
	return v, err
}

// tableFile is one of the engine's files.
type tableFile struct {
	name string
	size int64
}

// tables gives the files that the engine's present state is made of.
func (s *Store) tables() (list []tableFile, total int64, err error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return nil, 0, s.fault(err)
	}
	seen := map[string]bool{}
	for _, level := range levels {
		for i := range level {
			name := level[i].BackingSSTNum.String() + ".sst"
			if seen[name] {
				continue
			}
			seen[name] = true
			list = append(list, tableFile{name, int64(level[i].Size)})
			total += int64(level[i].Size)
		}
	}
	return list, total, nil
}

// replaced reports whether the engine needs a file no more.
func (s *Store) replaced(t tableFile) (bool, error) {
	now, _, err := s.tables()
	if err != nil {
		return false, err
	}
	for _, other := range now {
		if other.name == t.name {
			return false, nil
		}
	}
	return true, nil
}

// verifyTable reads one table.
func (s *Store) verifyTable(ctx context.Context, name string) error {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, "pebble", name))
	if oserror.IsNotExist(err) {
		return fmt.Errorf("it is missing")
	}
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return err
	}
	o := &pebble.Options{}
	o.EnsureDefaults()
	r, err := sstable.NewReader(ctx, readable, o.MakeReaderOptions())
	if err != nil {
		_ = readable.Close()
		return err
	}
	err = r.ValidateBlockChecksums()
	if closed := r.Close(); err == nil {
		err = closed
	}
	return err
}

// verifyMarks compares the two tables of marks, at one moment. A body whose
// second mark is missing would be swept away under the account that has it.
func (s *Store) verifyMarks(ctx context.Context, r pebble.Reader, report func(text string)) error {
	err := s.compareMarks(ctx, r, tableMark, tableBearer, func(id bodyID, account mail.AccountID) {
		report(fmt.Sprintf("body %s bears the mark of account %d in one of two tables only, and may be swept away though it is needed", s.ref(id), account))
	})
	if err != nil {
		return err
	}
	return s.compareMarks(ctx, r, tableBearer, tableMark, func(id bodyID, account mail.AccountID) {
		report(fmt.Sprintf("body %s bears the mark of account %d in one of two tables only, and is never swept away", s.ref(id), account))
	})
}

// countBodies goes through bodies and their bearers side by side.
func (s *Store) countBodies(ctx context.Context, r pebble.Reader, v *store.Verified) error {
	return s.scan(r, []byte{tableBearer}, func(bearers *pebble.Iterator) error {
		more := bearers.First()
		return s.scan(r, []byte{tableBody}, func(it *pebble.Iterator) error {
			for ok := it.First(); ok; ok = it.Next() {
				id, okKey := number(it.Key(), 0)
				m, okValue := decodeBodyMeta(it.Value())
				if !okKey || !okValue {
					return corrupt("a body's entry", it.Key())
				}
				v.Bodies++
				var bearer uint64
				for ; more; more = bearers.Next() {
					if bearer, _ = number(bearers.Key(), 0); bearer >= id {
						break
					}
				}
				if (!more || bearer != id) && !s.leases.running(bodyID(id)) {
					v.Unclaimed.Bodies++
					v.Unclaimed.Bytes += m.size
				}
				if err := ctx.Err(); err != nil {
					return mail.Wrap(err, mail.Canceled, "given up")
				}
			}
			return s.fault(bearers.Error())
		})
	})
}

// compareMarks looks for each mark of one table in the other.
func (s *Store) compareMarks(ctx context.Context, r pebble.Reader, from, in byte, missing func(bodyID, mail.AccountID)) error {
	return s.scan(r, []byte{from}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			first, ok1 := number(it.Key(), 0)
			second, ok2 := number(it.Key(), 1)
			if !ok1 || !ok2 {
				return corrupt("a mark", it.Key())
			}
			if _, there, err := s.getFrom(r, key(in, second, first)); err != nil {
				return err
			} else if !there && from == tableMark {
				missing(bodyID(second), mail.AccountID(first))
			} else if !there {
				missing(bodyID(first), mail.AccountID(second))
			}
			if err := ctx.Err(); err != nil {
				return mail.Wrap(err, mail.Canceled, "given up")
			}
		}
		return nil
	})
}
