package cluster

import (
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// patience bounds waits for another node; nothing is measured by it.
const patience = 30 * time.Second

func awaitSignal(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("no signal: %s", what)
	}
}

// quiet waits until a node listens, and gives an account's channel with no signal in it.
func quiet(t testing.TB, s *Store, id mail.AccountID) <-chan struct{} {
	t.Helper()
	awaitListening(t, s)
	ch := s.Account(id).Grew()
	select {
	case <-ch:
	default:
	}
	return ch
}

// awaitListening waits until the database sends a node what is told.
func awaitListening(t testing.TB, s *Store) {
	t.Helper()
	changed, stop := s.Directory().Watch()
	defer stop()
	for began := time.Now(); time.Since(began) < patience; {
		_, err := s.db.Exec(t.Context(), `SELECT pg_notify($1, 'somebody d')`, s.wake.channel)
		must(t, err)
		select {
		case <-changed: // by the word, or by the new listener itself: then it listens
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("the node does not listen")
}

// TestWake has one node commit and change the directory, and the other told.
func TestWake(t *testing.T) {
	o := small(t)
	one, two := openStore(t, o), openStore(t, o)
	ctx := t.Context()
	grewOne, grewTwo := quiet(t, one, 7), quiet(t, two, 7)
	must(t, one.Account(7).Commit(ctx, 0, store.Entry{Last: 3, Record: []byte("three")}))
	awaitSignal(t, "the other node's account", grewTwo)
	n := 0
	for r, err := range two.Account(7).Since(ctx, 0) {
		must(t, err)
		if n++; r.Last != 3 || string(r.Data) != "three" {
			t.Errorf("the other node reads %+v", r)
		}
	}
	if err := two.Account(7).Commit(ctx, 0, store.Entry{Last: 1}); err != store.ErrStale || n != 1 {
		t.Errorf("%d records; committing after 0 gave %v", n, err)
	}
	must(t, two.Account(7).Commit(ctx, 3, store.Entry{Last: 4}))
	awaitSignal(t, "the first node's account", grewOne)
	select {
	case <-grewTwo:
		t.Error("a node was told of what it did itself")
	default:
	}
	changed, stop := two.Directory().Watch()
	defer stop()
	_, err := one.Directory().Create(ctx, store.Identity{Name: "user@example.org"}, time.Now())
	must(t, err)
	awaitSignal(t, "the other node's directory", changed)
}

// TestPoll has a node that told nobody: what it did is found by looking, again and
// again until it was read, and then no more.
func TestPoll(t *testing.T) {
	o := small(t)
	s := openStore(t, o)
	ctx := t.Context()
	must(t, s.Account(7).Commit(ctx, 0, store.Entry{Last: 1}))
	grew := quiet(t, s, 7)
	must(t, s.wake.poll(ctx))
	_, err := s.db.Exec(ctx, `INSERT INTO log VALUES (7, 2, 5, 'somebody', 'data')`)
	must(t, err)
	_, err = s.db.Exec(ctx, `UPDATE directory SET changes = changes + 1`)
	must(t, err)
	changed, stop := s.Directory().Watch()
	defer stop()
	// Who only looks where the log ends has not read it.
	_, err = s.Account(7).Head(ctx)
	must(t, err)
	for range 2 {
		must(t, s.wake.poll(ctx))
		awaitSignal(t, "what was found by looking", grew)
	}
	awaitSignal(t, "the directory", changed)
	for _, err := range s.Account(7).Since(ctx, 1) {
		must(t, err)
	}
	must(t, s.wake.poll(ctx))
	select {
	case <-grew:
		t.Error("what was read is found again")
	case <-changed:
		t.Error("the directory changed once")
	default:
	}
}

// TestMessages cuts what is to be told into messages that PostgreSQL takes.
func TestMessages(t *testing.T) {
	s := &Store{}
	w := newWake(s, nil, "test")
	for id := mail.AccountID(1); id <= 1000; id++ {
		w.committed(id<<40, mail.ModSeq(id)<<30)
	}
	w.directoryChanged()
	list, again := w.messages()
	if len(list) < 2 {
		t.Errorf("%d messages for a thousand accounts", len(list))
	}
	hearer := newWake(s, nil, "test")
	s.wake = hearer
	heard := map[mail.AccountID]<-chan struct{}{}
	for id := mail.AccountID(1); id <= 1000; id++ {
		heard[id] = account{s, id << 40}.Grew()
	}
	changed := make(chan struct{}, 1)
	hearer.watchers.of = map[chan struct{}]bool{changed: true}
	for _, m := range list {
		if len(m) >= 8000 {
			t.Errorf("a message has %d octets", len(m))
		}
		hearer.hear(m)
	}
	for id, ch := range heard {
		select {
		case <-ch:
		default:
			t.Fatalf("account %d was not told of", id)
		}
	}
	if len(changed) != 1 {
		t.Error("the directory was not told of")
	}
	if more, _ := w.messages(); more != nil {
		t.Error("it is told twice")
	}
	again()
	if more, _ := w.messages(); len(more) != len(list) {
		t.Errorf("%d messages the second time, not %d", len(more), len(list))
	}
}
