package account

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// meddled is a store in which something happens to the account before each call
// of a check, and between the steps of its iterations.
type meddled struct {
	store.Store
	meddle func()
}

type meddledAccount struct {
	store.Account
	meddle func()
}

type meddledBodies struct {
	store.Bodies
	meddle func()
}

func (m *meddled) Account(id mail.AccountID) store.Account {
	return &meddledAccount{m.Store.Account(id), m.meddle}
}

func (m *meddled) Bodies() store.Bodies { return meddledBodies{m.Store.Bodies(), m.meddle} }

func (a *meddledAccount) Head(ctx context.Context) (mail.ModSeq, error) {
	a.meddle()
	return a.Account.Head(ctx)
}

func (a *meddledAccount) Heads(ctx context.Context, each func(store.Head) error) error {
	a.meddle()
	return a.Account.Heads(ctx, each)
}

func (a *meddledAccount) Load(ctx context.Context, s store.Scope, k store.PageKind, each func(uint64, []byte) error) (mail.ModSeq, error) {
	a.meddle()
	return a.Account.Load(ctx, s, k, each)
}

func (a *meddledAccount) Summaries(ctx context.Context, ids []mail.MessageID, each func(int, []byte) error) error {
	a.meddle()
	return a.Account.Summaries(ctx, ids, each)
}

func (a *meddledAccount) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	a.meddle()
	return meddling(a.meddle, a.Account.Since(ctx, after))
}

func (a *meddledAccount) SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error] {
	a.meddle()
	return meddling(a.meddle, a.Account.SummaryIDs(ctx))
}

func (a *meddledAccount) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	a.meddle()
	return meddling(a.meddle, a.Account.Marked(ctx))
}

func (b meddledBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	b.meddle()
	return b.Bodies.Open(ctx, ref)
}

// meddling does it once after the first element.
func meddling[T any](meddle func(), seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		first := true
		for v, err := range seq {
			if !yield(v, err) {
				return
			}
			if first {
				meddle()
				first = false
			}
		}
	}
}

// meddler does something else to the account each time.
func (w *world) meddler(a *Account) func() {
	t, n := w.t, 0
	ctx := context.Background()
	inbox, trash := box(t, a, "INBOX"), box(t, a, "Trash")
	s := sel(t, inbox)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	return func() {
		n++
		switch n % 9 {
		case 0, 3:
			w.add(inbox, n, mail.Flags{})
		case 1: // the oldest goes
			uids := s.Start().UIDs
			if uids.Len() < 4 {
				return
			}
			oldest := set(uids.Min())
			_, err := s.StoreFlags(ctx, StoreRequest{UIDs: oldest, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)})
			must(err)
			_, err = s.Expunge(ctx, &oldest)
			must(err)
		case 2: // and with it its summary, mark and body
			w.clock.Add(25 * time.Hour)
			must(w.pool.Housekeep(ctx))
			_, err := w.mem.Bodies().Sweep(ctx)
			must(err)
		case 4:
			_, err := s.Copy(ctx, set(s.Start().UIDs.Max()), trash)
			must(err)
		case 5:
			_, err := s.StoreFlags(ctx, StoreRequest{UIDs: s.Start().UIDs, Op: mail.FlagOp(1 + n/7%3), Flags: mail.NewFlags(mail.Seen, fmt.Sprintf("k%d", n%3))})
			must(err)
		case 6:
			name := fmt.Sprintf("box%d", n)
			_, err := a.CreateMailbox(ctx, name, 0)
			must(err)
			must(a.DeleteMailbox(ctx, name))
			if n%45 == 6 {
				saveNow(t, a)
			}
		case 7: // the text index is made anew
			w.index(a, 1, a.NextMessage())
		case 8: // and is there no more
			var out []mail.BodyRef
			for _, s := range a.Index() {
				out = append(out, s.Body)
			}
			must(a.ReplaceIndex(ctx, out, nil))
		}
	}
}

