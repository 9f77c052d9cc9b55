package account

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// gated is a store whose commits wait.
type gated struct {
	store.Store
	commits atomic.Int32
	mu      sync.Mutex
	gate    func() error // called before a commit; an error stands in for it
	saves   atomic.Int32
	save    func() error
}

func (g *gated) set(gate func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate = gate
}

func (g *gated) Account(id mail.AccountID) store.Account {
	return &gatedAccount{g.Store.Account(id), g}
}

type gatedAccount struct {
	store.Account
	g *gated
}

func (a *gatedAccount) Grew() <-chan struct{} { return nil }

func (a *gatedAccount) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	a.g.mu.Lock()
	gate := a.g.gate
	a.g.mu.Unlock()
	if gate != nil {
		if err := gate(); err != nil {
			return err
		}
	}
	a.g.commits.Add(1)
	return a.Account.Commit(ctx, after, e)
}

func (a *gatedAccount) Save(ctx context.Context, s store.Save) error {
	a.g.saves.Add(1)
	a.g.mu.Lock()
	save := a.g.save
	a.g.mu.Unlock()
	if save != nil {
		if err := save(); err != nil {
			return err
		}
	}
	return a.Account.Save(ctx, s)
}

func gatedWorld(t *testing.T) (*world, *gated) {
	w := newWorld(t)
	g := &gated{Store: w.mem}
	w.store = g
	w.restart()
	return w, g
}

// waiting blocks until n requests wait for the committer.
func waiting(a *Account, n int) {
	for {
		a.queue.mu.Lock()
		got := len(a.queue.waiting)
		a.queue.mu.Unlock()
		if got >= n {
			return
		}
		runtime.Gosched()
	}
}

func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox, sent := box(t, a, "INBOX"), box(t, a, "Sent")
	w.add(inbox, 1, mail.Flags{})
	s := sel(t, inbox)
	begun, gate := make(chan struct{}), make(chan struct{})
	g.set(func() error { close(begun); <-gate; return nil })
	commits := g.commits.Load()
	var ops sync.WaitGroup
	ops.Go(func() {
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(1), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	g.set(nil)
	// What is asked for meanwhile forms the next batch, across mailboxes.
	contents := []*Content{w.content(mailText(2)), w.content(mailText(3))}
	for i, m := range []*Mailbox{inbox, sent} {
		ops.Go(func() {
			if _, err := m.Append(t.Context(), []NewMessage{{Content: contents[i]}}); err != nil {
				t.Error(err)
			}
		})
	}
	waiting(a, 2)
	if d := s.Delta(s.Start().At, span(1, 1)); !d.Empty() || flagsOf(s, 1) != "()" || inbox.Info().Counts.Unseen != 1 {
		t.Errorf("shown before the commit returned: %+v, flags %s", d, flagsOf(s, 1))
	}
	close(gate)
	ops.Wait()
	if got := g.commits.Load() - commits; got != 2 {
		t.Errorf("%d commits for one STORE and two APPENDs behind it, want 2", got)
	}
	if flagsOf(s, 1) != `(\Seen)` || inbox.Info().Counts.Messages != 2 || sent.Info().Counts.Messages != 1 {
		t.Error("not shown after the commit returned")
	}
}

func TestManyAppendsShareCommits(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	begun, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.set(func() error { once.Do(func() { close(begun) }); <-gate; return nil })
	commits := g.commits.Load()
	const n = 65
	var mu sync.Mutex
	var uids []mail.UID
	var ops sync.WaitGroup
	for i := range n {
		c := w.content(mailText(i))
		ops.Go(func() {
			done, err := inbox.Append(t.Context(), []NewMessage{{Content: c}})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			uids = append(uids, done.UIDs.Min())
		})
		if i == 0 {
			<-begun
		}
	}
	waiting(a, n-1)
	close(gate)
	ops.Wait()
	if got := g.commits.Load() - commits; got != 2 {
		t.Errorf("%d commits, want one for the first and one for all behind it", got)
	}
	slices.Sort(uids)
	for i, uid := range uids {
		if uid != mail.UID(i+1) {
			t.Fatalf("UIDs %v", uids)
		}
	}
}

func TestFailedCommitChangesNothing(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.add(inbox, 1, mail.Flags{})
	s := sel(t, inbox)
	for _, fail := range []error{
		mail.Errorf(mail.Unavailable, "the disk is full"), store.ErrUnknown, store.ErrLease,
	} {
		g.set(func() error { return fail })
		c := w.content(mailText(2))
		before := inbox.Info()
		_, err := inbox.Append(t.Context(), []NewMessage{{Content: c}})
		wantKind(t, err, mail.Unavailable)
		if !errors.Is(err, fail) {
			t.Errorf("got %v, want it to be %v", err, fail)
		}
		_, err = s.StoreFlags(t.Context(), StoreRequest{UIDs: set(1), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)})
		wantKind(t, err, mail.Unavailable)
		if inbox.Info() != before || flagsOf(s, 1) != "()" {
			t.Errorf("after %v: %+v was %+v", fail, inbox.Info(), before)
		}
		g.set(nil)
		if fail != store.ErrUnknown {
			// The same content, tried again.
			if _, err := inbox.Append(t.Context(), []NewMessage{{Content: c}}); err != nil {
				t.Error(err)
			}
			if c.ref != summaryOf(t, inbox, inbox.Info().Counts.UIDNext-1).ref {
				t.Error("the body was copied, and nobody else had it")
			}
		}
	}
}

