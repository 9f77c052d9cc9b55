package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// Mechanisms are those that a policy can name: all that somebody can sign in by, LOGIN standing for the command too.
var Mechanisms = []string{"LOGIN", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2"}

// checkPolicies finds what is well-formed in a rule and still wrong.
func (c *Config) checkPolicies(r *reader) {
	names := map[string]bool{}
	for i := range c.Policy {
		p, path := &c.Policy[i], fmt.Sprintf("policy[%d]", i)
		at := func(setting string) int { return max(r.lines[path+"."+setting], r.lines[path]) }
		switch {
		case p.Name == "":
			r.mistake(at("name"), "policy.name: a rule needs a name, by which it is explained")
		case names[p.Name]:
			r.mistake(at("name"), "policy.name: another rule is called %q", p.Name)
		}
		names[p.Name] = true
		if p.Given["accounts"] && len(p.Accounts) == 0 {
			r.mistake(at("accounts"), "policy.accounts: a rule for nobody; leave it out for everybody")
		}
		for _, m := range p.Mechanisms {
			if !slices.Contains(Mechanisms, m) {
				r.mistake(at("mechanisms"), "policy.mechanisms: %q is not one of %q", m, Mechanisms)
			}
		}
		for _, n := range p.Networks {
			if _, err := netip.ParsePrefix(n); err != nil {
				r.mistake(at("networks"), "policy.networks: %q is no network: write it as in \"192.0.2.0/24\"", n)
			}
		}
		if p.Given["sessions"] && p.Sessions < 1 {
			r.mistake(at("sessions"), "policy.sessions: at least 1; disable an account to keep it out")
		}
		if with := []string{"all", "domain", "nobody"}; p.Given["share_with"] && !slices.Contains(with, p.ShareWith) {
			r.mistake(at("share_with"), "policy.share_with: %q is not one of %q", p.ShareWith, with)
		}
	}
}
