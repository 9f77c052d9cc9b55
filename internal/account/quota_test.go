package account

import (
	"context"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

func most(n uint64) mail.QuotaLimit { return mail.QuotaLimit{Given: true, Most: n} }

// octetsOf is the size of what world.add appends.
func octetsOf(n int) uint64 { return uint64(len(mailText(n))) }

// TestQuotaKept finds limits and use again after a restart, from the log and from
// pages, and falls back on what is configured.
func TestQuotaKept(t *testing.T) {
	w := newWorld(t)
	configured := mail.Quota{Octets: 1 << 20, Messages: 1000, Mailboxes: mail.Unlimited}
	if err := w.pool.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := func() *Account {
		w.pool = NewPool(w.mem, Options{Now: w.clock.Now, Every: -1, Quota: &configured})
		return w.open()
	}
	a := open()
	m := box(t, a, mail.Inbox)
	w.add(m, 1, mail.Flags{})
	w.add(m, 2, mail.NewFlags(mail.Deleted))
	own := mail.OwnQuota{Octets: most(5000), Mailboxes: most(mail.Unlimited)}
	if err := a.SetQuota(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"at once", "log", "pages"} {
		if how == "pages" {
			if err := a.ask(t.Context(), &request{run: func() { a.model.tailRecords = saveRecords }}); err != nil {
				t.Fatal(err)
			}
		}
		if how != "at once" {
			a.Release()
			if err := w.pool.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			a = open()
		}
		used, quota := a.Quota()
		if want := (mail.Usage{Octets: octetsOf(1) + octetsOf(2), Messages: 2, Mailboxes: 6}); used != want {
			t.Errorf("%s: used are %+v, want %+v", how, used, want)
		}
		if want := (mail.Quota{Octets: 5000, Messages: 1000, Mailboxes: mail.Unlimited}); quota != want || a.OwnQuota() != own {
			t.Errorf("%s: limits are %+v, %+v", how, quota, a.OwnQuota())
		}
		if got := box(t, a, mail.Inbox).Info().Counts.DeletedBytes; got != octetsOf(2) {
			t.Errorf("%s: %d octets are deleted", how, got)
		}
	}
	a.Release()
}

// TestQuotaEnforced brings an account to its limits by every way there is.
func TestQuotaEnforced(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	m, trash := box(t, a, mail.Inbox), box(t, a, "Trash")
	s := sel(t, m)
	defer s.Close()
	uid := w.add(m, 1, mail.Flags{})
	limit := func(q mail.OwnQuota) {
		t.Helper()
		if err := a.SetQuota(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	add := func(texts ...int) error {
		var msgs []NewMessage
		for _, n := range texts {
			msgs = append(msgs, NewMessage{Content: w.content(mailText(n)), Date: mail.NewInternalDate(w.clock.Now())})
		}
		_, err := m.Append(t.Context(), msgs)
		return err
	}
	limit(mail.OwnQuota{Octets: most(octetsOf(1) + octetsOf(2))})
	wantKind(t, add(2, 3), mail.OverQuota) // all or none
	if err := add(2); err != nil {
		t.Fatal("to the very octet: ", err)
	}
	wantKind(t, add(3), mail.OverQuota)
	wantKind(t, m.RoomFor(mail.Usage{Octets: 1}), mail.OverQuota)
	if _, err := s.Copy(t.Context(), set(uid), trash); mail.KindOf(err) != mail.OverQuota {
		t.Errorf("COPY: %v", err)
	}
	if _, err := s.Move(t.Context(), set(uid), trash); err != nil {
		t.Errorf("MOVE within the account uses nothing more: %v", err)
	}
	// A limit that is lowered takes nothing away and lets nothing in.
	limit(mail.OwnQuota{Messages: most(1)})
	wantKind(t, add(4), mail.OverQuota)
	if err := a.DeleteMailbox(t.Context(), "Trash"); err != nil {
		t.Fatal(err)
	}
	// Expunged mail is held for sessions, and is not counted.
	if used, _ := a.Quota(); used != (mail.Usage{Octets: octetsOf(2), Messages: 1, Mailboxes: 5}) {
		t.Errorf("used are %+v", used)
	}
	limit(mail.OwnQuota{Mailboxes: most(6)})
	if _, err := a.CreateMailbox(t.Context(), "x/y", 0); mail.KindOf(err) != mail.OverQuota {
		t.Errorf("two mailboxes where there is room for one: %v", err)
	}
	if _, err := a.CreateMailbox(t.Context(), "x", 0); err != nil {
		t.Error(err)
	}
	wantKind(t, a.RenameMailbox(t.Context(), "x", "y/z"), mail.OverQuota)
	wantKind(t, a.RenameMailbox(t.Context(), mail.Inbox, "Old"), mail.OverQuota)
	if err := a.RenameMailbox(t.Context(), "x", "z"); err != nil {
		t.Error(err)
	}
	// "0 indicates that any usage is prohibited" (RFC 9208 3.1.2).
	limit(mail.OwnQuota{Messages: most(0)})
	wantKind(t, add(5), mail.OverQuota)
}

// TestQuotaOfOneBatch: of requests that wait together only those come in for which
// there is room, whatever the model knows of the others.
func TestQuotaOfOneBatch(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	m := box(t, a, mail.Inbox)
	if err := a.SetQuota(t.Context(), mail.OwnQuota{Messages: most(2)}); err != nil {
		t.Fatal(err)
	}
	var actions []*action
	for n := range 4 {
		c := w.content(mailText(n))
		actions = append(actions, &action{run: func() error {
			_, err := m.Append(context.Background(), []NewMessage{{Content: c, Date: mail.NewInternalDate(w.clock.Now())}})
			return err
		}})
	}
	(&modelTest{}).together(a, actions)
	for n, act := range actions {
		if over := mail.KindOf(act.err) == mail.OverQuota; over != (n >= 2) || !over && act.err != nil {
			t.Errorf("message %d: %v", n, act.err)
		}
	}
	if used, _ := a.Quota(); used.Messages != 2 {
		t.Errorf("%d messages came in", used.Messages)
	}
}

// TestDeletedBytesOfOlderStore opens a store of a version that did not count the
// octets of deleted messages, in pages and in the log.
func TestDeletedBytesOfOlderStore(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	m := box(t, a, mail.Inbox)
	w.add(m, 1, mail.NewFlags(mail.Deleted))
	uid := w.add(m, 222222, mail.Flags{})
	ctx := context.Background()
	if err := a.ask(ctx, &request{run: func() { a.model.tailRecords = saveRecords }}); err != nil {
		t.Fatal(err)
	}
	a.Release()
	if err := w.pool.Close(ctx); err != nil {
		t.Fatal(err)
	}
	// What version 2 of a mailbox's page and version 1 of a record looked like.
	acct := w.mem.Account(7)
	var state *mailboxState
	save := store.Save{}
	err := acct.Heads(ctx, func(h store.Head) error {
		if h.Scope != store.Scope(m.box.id) {
			return nil
		}
		var err error
		if state, err = decodeMailbox(h.Data); err != nil {
			return err
		}
		save.Scopes = []store.ScopeSave{{Scope: h.Scope, Was: h.Saved, Now: h.Saved, Head: encodeMailbox2(state)}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := acct.Save(ctx, save); err != nil {
		t.Fatal(err)
	}
	head, err := acct.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"pages", "log"} {
		want := octetsOf(1)
		if old == "log" {
			c := state.counts
			c.Deleted, want = 2, want+octetsOf(222222)
			record := encodeRecord1(m.box.id, c, mail.FlagsChanged{Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted), UIDs: set(uid)})
			if err := acct.Commit(ctx, head, store.Entry{Last: head + 1, Record: record}); err != nil {
				t.Fatal(err)
			}
		}
		w.check()
		w.pool = w.newPool(w.mem)
		a = w.open()
		if got := box(t, a, mail.Inbox).Info().Counts.DeletedBytes; got != want {
			t.Errorf("from older %s: %d octets are deleted, want %d", old, got, want)
		}
		a.Release()
		if err := w.pool.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.pool = w.newPool(w.mem)
	a = w.open()
	defer a.Release()
	s := sel(t, box(t, a, mail.Inbox))
	defer s.Close()
	if _, err := s.StoreFlags(ctx, StoreRequest{UIDs: set(uid), Op: mail.SetFlags}); err != nil {
		t.Fatal(err)
	}
	if got := s.Info().Counts.DeletedBytes; got != octetsOf(1) {
		t.Errorf("after a change %d octets are deleted", got)
	}
}

func appendCounts1(b []byte, c mail.Counts) []byte {
	for _, n := range []uint64{uint64(c.Messages), uint64(c.Unseen), uint64(c.Deleted), c.Bytes, uint64(c.UIDNext)} {
		b = appendUint(b, n)
	}
	return b
}

func encodeMailbox2(m *mailboxState) []byte {
	b := appendString([]byte{2}, m.name)
	b = appendUint(b, uint64(m.validity))
	b = appendUint(b, uint64(m.use))
	b = appendCounts1(b, m.counts)
	for _, n := range []uint64{uint64(m.highest), uint64(m.last), uint64(m.claimed), uint64(m.recent)} {
		b = appendUint(b, n)
	}
	b = appendInt(b, m.deletedAt)
	b = appendUint(b, uint64(m.held))
	b = appendInt(b, m.heldSince)
	return appendUint(b, uint64(m.forgotten))
}

// encodeRecord1 writes a record of one change.
func encodeRecord1(id mail.MailboxID, after mail.Counts, e mail.Event) []byte {
	var w recordWriter
	kind, payload := w.event(e)
	b := appendUint(appendFlagSets([]byte{1}, w.sets), 1)
	b = appendUint(append(b, byte(kind)), uint64(id))
	return appendString(appendCounts1(b, after), payload)
}