// TestCheckWhileTheAccountChanges has something happen to the account at every
// step of a check, and log forgotten as soon as it may be: nothing is wrong, and
// a check that finds anything says what is not true.
func TestCheckWhileTheAccountChanges(t *testing.T) {
	for _, forget := range []bool{false, true} {
		w := newWorld(t)
		w.pool.forgetAll = forget
		a := w.open()
		w.fill(box(t, a, "INBOX"), 20)
		saveNow(t, a)
		m := &meddled{w.mem, w.meddler(a)}
		var octets int64
		k := &Checker{Store: m, Report: func(p Problem) { t.Errorf("forget %v: %s", forget, p) }, Progress: func(n int64) { octets += n }}
		for range 10 {
			octets = 0
			checked, err := k.Account(t.Context(), a.ID())
			if err != nil {
				t.Fatalf("forget %v: %v", forget, err)
			}
			if checked.Messages < 4 || checked.Bodies == 0 || octets < checked.Octets {
				t.Errorf("%+v, %d octets", checked, octets)
			}
		}
	}
}

// TestCheckWhilePagesAreSaved saves other pages at every step of a check.
func TestCheckWhilePagesAreSaved(t *testing.T) {
	for step := 0; ; step++ {
		w := newWorld(t)
		w.pool.forgetAll = step%2 == 0
		a := w.open()
		inbox, trash := box(t, a, "INBOX"), box(t, a, "Trash")
		w.fill(inbox, 6)
		s := sel(t, inbox)
		saveNow(t, a)
		calls := 0
		m := &meddled{w.mem, func() {
			if calls++; calls != step/2+1 {
				return
			}
			w.fill(inbox, 2)
			if _, err := s.Copy(context.Background(), span(2, 3), trash); err != nil {
				t.Error(err)
			}
			expungeAll(t, s, set(1))
			saveNow(t, a)
		}}
		if err := Check(t.Context(), m, func(p Problem) { t.Errorf("saved at step %d: %s", step, p) }); err != nil {
			t.Errorf("saved at step %d: %v", step, err)
		}
		if calls <= step/2 {
			break
		}
	}
}

// TestCheckFindsDamageWhileTheAccountChanges: what is wrong is found all the
// same.
func TestCheckFindsDamageWhileTheAccountChanges(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 20)
	hidden := mail.MessageID(15)
	l := &lying{Store: w.mem, summary: func(id mail.MessageID, data []byte) []byte {
		if id == hidden {
			return nil
		}
		return data
	}}
	var found []Problem
	k := &Checker{Store: &meddled{l, w.meddler(a)}, Report: func(p Problem) { found = append(found, p) }}
	if _, err := k.Account(t.Context(), a.ID()); err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("nothing was found")
	}
	for _, p := range found {
		if p.Message != hidden || p.Name != "INBOX" && p.Name != "Trash" || p.UID == 0 || p.Harm != HarmMessage || !strings.Contains(p.Text, "has no summary") {
			t.Errorf("%+v", p)
		}
	}
}

// TestCheckAnAccountThatGoes removes the account at every step of its check.
func TestCheckAnAccountThatGoes(t *testing.T) {
	for step := 0; ; step++ {
		w := newWorld(t)
		a := w.open()
		w.fill(box(t, a, "INBOX"), 3)
		saveNow(t, a)
		w.fill(box(t, a, "INBOX"), 1)
		a.Release()
		calls := 0
		m := &meddled{w.mem, func() {
			if calls++; calls == step+1 {
				if err := w.pool.Destroy(context.Background(), 7); err != nil {
					t.Error(err)
				}
			}
		}}
		if err := Check(t.Context(), m, func(p Problem) { t.Errorf("removed at step %d: %s", step, p) }); err != nil {
			t.Errorf("removed at step %d: %v", step, err)
		}
		if calls <= step {
			break
		}
	}
}

