package account

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// records counts the log's records.
func records(w *world) (n int, forgotten bool) {
	for _, err := range w.mem.Account(7).Since(w.t.Context(), 0) {
		if errors.Is(err, store.ErrForgotten) {
			return 0, true
		}
		n++
	}
	return n, false
}

// fill appends n messages, many at a time.
func (w *world) fill(m *Mailbox, n int) {
	w.t.Helper()
	c := w.content(mailText(0))
	for n > 0 {
		var msgs []NewMessage
		for range min(n, 500) {
			msgs = append(msgs, NewMessage{Content: c, Date: mail.NewInternalDate(w.clock.Now())})
			c = w.content(mailText(n))
		}
		if _, err := m.Append(w.t.Context(), msgs); err != nil {
			w.t.Fatal(err)
		}
		n -= len(msgs)
	}
}

// settle waits until the committer has done everything, saves included.
func settle(a *Account) { a.queue.drain(false) }

// flip changes a flag of one message n times.
func flip(t testing.TB, s *Selection, uid mail.UID, n int) {
	t.Helper()
	for i := range n {
		op := mail.AddFlags
		if i%2 == 1 {
			op = mail.RemoveFlags
		}
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(uid), Op: op, Flags: mail.NewFlags(mail.Flagged)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPagesAreSavedByTheTailsSize(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 500)
	s := sel(t, inbox)
	settle(a)
	if got := g.saves.Load(); got != 0 {
		t.Fatalf("saved %d times with a tail of %d octets", got, a.model.tailBytes)
	}
	// A flag change takes some 15 octets of log.
	for a.model.tailBytes < saveBytes-100 {
		flip(t, s, 1, 2)
		settle(a)
	}
	if got := g.saves.Load(); got != 0 {
		t.Fatalf("saved %d times with a tail of %d octets", got, a.model.tailBytes)
	}
	flip(t, s, 1, 20)
	settle(a)
	if got := g.saves.Load(); got != 1 || a.model.tailRecords > 20 {
		t.Fatalf("saved %d times past %d octets of tail, and %d records remain", got, saveBytes, a.model.tailRecords)
	}
	if n, forgotten := records(w); forgotten || n < 1000 {
		t.Errorf("the log was forgotten up to the save that has just been made: %d records", n)
	}
	// Letting go saves nothing, and what was not saved comes back from the log.
	flip(t, s, 2, 1)
	w.restart()
	if got := g.saves.Load(); got != 1 {
		t.Errorf("saved %d times", got)
	}
	s = sel(t, box(t, w.open(), "INBOX"))
	if flagsOf(s, 2) != `(\Flagged)` || len(s.Start().UIDs) != 1 || s.Start().UIDs.Len() != 500 {
		t.Errorf("flags %s, UIDs %v", flagsOf(s, 2), s.Start().UIDs)
	}
}

func TestLargePagesAreSavedLater(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 3*pageRows)
	settle(a)
	saves := g.saves.Load()
	if saves == 0 {
		t.Fatal("300 KB of log, and no save")
	}
	s := sel(t, inbox)
	// All pages are dirty from here on: some 98 KB, of which half is asked for.
	if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: everything, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)}); err != nil {
		t.Fatal(err)
	}
	for a.model.tailBytes < saveBytes+1000 {
		flip(t, s, 1, 2)
		settle(a)
	}
	if got := g.saves.Load(); got != saves {
		t.Errorf("saved with a tail of %d octets and %d of dirty pages", a.model.tailBytes, a.dirtyBytes())
	}
}

func TestManyRecordsAreSaved(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	settle(a)
	a.model.tailRecords = saveRecords - 1 // the committer rests
	w.add(box(t, a, "INBOX"), 1, mail.Flags{})
	settle(a)
	if got := g.saves.Load(); got != 1 {
		t.Errorf("saved %d times at %d records", got, saveRecords)
	}
	// An unloaded mailbox was loaded for it.
	w.restart()
	if got := box(t, w.open(), "INBOX").Info().Counts.Messages; got != 1 {
		t.Errorf("%d messages", got)
	}
}

func TestTheLoserOfTwoSavesDropsIts(t *testing.T) {
	w := newWorld(t)
	other := w.newPool(&gated{Store: w.mem.Node()})
	defer other.Close(context.Background())
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 100)
	b := openIn(t, other, 7)
	sb := sel(t, box(t, b, "INBOX"))
	saveNow(t, a)
	w.fill(inbox, 10)
	if err := b.ask(t.Context(), &request{sync: true}); err != nil {
		t.Fatal(err)
	}
	saveNow(t, b) // loses: its pages were never saved, those of the other node were
	if !b.loaded || b.model.rootSaved != a.model.rootSaved {
		t.Errorf("the loser has pages of %d, want %d", b.model.rootSaved, a.model.rootSaved)
	}
	if d := sb.Delta(sb.Start().At, span(1, 100)); !d.Added.Equal(span(101, 110)) || !d.Changed.Empty() {
		t.Errorf("%+v", d)
	}
	saveNow(t, b)
	if b.model.rootSaved != b.model.last {
		t.Error("the second save is its own")
	}
	saveNow(t, a)
	w.restart()
	if got := sel(t, box(t, w.open(), "INBOX")).Start().UIDs; !got.Equal(span(1, 110)) {
		t.Errorf("got %v", got)
	}
}

