package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"postern/cmd/postern/config"
	"postern/internal/imapserver"
)

// rulesFor gives the rules for IMAP sessions: those of clients that are known to
// need one, and the administrator's.
func rulesFor(cfg config.Config) []imapserver.Rule {
	var rules []imapserver.Rule
	if cfg.IMAP.KnownClients {
		rules = imapserver.KnownClients()
	}
	if !cfg.IMAP.UIDOnly {
		rules = append(rules, imapserver.Rule{Name: "uid_only", Hide: []string{"UIDONLY"}})
	}
	if len(cfg.IMAP.DisabledCaps) > 0 {
		rules = append(rules, imapserver.Rule{Name: "disabled_capabilities", Hide: cfg.IMAP.DisabledCaps})
	}
	for i, r := range cfg.IMAP.Rules {
		made := imapserver.Rule{
			Name:    fmt.Sprintf("imap.rules[%d]", i),
			Clients: r.Clients, Accounts: r.Accounts, Listeners: r.Listeners, First: r.First, Hide: r.Hide, Announce: r.Announce,
		}
		for _, name := range r.Behave {
			made.Behavior |= imapserver.BehaviorNames()[name]
		}
		for _, text := range r.Hello {
			hello, _ := parseHello(text) // checkRules has seen it
			made.TLS = append(made.TLS, hello)
		}
		rules = append(rules, made)
	}
	return rules
}

// parseHello reads a kind of TLS hello as the log writes it.
func parseHello(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 || n == 0 {
		return 0, fmt.Errorf("%q is no kind of hello: it has 16 hexadecimal digits, as the log shows them if log.level is \"debug\"", text)
	}
	return n, nil
}

// checkRules finds what in the rules for IMAP sessions nothing answers to.
func checkRules(cfg *config.Config, note func(setting, mistake string)) {
	for i, r := range cfg.IMAP.Rules {
		at := fmt.Sprintf("imap.rules[%d]", i)
		for _, name := range r.Hide {
			if !isCapability(name) {
				note(at+".hide", noCapability(name))
			}
		}
		for _, name := range r.Announce {
			if !isExperimental(name) {
				note(at+".announce", fmt.Sprintf("%q is no name to announce: X and letters, digits, hyphens", name))
			}
		}
		for _, name := range r.Behave {
			if _, known := imapserver.BehaviorNames()[name]; !known {
				note(at+".behave", fmt.Sprintf("%q is not one of %q", name, slices.Sorted(maps.Keys(imapserver.BehaviorNames()))))
			}
		}
		for _, text := range r.Hello {
			if _, err := parseHello(text); err != nil {
				note(at+".hello", err.Error())
			}
		}
		for _, name := range r.Listeners {
			if !isListener(cfg, name) {
				note(at+".listeners", fmt.Sprintf("there is no listener %q: write \"listen.imaps\", \"listen.imap\", or the address that one of them has in this file", name))
			}
		}
		for _, list := range []struct {
			key      string
			patterns []string
		}{{"clients", r.Clients}, {"accounts", r.Accounts}, {"first", r.First}} {
			if slices.Contains(list.patterns, "") {
				note(at+"."+list.key, `"" fits nothing: leave it out, or write "*"`)
			}
		}
		if len(r.Hide)+len(r.Announce)+len(r.Behave) == 0 {
			note(at, "the rule changes nothing: give it hide, announce or behave")
		}
	}
}

// isCapability reports whether a name is a capability, or what stands before the
// "=" of one.
func isCapability(name string) bool {
	return slices.ContainsFunc(imapserver.Capabilities(), func(k string) bool {
		short, _, _ := strings.Cut(k, "=")
		return strings.EqualFold(name, k) || strings.EqualFold(name, short) || k == "AUTH" && hasPrefixFold(name, "AUTH=")
	})
}

func noCapability(name string) string {
	return fmt.Sprintf("there is no capability %q here: CAPABILITY tells what there is", name)
}

// isExperimental reports whether a name can be announced that stands for nothing
// of ours.
func isExperimental(name string) bool {
	return len(name) > 1 && hasPrefixFold(name, "X") && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}

// isListener reports whether a name is that of a kind of IMAP listeners, or the
// address of one.
func isListener(cfg *config.Config, name string) bool {
	return name == "listen.imaps" || name == "listen.imap" ||
		slices.ContainsFunc(slices.Concat(cfg.Listen.IMAPS, cfg.Listen.IMAP), func(l config.Listener) bool { return l.Address == name })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
