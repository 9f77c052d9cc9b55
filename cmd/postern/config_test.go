package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigCommands(t *testing.T) {
	dir := t.TempDir()
	bad := file(t, filepath.Join(dir, "bad.toml"), `data = 5
[tls]
min_version = "1.1"
[imap]
autologot = "1h"
autologout = "1m"
[[listen.imap]]
address = "0.0.0.0:143"
plaintext = true
`)
	every := []string{
		"postern: " + bad + ":1: data: expected a string",
		"postern: " + bad + ":3: tls.min_version",
		"postern: " + bad + ":5: unknown setting imap.autologot: did you mean imap.autologout?",
		"postern: " + bad + ":6: imap.autologout: at least",
		"postern: " + bad + ":8: listen.imap 0.0.0.0:143: plaintext needs a loopback address, a Unix socket, or networks",
	}
	for _, args := range [][]string{{"config", "check"}, {"config", "show"}, {"serve"}, {"account", "list"}} {
		r := postern(t, "", append([]string{"--config", bad}, args...)...)
		refuses(t, r, exitConfig, every...)
		if n := strings.Count(r.err, "\n"); n != len(every) || r.out != "" {
			t.Errorf("%v: %d lines\n%s%s", args, n, r.err, r.out)
		}
		r = postern(t, "", append([]string{"--config", filepath.Join(dir, "missing.toml")}, args...)...)
		refuses(t, r, exitConfig, "missing.toml: the configuration cannot be read: no such file or directory")
	}

	good := file(t, filepath.Join(dir, "good.toml"), "[imap]\nautologout = \"45m\"\n")
	if got, want := must(t, "", "--config", good, "config", "check"), good+" is right\n"; got != want {
		t.Errorf("check says %q, want %q", got, want)
	}
	shown := must(t, "", "--config", good, "--data", "/elsewhere", "config", "show")
	for _, want := range []string{"autologout = \"45m\"\n", "# Default: \"32m\"\n", "data = \"/elsewhere\"\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not shown in\n%s", want, shown)
		}
	}
	again := file(t, filepath.Join(dir, "again.toml"), shown) // it can be read back
	if got := must(t, "", "--config", again, "config", "show"); got != shown {
		t.Errorf("shown again it is\n%s\nfirst it was\n%s", got, shown)
	}
}

// TestConfigLooksAround gives settings that look right and cannot work here. What
// names nothing stops every command; what is missing on this machine is for the
// server and for who asks.
func TestConfigLooksAround(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := `data = "` + dir + `"
[mailboxes]
sent = "a//b"
[imap]
disabled_capabilities = ["idle", "AUTH=PLAIN", "SORT", "THREAD", "NOSUCH"]
[tls]
certificate = "` + cert + `"
key = "` + key + `"
[[listen.imap]]
address = "unix:` + dir + `/imap.sock"
owner = "nobody-of-that-name"
group = "12345"
`
	bad := file(t, filepath.Join(dir, "bad.toml"), text)
	names := []string{
		"postern: " + bad + `:3: mailboxes.sent: "a//b": the mailbox name has an empty level`,
		"postern: " + bad + `:5: imap.disabled_capabilities: there is no capability "NOSUCH" here`,
	}
	machine := []string{
		"postern: " + bad + ":7: tls.certificate: certificate: open " + cert + ": no such file or directory",
		"postern: " + bad + ":11: listen.imap.owner: there is no user nobody-of-that-name",
	}
	try := func(want []string, args ...string) {
		t.Helper()
		r := postern(t, "", append([]string{"--config", bad}, args...)...)
		if len(want) == 0 {
			if r.code != 0 {
				t.Errorf("%v: exit code %d\n%s", args, r.code, r.err)
			}
			return
		}
		refuses(t, r, exitConfig, want...)
		if n := strings.Count(r.err, "\n"); n != len(want) {
			t.Errorf("%v: %d lines\n%s", args, n, r.err)
		}
	}
	try(append(names, machine...), "config", "check")
	try(names, "account", "list")
	try(names, "serve")

	file(t, bad, strings.NewReplacer("a//b", "a/b", "NOSUCH", "MOVE").Replace(text))
	try(machine, "config", "check")
	try(nil, "config", "show")

	newCertificate(t, cert, key)
	newCertificate(t, filepath.Join(dir, "other.pem"), key)
	file(t, bad, strings.NewReplacer("a//b", "a/b", "NOSUCH", "MOVE", "nobody-of-that-name", "0").Replace(text))
	try([]string{bad + ":7: tls.certificate: certificate " + cert + " with key " + key + ": tls: private key does not match public key"}, "config", "check")
	newCertificate(t, cert, key)
	try(nil, "config", "check")
}

