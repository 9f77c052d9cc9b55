package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// check notes every value that is well-formed and still wrong.
func (c *Config) check(r *reader) {
	at := func(path string) int { return r.lines[path] }
	if c.Data == "" {
		r.mistake(at("data"), "data: a directory is needed")
	}
	if strings.ContainsFunc(c.Hostname, notOfHostname) {
		r.mistake(at("hostname"), "hostname: %q is no host name: letters, digits, hyphens and dots, as in \"mail.example.org\"", c.Hostname)
	}
	oneOf := func(path, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		r.mistake(at(path), "%s: %q is not one of %q", path, value, allowed)
	}
	oneOf("tls.min_version", c.TLS.MinVersion, "1.3", "1.2")
	oneOf("log.format", c.Log.Format, "auto", "text", "json")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		r.mistake(max(at("tls.certificate"), at("tls.key")), "tls.certificate and tls.key go together: one of them is missing")
	}
	if c.IMAP.Autologout < 30*time.Minute {
		r.mistake(at("imap.autologout"), "imap.autologout: at least \"30m\" (RFC 9051 5.4)")
	}
	if c.Auth.FailureDelay < 0 || c.Auth.FailureDelay > 10*time.Second {
		r.mistake(at("auth.failure_delay"), "auth.failure_delay: from \"0s\" to \"10s\": people wait for it as well")
	}
	atLeast := func(path string, n, least int64, unit string) {
		if n < least {
			r.mistake(at(path), "%s: at least %d%s", path, least, unit)
		}
	}
	atLeast("auth.scram_iterations", int64(c.Auth.ScramIterations), 10_000, "")
	for path, n := range map[string]int{"imap.message_limit": c.IMAP.MessageLimit, "imap.save_limit": c.IMAP.SaveLimit} {
		if n != 0 && n < 1000 {
			r.mistake(at(path), "%s: 0 for any number, or at least 1000 (RFC 9738 3)", path)
		}
	}
	atLeast("imap.sessions_per_account", int64(c.IMAP.Sessions), 1, "")
	for path, size := range map[string]Size{"imap.max_message": c.IMAP.MaxMessage, "lmtp.max_message": c.LMTP.MaxMessage} {
		if size < 64<<10 || size > LargestMessage {
			r.mistake(at(path), "%s: from %q to %q", path, Size(64<<10), LargestMessage)
		}
	}
	if c.Store.Reserve < LeastReserve {
		r.mistake(at("store.reserve"), "store.reserve: at least %q: a full disk must not be met before deleting is possible", LeastReserve)
	}
	if c.Index.CPU < 1 || c.Index.CPU > 100 {
		r.mistake(at("index.cpu_percent"), "index.cpu_percent: from 1 to 100; enabled = false turns the index off")
	}
	if c.Store.ExpungeHold < time.Hour {
		r.mistake(at("store.expunge_hold"), "store.expunge_hold: at least \"1h\": sessions that still show the mail must have time to learn that it is gone")
	}
	atLeast("lmtp.max_recipients", int64(c.LMTP.Recipients), 100, " (RFC 5321 4.5.3.1.8)")
	if len(c.LMTP.Detail) > 1 || strings.ContainsAny(c.LMTP.Detail, "@. \"") {
		r.mistake(at("lmtp.detail_separator"), "lmtp.detail_separator: one character, as in \"+\", or nothing")
	}
	c.checkLimits(r)
	c.checkTwice(r)
	atLeast("quota.messages", int64(c.Quota.Messages), 0, "")
	atLeast("quota.mailboxes", int64(c.Quota.Mailboxes), 0, "")
	c.checkPolicies(r)
	c.checkOIDC(r)
	c.checkProxies(r)
	c.checkListeners(r, "listen.imaps", c.Listen.IMAPS)
	c.checkListeners(r, "listen.imap", c.Listen.IMAP)
	c.checkListeners(r, "listen.lmtp", c.Listen.LMTP)
	c.checkListeners(r, "listen.auth", c.Listen.Auth)
	if len(c.Listen.IMAPS)+len(c.Listen.IMAP)+len(c.Listen.LMTP) == 0 {
		r.mistake(0, "no listener is left: give one of listen.imaps, listen.imap and listen.lmtp")
	}
	c.checkNames(r)
}

// checkLimits finds limits that ordinary clients would meet.
func (c *Config) checkLimits(r *reader) {
	l := &c.Limits
	for _, n := range []struct {
		name        string
		have, least int
	}{
		{"connections", l.Connections, 0}, {"before_login", l.BeforeLogin, 1}, {"before_login_per_address", l.PerAddress, 1},
		{"before_login_per_network", l.PerNetwork, 1}, {"handshakes", l.Handshakes, 1}, {"bad_commands", l.BadCommands, 1},
		{"searches_per_account", l.Searches, 1}, {"mailboxes_per_account", l.Mailboxes, 10}, {"keywords_per_mailbox", l.Keywords, 1},
	} {
		if n.have < n.least {
			r.mistake(r.lines["limits."+n.name], "limits.%s: at least %d", n.name, n.least)
		}
	}
	for _, d := range []struct {
		name        string
		have, least time.Duration
	}{
		{"login_time", l.LoginTime, 10 * time.Second}, {"command_time", l.CommandTime, 10 * time.Second},
		{"search_time", l.SearchTime, time.Second},
	} {
		if d.have < d.least {
			r.mistake(r.lines["limits."+d.name], "limits.%s: at least %q", d.name, d.least)
		}
	}
	for _, s := range []struct {
		name              string
		have, least, most Size
	}{
		// RFC 7162 4 wants lines of 8,192 octets taken; one is held in memory.
		{"command_line", l.CommandLine, 8 << 10, 16 << 20}, {"literal", l.Literal, 8 << 10, 16 << 20},
		{"arguments", l.Arguments, l.Literal, 64 << 20},
	} {
		if s.have < s.least || s.have > s.most {
			r.mistake(r.lines["limits."+s.name], "limits.%s: from %q to %q", s.name, s.least, s.most)
		}
	}
}