// saveNow saves whatever the rule says, as far as another node lets it.
func saveNow(t testing.TB, a *Account) {
	t.Helper()
	if err := a.ask(context.Background(), &request{run: func() { a.model.tailRecords = saveRecords }}); err != nil {
		t.Fatal(err)
	}
	settle(a)
}

func TestForgottenLogMeansPages(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 20)
	other := w.newPool(&gated{Store: w.mem.Node()}) // deaf
	defer other.Close(context.Background())
	b := openIn(t, other, 7)
	s := sel(t, box(t, b, "INBOX"))
	at := s.Start().At
	sa := sel(t, inbox)
	if _, err := sa.StoreFlags(t.Context(), StoreRequest{UIDs: set(3, 4), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)}); err != nil {
		t.Fatal(err)
	}
	if _, err := sa.Expunge(t.Context(), &mail.UIDSet{{First: 4, Last: 4}}); err != nil {
		t.Fatal(err)
	}
	w.fill(inbox, 2)
	w.pool.forgetAll = true
	saveNow(t, a)
	if _, forgotten := records(w); !forgotten {
		t.Fatal("the log is still there")
	}
	if err := b.ask(t.Context(), &request{sync: true}); err != nil {
		t.Fatal(err)
	}
	d := s.Delta(at, span(1, 20))
	if !d.Added.Equal(span(21, 22)) || !d.Expunged.Equal(set(4)) || !d.Changed.Equal(set(3)) {
		t.Errorf("%+v", d)
	}
	rows, _ := s.Rows(make([]Row, 0, 1), set(4))
	if len(rows) != 1 || !rows[0].Expunged {
		t.Errorf("the expunged message is not readable any more: %+v", rows)
	}
}

func TestSaveThatFailsIsTriedLater(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 100)
	g.save = func() error { return mail.Errorf(mail.Unavailable, "not now") }
	saveNow(t, a)
	saves := g.saves.Load()
	s := sel(t, inbox)
	flip(t, s, 1, 10)
	settle(a)
	if g.saves.Load() != saves {
		t.Error("a save that failed is tried again at once")
	}
	g.mu.Lock()
	g.save = nil
	g.mu.Unlock()
	a.saveAfter = 0
	saveNow(t, a)
	if a.model.rootSaved != a.model.last {
		t.Error("not saved")
	}
}

func TestRowsAndAccountsAreLetGoOf(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 10)
	s := sel(t, inbox)
	claimed := s.Start().Recent.Len()
	housekeep := func(d time.Duration) {
		t.Helper()
		w.clock.Add(d)
		if err := w.pool.Housekeep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	housekeep(time.Hour)
	if inbox.box.rows == nil {
		t.Fatal("rows of a selected mailbox were dropped")
	}
	s.Close()
	housekeep(30 * time.Second)
	if inbox.box.rows == nil {
		t.Error("rows were dropped at once")
	}
	housekeep(40 * time.Second)
	if inbox.box.rows != nil {
		t.Error("rows nobody has selected for more than a minute are there")
	}
	again := sel(t, inbox)
	if got := again.Start(); got.UIDs.Len() != 10 || claimed != 10 || !got.Recent.Empty() {
		t.Errorf("%+v", got)
	}
	again.Close()
	a.Release()
	housekeep(4 * time.Minute)
	if len(w.pool.accounts) != 1 {
		t.Error("the account was let go of at once")
	}
	housekeep(2 * time.Minute)
	if len(w.pool.accounts) != 0 {
		t.Error("an account nobody has touched for six minutes is there")
	}
	// What was \Recent was written when the account went.
	if got := sel(t, box(t, w.open(), "INBOX")).Start().Recent; !got.Empty() {
		t.Errorf("%v are \\Recent again", got)
	}
}

func TestIdleAccountsHaveNoGoroutines(t *testing.T) {
	w, _ := gatedWorld(t) // a store that nobody else writes to
	before := runtime.NumGoroutine()
	for id := range mail.AccountID(50) {
		a := openIn(t, w.pool, 100+id)
		s := sel(t, box(t, a, "INBOX"))
		s.Watch(func() {})
		settle(a)
	}
	for runtime.NumGoroutine() > before { // committers that have answered still have to end
		runtime.Gosched()
	}
}
