package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/mail"
	"postern/internal/store"
)

// Options are what can be set. Only URL must be.
type Options struct {
	// URL names the database, postgres://..., with pgx's parameters. It holds no
	// password: passfile=/path names a file as libpq's .pgpass.
	URL string

	// Bucket is where bodies go. Nil: into the database.
	Bucket *Bucket

	// Connections is how many the pool has at most; two more are used to wake
	// other nodes and to be woken.
	Connections int // default: 4 for each processor, at least 8

	// Patience is how long one question to the database, with all that is tried
	// again, may take before the answer is mail.Unavailable.
	Patience time.Duration // default 10 seconds

	// Cache is the room for octets of bodies read lately, in octets.
	Cache int64 // default 64 MiB; below 0: none

	// Spool is the directory for larger bodies on their way in.
	Spool string // default: os.TempDir

	// LeaseTime is how long a body stays under its lease.
	LeaseTime time.Duration // default 1 hour

	// SweepEvery is the time between sweeps in the background, PollEvery between
	// looks for what another node committed and could not tell.
	SweepEvery time.Duration // default 1 minute; below 0: only when told to
	PollEvery  time.Duration // default 5 seconds; below 0: never

	Log *slog.Logger // default: discarded
}

func (o Options) withDefaults() Options {
	o.Connections = cmp.Or(o.Connections, max(8, 4*runtime.NumCPU()))
	o.Patience = cmp.Or(o.Patience, 10*time.Second)
	o.Cache = max(0, cmp.Or(o.Cache, 64<<20))
	o.LeaseTime = cmp.Or(o.LeaseTime, time.Hour)
	o.SweepEvery = cmp.Or(o.SweepEvery, time.Minute)
	o.PollEvery = cmp.Or(o.PollEvery, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// connectTimeout is how long one try to connect may take: a dead host must not
// use up the patience of a question that another host could answer.
const connectTimeout = 4 * time.Second

// connection reads the URL and adds what a node insists on.
func (o Options) connection() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// pgx blanks the password in its error.
		return nil, fmt.Errorf("the database's URL: %w", err)
	}
	config.MaxConns = int32(min(o.Connections, 10000))
	config.MaxConnLifetimeJitter = 5 * time.Minute
	config.ConnConfig.ConnectTimeout = connectTimeout
	// What decides anything is asked of the primary.
	config.ConnConfig.ValidateConnect = validatePrimary
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	config.ConnConfig.RuntimeParams["application_name"] = cmp.Or(config.ConnConfig.RuntimeParams["application_name"], "postern")
	// A node that vanished must not keep its locks for long.
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	config.ConnConfig.RuntimeParams["client_min_messages"] = "warning"
	return config, nil
}

// Store is a store in a database. It implements store.Store.
type Store struct {
	o       Options
	db      *pgxpool.Pool
	gate    gate
	places  [2]place // by the number in bodies.place; nil where there is none
	puts    int      // where Put stores
	cache   *cache
	wake    *wake
	sweeper sync.Mutex // one sweep at a time on this node

	background sync.WaitGroup
	stop       context.CancelFunc
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the database that o names. It gives a *SchemaError if
// its tables are not what this release works with; it changes none.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{o: o, cache: newCache(o.Cache)}
	s.gate.idle.L = &s.gate.mu
	if err := s.open(ctx); err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, fmt.Errorf("open the store in the database: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	config, err := s.o.connection()
	if err != nil {
		return err
	}
	if s.db, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, s.o.Patience)
	defer cancel()
	if err := checkServer(asking, s.db); err != nil {
		return err
	}
	version, name, err := readSchema(asking, s.db)
	if err != nil {
		return err
	}
	if version != schemaVersion {
		return &SchemaError{Found: version}
	}
	var standbys string
	if err := s.db.QueryRow(asking, `SELECT current_setting('synchronous_standby_names')`).Scan(&standbys); err != nil {
		return err
	}
	if standbys == "" {
		s.o.Log.Warn("the database names no synchronous standby: mail that was acknowledged is lost with its disk; set synchronous_standby_names once there is a standby")
	}
	s.places[inDatabase] = databasePlace{s}
	if s.o.Bucket != nil {
		bucket, err := s.o.Bucket.open(asking)
		if err != nil {
			return err
		}
		bucket.s, s.places[inBucket] = s, bucket
		s.puts = inBucket
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wake = newWake(s, config.ConnConfig, name)
	s.background.Go(func() { s.wake.send(background) })
	s.background.Go(func() { s.wake.listen(background) })
	if s.o.PollEvery > 0 {
		s.background.Go(func() { s.wake.pollAlways(background) })
	}
	if s.o.SweepEvery > 0 {
		s.background.Go(func() { s.sweepAlways(background) })
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	s.wake.flush()
	s.stop()
	s.background.Wait()
	s.db.Close()
	return nil
}

// gate counts the calls under way and lets no more in once it is closed.
type gate struct {
	mu     sync.Mutex
	idle   sync.Cond
	calls  int
	closed bool
}

var errClosed = mail.Errorf(mail.Unavailable, "the store is closed")

// enter begins a call; exit must follow unless it gives an error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return mail.Wrap(err, mail.Canceled, "given up")
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.closed {
		return errClosed
	}
	s.gate.calls++
	return nil
}

func (s *Store) exit() {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.calls--; s.gate.calls == 0 {
		s.gate.idle.Broadcast()
	}
}

// close closes the gate, waits for the calls under way, and reports whether this
// call was the one that closed it.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	for g.calls > 0 {
		g.idle.Wait()
	}
	return first
}

// randomName gives 16 octets nobody has had before.
func randomName() []byte {
	name := make([]byte, 16)
	_, _ = rand.Read(name) // never fails
	return name
}

// errNoBucket is for a body that lies in a bucket this node was not told of.
var errNoBucket = errors.New("the body is in a bucket and none is configured")
