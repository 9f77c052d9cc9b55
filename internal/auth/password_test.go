package auth

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mail"
)

// cheap is a cost for tests.
var cheap = Argon2{Memory: 64, Time: 1, Threads: 1}

func TestHashOfAnotherProgram(t *testing.T) {
	// From test.c of the reference implementation (P-H-C/phc-winner-argon2), argon2id, version 13:
	// hashtest(version, 2, 16, 1, "password", "somesalt", ...).
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := parseHash(phc)
	if err != nil {
		t.Fatal(err)
	}
	if h.cost != (Argon2{65536, 2, 1}) || string(h.salt) != "somesalt" ||
		hex.EncodeToString(h.key) != "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7" {
		t.Errorf("read as %+v", h)
	}
	if !h.matches("password") || h.matches("Password") || h.matches("") {
		t.Error("it matches what it should not, or not what it should")
	}
	if h.String() != phc {
		t.Errorf("written as %s", h)
	}
}

func TestNewHash(t *testing.T) {
	h := newHash(DefaultArgon2(), "p")
	if !strings.HasPrefix(h.String(), "$argon2id$v=19$m=19456,t=2,p=1$") { // OWASP's minimum
		t.Error(h.String())
	}
	back, err := parseHash(h.String())
	if err != nil || !back.matches("p") {
		t.Errorf("%v", err)
	}
	if other := newHash(cheap, "p"); bytes.Equal(other.salt, newHash(cheap, "p").salt) || len(other.salt) != saltSize {
		t.Error("salts repeat")
	}
}

func TestParseHashRefuses(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, s := range []string{
		"", "$", "password", "$argon2id$v=19$m=64,t=1,p=1$" + salt, "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1$" + salt + "$" + key,
		"$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1,p=1,x=1$" + salt + "$" + key,
		"$argon2id$v=19$m=0,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=064,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=99,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=256$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1,p=1$$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$c29t", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "\n", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$",
		"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("AAAA", 30) + "$" + key,
	} {
		if h, err := parseHash(s); err == nil {
			t.Errorf("%q was read as %+v", s, h)
		}
	}
}

func TestPreparePassword(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"correct horse", "correct horse"},
		{" lead and trail ", " lead and trail "},               // nothing is trimmed
		{"caf\u0065\u0301", "caf\u00e9"},                       // NFD becomes NFC (RFC 8265 4.2.2)
		{"no\u00a0break\u2003em", "no break em"},               // other spaces become the plain one
		{"Case", "Case"},                                       // case is kept
		{"\uff21", "\uff21"},                                   // width is kept
		{"p:a$s%w{0}\\\"'", "p:a$s%w{0}\\\"'"},                 // no character of ours is special
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)}, //
	} {
		if got, ok := preparePassword(test.in); !ok || got != test.want {
			t.Errorf("%q: %q %v, want %q", test.in, got, ok, test.want)
		}
	}
	for _, in := range []string{"", strings.Repeat("x", 1025), "a\x00b", "a\tb", "a\nb", "\xff", "a\x7f"} {
		if got, ok := preparePassword(in); ok {
			t.Errorf("%.20q became %q", in, got)
		}
	}
}

func TestSetPassword(t *testing.T) {
	record, err := SetPassword(nil, "one", cheap, 0)
	if err != nil {
		t.Fatal(err)
	}
	record, err = SetPassword(record, "two", cheap, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCredentials(record)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHash(c.Password)
	if err != nil || !h.matches("two") || h.matches("one") {
		t.Errorf("the second password did not take the first one's place: %v", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", 1025), "a\x00"} {
		if _, err := SetPassword(nil, bad, cheap, 0); mail.KindOf(err) != mail.Invalid {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
	if _, err := SetPassword([]byte("?"), "x", cheap, 0); mail.KindOf(err) != mail.Corrupt {
		t.Errorf("a record that cannot be read: %v", err)
	}
}

// The record of version 1, byte for byte: it must be readable for ever.
func TestCredentialsGolden(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "credentials-v1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(golden)), ""))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCredentials(want)
	if err != nil {
		t.Fatal(err)
	}
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if c.Password != phc || len(c.fields) != 3 {
		t.Errorf("read as %+v", c)
	}
	if got := c.Encode(); !bytes.Equal(got, want) {
		t.Errorf("written as %x", got)
	}
	// A change keeps what it does not know, where it is.
	record, err := SetPassword(want, "new", cheap, 0)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := ParseCredentials(record)
	if err != nil || changed.Password == phc {
		t.Fatalf("%+v %v", changed, err)
	}
	for i := range c.fields {
		if i != 1 && changed.fields[i] != c.fields[i] {
			t.Errorf("field %d became %v", i, changed.fields[i])
		}
	}
	c.Password = ""
	if c, err = ParseCredentials(c.Encode()); err != nil || c.Password != "" || len(c.fields) != 2 {
		t.Errorf("without a password: %+v %v", c, err)
	}
}

func TestParseCredentialsRefuses(t *testing.T) {
	good := Credentials{Password: newHash(cheap, "x").String()}.Encode()
	for name, record := range map[string][]byte{
		"version 0": {0}, "version 2": {2}, "too long": make([]byte, MaxRecord+1),
		"half a tag": {1, 0x80}, "no length": {1, 7}, "short field": {1, 7, 3, 'a', 'b'}, "huge field": {1, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"bad hash": {1, 1, 2, 'a', 'b'}, "two passwords": append(append([]byte{}, good...), good[1:]...),
	} {
		if c, err := ParseCredentials(record); mail.KindOf(err) != mail.Corrupt {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
	if c, err := ParseCredentials(nil); err != nil || c.Password != "" {
		t.Errorf("no record: %+v %v", c, err)
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(Credentials{Password: newHash(cheap, "x").String()}.Encode())
	f.Add([]byte{1, 7, 2, 'a', 'b', 9, 0})
	f.Add([]byte{1, 0x80, 0x00, 1, 'x'})
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := ParseCredentials(record)
		if err != nil {
			return
		}
		again, err := ParseCredentials(c.Encode())
		if err != nil || again.Password != c.Password || len(again.fields) != len(c.fields) {
			t.Fatalf("%x: %+v became %+v (%v)", record, c, again, err)
		}
	})
}