// TestCheckFindsWhatWasCommittedWrong writes to the log what no account would.
func TestCheckFindsWhatWasCommittedWrong(t *testing.T) {
	after := func(i Info) mail.Counts { return i.Counts }
	for _, c := range []struct {
		what  string
		entry func(i Info, ref mail.BodyRef) (e store.Entry, changes []mail.Change)
		want  string
		harm  Harm
	}{
		{"a summary that was dropped", func(i Info, _ mail.BodyRef) (store.Entry, []mail.Change) {
			return store.Entry{Drop: []mail.MessageID{2}}, []mail.Change{{Event: mail.Subscribed{Name: "x", On: true}}}
		}, "account 7, mailbox 1 (INBOX), UID 2: message 2 has no summary", HarmMessage},
		{"a body that was swept", func(i Info, ref mail.BodyRef) (store.Entry, []mail.Change) {
			return store.Entry{Release: []mail.BodyRef{ref}}, []mail.Change{{Event: mail.Subscribed{Name: "x", On: true}}}
		}, "account 7, mailbox 1 (INBOX), UID 3: message 3 has a body that cannot be read", HarmMessage},
		{"a UID used twice", func(i Info, _ mail.BodyRef) (store.Entry, []mail.Change) {
			return store.Entry{}, []mail.Change{{Mailbox: i.ID, After: after(i), Event: mail.MessagesAdded{Messages: []mail.Message{{UID: 2, Size: 10, ID: 3}}}}}
		}, "UID 2 was used already", HarmAccount},
		{"counts that are wrong", func(i Info, _ mail.BodyRef) (store.Entry, []mail.Change) {
			counts := after(i)
			counts.Unseen--
			return store.Entry{}, []mail.Change{{Mailbox: i.ID, After: counts, Event: mail.RecentClaimed{Below: 2}}}
		}, "it counts", HarmAccount},
		{"a UIDNEXT that falls", func(i Info, _ mail.BodyRef) (store.Entry, []mail.Change) {
			counts := after(i)
			counts.UIDNext--
			return store.Entry{}, []mail.Change{{Mailbox: i.ID, After: counts, Event: mail.RecentClaimed{Below: 2}}}
		}, "UIDNEXT falls", HarmAccount},
		{"a record that is none", func(i Info, _ mail.BodyRef) (store.Entry, []mail.Change) {
			return store.Entry{Record: []byte("nonsense")}, []mail.Change{{}}
		}, "the log cannot be read", HarmAccount},
	} {
		w := newWorld(t)
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.fill(inbox, 5)
		info := inbox.Info()
		var ref mail.BodyRef
		s := sel(t, inbox)
		rows, _ := s.Rows(make([]Row, 0, 1), set(3))
		if err := s.Summaries(t.Context(), rows, func(_ int, m *Summary) error { ref = m.ref; return nil }); err != nil {
			t.Fatal(err)
		}
		mem := w.mem
		w.mem = newWorld(t).mem // the world's own check at the end is not for this store
		raw := mem.Account(7)
		head, err := raw.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e, changes := c.entry(info, ref)
		e.Last = head + mail.ModSeq(len(changes))
		if e.Record == nil {
			e.Record = encodeRecord(changes)
		}
		if err := raw.Commit(t.Context(), head, e); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		mem.EndLeases()
		if _, err := mem.Bodies().Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var found []string
		harmed := false
		if err := Check(t.Context(), mem, func(p Problem) {
			found = append(found, p.String())
			harmed = harmed || p.Harm == c.harm && strings.Contains(p.String(), c.want)
		}); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if !harmed {
			t.Errorf("%s: found %q, want %q with harm %d", c.what, found, c.want, c.harm)
		}
	}
}

// early is an account whose last commit can be seen by its summary and mark for
// some time before its record, as on a driver that shows a batch to readers
// before its sync is done.
type early struct {
	store.Account
	durable mail.ModSeq
	reads   *int // of the log, until the record shows
}

type earlyStore struct {
	store.Store
	early early
}

func (s *earlyStore) Account(id mail.AccountID) store.Account {
	e := s.early
	e.Account = s.Store.Account(id)
	return &e
}

func (e *early) Head(ctx context.Context) (mail.ModSeq, error) {
	if *e.reads > 0 {
		return e.durable, nil
	}
	return e.Account.Head(ctx)
}

func (e *early) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	hidden := *e.reads > 0
	*e.reads--
	return func(yield func(store.Record, error) bool) {
		for r, err := range e.Account.Since(ctx, after) {
			if hidden && r.Last > e.durable || !yield(r, err) {
				return
			}
		}
	}
}

func TestCheckSeesACommitOnItsWay(t *testing.T) {
	for _, c := range []struct {
		reads int
		found int
	}{{1, 0}, {3, 0}, {1 << 30, 2}} {
		w := newWorld(t)
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.fill(inbox, 3)
		durable, err := w.mem.Account(7).Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.fill(inbox, 1)
		var found []Problem
		k := &Checker{
			Store: &earlyStore{w.mem, early{durable: durable, reads: &c.reads}}, Patience: 16 * time.Millisecond,
			Report: func(p Problem) { found = append(found, p) },
		}
		if _, err := k.Account(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if len(found) != c.found {
			t.Errorf("found %v, want %d problems", found, c.found)
		}
		for _, p := range found {
			if p.Harm != HarmRoom {
				t.Errorf("%+v", p)
			}
		}
	}
}