// summaryOf reads a message's summary.
func summaryOf(t testing.TB, m *Mailbox, uid mail.UID) *Summary {
	t.Helper()
	s := sel(t, m)
	defer s.Close()
	rows, _ := s.Rows(make([]Row, 0, 1), set(uid))
	var got *Summary
	err := s.Summaries(t.Context(), rows, func(_ int, sum *Summary) error { got = sum.Clone(); return nil })
	if err != nil || got == nil {
		t.Fatalf("UID %d has no summary: %v", uid, err)
	}
	return got
}

func TestOneLeaseThatIsOverFailsOneAppend(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	old := w.content(mailText(1))
	w.mem.EndLeases()
	fresh := []*Content{w.content(mailText(2)), w.content(mailText(3)), w.content(mailText(4))}
	begun, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.set(func() error { once.Do(func() { close(begun) }); <-gate; return nil })
	var failed, well atomic.Int32
	var ops sync.WaitGroup
	for i, c := range []*Content{fresh[0], fresh[1], old, fresh[2]} {
		ops.Go(func() {
			if _, err := inbox.Append(t.Context(), []NewMessage{{Content: c}}); errors.Is(err, store.ErrLease) {
				failed.Add(1)
			} else if err == nil {
				well.Add(1)
			}
		})
		if i == 0 {
			<-begun
		} else {
			waiting(a, i)
		}
	}
	close(gate)
	ops.Wait()
	if failed.Load() != 1 || well.Load() != 3 || inbox.Info().Counts.Messages != 3 {
		t.Errorf("%d failed, %d succeeded, %d messages", failed.Load(), well.Load(), inbox.Info().Counts.Messages)
	}
}

func TestRequestCanBeWithdrawnUntilItIsBegun(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	begun, gate := make(chan struct{}), make(chan struct{})
	g.set(func() error { close(begun); <-gate; return nil })
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	results := [2]chan error{make(chan error, 1), make(chan error, 1)}
	contents := [2]*Content{w.content(mailText(1)), w.content(mailText(2))}
	appendTo := func(ctx context.Context, i int) {
		_, err := inbox.Append(ctx, []NewMessage{{Content: contents[i]}})
		results[i] <- err
	}
	go appendTo(first, 0)
	<-begun
	g.set(nil)
	go appendTo(second, 1)
	waiting(a, 1)
	cancelFirst()
	cancelSecond()
	wantKind(t, <-results[1], mail.Canceled)
	close(gate)
	if err := <-results[0]; err != nil {
		t.Errorf("a commit that has begun is not interrupted: %v", err)
	}
	if got := inbox.Info().Counts.Messages; got != 1 {
		t.Errorf("%d messages, want 1", got)
	}
}

