package account

import (
	"context"
	"errors"
	"testing"
	"time"

	"postern/internal/mail"
)

// deleted gives what can be brought back, by the mailbox's name.
func deleted(t *testing.T, a *Account, since time.Time) map[string]Deleted {
	t.Helper()
	list, err := a.Deleted(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Deleted{}
	for _, d := range list {
		all[d.Name] = d
	}
	return all
}

func undelete(t *testing.T, a *Account, d Deleted, to *Mailbox) {
	t.Helper()
	last := 0
	if err := a.Undelete(t.Context(), &d, to, func(done int) { last = done }); err != nil {
		t.Fatal(err)
	}
	if last != d.Messages {
		t.Errorf("progress ends at %d, want %d", last, d.Messages)
	}
}

// TestUndelete deletes in several ways: what was moved is not deleted, what is elsewhere as a copy is not, what was
// deleted from Trash is, once; a deleted mailbox gives what it had. With and without a restart.
func TestUndelete(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		a := w.open()
		inbox, trash, archive := box(t, a, "INBOX"), box(t, a, "Trash"), box(t, a, "Archive")
		if _, err := a.CreateMailbox(t.Context(), "Project", 0); err != nil {
			t.Fatal(err)
		}
		project := box(t, a, "Project")
		w.fill(inbox, 6)
		s := sel(t, inbox)
		for _, m := range []struct {
			uids mail.UIDSet
			to   *Mailbox
		}{{set(1, 2), trash}, {set(3), archive}, {set(4, 5), project}} {
			if _, err := s.Move(t.Context(), m.uids, m.to); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(6), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Flagged, "$Work")}); err != nil {
			t.Fatal(err)
		}
		begun := w.clock.Now()
		w.clock.Add(time.Hour)
		expungeAll(t, s, set(6))
		expungeAll(t, sel(t, trash), set(1))
		if err := a.DeleteMailbox(t.Context(), "Project"); err != nil {
			t.Fatal(err)
		}
		if restart {
			saveNow(t, a)
			w.restart()
			a = w.open()
		}
		all := deleted(t, a, begun)
		if len(all) != 3 || all["INBOX"].Messages != 1 || all["Trash"].Messages != 1 || all["Project"].Messages != 2 || !all["Project"].Gone ||
			!all["Trash"].First.Equal(begun.Add(time.Hour)) {
			t.Fatalf("%+v", all)
		}
		if late := deleted(t, a, begun.Add(2*time.Hour)); len(late) != 0 {
			t.Errorf("deleted since then: %+v", late)
		}
		inbox = box(t, a, "INBOX")
		before := inbox.Info()
		undelete(t, a, all["INBOX"], inbox)
		undelete(t, a, all["Project"], inbox)
		after := inbox.Info()
		if after.Counts.Messages != before.Counts.Messages+3 || after.Counts.UIDNext != before.Counts.UIDNext+3 || after.Counts.Deleted != 0 {
			t.Errorf("INBOX %+v, was %+v", after.Counts, before.Counts)
		}
		rows, _ := sel(t, inbox).Rows(make([]Row, 0, 9), span(7, 9))
		if len(rows) != 3 {
			t.Fatalf("%+v", rows)
		}
		if f := a.flags.get(rows[0].Flags).flags; f.System != mail.Flagged || len(f.Keywords) != 1 || f.Keywords[0] != "$Work" {
			t.Errorf("flags %+v", f)
		}
		if again := deleted(t, a, begun); len(again) != 1 || again["Trash"].Messages != 1 {
			t.Errorf("left to bring back: %+v", again)
		}
		wantThings(t, w, "all is there", 6)
		w.housekeep(25 * time.Hour)
		w.housekeep(2 * time.Hour)
		wantThings(t, w, "what was not brought back is freed", 5)
		if again := deleted(t, a, begun); len(again) != 0 {
			t.Errorf("left to bring back: %+v", again)
		}
		undelete(t, a, Deleted{box: all["Trash"].box, uids: all["Trash"].uids, Messages: 1}, inbox) // too late: nothing comes, and nothing breaks
		if n := inbox.Info().Counts.Messages; n != after.Counts.Messages {
			t.Errorf("%d messages, want %d", n, after.Counts.Messages)
		}
	}
}

