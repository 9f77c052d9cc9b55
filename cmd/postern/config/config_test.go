package config

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestShowIsReadBack(t *testing.T) {
	changed := Default()
	changed.Data = `/srv/"mail"`
	changed.Listen.IMAPS = []Listener{{Address: "127.0.0.1:1993", Mode: 0o660, Networks: []string{"192.0.2.0/24", "2001:db8::/32"}}}
	changed.Listen.IMAP = []Listener{{Address: "127.0.0.1:1143", Plaintext: true, Mode: 0o660, Networks: []string{}}}
	changed.Listen.LMTP = []Listener{{Address: "unix:/run/x", Owner: "root", Group: "postfix", Mode: 0o666, Networks: []string{}}}
	changed.IMAP.Autologout = 90*time.Minute + 5*time.Second
	changed.IMAP.DisabledCaps = []string{"MOVE"}
	changed.Store.Cache = 3<<20 + 1
	for name, want := range map[string]Config{"defaults": Default(), "changed": changed} {
		var text bytes.Buffer
		if err := Show(&text, want); err != nil {
			t.Fatal(err)
		}
		got, err := Parse("shown", text.Bytes())
		if err != nil {
			t.Fatalf("%s: what Show wrote is not read back: %v\n%s", name, err, &text)
		}
		var again bytes.Buffer
		if err := Show(&again, got); err != nil {
			t.Fatal(err)
		}
		if again.String() != text.String() {
			t.Errorf("%s: shown again it differs:\n%s", name, &again)
		}
		if name == "changed" && !reflect.DeepEqual(got, want) {
			t.Errorf("read back as\n%+v\nwant\n%+v", got, want)
		}
	}
}

func TestEveryMistakeIsListedWithItsLine(t *testing.T) {
	const file = `data = 7
hostnam = "x"

[tls]
min_version = "1.1"
certificate = "/a"

[imap]
autologout = "5m"
max_message = "64 MB"
sessions_per_account = "many"

[store]
reserve = "47 MiB"

[[listen.imaps]]
address = "993"
nets = []

[[listen.imap]]
address = "0.0.0.0:143"
plaintext = true

[listen.lmtp]
address = "unix:/x"

[mailboxes]
sent = "Inbox"
sent = "Sent"

[nonsense]
a = 1

[nog]
`
	_, err := Parse("postern.toml", []byte(file))
	var m *Mistakes
	if !errors.As(err, &m) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		"postern.toml:1: data: expected a string in quotes",
		"postern.toml:2: unknown setting hostnam: did you mean hostname?",
		`postern.toml:5: tls.min_version: "1.1" is not one of ["1.3" "1.2"]`,
		"postern.toml:6: tls.certificate and tls.key go together: one of them is missing",
		`postern.toml:9: imap.autologout: at least "30m" (RFC 9051 5.4)`,
		`postern.toml:10: imap.max_message: "64 MB" has no unit known here: write B, KiB, MiB or GiB`,
		"postern.toml:11: imap.sessions_per_account: expected a whole number",
		`postern.toml:14: store.reserve: at least "48 MiB": a full disk must not be met before deleting is possible`,
		`postern.toml:17: listen.imaps.address: "993" is no address: write HOST:PORT, [IPV6]:PORT, unix:/PATH or systemd:NAME`,
		"postern.toml:18: unknown setting listen.imaps[0].nets: known here are address, plaintext, networks, owner, group, mode",
		"postern.toml:21: listen.imap 0.0.0.0:143: plaintext needs a loopback address, a Unix socket, or networks",
		"postern.toml:24: listen.lmtp may be given several times: write [[listen.lmtp]]",
		"postern.toml:29: mailboxes.sent was given on line 28 already",
		"postern.toml:31: unknown setting nonsense: known here are data, hostname, listen, tls, auth, mailboxes, quota, imap, lmtp, policy, limits, store, index, log, audit, control",
		"postern.toml:34: unknown setting nog: did you mean log?",
	}
	if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestSmallMistakes(t *testing.T) {
	for file, want := range map[string]string{
		"foo = 1": "f:1: unknown setting foo: known here are data, hostname, listen, tls, auth, mailboxes, quota, imap, lmtp, policy, limits, store, index, log, audit, control",
		"[[listen.imaps]]\naddress = \"[::1]:65536\"": `f:2: listen.imaps.address: "[::1]:65536": port 65536 is neither a number up to 65535 nor a service known here`,
		"[[listen.imap]]\naddress = \"127.0.0.1:-1\"": `f:2: listen.imap.address: "127.0.0.1:-1": port -1 is neither a number up to 65535 nor a service known here`,
		"[[listen.imap]]\naddress = \"[::1]:65535\"":  "",

		"hostname = \"mail.example.org\\r\\nX: y\"": `f:1: hostname: "mail.example.org\r\nX: y" is no host name: letters, digits, hyphens and dots, as in "mail.example.org"`,
		"hostname = \"mx-1.example.org\"":           "",

		"[[listen.imap]]\naddress = \"127.0.0.1:1\"\n[[listen.imaps]]\naddress = \"127.0.0.1:1\"":          "f:2: listen.imap.address: another listener has 127.0.0.1:1 already",
		"[[listen.imap]]\naddress = \"127.0.0.1:0\"\n[[listen.imaps]]\naddress = \"127.0.0.1:0\"":          "",
		"[[listen.imap]]\naddress = \"unix:/x\"\nmode = \"0600\"":                                          "",
		"[[listen.auth]]\naddress = \"unix:/x\"\nmode = \"0600\"\nplaintext = true":                        "",
		"[[auth.oidc]]\nissuer = \"https://login.example.org\"\naudience = [\"imap\"]\nscope = \"imap\"":   "",
		"[[auth.oidc]]\nissuer = \"http://127.0.0.1:8080/realm\"\naudience = [\"imap\"]\nscope = \"imap\"": "",
		"[[auth.oidc]]\nissuer = \"http://login.example.org\"\nclaim = \"\"\nintrospection_client = \"x\"": `f:1: auth.oidc.audience: without one, tokens for any other service of the provider would let people in
f:1: auth.oidc.scope: without one, tokens that are not for mail would let people in
f:2: auth.oidc.issuer: "http://login.example.org": whoever can change what comes from there signs in as anybody, so it begins with https://
f:3: auth.oidc.claim: a claim is needed, as in "email"
f:4: auth.oidc.introspection_client and auth.oidc.introspection_secret_file go together: one of them is missing`,
		"[[auth.oidc]]\nissuer = \"login.example.org\"\naudience = [\"imap\"]\nscope = \"imap\"": `f:2: auth.oidc.issuer: "login.example.org" is no URL as in "https://login.example.org"`,
		"[[listen.auth]]\naddress = \":12345\"":                                                  "f:2: listen.auth :12345: whoever may ask is believed and not encrypted, so it needs a Unix socket, a loopback address, or networks",
		"[[listen.lmtp]]\naddress = \"unix:/x\"\n[[listen.auth]]\naddress = \"unix:/x\"":         "f:4: listen.auth.address: another listener has unix:/x already",
		"[[listen.imap]]\naddress = \"127.0.0.1:1\"\nmode = \"0600\"":                            "f:3: listen.imap.mode: 127.0.0.1:1 is no Unix socket of Postern's; leave it out",
	} {
		got := ""
		if _, err := Parse("f", []byte(file)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", file, got, want)
		}
	}
}

