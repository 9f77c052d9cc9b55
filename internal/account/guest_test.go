package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// let gives an account rights on a mailbox.
func let(t testing.TB, a *Account, name string, who mail.AccountID, rights mail.Rights) {
	t.Helper()
	if err := box(t, a, name).Grant(t.Context(), who, false, mail.SetRights, rights); err != nil {
		t.Fatal(err)
	}
}

// TestRightsSurvive takes a list through log and pages.
func TestRightsSurvive(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	let(t, a, "Sent", 8, mail.RightLookup|mail.RightRead)
	for range 2 {
		a.Release()
		w.restart()
		a = w.open()
		info := a.Guest(8, "x/").Mailboxes()
		if len(info) != 1 || info[0].Name != "x/Sent" || info[0].Rights != mail.RightLookup|mail.RightRead || info[0].Use != 0 || info[0].Subscribed {
			t.Fatalf("%+v", info)
		}
		if err := a.ask(t.Context(), &request{run: func() {
			if err := a.save(t.Context()); err != nil {
				t.Error(err)
			}
		}}); err != nil {
			t.Fatal(err)
		}
	}
	a.Release()
}

// TestGrantNotes has a grant fail and checks that nobody is missed: a note there may
// be without a grant, but not the other way round, and notes can be made anew.
func TestGrantNotes(t *testing.T) {
	w := newWorld(t)
	faults := storetest.Failing(w.mem)
	w.store = faults
	w.restart()
	a := w.open()
	t.Cleanup(a.Release)
	ctx := t.Context()
	invited := func(who mail.AccountID) bool {
		t.Helper()
		yes, err := w.pool.Invited(ctx, who, 7)
		if err != nil {
			t.Fatal(err)
		}
		hosts, err := w.pool.Hosts(ctx, who)
		if err != nil || slices.Contains(hosts, 7) != yes {
			t.Fatalf("hosts of %d: %v, %v", who, hosts, err)
		}
		return yes
	}
	if invited(8) {
		t.Error("account 8 was granted nothing")
	}
	faults.Fail(storetest.OpCommit, storetest.Fault{Err: mail.Errorf(mail.Unavailable, "injected")})
	err := box(t, a, "Sent").Grant(ctx, 8, false, mail.SetRights, mail.RightRead)
	wantKind(t, err, mail.Unavailable)
	if _, err := a.Guest(8, "").Mailbox("Sent", mail.RightRead); mail.KindOf(err) != mail.NotFound || !invited(8) {
		t.Error("the note is to come first:", err)
	}
	let(t, a, "Sent", 8, mail.RightRead)
	let(t, a, "Drafts", mail.Anyone, mail.RightRead)
	if !invited(8) || !invited(9) {
		t.Error("not found")
	}
	let(t, a, "Drafts", mail.Anyone, 0)
	if _, err := a.Guest(9, "").Mailbox("Drafts", mail.RightRead); mail.KindOf(err) != mail.NotFound {
		t.Error(err)
	}

	for v := range w.mem.Shelf().List(ctx, grantNotes) {
		if err := w.mem.Shelf().Delete(ctx, v.Key, store.AnyVersion); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	if err := Check(ctx, w.mem, func(p Problem) { said = append(said, fmt.Sprint(p.Harm, p)) }); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "(Sent): account 8 has rights") {
		t.Errorf("check says %q", said)
	}
	if made, err := w.pool.NoteGrants(ctx, 7); made != 1 || err != nil || !invited(8) {
		t.Error(made, err)
	}
	if made, err := w.pool.NoteGrants(ctx, 7); made != 0 || err != nil {
		t.Error(made, err)
	}
}

// TestMoveAbroadBroken breaks a MOVE to another account off between its two commits.
func TestMoveAbroadBroken(t *testing.T) {
	w := newWorld(t)
	faults := storetest.Failing(w.mem)
	w.store = faults
	w.restart()
	owner, guest := w.open(), openIn(t, w.pool, 8)
	t.Cleanup(owner.Release)
	t.Cleanup(guest.Release)
	let(t, owner, "INBOX", 8, mail.AllRights)
	w.add(box(t, guest, "INBOX"), 1, mail.Flags{})
	s := sel(t, box(t, guest, "INBOX"))
	defer s.Close()
	dest, err := owner.Guest(8, "").Mailbox("INBOX", mail.RightInsert)
	if err != nil {
		t.Fatal(err)
	}
	faults.Fail(storetest.OpCommit, storetest.Fault{Account: 8, Err: mail.Errorf(mail.Unavailable, "injected")})
	_, err = s.Move(t.Context(), set(1), dest)
	wantKind(t, err, mail.Unavailable)
	if n, m := dest.Info().Counts.Messages, s.Info().Counts.Messages; n != 1 || m != 1 {
		t.Errorf("%d copies and %d originals", n, m)
	}
	faults.Fail(storetest.OpCommit, storetest.Fault{Account: 7, Err: mail.Errorf(mail.Unavailable, "injected")})
	_, err = s.Move(t.Context(), set(1), dest)
	wantKind(t, err, mail.Unavailable)
	if n, m := dest.Info().Counts.Messages, s.Info().Counts.Messages; n != 1 || m != 1 {
		t.Errorf("%d copies and %d originals", n, m)
	}
	if done, err := s.Move(t.Context(), set(1), dest); err != nil || !done.Abroad || !done.From.Equal(set(1)) {
		t.Errorf("%+v, %v", done, err)
	}
	if n, m := dest.Info().Counts.Messages, s.Info().Counts.Messages; n != 2 || m != 0 {
		t.Errorf("%d copies and %d originals", n, m)
	}
}

