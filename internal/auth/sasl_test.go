package auth

import (
	"bytes"
	"strings"
	"testing"

	"postern/internal/mail"
)

func TestPlain(t *testing.T) {
	f := newFixture(t, nil)
	f.dir.set(t, "eve@example.org", "spying", cheap, nil)
	for _, test := range []struct {
		message string
		kind    mail.Kind // Internal stands for success here
	}{
		{"\x00ada@example.org\x00correct horse", mail.Internal},
		{"\x00ada\x00correct horse", mail.Internal},
		{"ada@example.org\x00ada@example.org\x00correct horse", mail.Internal}, // RFC 4616 2: the same identity
		{"ADA@example.org\x00ada\x00correct horse", mail.Internal},
		{"eve@example.org\x00ada@example.org\x00correct horse", mail.NotAuthorized},
		{"nobody@example.org\x00ada@example.org\x00correct horse", mail.NotAuthorized},
		{"no address\x00ada@example.org\x00correct horse", mail.NotAuthorized},
		{"ada@example.org\x00eve@example.org\x00spying", mail.NotAuthorized},
		// The password of the one who signs in is always checked (CVE-2023-27582).
		{"ada@example.org\x00ada@example.org\x00wrong", mail.AuthFailed},
		{"ada@example.org\x00eve@example.org\x00wrong", mail.AuthFailed},
		{"eve@example.org\x00ada@example.org\x00spying", mail.AuthFailed},
		{"\x00ada\x00wrong", mail.AuthFailed},
		{"\x00nobody\x00wrong", mail.AuthFailed},
		{"\x00ada\x00" + strings.Repeat("x", 1025), mail.AuthFailed},
		{"", mail.Invalid},
		{"ada", mail.Invalid},
		{"\x00", mail.Invalid},
		{"\x00\x00", mail.Invalid},
		{"\x00ada\x00", mail.Invalid},
		{"\x00\x00correct horse", mail.Invalid},
		{"ada\x00correct horse", mail.Invalid},
		{"\x00ada\x00correct horse\x00", mail.Invalid},
		{"\x00ada\x00correct\x00horse", mail.Invalid},
		{"\x00ada\x00\xff", mail.Invalid},
	} {
		for _, initial := range []bool{true, false} {
			m, err := f.Start("PLAIN", peer)
			if err != nil {
				t.Fatal(err)
			}
			if !initial {
				if challenge, id, err := m.Next(t.Context(), nil); challenge == nil || len(challenge) != 0 || id != nil || err != nil {
					t.Fatalf("without an initial response: %q %v %v", challenge, id, err)
				}
			}
			challenge, id, err := m.Next(t.Context(), []byte(test.message))
			if challenge != nil {
				t.Errorf("%q: challenge %q", test.message, challenge)
			}
			if test.kind == mail.Internal {
				if err != nil || id == nil || *id != (Identity{Account: 1, Name: "ada@example.org"}) {
					t.Errorf("%q: %+v, %v", test.message, id, err)
				}
			} else if id != nil || err == nil || mail.KindOf(err) != test.kind {
				t.Errorf("%.40q: %+v, %v, want %v", test.message, id, err, test.kind)
			}
		}
	}
}

func TestLoginMechanism(t *testing.T) {
	f := newFixture(t, nil)
	const user, pass, wrong = "ada@example.org", "correct horse", "wrong"
	type step struct {
		response  []byte
		challenge string
		kind      mail.Kind
		done      bool
	}
	for name, steps := range map[string][]step{
		"asked for both":       {{nil, "Username:", 0, false}, {[]byte(user), "Password:", 0, false}, {[]byte(pass), "", 0, true}},
		"initial response":     {{[]byte(user), "Password:", 0, false}, {[]byte(pass), "", 0, true}},
		"wrong password":       {{[]byte(user), "Password:", 0, false}, {[]byte(wrong), "", mail.AuthFailed, false}},
		"wrong user":           {{[]byte("eve"), "Password:", 0, false}, {[]byte(pass), "", mail.AuthFailed, false}},
		"empty user":           {{nil, "Username:", 0, false}, {[]byte{}, "", mail.Invalid, false}},
		"empty initial":        {{[]byte{}, "", mail.Invalid, false}},
		"empty password":       {{[]byte(user), "Password:", 0, false}, {[]byte{}, "", mail.Invalid, false}},
		"NUL in user":          {{[]byte("ada\x00"), "", mail.Invalid, false}},
		"password is no UTF-8": {{[]byte(user), "Password:", 0, false}, {[]byte("\xff"), "", mail.Invalid, false}},
	} {
		m, err := f.Start("LOGIN", peer)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			challenge, id, err := m.Next(t.Context(), s.response)
			kind := mail.Kind(0)
			if err != nil {
				kind = mail.KindOf(err)
			}
			if string(challenge) != s.challenge || kind != s.kind || (id != nil) != s.done {
				t.Errorf("%s, step %d: %q %v %v", name, i, challenge, id, err)
			}
		}
	}
	if got := f.last().Mechanism; got != "LOGIN" {
		t.Errorf("told as %s", got)
	}
}

func TestMechanisms(t *testing.T) {
	f := newFixture(t, nil)
	for _, name := range f.Mechanisms(peer) {
		if m, err := f.Start(name, peer); m == nil || err != nil {
			t.Errorf("%s is announced and not there: %v", name, err)
		}
	}
	for _, name := range []string{"", "plain", "CRAM-MD5", "GSSAPI"} {
		if m, err := f.Start(name, peer); m != nil || mail.KindOf(err) != mail.Cannot {
			t.Errorf("%s: %v %v", name, m, err)
		}
	}
}

// FuzzPlain holds the parser against the grammar of RFC 4616, read another way.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "\x00a\x00b", "z\x00a\x00b", "\x00\x00", "\x00a\x00b\x00", "a\x00b", "\x00\xff\x00b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		authzid, authcid, password, ok := parsePlain(message)
		first, last := bytes.IndexByte(message, 0), bytes.LastIndexByte(message, 0)
		want := bytes.Count(message, []byte{0}) == 2 && last > first+1 && last+1 < len(message) && bytes.Equal(bytes.ToValidUTF8(message, nil), message)
		if ok != want {
			t.Fatalf("%q: accepted %v, want %v", message, ok, want)
		}
		if ok && authzid+"\x00"+authcid+"\x00"+password != string(message) {
			t.Fatalf("%q became %q %q %q", message, authzid, authcid, password)
		}
		if !ok && authzid+authcid+password != "" {
			t.Fatalf("%q was refused and yet became %q %q %q", message, authzid, authcid, password)
		}
	})
}
