package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
	"postern/internal/store"
)

// Options are what can be set. The zero value is good for a small server.
type Options struct {
	// MemTable is the room for what is not yet in tables, in octets; up to four
	// are held for a moment. The log on disk takes about three times as much.
	MemTable uint64 // default 16 MiB

	// Cache is the room for blocks of tables, in octets.
	Cache int64 // default 64 MiB

	// Reserve is the free space on the disk below which nothing is stored any
	// more, in octets. Below a quarter of it, nothing is written at all.
	Reserve int64 // default 256 MiB; below 0: none

	// Ballast is the size of the file that is given up when the disk is full all
	// the same, so that mail can be deleted.
	Ballast int64 // default 32 MiB; below 0: none

	// LeaseTime is how long a body stays under its lease at least.
	LeaseTime time.Duration // default 1 hour

	// SweepEvery is the time between sweeps in the background.
	SweepEvery time.Duration // default 1 minute; below 0: only when told to

	// ReadOnly opens a store that is there and changes no file.
	ReadOnly bool

	// Log receives what the engine has to say: its errors and slow disks as
	// warnings and errors, its work as debug records.
	Log *slog.Logger // default: discarded

	// Fatal ends the process when the engine cannot go on. It must not return;
	// if it does, in a test, the store takes no more writes.
	Fatal func(message string) // default: to standard error, then exit status 74 (EX_IOERR)

	// FS is the file system, Now the clock.
	FS  vfs.FS           // default: the operating system's
	Now func() time.Time // default: time.Now

	// tune changes pebble's options, for tests that want its rare moments often.
	tune func(*pebble.Options)
}

