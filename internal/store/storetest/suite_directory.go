package storetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

var directoryCases = []testCase{
	{"create and find", testDirectoryCreate},
	{"names are unique", testDirectoryUnique},
	{"update", testDirectoryUpdate},
	{"remove", testDirectoryRemove},
	{"aliases", testDirectoryAliases},
	{"order", testDirectoryOrder},
	{"limits", testDirectoryLimits},
	{"watch", testDirectoryWatch},
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

// create adds an account that has but a name.
func create(t testing.TB, d store.Directory, name string) store.Identity {
	t.Helper()
	id, err := d.Create(t.Context(), store.Identity{Name: name}, noon)
	must(t, err)
	return id
}

func equalIdentity(a, b store.Identity) bool {
	return a.ID == b.ID && a.Version == b.Version && a.Name == b.Name && bytes.Equal(a.Credentials, b.Credentials) &&
		a.Disabled == b.Disabled && a.Shared == b.Shared && a.Created.Equal(b.Created)
}

func testDirectoryCreate(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	ada, err := d.Create(ctx, store.Identity{ID: 99, Version: 99, Name: "ada@example.org", Credentials: []byte("secret"),
		Disabled: true, Shared: true, Created: noon.AddDate(-1, 0, 0)}, noon)
	must(t, err)
	if ada.ID == 0 || ada.Version == 0 || !ada.Created.Equal(noon.Truncate(time.Microsecond)) || ada.Created.Location() != time.UTC ||
		ada.Name != "ada@example.org" || string(ada.Credentials) != "secret" || !ada.Disabled || !ada.Shared {
		t.Errorf("created %+v", ada)
	}
	got, err := d.Identity(ctx, ada.ID)
	must(t, err)
	if !equalIdentity(got, ada) {
		t.Errorf("got %+v, want %+v", got, ada)
	}
	bob := create(t, d, "bob@example.org")
	if bob.ID == ada.ID || bob.Disabled || bob.Shared || len(bob.Credentials) != 0 {
		t.Errorf("created %+v", bob)
	}
	target, err := d.Find(ctx, "ada@example.org")
	must(t, err)
	if target.Name != "ada@example.org" || target.Alias || len(target.Accounts) != 1 || target.Accounts[0] != ada.ID {
		t.Errorf("found %+v", target)
	}
	for _, name := range []string{"nobody@example.org", "ADA@example.org", "ada@example.or", "ada@example.orgg", "@example.org", ""} {
		_, err := d.Find(ctx, name)
		wantKind(t, "Find "+name, err, mail.NotFound)
	}
	_, err = d.Identity(ctx, ada.ID+1000)
	wantKind(t, "Identity of nobody", err, mail.NotFound)
}

func testDirectoryUnique(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	ada := create(t, d, "ada@example.org")
	bob := create(t, d, "bob@example.org")
	must(t, d.SetAlias(ctx, "info@example.org", []mail.AccountID{ada.ID}))
	for _, name := range []string{"ada@example.org", "info@example.org"} {
		_, err := d.Create(ctx, store.Identity{Name: name}, noon)
		wantKind(t, "Create "+name, err, mail.AlreadyExists)
		bob.Name = name
		_, err = d.Update(ctx, bob)
		wantKind(t, "Update to "+name, err, mail.AlreadyExists)
	}
	wantKind(t, "alias of an account's name", d.SetAlias(ctx, "ada@example.org", []mail.AccountID{bob.ID}), mail.AlreadyExists)
	got, err := d.Identity(ctx, bob.ID)
	must(t, err)
	if got.Name != "bob@example.org" || got.Version != bob.Version {
		t.Errorf("refused updates left %+v", got)
	}
}

func testDirectoryUpdate(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	old := create(t, d, "ada@example.org")
	next := old
	next.Credentials, next.Disabled, next.Created = []byte("new"), true, noon.AddDate(5, 0, 0)
	got, err := d.Update(ctx, next)
	must(t, err)
	if got.Version <= old.Version || string(got.Credentials) != "new" || !got.Disabled || !got.Created.Equal(old.Created) {
		t.Errorf("updated to %+v", got)
	}
	_, err = d.Update(ctx, next)
	wantErr(t, "a second update of the same version", err, store.ErrStale)
	next = got
	next.Version++
	_, err = d.Update(ctx, next)
	wantErr(t, "an update of a version to come", err, store.ErrStale)

	renamed := got
	renamed.Name = "ada@example.net"
	renamed, err = d.Update(ctx, renamed)
	must(t, err)
	target, err := d.Find(ctx, "ada@example.net")
	must(t, err)
	if target.Accounts[0] != old.ID {
		t.Errorf("the new name is %+v", target)
	}
	_, err = d.Find(ctx, "ada@example.org")
	wantKind(t, "Find the old name", err, mail.NotFound)
	if other := create(t, d, "ada@example.org"); other.ID == old.ID {
		t.Error("an ID was given twice")
	}
	_, err = d.Update(ctx, store.Identity{ID: 12345, Version: 1, Name: "x@example.org"})
	wantKind(t, "Update of nobody", err, mail.NotFound)
	stored, err := d.Identity(ctx, old.ID)
	must(t, err)
	if !equalIdentity(stored, renamed) {
		t.Errorf("stored %+v, want %+v", stored, renamed)
	}
}

func testDirectoryRemove(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	ada, bob := create(t, d, "ada@example.org"), create(t, d, "bob@example.org")
	must(t, d.SetAlias(ctx, "both@example.org", []mail.AccountID{ada.ID, bob.ID}))
	must(t, d.SetAlias(ctx, "only@example.org", []mail.AccountID{ada.ID}))
	must(t, d.Remove(ctx, ada.ID))
	_, err := d.Identity(ctx, ada.ID)
	wantKind(t, "Identity", err, mail.NotFound)
	for _, name := range []string{"ada@example.org", "only@example.org"} {
		_, err := d.Find(ctx, name)
		wantKind(t, "Find "+name, err, mail.NotFound)
	}
	both, err := d.Find(ctx, "both@example.org")
	must(t, err)
	wantEqual(t, "the alias", both.Accounts, []mail.AccountID{bob.ID}, same)
	wantKind(t, "Remove again", d.Remove(ctx, ada.ID), mail.NotFound)
	_, err = d.Update(ctx, ada)
	wantKind(t, "Update", err, mail.NotFound)
	if again := create(t, d, "ada@example.org"); again.ID == ada.ID || again.ID == bob.ID {
		t.Error("an ID was given twice")
	}
}

func testDirectoryAliases(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	ada, bob := create(t, d, "ada@example.org"), create(t, d, "bob@example.org")
	must(t, d.SetAlias(ctx, "info@example.org", []mail.AccountID{bob.ID, ada.ID, bob.ID}))
	must(t, d.SetAlias(ctx, "@example.org", []mail.AccountID{ada.ID}))
	target, err := d.Find(ctx, "info@example.org")
	must(t, err)
	if !target.Alias || target.Name != "info@example.org" {
		t.Errorf("found %+v", target)
	}
	wantEqual(t, "accounts of an alias", target.Accounts, []mail.AccountID{ada.ID, bob.ID}, same)
	must(t, d.SetAlias(ctx, "info@example.org", []mail.AccountID{bob.ID}))
	target, err = d.Find(ctx, "info@example.org")
	must(t, err)
	wantEqual(t, "accounts of a replaced alias", target.Accounts, []mail.AccountID{bob.ID}, same)
	target, err = d.Find(ctx, "@example.org")
	must(t, err)
	if !target.Alias || target.Accounts[0] != ada.ID {
		t.Errorf("catch-all is %+v", target)
	}
	wantKind(t, "an alias of nobody", d.SetAlias(ctx, "x@example.org", nil), mail.Invalid)
	wantKind(t, "an alias of a stranger", d.SetAlias(ctx, "x@example.org", []mail.AccountID{ada.ID, 12345}), mail.NotFound)
	wantKind(t, "RemoveAlias of none", d.RemoveAlias(ctx, "x@example.org"), mail.NotFound)
	wantKind(t, "RemoveAlias of an account", d.RemoveAlias(ctx, "ada@example.org"), mail.NotFound)
	must(t, d.RemoveAlias(ctx, "info@example.org"))
	_, err = d.Find(ctx, "info@example.org")
	wantKind(t, "Find a removed alias", err, mail.NotFound)
}

func testDirectoryOrder(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	var ids []mail.AccountID
	for _, name := range []string{"c@example.org", "a@example.org", "b@example.org", "é@example.org", "b@example.orga"} {
		ids = append(ids, create(t, d, name).ID)
	}
	for _, name := range []string{"z@example.org", "@example.org", "bb@example.org"} {
		must(t, d.SetAlias(ctx, name, ids[:1]))
	}
	var names []string
	for id, err := range d.Identities(ctx) {
		must(t, err)
		names = append(names, id.Name)
	}
	wantEqual(t, "accounts", names, []string{"a@example.org", "b@example.org", "b@example.orga", "c@example.org", "é@example.org"}, same)
	names = nil
	for a, err := range d.Aliases(ctx) {
		must(t, err)
		names = append(names, a.Name)
		wantEqual(t, "accounts of an alias", a.Accounts, ids[:1], same)
	}
	wantEqual(t, "aliases", names, []string{"@example.org", "bb@example.org", "z@example.org"}, same)
}

func testDirectoryLimits(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	long := strings.Repeat("x", 1024)
	credentials := noise(1, 64<<10)
	id, err := d.Create(ctx, store.Identity{Name: long, Credentials: credentials}, noon)
	must(t, err)
	got, err := d.Identity(ctx, id.ID)
	must(t, err)
	if got.Name != long || !bytes.Equal(got.Credentials, credentials) {
		t.Error("the largest identity did not come back")
	}
	for _, name := range []string{"", long + "x"} {
		_, err = d.Create(ctx, store.Identity{Name: name}, noon)
		wantKind(t, "Create", err, mail.Invalid)
		id.Name = name
		_, err = d.Update(ctx, id)
		wantKind(t, "Update", err, mail.Invalid)
		wantKind(t, "SetAlias", d.SetAlias(ctx, name, []mail.AccountID{id.ID}), mail.Invalid)
	}
	_, err = d.Create(ctx, store.Identity{Name: "y", Credentials: append(credentials, 0)}, noon)
	wantKind(t, "Create", err, mail.Limit)
}

func testDirectoryWatch(t *testing.T, s store.Store) {
	d, ctx := s.Directory(), t.Context()
	ch, stop := d.Watch()
	other, stopOther := d.Watch()
	defer stopOther()
	if ch == other {
		t.Fatal("two calls gave one channel")
	}
	var id store.Identity
	changes := []func(){
		func() { id = create(t, d, "ada@example.org") },
		func() {
			id.Disabled = true
			var err error
			id, err = d.Update(ctx, id)
			must(t, err)
		},
		func() { must(t, d.SetAlias(ctx, "x@example.org", []mail.AccountID{id.ID})) },
		func() { must(t, d.RemoveAlias(ctx, "x@example.org")) },
		func() { must(t, d.Remove(ctx, id.ID)) },
	}
	for i, change := range changes {
		change()
		for _, c := range []<-chan struct{}{ch, other} {
			select {
			case <-c:
			case <-time.After(10 * time.Second): // another node's drivers may take a moment
				t.Fatalf("change %d was not told", i)
			}
		}
	}
	create(t, d, "b@example.org") // nobody receives, and nothing waits
	create(t, d, "c@example.org")
	stop()
	stop()
}
