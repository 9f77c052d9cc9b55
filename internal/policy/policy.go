// Package policy works out which of an organisation's rules hold for an account. It knows no file and asks nobody:
// the roof reads the rules, and those who carry them out ask the roof.
package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Sharing is with whom an account may share its mailboxes.
type Sharing string

// With whom.
const (
	ShareAll    Sharing = "all"    // everybody with an account here
	ShareDomain Sharing = "domain" // those of the same domain
	ShareNobody Sharing = "nobody"
)

// Policy is what holds for one account. The zero value restricts nothing and keeps nothing for longer.
type Policy struct {
	Mechanisms       []string       // by which it may sign in; nil: all
	Networks         []netip.Prefix // from which it may sign in; nil: all
	AppPasswordsOnly bool           // its own password signs in nowhere
	Sessions         int            // at a time; 0: as the server has it
	ShareWith        Sharing        // "": all

	EmptyTrash, EmptyJunk time.Duration // how long mail stays there; 0: for ever
	KeepDeleted           time.Duration // how long deleted mail can be brought back, if longer than the server has it
	LegalHold             bool          // deleted mail is kept for ever, and the account cannot be removed
}

// Rule says something of some accounts.
type Rule struct {
	Name     string
	Accounts []string // addresses, or domains as "@example.org"; nil: all
	Says     Policy
	About    []Setting // what of Says it says
}

// Setting names a field of Policy, as the configuration does.
type Setting string

// The settings.
const (
	Mechanisms       Setting = "mechanisms"
	Networks         Setting = "networks"
	AppPasswordsOnly Setting = "app_passwords_only"
	Sessions         Setting = "sessions"
	ShareWith        Setting = "share_with"
	EmptyTrash       Setting = "empty_trash"
	EmptyJunk        Setting = "empty_junk"
	KeepDeleted      Setting = "keep_deleted"
	LegalHold        Setting = "legal_hold"
)

// Settings are all of them, in the order in which they are explained.
var Settings = []Setting{Mechanisms, Networks, AppPasswordsOnly, Sessions, ShareWith, EmptyTrash, EmptyJunk, KeepDeleted, LegalHold}

// copySetting gives to the value that from has for a setting.
func copySetting(to *Policy, from *Policy, s Setting) {
	switch s {
	case Mechanisms:
		to.Mechanisms = from.Mechanisms
	case Networks:
		to.Networks = from.Networks
	case AppPasswordsOnly:
		to.AppPasswordsOnly = from.AppPasswordsOnly
	case Sessions:
		to.Sessions = from.Sessions
	case ShareWith:
		to.ShareWith = from.ShareWith
	case EmptyTrash:
		to.EmptyTrash = from.EmptyTrash
	case EmptyJunk:
		to.EmptyJunk = from.EmptyJunk
	case KeepDeleted:
		to.KeepDeleted = from.KeepDeleted
	case LegalHold:
		to.LegalHold = from.LegalHold
	}
}

// Rules are rules in their order: of two that say something of the same setting the later holds, save that no rule
// lifts a legal hold which another puts on an account.
type Rules []Rule

// For gives what holds for an account of that canonical address, and which rule says so of each setting that any does.
func (r Rules) For(address string) (Policy, map[Setting]string) {
	var p Policy
	from := map[Setting]string{}
	for i := range r {
		if !r[i].Concerns(address) {
			continue
		}
		for _, s := range r[i].About {
			if s == LegalHold && p.LegalHold {
				continue
			}
			copySetting(&p, &r[i].Says, s)
			from[s] = r[i].Name
		}
	}
	return p, from
}

// Concern reports whether any rule says anything of a setting.
func (r Rules) Concern(settings ...Setting) bool {
	return slices.ContainsFunc(r, func(one Rule) bool {
		return slices.ContainsFunc(one.About, func(s Setting) bool { return slices.Contains(settings, s) })
	})
}

// Concerns reports whether the rule is for an account of that canonical address.
func (r Rule) Concerns(address string) bool {
	if r.Accounts == nil {
		return true
	}
	return slices.ContainsFunc(r.Accounts, func(who string) bool {
		return who == address || strings.HasPrefix(who, "@") && strings.HasSuffix(address, who)
	})
}

// MaySignIn reports whether somebody may sign in so: by a mechanism as SASL names it ("LOGIN" for the command, too), from
// an address, the zero one being this machine's Unix sockets, and with an app password or a token or not.
func (p *Policy) MaySignIn(mechanism string, from netip.Addr, strong bool) bool {
	if p.AppPasswordsOnly && !strong {
		return false
	}
	if p.Mechanisms != nil && !slices.Contains(p.Mechanisms, mechanism) {
		return false
	}
	from = from.Unmap().WithZone("")
	return p.Networks == nil || !from.IsValid() || slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(from) })
}

// MayShare reports whether an account of that address may share its mailboxes with another; "" is everybody.
func (p *Policy) MayShare(owner, with string) bool {
	switch p.ShareWith {
	case ShareNobody:
		return false
	case ShareDomain:
		_, own, _ := strings.Cut(owner, "@")
		_, other, ok := strings.Cut(with, "@")
		return ok && own == other
	}
	return true
}