func TestAnotherNodeWasFaster(t *testing.T) {
	w, g := gatedWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.add(inbox, 1, mail.Flags{})
	s := sel(t, inbox)
	at := s.Start().At
	other := w.newPool(w.mem.Node())
	defer other.Close(context.Background())
	b := openIn(t, other, 7)
	var once sync.Once
	g.set(func() error {
		once.Do(func() {
			c, err := other.Keep(t.Context(), newReader(mailText(9)))
			if err == nil {
				_, err = box(t, b, "INBOX").Append(t.Context(), []NewMessage{{Content: c}})
			}
			if err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	if uid := w.add(inbox, 2, mail.Flags{}); uid != 3 {
		t.Errorf("appended as %d, want 3: the other node has 2", uid)
	}
	if d := s.Delta(at, span(1, 1)); !d.Added.Equal(span(2, 3)) {
		t.Errorf("%+v", d)
	}
}

func TestWatchersAreWoken(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox, sent := box(t, a, "INBOX"), box(t, a, "Sent")
	s := sel(t, inbox)
	var mailbox, account int
	s.Watch(func() { mailbox++; s.Info() }) // without locks
	stop := a.Watch(func() { account++; a.Mailboxes() })
	w.add(inbox, 1, mail.Flags{})
	w.add(sent, 2, mail.Flags{})
	if mailbox != 1 || account != 2 {
		t.Errorf("the mailbox was woken %d times and the account %d times, want 1 and 2", mailbox, account)
	}
	stop()
	s.Watch(nil)
	w.add(inbox, 3, mail.Flags{})
	if mailbox != 1 || account != 2 {
		t.Error("woken after the watch ended")
	}
}

func TestGrewIsFollowed(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	other := w.newPool(w.mem.Node())
	defer other.Close(context.Background())
	s := sel(t, box(t, a, "INBOX"))
	woken := make(chan struct{}, 1)
	s.Watch(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	c, err := other.Keep(t.Context(), newReader(mailText(1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box(t, openIn(t, other, 7), "INBOX").Append(t.Context(), []NewMessage{{Content: c}}); err != nil {
		t.Fatal(err)
	}
	for s.Delta(s.Start().At, nil).Added.Empty() {
		<-woken
	}
}

func TestClosedPoolRefuses(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	c := w.content(mailText(1))
	if err := w.pool.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.pool.Open(t.Context(), 8)
	wantKind(t, err, mail.Unavailable)
	_, err = inbox.Append(t.Context(), []NewMessage{{Content: c}})
	wantKind(t, err, mail.Unavailable)
}

func TestUnknownOutcomeIsLookedUp(t *testing.T) {
	for _, fate := range []commitFate{commitUnknownDone, commitUnknownNot} {
		w := newWorld(t)
		f := &faulty{Store: w.mem}
		w.store = f
		w.restart()
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.add(inbox, 1, mail.Flags{})
		s := sel(t, inbox)
		c := w.content(mailText(2))
		f.commit = fate
		_, err := inbox.Append(t.Context(), []NewMessage{{Content: c}})
		wantKind(t, err, mail.Unavailable)
		want := mail.UIDSet(nil)
		if fate == commitUnknownDone {
			want = set(2)
		}
		if d := s.Delta(s.Start().At, span(1, 1)); !d.Added.Equal(want) {
			t.Errorf("the commit was done: %v, and the session is told %+v", fate == commitUnknownDone, d)
		}
	}
}
