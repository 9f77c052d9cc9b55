package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/policy"
	"postern/internal/store"
)

// policies are the rules in force, and who they are for. A reload puts others in their place.
type policies struct {
	rules     atomic.Pointer[policy.Rules]
	directory store.Directory
}

func (p *policies) set(rules policy.Rules) { p.rules.Store(&rules) }

// of gives what holds for an account of that name.
func (p *policies) of(name string) policy.Policy {
	held, _ := p.rules.Load().For(name)
	return held
}

// mail gives what of the rules concerns an account's mail. An account that is in no directory is being removed, or is of
// a time when it had another name: nothing of it is kept for longer, and nothing expires.
func (p *policies) mail(ctx context.Context, id mail.AccountID) (account.Rules, error) {
	rules := *p.rules.Load()
	if !rules.Concern(policy.EmptyTrash, policy.EmptyJunk, policy.KeepDeleted, policy.LegalHold) {
		return account.Rules{}, nil
	}
	identity, err := p.directory.Identity(ctx, id)
	switch {
	case mail.KindOf(err) == mail.NotFound:
		return account.Rules{}, nil
	case err != nil:
		return account.Rules{}, err
	}
	held, _ := rules.For(identity.Name)
	r := account.Rules{Hold: held.KeepDeleted, Keep: held.LegalHold, Expire: map[mail.SpecialUse]time.Duration{}}
	if held.EmptyTrash > 0 {
		r.Expire[mail.UseTrash] = held.EmptyTrash
	}
	if held.EmptyJunk > 0 {
		r.Expire[mail.UseJunk] = held.EmptyJunk
	}
	return r, nil
}

// maySignIn reports whether somebody who has proved who they are may sign in so. It is what auth.Config.Permit wants.
func (p *policies) maySignIn(name string, try *auth.Attempt, strong bool) bool {
	held := p.of(name)
	mechanism := try.Mechanism
	if mechanism == auth.LoginCommand {
		mechanism = "LOGIN"
	}
	return held.MaySignIn(mechanism, try.Peer.Remote.Addr(), strong)
}

// sessions gives how many sessions an account may have; 0 is as many as any.
func (p *policies) sessions(name string) int {
	held := p.of(name)
	return held.Sessions
}

// mayShare reports whether mailboxes of an account may be shared with another; "" is everybody.
func (p *policies) mayShare(owner, with string) bool {
	held := p.of(owner)
	return held.MayShare(owner, with)
}

// rulesOfPolicy reads the rules of a configuration, and calls note for whatever names nobody.
func rulesOfPolicy(cfg *config.Config, note func(setting, mistake string)) policy.Rules {
	var rules policy.Rules
	addresses := rulesOf(*cfg)
	for i := range cfg.Policy {
		c := &cfg.Policy[i]
		r := policy.Rule{Name: c.Name, Says: policy.Policy{
			Mechanisms: c.Mechanisms, AppPasswordsOnly: c.AppPasswordsOnly, Sessions: c.Sessions, ShareWith: policy.Sharing(c.ShareWith),
			EmptyTrash: c.EmptyTrash, EmptyJunk: c.EmptyJunk, KeepDeleted: c.KeepDeleted, LegalHold: c.LegalHold,
		}}
		for _, n := range c.Networks {
			if network, err := netip.ParsePrefix(n); err == nil { // others were found by the file's own check
				r.Says.Networks = append(r.Says.Networks, network.Masked())
			}
		}
		for _, s := range policy.Settings {
			if c.Given[string(s)] {
				r.About = append(r.About, s)
			}
		}
		for _, who := range c.Accounts {
			name, err := nameInPolicy(addresses, who)
			if err != nil {
				note(fmt.Sprintf("policy[%d].accounts", i), err.Error())
				continue
			}
			r.Accounts = append(r.Accounts, name)
		}
		rules = append(rules, r)
	}
	return rules
}

// nameInPolicy gives the canonical form of an address or of a domain with "@" before it.
func nameInPolicy(rules auth.Rules, who string) (string, error) {
	if domain, ok := strings.CutPrefix(who, "@"); ok {
		domain, err := auth.Domain(domain)
		if err != nil {
			return "", fmt.Errorf("%q: %w", who, err)
		}
		return "@" + domain, nil
	}
	address, err := rules.Parse(who)
	if err != nil {
		return "", fmt.Errorf("%q: %w", who, err)
	}
	return address.String(), nil
}

