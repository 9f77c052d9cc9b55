package auth

import (
	"crypto/sha1"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"postern/internal/mail"
)

// dovecotPasswords gives passwords and what Dovecot made of them.
func dovecotPasswords(t *testing.T) (pairs [][2]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/dovecot-pw.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		password, kept, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if found && !strings.HasPrefix(line, "#") {
			pairs = append(pairs, [2]string{password, kept})
		}
	}
	return pairs
}

func (f *fixture) take(t *testing.T, name, kept string) {
	t.Helper()
	f.dir.set(t, name, "", cheap, func(e *Entry) {
		record, err := SetImported(e.Record, kept, "CRYPT", cheap, 0)
		if err != nil {
			t.Fatalf("%s: %v", kept, err)
		}
		e.Record = record
	})
}

// Whatever Dovecot makes of a password lets in who knows it, and nobody else, and
// is a hash of our own afterwards.
func TestImportedPasswords(t *testing.T) {
	pairs := dovecotPasswords(t)
	tried := map[string]bool{}
	for _, p := range pairs {
		password, kept := p[0], p[1]
		scheme, text, err := splitScheme(kept, "")
		if err != nil {
			t.Fatal(err)
		}
		tried[scheme] = true
		plain := !strings.Contains(text, "$") && (scheme == "PLAIN" || scheme == "CLEAR" || scheme == "CLEARTEXT")
		cut := len(password) > 72 && strings.HasPrefix(text, "$2")
		f := newFixture(t, nil)
		f.take(t, "eve@example.org", kept)
		record := f.dir.entries["eve@example.org"].Record
		if got := ImportedScheme(record); plain && got != "" || !plain && got != scheme {
			t.Errorf("%s: the scheme of the record is %q", kept, got)
		}
		if HasKeys(record) {
			t.Errorf("%s: SCRAM would be announced, and nobody could sign in by it", kept)
		}
		if strings.Contains(string(record), password) {
			t.Errorf("%s: the password itself is in the record", kept)
		}
		for _, wrong := range []string{password + "x", password[1:], strings.ToUpper(password)} {
			_, err := f.Login(t.Context(), Peer{}, "eve@example.org", wrong)
			if cut && len(wrong) > 72 && wrong[:72] == password[:72] {
				continue // that is how bcrypt is
			}
			if mail.KindOf(err) != mail.AuthFailed {
				t.Errorf("%s: %.20q was let in: %v", kept, wrong, err)
			}
		}
		if ImportedScheme(f.dir.entries["eve@example.org"].Record) != ImportedScheme(record) {
			t.Errorf("%s: a wrong password changed the record", kept)
		}
		for range 2 {
			if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", password); err != nil {
				t.Errorf("%s: %v", kept, err)
			}
		}
		if cut { // and so what stands behind must not become the password
			if f.dir.rehash != 0 {
				t.Errorf("%s: hashed anew, though the end of the password was not looked at", kept)
			}
			continue
		}
		c, err := ParseCredentials(f.dir.entries["eve@example.org"].Record)
		if err != nil || !strings.HasPrefix(c.Password, "$argon2id$") || len(c.fields) != 1 {
			t.Errorf("%s: after a login the record is %+v, %v", kept, c, err)
		}
		f.memory = newMemory(0, 0)
		if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", password); err != nil {
			t.Errorf("%s, hashed anew: %v", kept, err)
		}
		if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", password+"x"); mail.KindOf(err) != mail.AuthFailed {
			t.Errorf("%s, hashed anew, lets others in: %v", kept, err)
		}
	}
	for scheme := range schemes {
		if !tried[scheme] && scheme != "ARGON2" { // of older Dovecots; ARGON2I and ARGON2ID by another name
			t.Errorf("no password was tried in the scheme %s", scheme)
		}
	}
}

// A password that was typed otherwise than it is prepared is what it was hashed as.
func TestImportedPasswordUnprepared(t *testing.T) {
	f := newFixture(t, nil)
	const typed = "u\u0308ber den Fluss" // NFD, as macOS may send it; sha1 of these octets
	f.take(t, "eve@example.org", "{SHA}"+base64SHA1(typed))
	if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", typed); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", "über den Fluss"); err != nil {
		t.Errorf("once hashed anew, the form does not matter: %v", err)
	}
	f.take(t, "bob@example.org", "{SHA}"+base64SHA1("über den Fluss"))
	if _, err := f.Login(t.Context(), Peer{}, "bob@example.org", typed); err != nil {
		t.Errorf("another device sends another form: %v", err)
	}
}

