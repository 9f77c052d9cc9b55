package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// cutter is a way to the database that can be cut: at once, or so that what is asked
// arrives and what is answered does not.
type cutter struct {
	to       string
	listener net.Listener
	deaf     atomic.Bool // answers are held back

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newCutter(t testing.TB, to string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{to: to, listener: listener, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.hold(near, far)
			wg.Go(func() { c.pass(far, near, nil); c.drop(near, far) })
			wg.Go(func() { c.pass(near, far, &c.deaf); c.drop(near, far) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		c.cut()
		wg.Wait()
	})
	return c
}

func (c *cutter) hold(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = true
	}
}

func (c *cutter) drop(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
		delete(c.conns, conn)
	}
}

// pass copies what comes from one side to the other, up to where it was deaf: what
// follows a gap is never heard.
func (c *cutter) pass(to, from net.Conn, deaf *atomic.Bool) {
	p := make([]byte, 32<<10)
	lost := false
	for {
		n, err := from.Read(p)
		lost = lost || deaf != nil && deaf.Load()
		if n > 0 && !lost {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends every connection.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
		delete(c.conns, conn)
	}
}

// behindCutter gives the options of a node that reaches the database of o through c.
func behindCutter(t testing.TB, o Options) (Options, *cutter) {
	t.Helper()
	pg := postgres(t)
	c := newCutter(t, pg.Address())
	schema := o.URL[len(pg.URL("")):]
	o.URL = pg.URLBy(c.listener.Addr().String(), schema)
	return o, c
}

// TestUnknownOutcome has the database commit and the answer lost: the driver finds
// out that the entry is its own, and writes it once.
func TestUnknownOutcome(t *testing.T) {
	o := small(t)
	through, c := behindCutter(t, o)
	through.Patience = 5 * time.Second
	through.Connections = 1
	s, direct := openStore(t, through), openStore(t, o)
	ctx := t.Context()
	must(t, s.Account(1).Commit(ctx, 0, store.Entry{Last: 1, Record: []byte("one")}))
	// What is asked on a new connection is prepared first, and that answer would be
	// the one that is lost.
	warm := func() {
		t.Helper()
		head, err := s.Account(2).Head(ctx)
		must(t, err)
		must(t, s.Account(2).Commit(ctx, head, store.Entry{Last: head + 1}))
		must(t, s.Account(2).Commit(ctx, head+1, store.Entry{Last: head + 2, Drop: []mail.MessageID{1}}))
	}
	warm()
	ref := put(t, s, []byte("body"))
	c.deaf.Store(true)
	done := make(chan error, 1)
	go func() {
		done <- s.Account(1).Commit(ctx, 1, store.Entry{Last: 2, Record: []byte("two"), Take: []mail.BodyRef{ref}})
	}()
	awaitHead(t, direct, 2) // it is there, and nobody has told
	c.deaf.Store(false)
	c.cut()
	if err := <-done; err != nil {
		t.Errorf("a commit whose answer was lost gave %v", err)
	}
	wantRecords(t, direct, "one", "two")

	// The same, and another node goes on before the driver asks again: the entry
	// is still its own.
	warm()
	c.deaf.Store(true)
	go func() { done <- s.Account(1).Commit(ctx, 2, store.Entry{Last: 3, Record: []byte("three")}) }()
	awaitHead(t, direct, 3)
	must(t, direct.Account(1).Commit(ctx, 3, store.Entry{Last: 4, Record: []byte("four")}))
	c.deaf.Store(false)
	c.cut()
	if err := <-done; err != nil {
		t.Errorf("a commit that another followed gave %v", err)
	}
	wantRecords(t, direct, "one", "two", "three", "four")

	// The same, and it is forgotten meanwhile: nobody can say any more.
	warm()
	c.deaf.Store(true)
	go func() { done <- s.Account(1).Commit(ctx, 4, store.Entry{Last: 5, Record: []byte("five")}) }()
	awaitHead(t, direct, 5)
	must(t, direct.Account(1).Save(ctx, store.Save{Scopes: []store.ScopeSave{{Now: 5}}, Forget: 5}))
	c.deaf.Store(false)
	c.cut()
	if err := <-done; !errors.Is(err, store.ErrUnknown) {
		t.Errorf("a commit that was forgotten at once gave %v", err)
	}
	// And whoever is behind cannot append where others have forgotten.
	for after := mail.ModSeq(0); after < 5; after++ {
		if err := direct.Account(1).Commit(ctx, after, store.Entry{Last: after + 1}); !errors.Is(err, store.ErrStale) {
			t.Errorf("committing after %d gave %v", after, err)
		}
	}
	must(t, direct.Account(1).Commit(ctx, 5, store.Entry{Last: 6}))
}

func awaitHead(t testing.TB, s *Store, want mail.ModSeq) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(5 * time.Millisecond) {
		head, err := s.Account(1).Head(t.Context())
		must(t, err)
		if head == want {
			return
		}
	}
	t.Fatalf("the log does not come to %d", want)
}