// TestRightsAreThoseOfTheLog lets a node that is behind use a right that another
// node has taken away: what it plans is checked again when the log has it.
func TestRightsAreThoseOfTheLog(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	t.Cleanup(a.Release)
	let(t, a, "INBOX", 8, mail.AllRights)
	behind := NewPool(&faulty{Store: w.mem.Node()}, Options{Now: w.clock.Now, Every: -1})
	defer behind.Close(context.Background())
	b := openIn(t, behind, 7)
	defer b.Release()
	theirs, err := b.Guest(8, "").Mailbox("INBOX", mail.RightInsert|mail.RightExpunge)
	if err != nil {
		t.Fatal(err)
	}
	s := sel(t, theirs)
	defer s.Close()
	let(t, a, "INBOX", 8, mail.RightLookup|mail.RightRead)
	c, err := behind.Keep(t.Context(), strings.NewReader(mailText(1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = theirs.Append(t.Context(), []NewMessage{{Content: c, Date: mail.NewInternalDate(w.clock.Now())}})
	c.Abandon(t.Context())
	wantKind(t, err, mail.NotPermitted)
	if n := box(t, a, "INBOX").Info().Counts.Messages; n != 0 {
		t.Errorf("%d messages", n)
	}
}

// TestTakenAway has sessions told at once that they may not read any more.
func TestTakenAway(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	t.Cleanup(a.Release)
	w.add(box(t, a, "INBOX"), 1, mail.Flags{})
	let(t, a, "INBOX", 8, mail.RightRead)
	theirs, err := a.Guest(8, "").Mailbox("INBOX", mail.RightRead)
	if err != nil {
		t.Fatal(err)
	}
	s := sel(t, theirs)
	defer s.Close()
	if !s.Start().Recent.Equal(set(1)) || box(t, a, "INBOX").Info().Recent != 1 {
		t.Error("a guest has used up what is recent")
	}
	rows, _ := s.Rows(make([]Row, 0, 1), set(1))
	var m Summary
	if err := s.Summaries(t.Context(), rows, func(_ int, got *Summary) error { m = *got.Clone(); return nil }); err != nil {
		t.Fatal(err)
	}
	woken := make(chan struct{}, 10)
	s.Watch(func() { woken <- struct{}{} })
	let(t, a, "INBOX", 8, mail.RightLookup)
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was woken")
	}
	if d := s.Delta(s.Start().At, s.Start().UIDs); !d.Gone || !d.Expunged.Empty() {
		t.Errorf("%+v", d)
	}
	if rows, _ := s.Rows(make([]Row, 0, 1), set(1)); len(rows) > 0 {
		t.Error("rows are still given")
	}
	wantKind(t, s.Summaries(t.Context(), rows, func(int, *Summary) error { return nil }), mail.NotFound)
	_, err = s.Body(t.Context(), &m)
	wantKind(t, err, mail.NotFound)
	_, err = theirs.Select(t.Context(), false)
	wantKind(t, err, mail.NotPermitted)
}

// TestRemovedAccount takes the notes of its grants along.
func TestRemovedAccount(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	let(t, a, "INBOX", 8, mail.RightRead)
	b := openIn(t, w.pool, 8)
	let(t, b, "INBOX", 7, mail.RightRead)
	a.Release()
	b.Release()
	if err := w.pool.Destroy(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if hosts, err := w.pool.Hosts(t.Context(), 8); len(hosts) > 0 || err != nil {
		t.Error(hosts, err)
	}
	// Who was granted something is not given a number again, so the entry means nobody.
	if hosts, err := w.pool.Hosts(t.Context(), 7); !slices.Equal(hosts, []mail.AccountID{8}) || err != nil {
		t.Error(hosts, err)
	}
}

// TestManyGrants holds a list to its limit.
func TestManyGrants(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	t.Cleanup(a.Release)
	for who := mail.AccountID(100); who < 100+MaxGrants; who++ {
		let(t, a, "INBOX", who, mail.RightLookup)
	}
	wantKind(t, box(t, a, "INBOX").Grant(t.Context(), 99, false, mail.AddRights, mail.RightLookup), mail.Limit)
	wantKind(t, box(t, a, "INBOX").Grant(t.Context(), 7, true, mail.AddRights, mail.RightLookup), mail.Cannot)
}
