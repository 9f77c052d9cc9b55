package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/netserver"
)

type configGroup struct {
	Check configCheck `cmd:"" help:"List every mistake in the configuration file, each with its line."`
	Show  configShow  `cmd:"" help:"Print the effective configuration, explained, as a file that can be read back."`
}

type configCheck struct{}

// Run reads the configuration and says that it is right, or what is not. It looks
// around on the machine as well, which other commands leave to the server: they may
// be run by somebody who may not read the private key.
func (configCheck) Run(c *commands, t *terminal) error {
	if _, err := c.read(checkNames, checkPolicies, checkStorage, checkTokens, checkProxies, checkQuotaAdministrators, checkMachine); err != nil {
		return err
	}
	said := "there is no " + standardConfig + ": every setting has its default"
	if file := c.configFile(); file != "" {
		said = file + " is right"
	}
	_, err := fmt.Fprintln(t.out, said)
	return err
}

type configShow struct{}

// Run prints the configuration.
func (configShow) Run(c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	return config.Show(t.out, cfg)
}

// checkNames finds names that nothing here answers to.
func checkNames(cfg *config.Config, note func(setting, mistake string)) {
	for _, m := range []struct{ key, name string }{
		{"drafts", cfg.Mailboxes.Drafts}, {"sent", cfg.Mailboxes.Sent}, {"archive", cfg.Mailboxes.Archive},
		{"junk", cfg.Mailboxes.Junk}, {"trash", cfg.Mailboxes.Trash},
	} {
		if m.name == "" {
			continue
		}
		if _, err := account.CanonicalName(m.name); err != nil {
			note("mailboxes."+m.key, fmt.Sprintf("%q: %s", m.name, err))
		}
	}
	for _, name := range cfg.IMAP.DisabledCaps {
		if !isCapability(name) {
			note("imap.disabled_capabilities", noCapability(name))
		}
	}
	checkRules(cfg, note)
}

// checkMachine finds what the configuration names and this machine does not have.
func checkMachine(cfg *config.Config, note func(setting, mistake string)) {
	if cfg.TLS.Certificate != "" && cfg.TLS.Key != "" {
		if _, err := netserver.NewCertificates(time.Now, netserver.Pair{Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key}); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				note("tls.certificate", line)
			}
		}
	}
	for i := range cfg.Auth.OIDC {
		if name := cfg.Auth.OIDC[i].SecretFile; name != "" {
			if _, err := os.ReadFile(name); err != nil {
				note(fmt.Sprintf("auth.oidc[%d].introspection_secret_file", i), err.Error())
			}
		}
	}
	for _, kind := range []struct {
		name string
		list []config.Listener
	}{{"listen.imaps", cfg.Listen.IMAPS}, {"listen.imap", cfg.Listen.IMAP}, {"listen.lmtp", cfg.Listen.LMTP}, {"listen.auth", cfg.Listen.Auth}} {
		for i, l := range kind.list {
			if _, err := netserver.UserID(l.Owner); err != nil {
				note(fmt.Sprintf("%s[%d].owner", kind.name, i), err.Error())
			}
			if _, err := netserver.GroupID(l.Group); err != nil {
				note(fmt.Sprintf("%s[%d].group", kind.name, i), err.Error())
			}
		}
	}
}
