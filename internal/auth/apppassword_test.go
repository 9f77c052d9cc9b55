package auth

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
)

// addApp gives ada an app password.
func (f *fixture) addApp(t testing.TB, a AppPassword) (AppPassword, string) {
	t.Helper()
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	e := f.dir.entries["ada@example.org"]
	record, made, password, err := AddAppPassword(e.Record, a)
	if err != nil {
		t.Fatal(err)
	}
	e.Record, e.Version = record, e.Version+1
	f.dir.entries["ada@example.org"] = e
	return made, password
}

// rot gives another character than that.
func rot(c string) string {
	if c == "a" {
		return "b"
	}
	return "a"
}

func TestAppPassword(t *testing.T) {
	var used []uint64
	f := newFixture(t, func(c *Config) {
		c.Used = func(_ context.Context, id Identity, _ time.Time) { used = append(used, id.App) }
	})
	phone, onPhone := f.addApp(t, AppPassword{Name: "phone", Created: f.now})
	backup, onBackup := f.addApp(t, AppPassword{Name: "backup", ReadOnly: true, Expires: f.now.Add(time.Hour),
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8::/32")}})
	from := func(addr string) Peer { return Peer{Remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 4000)} }
	for _, test := range []struct {
		user, password, from string
		want                 *Identity
		result               Result
	}{
		{"ada", onPhone, "198.51.100.1", &Identity{Account: 1, Name: "ada@example.org", App: phone.ID}, Accepted},
		{"ada", strings.ToUpper(strings.ReplaceAll(onPhone, "-", " ")), "198.51.100.1", &Identity{Account: 1, Name: "ada@example.org", App: phone.ID}, Accepted},
		{"ada", strings.ReplaceAll(onPhone, "-", ""), "198.51.100.1", &Identity{Account: 1, Name: "ada@example.org", App: phone.ID}, Accepted},
		{"ada", "correct horse", "198.51.100.1", &Identity{Account: 1, Name: "ada@example.org"}, Accepted},
		{"ada", onBackup, "192.0.2.5", &Identity{Account: 1, Name: "ada@example.org", App: backup.ID, ReadOnly: true}, Accepted},
		{"ada", onBackup, "::ffff:192.0.2.5", &Identity{Account: 1, Name: "ada@example.org", App: backup.ID, ReadOnly: true}, Accepted},
		{"ada", onBackup, "2001:db8::7", &Identity{Account: 1, Name: "ada@example.org", App: backup.ID, ReadOnly: true}, Accepted},
		{"ada", onBackup, "192.0.2.25", nil, NotGood},
		{"ada", "app-" + rot(onPhone[4:5]) + onPhone[5:], "192.0.2.5", nil, WrongPassword},
		{"ada", onPhone[:len(onPhone)-1], "192.0.2.5", nil, WrongPassword}, // too short for one: a password like others
		{"off", onPhone, "192.0.2.5", nil, WrongPassword},
		{"eve", onPhone, "192.0.2.5", nil, UnknownUser},
	} {
		id, err := f.Login(t.Context(), from(test.from), test.user, test.password)
		if (err == nil) != (test.want != nil) || test.want != nil && id != *test.want {
			t.Errorf("%s from %s: %+v, %v; want %+v", test.user, test.from, id, err, test.want)
		}
		if err != nil && err.Error() != failed().Error() {
			t.Errorf("%s from %s: %v", test.user, test.from, err)
		}
		if got := f.last().Result; got != test.result {
			t.Errorf("%s from %s: reported as %s, want %s", test.user, test.from, got, test.result)
		}
	}
	if want := []uint64{phone.ID, phone.ID, phone.ID, backup.ID, backup.ID, backup.ID}; !slices.Equal(used, want) {
		t.Errorf("told of the use of %v, want %v", used, want)
	}
	f.now = f.now.Add(time.Hour)
	if _, err := f.Login(t.Context(), from("192.0.2.5"), "ada", onBackup); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("expired: %v", err)
	}
	if strings.Contains(f.log.String(), onPhone[4:9]) {
		t.Error("an app password is in the log")
	}
}

// TestAppPasswordIsStrong: the guard hears that it cannot be guessed, and nothing of
// what it is.
func TestAppPasswordIsStrong(t *testing.T) {
	g := &strict{ruling: func(*Question) Ruling { return Ruling{Check: true} }}
	f := newFixture(t, func(c *Config) { c.Guard = g })
	_, password := f.addApp(t, AppPassword{Name: "phone"})
	wrong := "app-" + rot(password[4:5]) + password[5:]
	for _, p := range []string{password, wrong} {
		f.Login(t.Context(), peer, "ada", p)
	}
	for i, q := range g.asked {
		if !q.Strong || q.Password != "" || q.Account != 1 {
			t.Errorf("try %d: it was asked %+v", i, q)
		}
	}
	if !slices.Equal(g.settled, []Outcome{CheckedRight, CheckedWrong}) {
		t.Errorf("it was told %v", g.settled)
	}
	g.ruling = func(*Question) Ruling { return Ruling{Refuse: true} }
	if _, err := f.Login(t.Context(), peer, "ada", password); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("refused: %v", err)
	}
}