// notOfHostname reports whether a character cannot be part of a name or an address
// literal. What is written into greetings and trace headers is not left to chance;
// names beyond ASCII are written as their A-labels there (RFC 5890).
func notOfHostname(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r))
}

// checkTwice finds addresses that two listeners name.
func (c *Config) checkTwice(r *reader) {
	seen := map[string]bool{}
	for _, kind := range []struct {
		name string
		list []Listener
	}{{"listen.imaps", c.Listen.IMAPS}, {"listen.imap", c.Listen.IMAP}, {"listen.lmtp", c.Listen.LMTP}, {"listen.auth", c.Listen.Auth}} {
		for i, l := range kind.list {
			path := fmt.Sprintf("%s[%d]", kind.name, i)
			if _, port, err := net.SplitHostPort(l.Address); err == nil && port == "0" {
				continue // whichever is free
			}
			if seen[l.Address] && l.Address != "" {
				r.mistake(max(r.lines[path+".address"], r.lines[path]), "%s.address: another listener has %s already", kind.name, l.Address)
			}
			seen[l.Address] = true
		}
	}
}

func (c *Config) checkListeners(r *reader, kind string, list []Listener) {
	for i, l := range list {
		path := fmt.Sprintf("%s[%d]", kind, i)
		line := max(r.lines[path+".address"], r.lines[path])
		if err := checkAddress(l.Address); err != nil {
			r.mistake(line, "%s.address: %s", kind, err)
			continue
		}
		if !strings.HasPrefix(l.Address, "unix:") {
			for key, set := range map[string]bool{"owner": l.Owner != "", "group": l.Group != "", "mode": l.Mode != listenerDefault().Mode} {
				if set {
					r.mistake(r.lines[path+"."+key], "%s.%s: %s is no Unix socket of Postern's; leave it out", kind, key, l.Address)
				}
			}
		}
		for _, n := range l.Networks {
			if _, err := netip.ParsePrefix(n); err != nil {
				r.mistake(r.lines[path+".networks"], "%s.networks: %q is no network: write it as in \"192.0.2.0/24\"", kind, n)
			}
		}
		if l.Plaintext && kind == "listen.imaps" {
			r.mistake(r.lines[path+".plaintext"], "listen.imaps.plaintext: IMAPS is TLS; declare the listener under listen.imap")
		}
		if local := isLocal(l.Address); !local && len(l.Networks) == 0 {
			switch {
			case l.Plaintext:
				r.mistake(line, "%s %s: plaintext needs a loopback address, a Unix socket, or networks", kind, l.Address)
			case kind == "listen.auth":
				r.mistake(line, "%s %s: whoever may ask is believed and not encrypted, so it needs a Unix socket, a loopback address, or networks", kind, l.Address)
			case kind == "listen.lmtp":
				r.mistake(line, "%s %s: LMTP has no password, so it needs a loopback address, a Unix socket, or networks", kind, l.Address)
			}
		}
	}
}

func checkAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q: the path of a Unix socket begins with /", address)
		}
		return nil
	}
	if name, ok := strings.CutPrefix(address, "systemd:"); ok {
		if name == "" {
			return fmt.Errorf("%q: the socket's FileDescriptorName is missing", address)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return fmt.Errorf("%q is no address: write HOST:PORT, [IPV6]:PORT, unix:/PATH or systemd:NAME", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: port %s is neither a number up to 65535 nor a service known here", address, port)
	}
	return nil
}

func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "systemd:") {
		return true // a systemd socket's address is the unit's affair
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// checkNames looks at the default mailboxes' names: no two alike.
func (c *Config) checkNames(r *reader) {
	seen := map[string]string{"inbox": "INBOX"}
	for _, m := range []struct{ key, name string }{
		{"drafts", c.Mailboxes.Drafts}, {"sent", c.Mailboxes.Sent}, {"archive", c.Mailboxes.Archive},
		{"junk", c.Mailboxes.Junk}, {"trash", c.Mailboxes.Trash},
	} {
		if m.name == "" {
			continue
		}
		path, folded := "mailboxes."+m.key, strings.ToLower(m.name)
		if other, taken := seen[folded]; taken {
			r.mistake(r.lines[path], "%s: %q is the name of %s already", path, m.name, other)
		}
		seen[folded] = path
	}
}