func TestSyntaxErrorHasItsLineAndKeepsEarlierMistakes(t *testing.T) {
	_, err := Parse("f", []byte("a = 1\n\n[tls\nx = 2\n"))
	if err == nil || !strings.Contains(err.Error(), "f:1: unknown setting a") || !strings.Contains(err.Error(), "f:3: this is not TOML") {
		t.Errorf("got %v", err)
	}
}

func TestListenersReplaceDefaults(t *testing.T) {
	c, err := Parse("f", []byte("[listen]\nimap = []\n[[listen.imaps]]\naddress = \"127.0.0.1:1\"\n[[listen.imaps]]\naddress = \"[::1]:1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listen.IMAP) != 0 || len(c.Listen.IMAPS) != 2 || len(c.Listen.LMTP) != 1 {
		t.Errorf("got %+v", c.Listen)
	}
}

func TestEverySettingIsExplained(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := join(path, f.Tag.Get("toml"))
			if f.Tag.Get("toml") == "-" {
				continue
			}
			if f.Tag.Get("doc") == "" && path != "mailboxes" {
				t.Errorf("%s has no doc tag", name)
			}
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(name, f.Type)
			case f.Type == reflect.TypeFor[[]Listener]():
				walk(name, reflect.TypeFor[Listener]())
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{"1 B": 1, "64 MiB": 64 << 20, "3GiB": 3 << 30, "0 B": 0} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "64", "MiB", "-1 B", "1 MB", "9999999999999 GiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("data = \"/x\"\n[[listen.imaps]]\naddress = \"[::]:993\"\n"))
	f.Add([]byte("[tls]\nmin_version = 1.2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := Show(&text, c); err != nil {
			t.Fatal(err)
		}
	})
}
