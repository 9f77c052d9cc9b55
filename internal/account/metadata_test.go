package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"postern/internal/mail"
)

// annotated gives entries as text: name=value, in order.
func annotated(all []mail.Metadata) string {
	var parts []string
	for _, m := range all {
		parts = append(parts, fmt.Sprintf("%s=%s", m.Name, m.Value))
	}
	return strings.Join(parts, " ")
}

func set1(t *testing.T, m *Mailbox, pairs ...string) error {
	t.Helper()
	_, err := m.SetMetadata(t.Context(), entriesOf(pairs...))
	return err
}

// entriesOf makes entries of names and values; the value "NIL" is none.
func entriesOf(pairs ...string) (all []mail.Metadata) {
	for i := 0; i < len(pairs); i += 2 {
		e := mail.Metadata{Name: pairs[i], Value: []byte(pairs[i+1])}
		if pairs[i+1] == "NIL" {
			e.Value = nil
		}
		all = append(all, e)
	}
	return all
}

func mailboxOf(t *testing.T, a *Account, name string) *Mailbox {
	t.Helper()
	m, err := a.Mailbox(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantMetadata(t *testing.T, m interface{ Metadata() []mail.Metadata }, want string) {
	t.Helper()
	if got := annotated(m.Metadata()); got != want {
		t.Errorf("entries are %q, want %q", got, want)
	}
}

// TestMetadataKept sets, changes and removes entries, and finds them again after a
// restart from the log and from pages, after RENAME, and not after DELETE.
func TestMetadataKept(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	m := mailboxOf(t, a, "Archive")
	if err := set1(t, m, "/private/Comment", "mine", "/shared/comment", "", "/shared/x", "1"); err != nil {
		t.Fatal(err)
	}
	if err := set1(t, m, "/PRIVATE/comment", "changed", "/shared/x", "NIL", "/shared/none", "NIL"); err != nil {
		t.Fatal(err)
	}
	if at, err := m.SetMetadata(t.Context(), entriesOf("/private/comment", "changed", "/shared/x", "NIL")); at != 0 || err != nil {
		t.Errorf("what alters nothing is written: %d, %v", at, err)
	}
	if _, err := a.SetMetadata(t.Context(), entriesOf("/private/vendor/acme/x", "of the server")); err != nil {
		t.Fatal(err)
	}
	const want = `/private/Comment=changed /private/specialuse=\Archive /shared/comment=`
	for _, how := range []string{"log", "pages", "pages and log"} {
		if how != "log" {
			if err := a.ask(context.Background(), &request{run: func() { a.model.tailRecords = saveRecords }}); err != nil {
				t.Fatal(err)
			}
		}
		if how == "pages and log" {
			if err := set1(t, m, "/shared/late", "x"); err != nil {
				t.Fatal(err)
			}
			if err := set1(t, m, "/shared/late", "NIL"); err != nil {
				t.Fatal(err)
			}
		}
		a.Release()
		w.restart()
		a = w.open()
		m = mailboxOf(t, a, "Archive")
		wantMetadata(t, m, want)
		wantMetadata(t, a, "/private/vendor/acme/x=of the server")
		if e := m.Metadata()[2]; e.Value == nil || e.Reader != 0 {
			t.Errorf("after %s the empty value is %+v", how, e)
		}
	}
	if err := a.RenameMailbox(t.Context(), "Archive", "Old"); err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, mailboxOf(t, a, "Old"), want)
	if err := a.DeleteMailbox(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, m, "")
	if err := set1(t, m, "/shared/x", "1"); mail.KindOf(err) != mail.NotFound {
		t.Errorf("set in a mailbox that is gone: %v", err)
	}
	if _, err := a.CreateMailbox(t.Context(), "Old", 0); err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, mailboxOf(t, a, "Old"), "")
	if n := a.model.metadataBytes; n != len("/private/vendor/acme/x")+len("of the server") {
		t.Errorf("%d octets are counted", n)
	}
	a.Release()
}

