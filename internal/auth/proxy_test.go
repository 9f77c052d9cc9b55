package auth

import (
	"testing"

	"postern/internal/mail"
)

// Who has the right to act as another does so by SCRAM as by PLAIN, and nobody else.
func TestActAs(t *testing.T) {
	f := scramFixture(t, nil)
	var asked [][2]string
	f.mayActAs = func(who, as string, _ *Attempt) bool {
		asked = append(asked, [2]string{who, as})
		return who == "ada@example.org" && (as == "bob@example.org" || as == "off@example.org")
	}
	f.dir.set(t, "bob@example.org", "battery staple", cheap, nil)
	f.dir.set(t, "eve@example.org", "battery staple", cheap, nil)
	byPlain := func(as, who, password string) (Identity, error) {
		m, err := f.Start("PLAIN", peer)
		if err != nil {
			t.Fatal(err)
		}
		_, id, err := m.Next(t.Context(), []byte(as+"\x00"+who+"\x00"+password))
		if id == nil {
			return Identity{}, err
		}
		return *id, err
	}
	byScram := func(as, who, password string) (Identity, error) {
		id, err := converse(t, f, mechScram, peer, scramClient(t, who, password, as).NewConversation(), nil)
		if id == nil {
			return Identity{}, err
		}
		return *id, err
	}
	ada, bob := f.dir.entries["ada@example.org"].Account, f.dir.entries["bob@example.org"].Account
	for name, sign := range map[string]func(as, who, password string) (Identity, error){"PLAIN": byPlain, mechScram: byScram} {
		if id, err := sign("BOB@example.org", "ada", "correct horse"); err != nil || id != (Identity{Account: bob, Name: "bob@example.org", By: ada}) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
		last := f.attempts[len(f.attempts)-1]
		if last.User != "ada@example.org" || last.Account != ada || last.As != "bob@example.org" || last.Result != Accepted {
			t.Errorf("%s: it is told as %+v", name, last)
		}
		if id, err := sign("", "ada", "correct horse"); err != nil || id != (Identity{Account: ada, Name: "ada@example.org"}) {
			t.Errorf("%s, as herself: %+v, %v", name, id, err)
		}
		asked = nil
		for _, as := range []string{"eve@example.org", "off@example.org", "nobody@example.org", "no address"} {
			if id, err := sign(as, "ada", "correct horse"); mail.KindOf(err) != mail.NotAuthorized {
				t.Errorf("%s as %s: %+v, %v", name, as, id, err)
			}
		}
		if len(asked) != 1 { // of eve: there is nobody else who could be
			t.Errorf("%s: asked was about %q", name, asked)
		}
		asked = nil
		if id, err := sign("bob@example.org", "ada", "wrong horse"); mail.KindOf(err) != mail.AuthFailed || len(asked) > 0 {
			t.Errorf("%s with a wrong password: %+v, %v", name, id, err)
		}
	}
}
