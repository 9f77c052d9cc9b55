package account

import (
	"strings"
	"testing"

	"postern/internal/mail"
)

func TestCanonicalName(t *testing.T) {
	deep := strings.Repeat("a/", MaxNameDepth-1) + "a"
	long := strings.Repeat("x", MaxNameBytes)
	for _, c := range []struct{ name, want string }{
		{"inbox", "INBOX"}, {"InBoX", "INBOX"}, {"inbox/Child", "INBOX/Child"}, {"a/inbox", "a/inbox"},
		{"INBOXes", "INBOXes"}, {"inboxes/a", "inboxes/a"},
		{"Entwu\u0308rfe", "Entw\u00fcrfe"}, // RFC 5198 3: NFC
		{"inbo\u212a", "inboK"},             // the Kelvin sign is K in NFC, and this is no INBOX
		{".", "."}, {"..", ".."}, {"a/../b", "a/../b"}, {"a.b", "a.b"}, {"~", "~"}, {`\`, `\`}, {"*", "*"}, {"a b", "a b"},
		{deep, deep}, {long, long}, {"\U0001f4e7", "\U0001f4e7"},
	} {
		if got, err := CanonicalName(c.name); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{
		"", "/", "/a", "a/", "a//b", "a\x00", "a\x1fb", "a\x7f", "a\u0085b", "a\u2028b", "a\u2029", "\xff", "a\r\nb",
		deep + "/a", long + "x", strings.Repeat("u\u0308", MaxNameBytes),
	} {
		got, err := CanonicalName(bad)
		if err == nil || mail.KindOf(err) != mail.Cannot {
			t.Errorf("%q: got %q, %v", bad, got, err)
		}
	}
}

func TestCreateRenameDelete(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	ctx := t.Context()
	info, err := a.CreateMailbox(ctx, "inbox/Lists/Go/", mail.UseImportant)
	if err != nil || info.Name != "INBOX/Lists/Go" || info.Use != mail.UseImportant || info.HasChildren || info.Subscribed {
		t.Fatalf("%+v, %v", info, err)
	}
	if parent := box(t, a, "INBOX/Lists").Info(); !parent.HasChildren {
		t.Errorf("the parent was made without children: %+v", parent)
	}
	_, err = a.CreateMailbox(ctx, "INBOX/lists", 0)
	if err != nil {
		t.Errorf("only INBOX is without regard to case: %v", err)
	}
	for _, c := range []struct {
		what string
		err  error
		kind mail.Kind
	}{
		{"create again", second(a.CreateMailbox(ctx, "INBOX/Lists", 0)), mail.AlreadyExists},
		{"create INBOX", second(a.CreateMailbox(ctx, "inbox", 0)), mail.AlreadyExists},
		{"create badly", second(a.CreateMailbox(ctx, "a//b", 0)), mail.Cannot},
		{"delete INBOX", a.DeleteMailbox(ctx, "Inbox"), mail.Cannot},
		{"delete a parent", a.DeleteMailbox(ctx, "INBOX/Lists"), mail.HasChildren},
		{"delete nothing", a.DeleteMailbox(ctx, "nothing"), mail.NotFound},
		{"delete badly", a.DeleteMailbox(ctx, "a//b"), mail.NotFound},
		{"rename nothing", a.RenameMailbox(ctx, "nothing", "b"), mail.NotFound},
		{"rename onto another", a.RenameMailbox(ctx, "Sent", "Trash"), mail.AlreadyExists},
		{"rename onto INBOX", a.RenameMailbox(ctx, "Sent", "inbox"), mail.AlreadyExists},
		{"rename below itself", a.RenameMailbox(ctx, "INBOX/Lists", "INBOX/Lists/Go/x"), mail.Cannot},
		{"rename too long", a.RenameMailbox(ctx, "INBOX/Lists", strings.Repeat("x", MaxNameBytes-2)), mail.Cannot},
	} {
		if c.err == nil || mail.KindOf(c.err) != c.kind {
			t.Errorf("%s: got %v, want %v", c.what, c.err, c.kind)
		}
	}
	if err := a.RenameMailbox(ctx, "INBOX/Lists", "Old/Lists"); err != nil {
		t.Fatal(err)
	}
	moved := box(t, a, "Old/Lists/Go").Info()
	if moved.ID != info.ID || moved.Validity != info.Validity || !box(t, a, "Old").Info().HasChildren {
		t.Errorf("%+v was %+v", moved, info)
	}
	_, err = a.Mailbox("INBOX/Lists/Go", mail.RightLookup)
	wantKind(t, err, mail.NotFound)
	if err := a.DeleteMailbox(ctx, "Old/Lists/Go"); err != nil {
		t.Fatal(err)
	}
	again, err := a.CreateMailbox(ctx, "Old/Lists/Go", 0)
	if err != nil || again.Validity <= info.Validity || again.ID == info.ID {
		t.Errorf("UIDVALIDITY after DELETE and CREATE: %+v after %+v, %v", again, info, err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestRenameInboxMovesItsMessages(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	if _, err := a.CreateMailbox(t.Context(), "INBOX/below", 0); err != nil {
		t.Fatal(err)
	}
	inbox := box(t, a, "INBOX")
	for i := range 3 {
		w.add(inbox, i, mail.NewFlags(mail.Flagged))
	}
	s := sel(t, inbox)
	before := inbox.Info()
	if err := a.RenameMailbox(t.Context(), "INBOX", "Old"); err != nil {
		t.Fatal(err)
	}
	after, old := inbox.Info(), box(t, a, "Old")
	if after.Counts.Messages != 0 || after.Counts.UIDNext != 4 || after.Validity != before.Validity || after.Name != "INBOX" || !after.HasChildren {
		t.Errorf("%+v", after)
	}
	if o := old.Info(); o.Counts.Messages != 3 || o.Counts.UIDNext != 4 || o.Validity == before.Validity {
		t.Errorf("%+v", o)
	}
	if d := s.Delta(s.Start().At, span(1, 3)); !d.Expunged.Equal(span(1, 3)) {
		t.Errorf("%+v", d)
	}
	if got := flagsOf(sel(t, old), 2); got != `(\Flagged)` {
		t.Errorf("flags after the move: %s", got)
	}
}

func TestSubscriptionsAreToNames(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	ctx := t.Context()
	for _, err := range []error{
		a.Subscribe(ctx, "not/there", true), a.Subscribe(ctx, "not/there", true), a.Subscribe(ctx, "Junk", false),
		a.DeleteMailbox(ctx, "Sent"), a.RenameMailbox(ctx, "Drafts", "Entwürfe"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := "Archive Drafts INBOX Sent Trash not/there" // RFC 9051 6.3.7, 6.3.8: names stay until unsubscribed
	if got := strings.Join(a.Subscriptions(), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.restart()
	if got := strings.Join(w.open().Subscriptions(), " "); got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	wantKind(t, a.Subscribe(ctx, "a//b", true), mail.Cannot)
}

func TestLimitOnMailboxes(t *testing.T) {
	w := newWorld(t)
	w.pool.o.Limits.Mailboxes = 8
	a := w.open() // six
	_, err := a.CreateMailbox(t.Context(), "x/y/z", 0)
	wantKind(t, err, mail.Limit)
	if _, err := a.CreateMailbox(t.Context(), "x/y", 0); err != nil {
		t.Error(err)
	}
	_, err = a.CreateMailbox(t.Context(), "w", 0)
	wantKind(t, err, mail.Limit)
	wantKind(t, a.RenameMailbox(t.Context(), "INBOX", "w"), mail.Limit)
}