// quotaAdministrators gives who may set limits over IMAP; nil if nobody may.
func quotaAdministrators(cfg config.Config) func(user string) bool {
	var named []string
	for _, who := range cfg.IMAP.QuotaAdmins {
		if name, err := nameInPolicy(rulesOf(cfg), who); err == nil { // others were found when the configuration was read
			named = append(named, name)
		}
	}
	if len(named) == 0 {
		return nil
	}
	return policy.Rule{Accounts: named}.Concerns
}

// checkQuotaAdministrators finds those that are no addresses.
func checkQuotaAdministrators(cfg *config.Config, note func(setting, mistake string)) {
	for _, who := range cfg.IMAP.QuotaAdmins {
		if _, err := nameInPolicy(rulesOf(*cfg), who); err != nil {
			note("imap.quota_administrators", err.Error())
		}
	}
}

// checkPolicies finds accounts in rules that are no addresses.
func checkPolicies(cfg *config.Config, note func(setting, mistake string)) { rulesOfPolicy(cfg, note) }

type policyGroup struct {
	Explain policyExplainCommand `cmd:"" help:"Print the rules that hold for an account, and which of the configuration each comes from."`
}

type policyExplainCommand struct {
	Address string `arg:"" help:"The account."`
}

// Run explains.
func (p policyExplainCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "policy-explain", named{Account: p.Address}, nil, t.printing)
}

func policyExplain(ctx context.Context, in *instance, identity store.Identity, _ named, out *answer) error {
	held, from := in.policies.rules.Load().For(identity.Name)
	cfg := in.cfg
	said := func(s policy.Setting, value, otherwise string) error {
		if from[s] == "" {
			return out.printf("%s: %s", s, otherwise)
		}
		return out.printf("%s: %s (rule %q)", s, value, from[s])
	}
	networks := make([]string, len(held.Networks))
	for i, n := range held.Networks {
		networks[i] = n.String()
	}
	forever := func(d time.Duration) string {
		if d == 0 {
			return "never"
		}
		return "after " + inDays(d)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	keep := max(held.KeepDeleted, cfg.Store.ExpungeHold)
	err := errors.Join(
		said(policy.Mechanisms, orNone(held.Mechanisms), "all"),
		said(policy.Networks, orNone(networks), "all"),
		said(policy.AppPasswordsOnly, yes[held.AppPasswordsOnly], "no"),
		said(policy.Sessions, fmt.Sprint(held.Sessions), fmt.Sprintf("%d (imap.sessions_per_account)", cfg.IMAP.Sessions)),
		said(policy.ShareWith, string(held.ShareWith), "all"),
		said(policy.EmptyTrash, forever(held.EmptyTrash), "never"),
		said(policy.EmptyJunk, forever(held.EmptyJunk), "never"),
		said(policy.KeepDeleted, inDays(keep), inDays(cfg.Store.ExpungeHold)+" (store.expunge_hold)"),
		said(policy.LegalHold, yes[held.LegalHold], "no"),
	)
	if err != nil {
		return err
	}
	return explainQuota(ctx, in, identity, out)
}

// explainQuota says what an account may hold, and where that comes from.
func explainQuota(ctx context.Context, in *instance, identity store.Identity, out *answer) error {
	a, err := in.pool.Open(ctx, identity.ID)
	if err != nil {
		return err
	}
	defer a.Release()
	own, configured := a.OwnQuota(), *quotaOf(in.cfg.Quota)
	for _, q := range []struct {
		name       string
		own        mail.QuotaLimit
		configured uint64
		octets     bool
	}{
		{"storage", own.Octets, configured.Octets, true},
		{"messages", own.Messages, configured.Messages, false},
		{"mailboxes", own.Mailboxes, configured.Mailboxes, false},
	} {
		limit, from := q.own.Or(q.configured), "quota."+q.name
		if q.own.Given {
			from = "postern account quota"
		}
		value := fmt.Sprint(limit)
		switch {
		case limit == mail.Unlimited:
			value = "no limit"
		case q.octets:
			value = config.Size(limit).String()
		}
		if err := out.printf("quota of %s: %s (%s)", q.name, value, from); err != nil {
			return err
		}
	}
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// inDays writes a duration in days where it is whole days, else as Go does.
func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
