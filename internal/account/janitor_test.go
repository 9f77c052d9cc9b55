package account

import (
	"context"
	"testing"
	"time"

	"postern/internal/mail"
)

// things counts the summaries and bodies of account 7.
func things(w *world) (summaries, bodies int) {
	for range w.mem.Account(7).SummaryIDs(context.Background()) {
		summaries++
	}
	for range w.mem.Account(7).Marked(context.Background()) {
		bodies++
	}
	return summaries, bodies
}

func wantThings(t *testing.T, w *world, when string, n int) {
	t.Helper()
	if s, b := things(w); s != n || b != n {
		t.Errorf("%s: %d summaries and %d bodies, want %d", when, s, b, n)
	}
}

func (w *world) housekeep(after time.Duration) {
	w.t.Helper()
	w.clock.Add(after)
	if err := w.pool.Housekeep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func expungeAll(t testing.TB, s *Selection, uids mail.UIDSet) {
	t.Helper()
	if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: uids, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestExpungedMailIsFreedAfterTheHold(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 4)
	s := sel(t, inbox)
	expungeAll(t, s, set(1))
	w.housekeep(12 * time.Hour)
	expungeAll(t, s, set(2))
	w.housekeep(11 * time.Hour)
	wantThings(t, w, "before the hold is over", 4)
	w.housekeep(2 * time.Hour)
	wantThings(t, w, "when that of the first is over", 3)
	rows, _ := s.Rows(make([]Row, 0, 9), span(1, 9))
	if len(rows) != 3 || rows[0].UID != 2 || !rows[0].Expunged {
		t.Errorf("%+v", rows)
	}
	w.housekeep(12 * time.Hour)
	wantThings(t, w, "when both are over", 2)
}

func TestCopiesKeepAMessage(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		a := w.open()
		inbox, trash := box(t, a, "INBOX"), box(t, a, "Trash")
		w.fill(inbox, 3)
		s := sel(t, inbox)
		if _, err := s.Copy(t.Context(), set(1, 2), trash); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Move(t.Context(), set(3), trash); err != nil {
			t.Fatal(err)
		}
		expungeAll(t, s, set(1))
		if restart {
			saveNow(t, a)
			w.restart()
		}
		w.housekeep(25 * time.Hour)
		w.housekeep(2 * time.Hour)
		wantThings(t, w, "copied, moved and copied away", 3)
		// The last row of each but the second, which INBOX has too.
		a = w.open()
		expungeAll(t, sel(t, box(t, a, "Trash")), span(1, 3))
		if restart {
			saveNow(t, a)
			w.restart()
		}
		w.housekeep(25 * time.Hour)
		w.housekeep(2 * time.Hour)
		wantThings(t, w, "expunged in Trash", 1)
	}
}

func TestJanitorVisitsAccountsNobodyOpened(t *testing.T) {
	for _, saved := range []bool{false, true} {
		w := newWorld(t)
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.fill(inbox, 600)
		expungeAll(t, sel(t, inbox), span(1, 550))
		if saved {
			saveNow(t, a)
		}
		w.restart()
		w.housekeep(time.Hour)
		wantThings(t, w, "before the hold is over", 600)
		if len(w.pool.accounts) != 0 {
			t.Error("the account stays in memory after the visit")
		}
		w.housekeep(24 * time.Hour)
		wantThings(t, w, "after it", 50)
		w.housekeep(24 * time.Hour)
		if got := box(t, w.open(), "INBOX").Info().Counts; got.Messages != 50 || got.UIDNext != 601 {
			t.Errorf("%+v", got)
		}
	}
}

func TestDeletedMailboxIsFreed(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	junk := box(t, a, "Junk")
	w.fill(junk, 1200)
	s := sel(t, junk)
	expungeAll(t, s, span(1, 10))
	info := s.Info()
	at := s.Delta(s.Start().At, span(1, 1200)).At
	if err := a.DeleteMailbox(t.Context(), "Junk"); err != nil {
		t.Fatal(err)
	}
	d := s.Delta(at, span(11, 1200))
	if !d.Gone || !d.Expunged.Equal(span(11, 1200)) {
		t.Errorf("%+v", d)
	}
	if got := summaryText(t, s, 700); got == "" {
		t.Error("a message of the deleted mailbox is not readable for the session that shows it")
	}
	c := w.content(mailText(0))
	_, err := junk.Append(t.Context(), []NewMessage{{Content: c}})
	wantKind(t, err, mail.NotFound)
	_, err = s.StoreFlags(t.Context(), StoreRequest{UIDs: set(700), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)})
	wantKind(t, err, mail.NotFound)
	_, err = junk.Select(t.Context(), true)
	wantKind(t, err, mail.NotFound)
	saveNow(t, a)
	w.housekeep(25 * time.Hour)
	wantThings(t, w, "after the hold", 0)
	saveNow(t, a)
	if saved, err := w.mem.Account(7).Load(t.Context(), scope(info), kindRowPage, func(uint64, []byte) error { return nil }); saved != 0 || err != nil {
		t.Errorf("the mailbox's pages are still there: %d, %v", saved, err)
	}
	w.restart()
	if _, err := w.open().Mailbox("Junk", 0); mail.KindOf(err) != mail.NotFound {
		t.Error(err)
	}
}

func TestContentInSeveralMailboxes(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), openIn(t, w.pool, 8)
	c := w.content(mailText(1))
	inbox, sent := box(t, a, "INBOX"), box(t, a, "Sent")
	for _, m := range []*Mailbox{inbox, box(t, b, "INBOX"), sent, inbox} {
		if _, err := m.Append(t.Context(), []NewMessage{{Content: c, Prefix: []byte("X: " + m.Info().Name + "\r\n")}}); err != nil {
			t.Fatal(err)
		}
	}
	c.Abandon(t.Context())
	w.mem.EndLeases()
	if n, err := w.mem.Bodies().Sweep(t.Context()); err != nil || n.Bodies != 0 {
		t.Errorf("swept %+v, %v", n, err)
	}
	wantThings(t, w, "three appends in one account", 3)
	expungeAll(t, sel(t, inbox), set(1))
	w.housekeep(25 * time.Hour)
	wantThings(t, w, "without the first", 2)
	for _, s := range []*Selection{sel(t, inbox), sel(t, sent), sel(t, box(t, b, "INBOX"))} {
		uid := s.Start().UIDs.Min()
		if got, want := summaryText(t, s, uid), "X: "+s.Info().Name+"\r\n"+mailText(1); got != want {
			t.Errorf("%s: got %q, want %q", s.Info().Name, got, want)
		}
	}
}

func TestAbandonedContentIsSwept(t *testing.T) {
	w := newWorld(t)
	c := w.content(mailText(1))
	c.Abandon(t.Context())
	if n, err := w.mem.Bodies().Sweep(t.Context()); err != nil || n.Bodies != 1 {
		t.Errorf("swept %+v, %v", n, err)
	}
}

func TestDestroyedAccountIsGone(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 3)
	s := sel(t, inbox)
	if err := w.pool.Destroy(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if d := s.Delta(s.Start().At, span(1, 3)); !d.Gone {
		t.Errorf("%+v", d)
	}
	_, err := s.Expunge(t.Context(), nil)
	wantKind(t, err, mail.Unavailable)
	wantThings(t, w, "destroyed", 0)
}