// A disabled account with an imported password stays out, and its record as it is.
func TestImportedPasswordOfDisabled(t *testing.T) {
	f := newFixture(t, nil)
	f.take(t, "off@example.org", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=")
	if _, err := f.Login(t.Context(), Peer{}, "off@example.org", "correct horse"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("got %v", err)
	}
	if f.dir.rehash != 0 {
		t.Error("it was hashed anew")
	}
}

// A new password puts an end to the one that was taken over, also one set by a
// program that does not know of such.
func TestImportedPasswordIsReplaced(t *testing.T) {
	f := newFixture(t, nil)
	f.take(t, "eve@example.org", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=")
	imported := f.dir.entries["eve@example.org"].Record
	f.dir.set(t, "eve@example.org", "battery staple", cheap, nil)
	if c, _ := ParseCredentials(f.dir.entries["eve@example.org"].Record); len(c.fields) > 1 {
		t.Errorf("something is left: %+v", c.fields)
	}
	c, err := ParseCredentials(imported)
	if err != nil {
		t.Fatal(err)
	}
	c.Password = newHash(cheap, "battery staple").String() // and leaves the other field, as an older program would
	f.dir.set(t, "eve@example.org", "", cheap, func(e *Entry) { e.Record = c.Encode() })
	if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", "correct horse"); mail.KindOf(err) != mail.AuthFailed {
		t.Errorf("the old password is good: %v", err)
	}
	if _, err := f.Login(t.Context(), Peer{}, "eve@example.org", "battery staple"); err != nil {
		t.Error(err)
	}
}

// What cannot be taken over is refused when it is read, by its name and without
// anything of the hash.
func TestImportedPasswordsRefused(t *testing.T) {
	for kept, want := range map[string]string{
		"{DES-CRYPT}gvyHFSlR2ygWA":                         "eight characters",
		"gvyHFSlR2ygWA":                                    "eight characters",
		"{CRYPT}$y$j9T$abc$def":                            "yescrypt",
		"{OTP}sha1 1024 fc3b4530fb1fbe70 8213a68f88ac78cd": "good once",
		"{DIGEST-MD5}ed838a6a0428f4cbab369742f556e8ee":     "realm",
		"{PLAIN-TRUNC}5-abcde":                             "beginning",
		"{WHIRLPOOL}abcdef":                                `"WHIRLPOOL" is not known`,
		"{SHA512-CRYPT":                                    "closing brace",
		"{SHA.b32}abcdef":                                  "another form",
		"{SHA512-CRYPT.b32}abcdef":                         `no encoding "B32"`,
		"{SHA}L55TUjtiq8FBorTWAZ0jy6g129":                  "another form",
		"{SHA}":                                            "another form",
		"{SSHA}c2hvcnQ=":                                   "another form",
		"{SHA512-CRYPT}$5$z8dT6r.yKViKIpkP$7/qFgdR.sgYCEH6cCbTXMm":                                                      "another form",
		"{SHA512-CRYPT}$6$rounds=999999999$salt$abc":                                                                    "too long",
		"{BLF-CRYPT}$2y$31$SXQl.82QcTs8/dgQa7zLYeGulxvs8P8svM9C6b8Gh3":                                                  "another form",
		"{BLF-CRYPT}$2y$31$SXQl.82QcTs8/dgQa7zLYeGulxvs8P8svM9C6b8Gh3hj05Ar8DOh2":                                       "too long",
		"{PBKDF2}$1$salt$4000000000$e5fe2c3892666bb5e8efa4375555a0e24600809b":                                           "too long",
		"{ARGON2ID}$argon2id$v=19$m=262144,t=60,p=1$Mf2jb1eysD+GidWq40Ho2Q$Uuf9/ACxpT8O2lFaPZDy0AZpcMJd813263gY4TTmIuI": "too long",
		"{ARGON2ID}$argon2id$v=19$m=1048576,t=5,p=1$3mnADc+1GaRbsu+6EhGS7w$v8VjjMdWNI9bQRx0f9rfER8xL8Ok7mTnrQJtQ/wbjME": "256 MiB",
		"{SCRAM-SHA-256}4096,vRAx4ljraDObYhxbuU8Szw==,WftvqTig":                                                         "another form",
		"{PLAIN}":                            "empty",
		"{PLAIN}tab\there":                   "control characters",
		"{SSHA}" + strings.Repeat("A", 4096): "longer than",
	} {
		_, err := SetImported(nil, kept, "CRYPT", cheap, 0)
		if mail.KindOf(err) != mail.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %q", kept, err, want)
		}
		_, text, _ := strings.Cut(kept, "}")
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text[:8]) {
			t.Errorf("the error shows of the hash: %v", err)
		}
	}
}

func base64SHA1(s string) string {
	sum := sha1.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
