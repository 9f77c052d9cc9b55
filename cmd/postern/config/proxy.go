package config

import (
	"fmt"
	"net/netip"
)

// Proxy is a right to sign in as others.
type Proxy struct {
	Who      []string `toml:"who" doc:"Accounts that have the right. They sign in with their own names and passwords."`
	As       []string `toml:"as" doc:"As whom they may act: addresses, and domains as \"@example.org\"."`
	Networks []string `toml:"networks" doc:"From where (CIDR); empty: everywhere. A Unix socket is never left out."`
}

// checkProxies finds rights that are nobody's, or from nowhere.
func (c *Config) checkProxies(r *reader) {
	for i := range c.Auth.Proxy {
		p, path := &c.Auth.Proxy[i], fmt.Sprintf("auth.proxy[%d]", i)
		at := func(setting string) int { return max(r.lines[path+"."+setting], r.lines[path]) }
		if len(p.Who) == 0 {
			r.mistake(at("who"), "auth.proxy.who: name the accounts that have the right")
		}
		if len(p.As) == 0 {
			r.mistake(at("as"), "auth.proxy.as: name whom they may act as; a right to be anybody is spelt out, domain by domain")
		}
		for _, n := range p.Networks {
			if _, err := netip.ParsePrefix(n); err != nil {
				r.mistake(at("networks"), "auth.proxy.networks: %q is no network: write it as in \"192.0.2.0/24\"", n)
			}
		}
	}
}
