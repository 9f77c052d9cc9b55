package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/cmd/postern/config"
	"postern/internal/auth"
)

// proxyRight is a right to sign in as others.
type proxyRight struct {
	who, as  []string // canonical; of as, domains with "@" before them
	networks []netip.Prefix
}

// proxiesOf reads the rights of a configuration, and calls note for whatever names nobody.
func proxiesOf(cfg *config.Config, note func(setting, mistake string)) (list []proxyRight) {
	rules := rulesOf(*cfg)
	for i := range cfg.Auth.Proxy {
		c := &cfg.Auth.Proxy[i]
		var right proxyRight
		for _, who := range c.Who {
			name, err := rules.Parse(who)
			if err != nil {
				note(fmt.Sprintf("auth.proxy[%d].who", i), fmt.Sprintf("%q: %s", who, err))
				continue
			}
			right.who = append(right.who, name.String())
		}
		for _, as := range c.As {
			name, err := nameInPolicy(rules, as)
			if err != nil {
				note(fmt.Sprintf("auth.proxy[%d].as", i), err.Error())
				continue
			}
			right.as = append(right.as, name)
		}
		for _, n := range c.Networks {
			if network, err := netip.ParsePrefix(n); err == nil { // others were found by the file's own check
				right.networks = append(right.networks, network.Masked())
			}
		}
		list = append(list, right)
	}
	return list
}

// checkProxies finds accounts in rights that are no addresses.
func checkProxies(cfg *config.Config, note func(setting, mistake string)) { proxiesOf(cfg, note) }

// mayActAs gives what auth.Config.MayActAs wants.
func mayActAs(rights []proxyRight) func(who, as string, try *auth.Attempt) bool {
	return func(who, as string, try *auth.Attempt) bool {
		domain := as[strings.LastIndexByte(as, '@'):]
		from := try.Peer.Remote.Addr().Unmap()
		return slices.ContainsFunc(rights, func(r proxyRight) bool {
			return slices.Contains(r.who, who) && (slices.Contains(r.as, as) || slices.Contains(r.as, domain)) &&
				(len(r.networks) == 0 || !from.IsValid() || slices.ContainsFunc(r.networks, func(n netip.Prefix) bool { return n.Contains(from) }))
		})
	}
}