func wantRecords(t testing.TB, s *Store, want ...string) {
	t.Helper()
	var got []string
	for r, err := range s.Account(1).Since(t.Context(), 0) {
		must(t, err)
		got = append(got, string(r.Data))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

// TestCutAndKilled has nodes write to the same accounts while their connections are
// cut at random moments and the database is killed and started again. Every commit
// that was acknowledged is there, none twice, in an order without gaps; what was
// refused is not there; and nobody needs to be started again.
func TestCutAndKilled(t *testing.T) {
	o := small(t)
	one, cutOne := behindCutter(t, o)
	two, cutTwo := behindCutter(t, o)
	nodes := []*Store{openStore(t, one), openStore(t, two)}
	const accounts = 3
	type fate struct{ acknowledged, unknown map[string]bool }
	fates := make([]fate, 8)
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var made atomic.Int64
	for i := range fates {
		fates[i] = fate{map[string]bool{}, map[string]bool{}}
		writers.Go(func() {
			s := nodes[i%len(nodes)]
			a := s.Account(mail.AccountID(i%accounts + 1))
			for n := 0; ctx.Err() == nil; n++ {
				head, err := a.Head(context.Background())
				if err != nil {
					continue
				}
				name := fmt.Sprintf("%d/%d", i, n)
				err = a.Commit(context.Background(), head, store.Entry{Last: head + 1, Record: []byte(name), Summaries: []store.Summary{{ID: mail.MessageID(i*1_000_000 + n), Data: []byte(name)}}})
				switch {
				case err == nil:
					fates[i].acknowledged[name] = true
					made.Add(1)
				case errors.Is(err, store.ErrUnknown):
					fates[i].unknown[name] = true
				case !errors.Is(err, store.ErrStale) && mail.KindOf(err) != mail.Unavailable:
					t.Errorf("a commit gave %v", err)
				}
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		goal := made.Load() + n
		for began := time.Now(); made.Load() < goal; time.Sleep(time.Millisecond) {
			if time.Since(began) > 2*patience {
				t.Fatal("the nodes do not resume")
			}
		}
	}
	rounds := 40
	if testing.Short() {
		rounds = 12
	}
	for range rounds {
		more(5 + rand.Int64N(20))
		c := []*cutter{cutOne, cutTwo}[rand.IntN(2)]
		c.deaf.Store(rand.IntN(2) == 0)
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) // so that commits are on their way
		c.deaf.Store(false)
		c.cut()
	}
	pg := postgres(t)
	for range 2 {
		more(20)
		pg.Kill()
		must(t, pg.Start())
	}
	more(50)
	cancel()
	writers.Wait()

	known := map[string]int{}
	for id := mail.AccountID(1); id <= accounts; id++ {
		a := nodes[0].Account(id)
		summaries := 0
		var records []string
		for r, err := range a.Since(t.Context(), 0) { // it gives an error for a gap
			must(t, err)
			known[string(r.Data)]++
			records = append(records, string(r.Data))
		}
		for _, err := range a.SummaryIDs(t.Context()) {
			must(t, err)
			summaries++
		}
		if summaries != len(records) {
			t.Errorf("account %d has %d records and %d summaries: an entry was written in part", id, len(records), summaries)
		}
	}
	for _, f := range fates {
		for name := range f.acknowledged {
			if known[name] != 1 {
				t.Errorf("the acknowledged %s is there %d times", name, known[name])
			}
			delete(known, name)
		}
		for name := range f.unknown {
			if known[name] > 1 {
				t.Errorf("the unknown %s is there %d times", name, known[name])
			}
			delete(known, name)
		}
	}
	for name := range known {
		t.Errorf("%s is there though it was refused", name)
	}
}

// TestDatabaseGone has a node without a database answer within its patience, with the
// kind that tells the client to come again, and work again when the database is back.
func TestDatabaseGone(t *testing.T) {
	o, c := behindCutter(t, small(t))
	o.Patience = time.Second
	s := openStore(t, o)
	ctx := t.Context()
	must(t, s.Account(1).Commit(ctx, 0, store.Entry{Last: 1}))
	c.deaf.Store(true) // it is there, and says nothing
	for what, ask := range map[string]func() error{
		"Head":   func() error { _, err := s.Account(1).Head(ctx); return err },
		"Load":   func() error { _, err := s.Account(1).Load(ctx, 0, 1, nil); return err },
		"Put":    func() error { _, _, err := s.Bodies().Put(ctx, io.LimitReader(zeros{}, 300<<10)); return err },
		"Find":   func() error { _, err := s.Directory().Find(ctx, "user@example.org"); return err },
		"Shelf":  func() error { _, err := s.Shelf().Get(ctx, "key"); return err },
		"Create": func() error { _, err := s.Directory().Create(ctx, store.Identity{Name: "x"}, time.Now()); return err },
	} {
		if err := ask(); mail.KindOf(err) != mail.Unavailable {
			t.Errorf("%s gave %v, want mail.Unavailable", what, err)
		}
	}
	if err := s.Account(1).Commit(ctx, 1, store.Entry{Last: 2}); !errors.Is(err, store.ErrUnknown) && mail.KindOf(err) != mail.Unavailable {
		t.Errorf("Commit gave %v", err)
	}
	c.deaf.Store(false)
	c.cut()
	head, err := s.Account(1).Head(ctx)
	must(t, err)
	must(t, s.Account(1).Commit(ctx, head, store.Entry{Last: head + 1}))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