// TestConfigRules: what in a rule names nothing is refused with its line.
func TestConfigRules(t *testing.T) {
	dir := t.TempDir()
	rules := file(t, filepath.Join(dir, "rules.toml"), `data = "`+dir+`"
[[listen.imap]]
address = "127.0.0.1:1143"
[[imap.rules]]
clients = ["*Outlook*", ""]
hide = ["UIDPLUS", "AUTH=PLAIN", "UIDMINUS"]
[[imap.rules]]
listeners = ["127.0.0.1:1143", "127.0.0.1:1144", "listen.lmtp"]
hello = ["00c0ffee00c0ffee", "t13d1516h2"]
announce = ["XLIST", "X-ICEWARP-SERVER", "IDLE", "X Y"]
behave = ["quiet-idle", "loud-idle"]
[[imap.rules]]
accounts = ["*@example.org"]
`)
	says := "postern: " + rules
	refuses(t, postern(t, "", "--config", rules, "config", "check"), exitConfig,
		says+`:5: imap.rules.clients: "" fits nothing: leave it out, or write "*"`,
		says+`:6: imap.rules.hide: there is no capability "UIDMINUS" here`,
		says+`:8: imap.rules.listeners: there is no listener "127.0.0.1:1144": write "listen.imaps", "listen.imap", or the address that one of them has in this file`,
		says+`:8: imap.rules.listeners: there is no listener "listen.lmtp"`,
		says+`:9: imap.rules.hello: "t13d1516h2" is no kind of hello`,
		says+`:10: imap.rules.announce: "IDLE" is no name to announce`,
		says+`:10: imap.rules.announce: "X Y" is no name to announce`,
		says+`:11: imap.rules.behave: "loud-idle" is not one of ["delay-new-mail" "quiet-idle"]`,
		says+`:12: imap.rules: the rule changes nothing: give it hide, announce or behave`)
	file(t, rules, `data = "`+dir+`"
[imap]
known_clients = false
[[imap.rules]]
clients = ["*Outlook*"]
hide = ["UIDPLUS"]
[[imap.rules]]
accounts = ["*@example.org"]
behave = ["quiet-idle"]
`)
	shown := must(t, "", "--config", rules, "config", "show")
	again := file(t, filepath.Join(dir, "again.toml"), shown)
	if got := must(t, "", "--config", again, "config", "show"); got != shown {
		t.Errorf("shown again it is\n%s\nfirst it was\n%s", got, shown)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"sreve"}, {}, {"serve", "--prot"}, {"account", "add"}, {"account", "add", "a@b", "password"}} {
		if r := postern(t, "", args...); r.code != exitUsage || r.err == "" {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.err)
		}
	}
	if r := postern(t, "", "--help"); r.code != 0 || !strings.Contains(r.out, "serve") {
		t.Errorf("--help: exit code %d\n%s", r.code, r.out)
	}
}

// Settings in the environment that weaken TLS stop the server; what it cannot
// read stops it with a reason.
func TestServeRefuses(t *testing.T) {
	s := newSite(t)
	for _, weak := range []string{"tls10server=1", "tlsrsakex=1", "tls3des=1", "tlsunsafeekm=1", "tlssha1=1", "tlsmlkem=0", "tlsmaxrsasize=16384"} {
		cmd := command("--config", s.config, "serve")
		cmd.Env = append(cmd.Env, "GODEBUG="+weak)
		refuses(t, end(t, cmd), exitConfig, "GODEBUG", weak)
	}

	cert, key := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	s.write(t, "[tls]\ncertificate = \""+cert+"\"\nkey = \""+key+"\"\n")
	serve := func() result { return postern(t, "", "--config", s.config, "serve") }
	refuses(t, serve(), exitConfig, cert, "no such file")
	newCertificate(t, cert, key)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, serve(), exitConfig, key, "0644", "chmod 0600")
	newCertificate(t, filepath.Join(s.dir, "other.pem"), filepath.Join(s.dir, "other.key"))
	if err := os.Rename(filepath.Join(s.dir, "other.key"), key); err != nil {
		t.Fatal(err)
	}
	refuses(t, serve(), exitConfig, cert, key, "private key does not match")

	elsewhere := newSite(t)
	elsewhere.data = file(t, filepath.Join(elsewhere.dir, "file"), "")
	elsewhere.write(t, "")
	refuses(t, postern(t, "", "--config", elsewhere.config, "serve"), exitConfig, "data directory "+elsewhere.data)
}
