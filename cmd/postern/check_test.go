package main

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// TestCheckDamagedStore flips a bit in a message of a store that is served: check
// names it, online and offline, and everything else is served.
func TestCheckDamagedStore(t *testing.T) {
	s := newSite(t)
	srv := s.serve(t)
	s.account(t, ada)
	s.account(t, "bob@example.org")
	c := signIn(t, s.imaps, ada)
	c.do("SELECT INBOX", "OK")
	good := c.appendUID(smallMail(1), "")
	bad := c.appendUID(bigMail("large"), "")
	alsoGood := c.appendUID(bigMail("also large"), "")
	files, err := filepath.Glob(filepath.Join(s.data, storeDirectory, "bodies", "*", "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	damage := func() {
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 16
		file(t, files[0], string(data))
	}
	damage()
	for _, online := range []bool{true, false} {
		if !online {
			if code := srv.stop(t); code != 0 {
				t.Fatal(code)
			}
		}
		r := postern(t, "", "--config", s.config, "check")
		refuses(t, r, 1, "1 problem found")
		for _, want := range []string{
			"problem: " + ada + ", mailbox INBOX, UID 2: message 2 has a body that cannot be read", "a checksum does not agree",
			"affected: the messages named cannot be read, or not in full; all other mail is served", "next: fetch the messages from a backup",
			"checked 2 accounts, 12 mailboxes, 3 messages",
		} {
			if !strings.Contains(r.out, want) {
				t.Errorf("online %v: %q is not said in\n%s", online, want, r.out)
			}
		}
		if r := postern(t, "", "--config", s.config, "check", "--account", "bob@example.org"); r.code != 0 {
			t.Errorf("an account without damage: %s%s", r.out, r.err)
		}
		refuses(t, postern(t, "", "--config", s.config, "check", "--account", ada), 1, "1 problem found")
		refuses(t, postern(t, "", "--config", s.config, "check", "--account", "eve@example.org"), 1, "eve@example.org")
	}
	s.serve(t)
	c = signIn(t, s.imaps, ada)
	c.do("SELECT INBOX", "OK")
	for uid, want := range map[int]string{good: smallMail(1), alsoGood: bigMail("also large")} {
		if got, reply := c.fetch(uid); got != want {
			t.Errorf("UID %d: got %d octets and %q", uid, len(got), reply)
		}
	}
	if bad != 2 {
		t.Errorf("the damaged message has UID %d", bad)
	}
	damage() // back again
	if out := s.run(t, "", "check"); !strings.Contains(out, "no problem found") {
		t.Error(out)
	}
}

func TestCheckSweeps(t *testing.T) {
	s := backupSite(t)
	in := instanceOf(t, s)
	ref, _, err := in.store.Bodies().Put(t.Context(), strings.NewReader("left behind"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(args string) string {
		t.Helper()
		var said strings.Builder
		err := checkStore(t.Context(), in, []byte(args), strings.NewReader(""), &answer{func(l answerLine) error {
			if !l.Progress {
				said.WriteString(l.Text + "\n")
			}
			return nil
		}})
		if err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		return said.String()
	}
	if out := check(`{}`); strings.Contains(out, "nobody") { // it is under its lease: somebody may be about to take it
		t.Error(out)
	}
	in.store.Bodies().Abandon(t.Context(), ref)
	if out := check(`{}`); !strings.Contains(out, "1 bodies with 11 octets belong to nobody") || !strings.Contains(out, "no problem found") {
		t.Error(out)
	}
	if out := check(`{"Sweep":true}`); !strings.Contains(out, "swept: 1 bodies with 11 octets") {
		t.Error(out)
	}
	if _, err := in.store.Bodies().Open(t.Context(), ref); mail.KindOf(err) != mail.NotFound {
		t.Errorf("got %v", err)
	}
}

// TestCheckFindsLostNames: names and accounts that do not lead to each other.
func TestCheckFindsLostNames(t *testing.T) {
	s := backupSite(t)
	in := instanceOf(t, s)
	d := in.store.Directory()
	if err := d.SetAlias(t.Context(), "crew@example.org", []mail.AccountID{1}); err != nil {
		t.Fatal(err)
	}
	in.store = withoutIdentity{in.store}
	var said strings.Builder
	err := checkStore(t.Context(), in, []byte(`{}`), strings.NewReader(""), &answer{func(l answerLine) error {
		said.WriteString(l.Text + "\n")
		return nil
	}})
	if mail.KindOf(err) != mail.Corrupt || !strings.Contains(said.String(), "problem: the alias crew@example.org stands for account 1, which is not there") {
		t.Errorf("%v\n%s", err, said.String())
	}
}

// withoutIdentity is a store that has lost its accounts.
type withoutIdentity struct{ store.Store }

func (w withoutIdentity) Directory() store.Directory { return lostDirectory{w.Store.Directory()} }

func TestCheckWantsAStore(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"check"}, {"check", "--sweep"}, {"backup", filepath.Join(dir, "b")}} {
		for _, data := range []string{filepath.Join(dir, "none"), mustMake(t, filepath.Join(dir, "empty"))} {
			refuses(t, postern(t, "", append([]string{"--data", data}, args...)...), exitConfig, "there is no store in "+data)
		}
	}
	names, err := entries(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("something was made: %q, %v", names, err)
	}
	if names, err := entries(filepath.Join(dir, "empty")); err != nil || len(names) != 0 {
		t.Errorf("something was made: %q, %v", names, err)
	}
}

type lostDirectory struct{ store.Directory }

func (lostDirectory) Identities(context.Context) iter.Seq2[store.Identity, error] {
	return func(func(store.Identity, error) bool) {}
}

func (lostDirectory) Identity(_ context.Context, id mail.AccountID) (store.Identity, error) {
	return store.Identity{}, mail.Errorf(mail.NotFound, "there is no account %d", id)
}

// TestCheckDamagedTables flips bits all over the engine's tables: check always
// finds it, says what to do, and comes to its end.
func TestCheckDamagedTables(t *testing.T) {
	s := newSite(t)
	srv := s.serve(t)
	s.account(t, ada)
	c := signIn(t, s.imaps, ada)
	for i := range 30 {
		c.appendUID(noiseMail("noise", 20<<10+i), "")
	}
	if code := srv.stop(t); code != 0 {
		t.Fatal(code)
	}
	s.run(t, "", "account", "list") // opens the store, which moves the engine's log into tables
	tables, err := filepath.Glob(filepath.Join(s.data, storeDirectory, "pebble", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	named := 0
	for _, table := range tables {
		data, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		step := len(data) / 12
		if testing.Short() {
			step = len(data) / 4
		}
		for at := step / 2; at < len(data); at += step {
			data[at] ^= 32
			file(t, table, string(data))
			r := postern(t, "", "--config", s.config, "check")
			if r.code != 1 || !strings.Contains(r.out+r.err, "affected: ") || !strings.Contains(r.out+r.err, "next: ") {
				t.Errorf("octet %d of %d: exit code %d\n%s%s", at, len(data), r.code, r.out, r.err)
			}
			for line := range strings.Lines(r.out) {
				if !strings.Contains(line, ": ") && !strings.HasPrefix(line, "checked ") && !strings.HasPrefix(line, "no ") {
					t.Errorf("a line that says nothing: %q", line)
				}
			}
			if strings.Contains(r.out, ada) {
				named++
			}
			data[at] ^= 32
		}
		file(t, table, string(data))
	}
	if named == 0 {
		t.Error("no damage led to an account")
	}
	if out := s.run(t, "", "check"); !strings.Contains(out, "no problem found") {
		t.Error(out)
	}
}