// TestUndeleteKeepsTheQuota brings back only what there is room for.
func TestUndeleteKeepsTheQuota(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 3)
	expungeAll(t, sel(t, inbox), span(1, 3))
	if err := a.SetQuota(t.Context(), mail.OwnQuota{Messages: most(2)}); err != nil {
		t.Fatal(err)
	}
	d := deleted(t, a, time.Time{})["INBOX"]
	err := a.Undelete(t.Context(), &d, inbox, func(int) {})
	if mail.KindOf(err) != mail.OverQuota {
		t.Errorf("%v", err)
	}
}

// withRules gives a world whose accounts are under rules that can be changed.
func withRules(t *testing.T) (*world, *Rules) {
	w, rules := newWorld(t), new(Rules)
	w.rules = func(context.Context, mail.AccountID) (Rules, error) {
		if rules.Hold < 0 {
			return Rules{}, errors.New("the directory is away")
		}
		return *rules, nil
	}
	w.restart()
	return w, rules
}

// TestHoldByRules keeps expunged mail longer for an account, open or not, until its rules say otherwise.
func TestHoldByRules(t *testing.T) {
	for _, open := range []bool{true, false} {
		w, rules := withRules(t)
		*rules = Rules{Hold: 72 * time.Hour}
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.fill(inbox, 2)
		expungeAll(t, sel(t, inbox), set(1))
		if !open {
			saveNow(t, a)
			w.restart()
		}
		w.housekeep(48 * time.Hour)
		w.housekeep(2 * time.Hour)
		wantThings(t, w, "longer than others", 2)
		*rules = Rules{Hold: 72 * time.Hour, Keep: true}
		w.pool.NewRules()
		w.housekeep(48 * time.Hour)
		w.housekeep(24 * 365 * time.Hour)
		wantThings(t, w, "under a legal hold", 2)
		if open {
			if err := a.Erase(t.Context()); mail.KindOf(err) != mail.NotPermitted {
				t.Errorf("erased under a legal hold: %v", err)
			}
		}
		*rules = Rules{Hold: -1}
		w.pool.NewRules()
		w.clock.Add(2 * time.Hour)
		if err := w.pool.Housekeep(t.Context()); err == nil {
			t.Error("no error where the rules cannot be had")
		}
		wantThings(t, w, "rules unknown", 2)
		*rules = Rules{}
		w.pool.NewRules()
		w.housekeep(2 * time.Hour)
		wantThings(t, w, "without rules", 1)
	}
}

func TestErase(t *testing.T) {
	w, rules := withRules(t)
	*rules = Rules{Hold: 72 * time.Hour}
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 3)
	expungeAll(t, sel(t, inbox), set(1, 3))
	if err := a.Erase(t.Context()); err != nil {
		t.Error(err)
	}
	wantThings(t, w, "erased", 1)
	if d := deleted(t, a, time.Time{}); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

// TestExpire empties Trash of what has been there too long, in an account that is open and in one that is not, and leaves
// what came later, what is in other mailboxes, and everything once the rule is gone.
func TestExpire(t *testing.T) {
	for _, open := range []bool{true, false} {
		w, rules := withRules(t)
		const day = 24 * time.Hour
		*rules = Rules{Expire: map[mail.SpecialUse]time.Duration{mail.UseTrash: 30 * day}}
		counts := func() (trash, inbox uint32) {
			a := w.open()
			defer a.Release()
			return box(t, a, "Trash").Info().Counts.Messages, box(t, a, "INBOX").Info().Counts.Messages
		}
		step := func(after time.Duration, when string, trash uint32) {
			t.Helper()
			if !open {
				w.restart()
			}
			w.housekeep(after)
			w.housekeep(0)
			if tr, in := counts(); tr != trash || in != 1 {
				t.Errorf("open %v, %s: %d in Trash, want %d; %d in INBOX", open, when, tr, trash, in)
			}
		}
		a := w.open()
		w.fill(box(t, a, "INBOX"), 1)
		trash := box(t, a, "Trash")
		w.fill(trash, 700) // more than a batch
		saveNow(t, a)
		if !open {
			a.Release()
		}
		step(20*day, "too early", 700)
		a = w.open()
		w.fill(box(t, a, "Trash"), 2)
		saveNow(t, a)
		a.Release()
		step(11*day, "the first are due", 2)
		step(18*day, "the others are not", 2)
		*rules = Rules{}
		w.pool.NewRules()
		step(18*day, "nothing is due any more", 2)
		*rules = Rules{Expire: map[mail.SpecialUse]time.Duration{mail.UseTrash: 30 * day}}
		w.pool.NewRules()
		step(2*time.Hour, "the rule is back", 0)
	}
}
