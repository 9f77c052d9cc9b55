package embedded

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
	"postern/internal/store"
)

// TestBackupWhileRunning backs up a store at work, several times, while bodies
// are swept, and checks each copy as if it came out of a crash.
func TestBackupWhileRunning(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, filepath.Join(root, "data"), small(nil))
	told := newAcks()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var workers sync.WaitGroup
	progress := make(chan struct{}, 1<<16)
	for id := mail.AccountID(1); id <= 4; id++ {
		workers.Go(func() {
			err := deliver(ctx, s, id, 1<<30, func(n mail.ModSeq, ref mail.BodyRef) {
				told.mu.Lock()
				told.head[id] = n
				told.refs[ref] = true
				told.mu.Unlock()
				select {
				case progress <- struct{}{}:
				default: // nobody counts that far
				}
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	workers.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Bodies().Sweep(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for i := range 3 {
		for range 60 {
			<-progress
		}
		before := told.copyOf()
		dir := filepath.Join(root, "backup", string(rune('a'+i)))
		var last, total int64
		must(t, s.Backup(t.Context(), dir, func(done, all int64) {
			if done < last || done > all {
				t.Errorf("progress %d of %d after %d", done, all, last)
			}
			last, total = done, all
		}))
		if last != total || total == 0 {
			t.Errorf("progress ended at %d of %d", last, total)
		}
		copied, err := Open(dir, small(nil))
		must(t, err)
		before.refs = map[mail.BodyRef]bool{} // names may come again in a copy: it is another store's life
		if err := verify(t.Context(), copied, before); err != nil {
			t.Errorf("backup %d: %v", i, err)
		}
		must(t, copied.Close())
	}
	stop()
	workers.Wait()
	must(t, verify(t.Context(), s, told))
}

func TestBackupRefusals(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, filepath.Join(root, "data"), small(nil))
	appendTo(t, s, 1, store.Entry{Take: []mail.BodyRef{put(t, s, noise(1, 400<<10))}})
	taken := filepath.Join(root, "taken")
	must(t, os.MkdirAll(filepath.Join(taken, "something"), 0o700))
	if err := s.Backup(t.Context(), taken, nil); mail.KindOf(err) != mail.AlreadyExists {
		t.Errorf("backing up over something gave %v", err)
	}
	// One that was interrupted does not open: it may lack bodies.
	ctx, cancel := context.WithCancel(t.Context())
	half := filepath.Join(root, "half")
	err := s.Backup(ctx, half, func(int64, int64) { cancel() })
	if mail.KindOf(err) != mail.Canceled {
		t.Errorf("an interrupted backup gave %v", err)
	}
	var format *FormatError
	if _, err := Open(half, small(nil)); !errors.As(err, &format) {
		t.Errorf("an interrupted backup opens: %v", err)
	}
}

// TestBackupDurable cuts the power when the backup has returned.
func TestBackupDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openStore(t, "data", small(fs))
	want := noise(1, 400<<10)
	ref := put(t, s, want)
	appendTo(t, s, 1, store.Entry{Take: []mail.BodyRef{ref}})
	must(t, s.Backup(t.Context(), "backup", nil))
	copied := openStore(t, "backup", small(fs.CrashClone(vfs.CrashCloneCfg{})))
	got, err := readBody(t.Context(), copied, ref)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("other octets came back")
	}
}