// TestMetadataOfRenamedInbox: "annotations are copied from the original INBOX to the
// renamed mailbox, i.e., mailbox annotations are preserved on the INBOX" (RFC 5464
// 4.1).
func TestMetadataOfRenamedInbox(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	if err := set1(t, mailboxOf(t, a, "INBOX"), "/private/comment", "x", "/shared/y", "z"); err != nil {
		t.Fatal(err)
	}
	if err := a.RenameMailbox(t.Context(), "INBOX", "Before"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"INBOX", "Before"} {
		wantMetadata(t, mailboxOf(t, a, name), "/private/comment=x /shared/y=z")
	}
}

// TestMetadataOfReaders keeps private entries of several readers apart.
func TestMetadataOfReaders(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	m := mailboxOf(t, a, "INBOX")
	err := a.ask(t.Context(), &request{alone: true, plan: func(p *plan) error {
		return p.setMetadata(m.box.id, m.box.counts, []mail.Metadata{
			{Name: "/private/comment", Reader: 9, Value: []byte("of 9")}, {Name: "/private/comment", Reader: 7, Value: []byte("of 7")},
			{Name: "/shared/comment", Value: []byte("of all")},
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, m, "/private/comment=of 7 /shared/comment=of all")
	if err := set1(t, m, "/private/comment", "NIL"); err != nil {
		t.Fatal(err)
	}
	if got := annotated(a.model.metadata[m.box.id]); got != "/private/comment=of 9 /shared/comment=of all" {
		t.Errorf("there is %s", got)
	}
}

func TestMetadataLimits(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	m := mailboxOf(t, a, "INBOX")
	big := strings.Repeat("x", MaxMetadataValue)
	if err := set1(t, m, "/shared/ok", "x", "/shared/big", big+"x"); mail.KindOf(err) != mail.TooBig {
		t.Errorf("a value too big: %v", err)
	}
	wantMetadata(t, m, "") // all or none
	var many []string
	for i := range MaxMetadataEntries {
		many = append(many, fmt.Sprintf("/shared/n%d", i), "x")
	}
	if err := set1(t, m, many...); err != nil {
		t.Fatal(err)
	}
	if err := set1(t, m, "/shared/more", "x"); mail.KindOf(err) != mail.Limit {
		t.Errorf("one too many: %v", err)
	}
	if err := set1(t, m, "/shared/more", "x", "/shared/n0", "NIL"); err != nil {
		t.Errorf("one for another: %v", err)
	}
	if err := set1(t, m, "/private/mine", "x"); err != nil {
		t.Errorf("private ones are counted with those that are shared: %v", err)
	}
	for i := 0; ; i++ {
		err := set1(t, m, fmt.Sprintf("/private/b%d", i), big)
		if err == nil {
			continue
		}
		if sum := a.model.metadata[m.box.id].bytes(); mail.KindOf(err) != mail.Limit || sum > MaxMetadataBytes || sum+len(big)+20 < MaxMetadataBytes || sum != a.model.metadataBytes {
			t.Errorf("with %d octets: %v", sum, err)
		}
		break
	}
	if err := set1(t, m, "/private/b0", "small"); err != nil {
		t.Errorf("it cannot shrink: %v", err)
	}
	for _, c := range []struct {
		kind  mail.Kind
		pairs []string
	}{
		{mail.Invalid, []string{"/shared", "x"}}, {mail.Invalid, []string{"/shared/vendor/x", "x"}},
		{mail.Invalid, []string{"/shared/x", "1", "/SHARED/X", "2"}}, {mail.Cannot, []string{"/private/specialuse", `\All`}},
	} {
		if err := set1(t, m, c.pairs...); mail.KindOf(err) != c.kind {
			t.Errorf("%q: %v", c.pairs, err)
		}
	}
	if _, err := a.SetMetadata(t.Context(), entriesOf("/shared/comment", "x")); mail.KindOf(err) != mail.NotPermitted {
		t.Errorf("shared entry of the server: %v", err)
	}
}

// TestMetadataSpecialUse: "Set new use for SavedDrafts; MyDrafts changes
// automatically" (RFC 6154 5.4).
func TestMetadataSpecialUse(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	if _, err := a.CreateMailbox(t.Context(), "New", 0); err != nil {
		t.Fatal(err)
	}
	m := mailboxOf(t, a, "New")
	known := a.KnowMetadata()
	if err := set1(t, m, "/private/SpecialUse", `\sent \Drafts`, "/shared/x", "1"); err != nil {
		t.Fatal(err)
	}
	if m.Info().Use != mail.UseSent|mail.UseDrafts || mailboxOf(t, a, "Drafts").Info().Use != 0 {
		t.Errorf("uses are %v, %v", m.Info().Use.Names(), mailboxOf(t, a, "Drafts").Info().Use.Names())
	}
	wantMetadata(t, m, `/private/specialuse=\Drafts \Sent /shared/x=1`)
	want := []MetadataNews{
		{"Drafts", []string{"/private/specialuse"}}, {"New", []string{"/private/specialuse", "/shared/x"}}, {"Sent", []string{"/private/specialuse"}},
	}
	if got := known.News(); !reflect.DeepEqual(got, want) {
		t.Errorf("news are %v", got)
	}
	if err := set1(t, m, "/private/specialuse", ""); err != nil || m.Info().Use != 0 {
		t.Errorf("use is %v, %v", m.Info().Use.Names(), err)
	}
	if err := set1(t, mailboxOf(t, a, "INBOX"), "/private/specialuse", `\Trash`); mail.KindOf(err) != mail.Cannot {
		t.Errorf("INBOX for trash: %v", err)
	}
}

// TestMetadataNews tells what others did and not what one did oneself, whatever
// becomes of the model in between.
func TestMetadataNews(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	m := mailboxOf(t, a, "INBOX")
	if err := set1(t, m, "/private/a", "1", "/private/b", "1"); err != nil {
		t.Fatal(err)
	}
	known := a.KnowMetadata()
	news := func(want ...MetadataNews) {
		t.Helper()
		if got := known.News(); !reflect.DeepEqual(got, want) {
			t.Errorf("news are %v, want %v", got, want)
		}
	}
	own := func(pairs ...string) {
		t.Helper()
		changes := entriesOf(pairs...)
		at, err := m.SetMetadata(t.Context(), changes)
		if err != nil {
			t.Fatal(err)
		}
		known.Own(m, changes, at)
	}
	news()
	own("/private/a", "2", "/private/b", "NIL", "/private/specialuse", "")
	news()
	own("/private/c", "1")
	if err := set1(t, m, "/private/A", "3", "/shared/d", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetMetadata(t.Context(), entriesOf("/private/s", "x")); err != nil {
		t.Fatal(err)
	}
	news(MetadataNews{"", []string{"/private/s"}}, MetadataNews{"INBOX", []string{"/private/a", "/shared/d"}})
	info, err := a.CreateMailbox(t.Context(), "Own", mail.UseImportant)
	if err != nil {
		t.Fatal(err)
	}
	known.OwnMailbox(info)
	if _, err := a.CreateMailbox(t.Context(), "Other", mail.UseImportant); err != nil {
		t.Fatal(err)
	}
	news(MetadataNews{"Other", []string{"/private/specialuse"}})
	// What was removed, saved and forgotten by the time one looks.
	if err := set1(t, m, "/private/c", "NIL"); err != nil {
		t.Fatal(err)
	}
	if err := set1(t, mailboxOf(t, a, "Trash"), "/shared/x", "1"); err != nil {
		t.Fatal(err)
	}
	news(MetadataNews{"INBOX", []string{"/private/c"}}, MetadataNews{"Trash", []string{"/shared/x"}})
	if err := set1(t, m, "/private/a", "NIL"); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteMailbox(t.Context(), "Trash"); err != nil {
		t.Fatal(err)
	}
	err = a.ask(t.Context(), &request{run: func() {
		if err := errors.Join(a.save(context.Background()), a.load(context.Background())); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	news(MetadataNews{"INBOX", []string{"/private/a"}})
	a.Release()
}

// TestMetadataEntriesAreNotChanged: whoever has seen entries keeps what he saw.
func TestMetadataEntriesAreNotChanged(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	m := mailboxOf(t, a, "INBOX")
	value := []byte("before")
	if _, err := m.SetMetadata(t.Context(), []mail.Metadata{{Name: "/shared/x", Value: value}}); err != nil {
		t.Fatal(err)
	}
	copy(value, "XXXXXX")
	seen := a.model.metadata[m.box.id]
	if err := set1(t, m, "/shared/x", "after", "/shared/a", "1"); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || !bytes.Equal(seen[0].Value, []byte("before")) {
		t.Errorf("what was seen is %s", annotated(seen))
	}
}
