package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a store, a clock and a pool over them.
type world struct {
	t     testing.TB
	store store.Store
	mem   *storetest.Mem
	clock *clock
	pool  *Pool
	rules func(context.Context, mail.AccountID) (Rules, error) // of pools made from now on
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, mem: storetest.Memory(), clock: newClock()}
	w.store = w.mem
	w.mem.SetNow(w.clock.Now)
	w.pool = w.newPool(w.mem)
	t.Cleanup(func() {
		if err := w.pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
		w.check()
	})
	return w
}

func (w *world) newPool(s store.Store) *Pool {
	return NewPool(s, Options{Now: w.clock.Now, Every: -1, Rules: w.rules})
}

// check goes over the store.
func (w *world) check() {
	w.t.Helper()
	ctx := context.Background()
	err := Check(ctx, w.mem, func(p Problem) { w.t.Errorf("check: %s", p) })
	if err != nil {
		w.t.Errorf("check: %v", err)
	}
	w.mem.EndLeases()
	if _, err := w.mem.Bodies().Sweep(ctx); err != nil {
		w.t.Error(err)
	}
	marked := map[mail.BodyRef]bool{}
	for id := range w.mem.Accounts(ctx) {
		for ref := range w.mem.Account(id).Marked(ctx) {
			marked[ref] = true
		}
	}
	for ref := range w.mem.Bodies().All(ctx) {
		if !marked[ref] {
			w.t.Errorf("check: body %s belongs to nobody", ref)
		}
	}
}

// restart is what ending the process and starting it again does.
func (w *world) restart() {
	w.t.Helper()
	if err := w.pool.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.pool = w.newPool(w.store)
}

func (w *world) open() *Account { return openIn(w.t, w.pool, 7) }

func openIn(t testing.TB, p *Pool, id mail.AccountID) *Account {
	t.Helper()
	a, err := p.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) content(text string) *Content {
	w.t.Helper()
	c, err := w.pool.Keep(w.t.Context(), strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func newReader(text string) io.Reader { return strings.NewReader(text) }

func mailText(n int) string {
	return fmt.Sprintf("From: a@example.org\r\nSubject: message %d\r\nMessage-ID: <%d@example.org>\r\n\r\nbody %d\r\n", n, n, n)
}

// add appends a message and gives its UID.
func (w *world) add(m *Mailbox, n int, flags mail.Flags) mail.UID {
	w.t.Helper()
	done, err := m.Append(w.t.Context(), []NewMessage{{
		Content: w.content(mailText(n)), Flags: flags, Date: mail.NewInternalDate(w.clock.Now()),
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return done.UIDs.Min()
}

func box(t testing.TB, a *Account, name string) *Mailbox {
	t.Helper()
	m, err := a.Mailbox(name, mail.RightRead)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

func sel(t testing.TB, m *Mailbox) *Selection {
	t.Helper()
	s, err := m.Select(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func set(uids ...mail.UID) mail.UIDSet { return mail.NewUIDSet(uids...) }

func span(first, last mail.UID) mail.UIDSet { return mail.UIDSet{{First: first, Last: last}} }

// wantKind fails unless err is of that kind.
func wantKind(t testing.TB, err error, kind mail.Kind) {
	t.Helper()
	if err == nil || mail.KindOf(err) != kind {
		t.Errorf("got error %v, want one of kind %q", err, kind)
	}
}

// flagsOf gives what Rows says of a message's flags.
func flagsOf(s *Selection, uid mail.UID) string {
	rows, _ := s.Rows(make([]Row, 0, 1), set(uid))
	if len(rows) == 0 {
		return "none"
	}
	return string(s.FlagText(rows[0].Flags))
}

// ignoreEOF drops what a ReaderAt may say beside all that was asked for.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