func (o Options) withDefaults() Options {
	o.MemTable = cmp.Or(o.MemTable, 16<<20)
	o.Cache = cmp.Or(o.Cache, 64<<20)
	o.Reserve = max(0, cmp.Or(o.Reserve, 256<<20))
	o.Ballast = max(0, cmp.Or(o.Ballast, 32<<20))
	o.LeaseTime = cmp.Or(o.LeaseTime, time.Hour)
	o.SweepEvery = cmp.Or(o.SweepEvery, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = exit
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store is a store in one directory. It implements store.Store and
// store.Backuper.
type Store struct {
	o     Options
	fs    vfs.FS
	dir   string
	db    *pebble.DB
	cache *pebble.Cache
	watch io.Closer // of the disk's speed
	log   *logFS    // what the engine is opened through
	lock  io.Closer
	gate  gate
	birth [8]byte

	failed   atomic.Bool // the engine called Fatalf and Fatal returned
	disk     *disk
	heads    heads
	ids      *numbers // names of bodies
	versions *numbers
	leases   *leases
	pins     pins
	bodyDirs bodyDirs
	sweeping sync.Mutex // one sweep at a time
	unlinks  sync.Mutex // held while files are removed, and while a backup needs them
	names    sync.Mutex // one change to the directory at a time
	watchers watchers
	shelf    [64]sync.Mutex // one change to a key at a time, by the key's hash

	grew       chan struct{} // never sent to: nobody else commits
	background sync.WaitGroup
	stop       context.CancelFunc
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Backuper = (*Store)(nil)
	_ store.Verifier = (*Store)(nil)
)

// Open opens the store in dir, or makes one there if dir is empty or missing. It
// gives a *LockedError while another process has it open, and a *FormatError if
// it was written by a release this one does not understand.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{o: o, dir: dir, fs: &durableFS{FS: o.FS}, grew: make(chan struct{}, 1)}
	s.gate.idle.L = &s.gate.mu
	open := s.open
	if o.ReadOnly {
		open = s.openReadOnly
	}
	if err := open(); err != nil {
		s.release()
		return nil, fmt.Errorf("open the store in %s: %w", dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.o.SweepEvery > 0 {
		s.background.Go(func() { s.sweepAlways(ctx) })
	}
	return s, nil
}

func (s *Store) open() error {
	if err := makeDir(s.fs, s.dir); err != nil {
		return err
	}
	var err error
	if s.lock, err = lockDir(s.fs, s.dir); err != nil {
		return err
	}
	state, err := readFormat(s.fs, s.dir)
	if err != nil {
		return err
	}
	s.disk = newDisk(s.fs, s.dir, s.o)
	// From here on a write that meets the end of the disk is made once more after
	// the ballast was given up. The ballast itself is made and removed beneath.
	s.fs = vfs.OnDiskFull(s.fs, s.disk.surprised)
	s.disk.makeRoom() // opening writes a log and a manifest
	if state == formatNone {
		if err := writeFormat(s.fs, s.dir, formatBegun); err != nil {
			return err
		}
	}
	if state != formatComplete {
		if err := makeDir(s.fs, s.fs.PathJoin(s.dir, "pebble")); err != nil {
			return err
		}
	}
	if err := s.openPebble(state == formatComplete); err != nil {
		return err
	}
	if err := s.load(state != formatComplete); err != nil {
		return err
	}
	if state != formatComplete {
		if err := writeFormat(s.fs, s.dir, formatComplete); err != nil {
			return err
		}
	}
	if err := s.removeOrphans(); err != nil {
		return err
	}
	s.disk.upkeep()
	return nil
}

// slowDisk is how long one operation on the disk may take before it is logged.
const slowDisk = 5 * time.Second

func (s *Store) openPebble(mustExist bool) error {
	s.cache = pebble.NewCache(s.o.Cache)
	logger := engineLog{s}
	fs := s.fs
	if vfs.Root(fs) == vfs.Default {
		var watch io.Closer
		fs, watch = vfs.WithDiskHealthChecks(fs, slowDisk, nil, func(i vfs.DiskSlowInfo) {
			s.o.Log.Warn("storage engine: the disk is slow", "file", i.Path, "operation", i.OpType.String(), "took", i.Duration)
		})
		s.watch = watch
	}
	s.log = &logFS{FS: fs, failed: logger.Fatalf}
	opts := &pebble.Options{
		FS:    s.log,
		Cache: s.cache,
		// The newest format without value separation, which is marked
		// experimental. Without a setting pebble takes the oldest.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		ErrorIfNotExists:            mustExist,
		ReadOnly:                    s.o.ReadOnly,
		MemTableSize:                s.o.MemTable,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                512,
		// With pebble's 64 MB, a store beyond that writes every body once more:
		// docs/performance.md has the figures.
		LBaseMaxBytes: 256 << 20,
		Logger:        logger,
		// Sessions and compactions share the processors.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		EventListener:              logger.events(),
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	if s.o.tune != nil {
		s.o.tune(opts)
	}
	db, err := pebble.Open(s.fs.PathJoin(s.dir, "pebble"), opts)
	if err != nil {
		return s.fault(err)
	}
	s.db = db
	s.log.watch.Store(true)
	return nil
}

// load reads what is kept in memory, or writes it into a new store.
func (s *Store) load(fresh bool) error {
	birth, ok, err := s.get(keyBirth)
	if err != nil {
		return err
	}
	if !ok && !fresh {
		return mail.Errorf(mail.Corrupt, "the store has lost its name: the engine's files are damaged or incomplete")
	}
	if !ok {
		birth = make([]byte, 8)
		rand.Read(birth)
		if err := s.db.Set(keyBirth, birth, pebble.Sync); err != nil {
			return s.fault(err)
		}
	}
	if copy(s.birth[:], birth) != 8 {
		return mail.Errorf(mail.Corrupt, "the store's name has %d octets", len(birth))
	}
	if s.ids, err = loadNumbers(s, keyBodies); err != nil {
		return err
	}
	if s.versions, err = loadNumbers(s, keyVersions); err != nil {
		return err
	}
	s.leases = newLeases(s.o.LeaseTime, s.o.Now, s.ids.next)
	s.heads.of = map[mail.AccountID]*head{}
	s.pins.init()
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	s.stop()
	s.background.Wait()
	return s.release()
}

// release lets go of everything open, in the reverse order of open.
func (s *Store) release() error {
	var err error
	if s.db != nil && !s.failed.Load() {
		s.log.watch.Store(false)
		err = s.db.Close()
	}
	if s.cache != nil {
		s.cache.Unref()
	}
	if s.watch != nil {
		err = errors.Join(err, s.watch.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// gate counts the calls under way, so that Close can wait for them.
type gate struct {
	mu     sync.Mutex
	idle   sync.Cond // calls is 0 and closed is set
	calls  int
	closed bool
}

// enter begins a call; exit must follow unless it gives an error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return mail.Wrap(err, mail.Canceled, "given up")
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.closed {
		return mail.Errorf(mail.Unavailable, "the store is closed")
	}
	s.gate.calls++
	return nil
}

func (s *Store) exit() {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.calls--; s.gate.calls == 0 && s.gate.closed {
		s.gate.idle.Broadcast()
	}
}

// close shuts the gate and waits. It reports false if it was shut before.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.closed = true
	for g.calls > 0 {
		g.idle.Wait()
	}
	return true
}

// get reads one value, with ok false where there is none.
func (s *Store) get(key []byte) (value []byte, ok bool, err error) {
	return s.getFrom(s.db, key)
}

func (s *Store) getFrom(r pebble.Reader, key []byte) (value []byte, ok bool, err error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.fault(err)
	}
	value = append([]byte{}, v...)
	if err := closer.Close(); err != nil {
		return nil, false, s.fault(err)
	}
	return value, true, nil
}

// has reports whether there is a value.
func (s *Store) has(key []byte) (bool, error) {
	_, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, s.fault(err)
	}
	return true, s.fault(closer.Close())
}

// fault gives an error of the engine or the file system its kind. It gives nil
// for nil, and leaves an error that has a kind alone.
func (s *Store) fault(err error) error {
	var known *mail.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case pebble.IsCorruptionError(err):
		return mail.Wrap(err, mail.Corrupt, "stored data is damaged")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return mail.Wrap(err, mail.NoSpace, "the disk is full")
	}
	return mail.Wrap(err, mail.Unavailable, "storage does not work")
}

// corrupt is the error of a value that does not decode.
func corrupt(what string, key []byte) error {
	return mail.Errorf(mail.Corrupt, "%s is damaged (key %x)", what, key)
}
