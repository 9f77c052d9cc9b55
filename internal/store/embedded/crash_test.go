package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
)

// crashed is the disk as a power cut left it, and what was acknowledged before.
type crashed struct {
	fs   *vfs.MemFS
	told *acks
	what string
}

// powerCut takes the power away: of what was not synced, some percent survives, block
// by block and entry by entry.
func powerCut(fs *vfs.MemFS, told *acks, percent int, seed int64) crashed {
	before := told.copyOf() // what is acknowledged now is synced now
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(seed), 1))})
	return crashed{clone, before, fmt.Sprintf("seed %d, %d%% of unsynced data survive", seed, percent)}
}

// TestPowerCut cuts the power at random moments of a busy store, body files,
// flushes and compactions included, and looks at what each cut has left. A store
// that went through one cut goes through the next.
func TestPowerCut(t *testing.T) {
	rounds, cuts := 4, 6
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		fs, told := vfs.NewCrashableMem(), newAcks()
		for life := range 3 {
			seed := int64(round*100 + life*10)
			list := liveAndCut(t, fs, told, cuts, seed)
			for _, c := range list {
				s, err := Open("data", small(c.fs))
				if err != nil {
					t.Fatalf("%s: %v", c.what, err)
				}
				if err := verify(t.Context(), s, c.told); err != nil {
					t.Fatalf("%s: %v", c.what, err)
				}
				must(t, s.Close())
			}
			fs, told = list[len(list)-1].fs, list[len(list)-1].told
		}
	}
}

// liveAndCut opens the store, works on it and cuts the power several times.
func liveAndCut(t *testing.T, fs *vfs.MemFS, told *acks, cuts int, seed int64) []crashed {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	// MemFS.ReuseForWrite locks the clone lock twice over, and stands still when
	// CrashClone comes in between.
	o := small(noReuse{fs})
	o.MemTable = 256 << 10 // flushes and log rotations are frequent
	o.tune = func(p *pebble.Options) { p.MaxManifestFileSize = 1 << 10 }
	s, err := Open("data", o)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	enough := make(chan struct{}, 1<<16)
	var workers sync.WaitGroup
	for id := mail.AccountID(1); id <= 6; id++ {
		workers.Go(func() {
			err := deliver(ctx, s, id, 1<<30, func(n mail.ModSeq, ref mail.BodyRef) {
				told.mu.Lock()
				told.head[id] = n
				told.refs[ref] = true
				told.mu.Unlock()
				select {
				case enough <- struct{}{}:
				default: // nobody counts that far
				}
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				stop()
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
	var list []crashed
	for i := range cuts {
		for range 1 + rng.IntN(60) {
			select {
			case <-enough:
			case <-ctx.Done():
				t.Fatal("the workers gave up")
			}
		}
		list = append(list, powerCut(fs, told, []int{0, 30, 70, 100, rng.IntN(101), rng.IntN(101)}[i%6], seed+int64(i)))
	}
	stop()
	workers.Wait()
	if err := s.Close(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return list
}

// markerFS calls made each time a marker file was created and nothing was synced
// since: the moment of cockroachdb/pebble#5825.
type markerFS struct {
	vfs.FS
	made func()
}

func (fs markerFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err == nil && strings.HasPrefix(fs.PathBase(name), "marker.") {
		fs.made()
	}
	return f, err
}

func (fs markerFS) Unwrap() vfs.FS { return fs.FS }

// TestManifestBeforeMarker cuts the power right after each marker file was made.
// With durableFS every store opens; the same moments without it leave some that
// do not, or the test would prove nothing.
func TestManifestBeforeMarker(t *testing.T) {
	broken := func(wrap func(vfs.FS) vfs.FS) (clones, failed int) {
		mem := vfs.NewCrashableMem()
		var list []*vfs.MemFS
		fs := markerFS{mem, func() {
			for seed := range int64(8) {
				list = append(list, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(seed), 1))}))
			}
		}}
		quiet := engineLog{&Store{o: Options{}.withDefaults()}}
		must(t, mem.MkdirAll("db", 0o700))
		db, err := pebble.Open("db", &pebble.Options{FS: wrap(fs), Logger: quiet, MaxManifestFileSize: 1, FormatMajorVersion: pebble.FormatTableFormatV6})
		must(t, err)
		for i := range 6 {
			must(t, db.Set(fmt.Append(nil, i), []byte("value"), pebble.Sync))
			must(t, db.Flush())
		}
		must(t, db.Close())
		for _, clone := range list {
			db, err := pebble.Open("db", &pebble.Options{FS: clone, Logger: quiet, FormatMajorVersion: pebble.FormatTableFormatV6})
			if err != nil {
				failed++
				continue
			}
			must(t, db.Close())
		}
		return len(list), failed
	}
	clones, failed := broken(func(fs vfs.FS) vfs.FS { return &durableFS{FS: fs} })
	if clones < 20 || failed > 0 {
		t.Errorf("of %d power cuts, %d left a store that does not open", clones, failed)
	}
	clones, failed = broken(func(fs vfs.FS) vfs.FS { return fs })
	if failed == 0 {
		t.Errorf("of %d power cuts without durableFS, none left a broken store: pebble no longer needs it", clones)
	}
}

// TestCrashWhileMaking cuts the power while a store is made.
func TestCrashWhileMaking(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var list []*vfs.MemFS
	fs := everyFS{mem, func() {
		n := int64(len(list))
		list = append(list, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(n*37) % 101, RNG: rand.New(rand.NewPCG(uint64(n), 1))}))
	}}
	s, err := Open("data", small(fs))
	must(t, err)
	must(t, s.Close())
	if len(list) < 10 {
		t.Fatalf("only %d moments seen", len(list))
	}
	for i, clone := range list {
		s, err := Open("data", small(clone))
		if err != nil {
			t.Fatalf("cut %d of %d: %v", i, len(list), err)
		}
		must(t, verify(t.Context(), s, newAcks()))
		must(t, s.Close())
	}
}

// everyFS calls done after everything that changes a directory.
type everyFS struct {
	vfs.FS
	done func()
}

func (fs everyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	defer fs.done()
	return fs.FS.Create(name, category)
}

func (fs everyFS) Rename(from, to string) error {
	defer fs.done()
	return fs.FS.Rename(from, to)
}

func (fs everyFS) MkdirAll(dir string, perm os.FileMode) error {
	defer fs.done()
	return fs.FS.MkdirAll(dir, perm)
}

func (fs everyFS) Remove(name string) error {
	defer fs.done()
	return fs.FS.Remove(name)
}

func (fs everyFS) Unwrap() vfs.FS { return fs.FS }