// TestAppPasswordRecords: made, listed, taken back; they outlive a new password, and
// what cannot be kept is refused.
func TestAppPasswordRecords(t *testing.T) {
	record, err := SetPassword(nil, "correct horse", cheap, fewIterations)
	if err != nil {
		t.Fatal(err)
	}
	created := time.Unix(1_790_000_000, 0)
	want := []AppPassword{
		{Name: "phone", Created: created},
		{Name: "Büro, drüben", Created: created, Expires: created.Add(time.Hour), ReadOnly: true, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	}
	for i := range want {
		made := want[i]
		if record, made, _, err = AddAppPassword(record, made); err != nil {
			t.Fatal(err)
		}
		want[i] = made
	}
	if record, err = SetPassword(record, "another horse", cheap, fewIterations); err != nil {
		t.Fatal(err)
	}
	c, err := ParseCredentials(record)
	if err != nil {
		t.Fatal(err)
	}
	got := c.AppPasswords()
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range got {
		if !slices.Equal(got[i].Networks, want[i].Networks) || got[i].Name != want[i].Name || got[i].ID != want[i].ID || got[i].ReadOnly != want[i].ReadOnly ||
			!got[i].Created.Equal(want[i].Created) || !got[i].Expires.Equal(want[i].Expires) || got[i].sum != want[i].sum {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	for _, bad := range []struct {
		a    AppPassword
		kind mail.Kind
	}{
		{AppPassword{}, mail.Invalid},
		{AppPassword{Name: "a\nb"}, mail.Invalid},
		{AppPassword{Name: strings.Repeat("x", 65)}, mail.Invalid},
		{AppPassword{Name: "x", Networks: make([]netip.Prefix, 33)}, mail.Invalid},
		{AppPassword{Name: "phone"}, mail.AlreadyExists},
	} {
		if _, _, _, err := AddAppPassword(record, bad.a); mail.KindOf(err) != bad.kind {
			t.Errorf("%+v: %v, want %v", bad.a, err, bad.kind)
		}
	}
	record, gone, err := RemoveAppPassword(record, "phone")
	if err != nil || gone.ID != want[0].ID {
		t.Errorf("%+v, %v", gone, err)
	}
	if _, _, err := RemoveAppPassword(record, "phone"); mail.KindOf(err) != mail.NotFound {
		t.Errorf("again: %v", err)
	}
	for i := range MaxAppPasswords - 1 {
		if record, _, _, err = AddAppPassword(record, AppPassword{Name: strings.Repeat("x", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := AddAppPassword(record, AppPassword{Name: "one more"}); mail.KindOf(err) != mail.Limit {
		t.Errorf("one too many: %v", err)
	}
}

// TestAppPasswordOfALaterVersion: what a later program wrote lets nobody in here, and
// stays.
func TestAppPasswordOfALaterVersion(t *testing.T) {
	f := newFixture(t, nil)
	_, password := f.addApp(t, AppPassword{Name: "phone"})
	e := f.dir.entries["ada@example.org"]
	c, err := ParseCredentials(e.Record)
	if err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(b []byte) []byte{
		func(b []byte) []byte { b[0]++; return b },                             // another version
		func(b []byte) []byte { b[len(b)-len("phone")-1-32-1] |= 4; return b }, // a flag we do not know
		func(b []byte) []byte { return append(b, 3, 'x', '/', 'y') },           // a network that is none
		func(b []byte) []byte { return b[:20] },
	} {
		d := c
		d.fields = slices.Clone(c.fields)
		i := slices.IndexFunc(d.fields, func(f field) bool { return f.tag == tagApp })
		d.fields[i].value = string(spoil([]byte(d.fields[i].value)))
		e.Record = d.Encode()
		f.dir.entries["ada@example.org"] = e
		if _, err := f.Login(t.Context(), peer, "ada", password); mail.KindOf(err) != mail.AuthFailed {
			t.Errorf("%q: %v", d.fields[i].value, err)
		}
		if again, err := ParseCredentials(e.Record); err != nil || len(again.fields) != len(c.fields) {
			t.Errorf("%v, %v", again, err)
		}
	}
}
