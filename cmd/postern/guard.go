package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/internal/auth"
	"postern/internal/guard"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

// loginGuard is the guard as package auth asks for it.
type loginGuard struct{ *guard.Guard }

// Ask decides about a try.
func (g loginGuard) Ask(ctx context.Context, q *auth.Question) auth.Ruling {
	try := guard.Try{Account: q.Account, Name: q.Name, Remote: q.Peer.Remote.Addr(), Client: q.Peer.Client, Password: q.Password, Strong: q.Strong}
	r := g.Guard.Ask(try)
	for r.Verdict == guard.Wait {
		settled := g.Settled() // before asking again: none may be missed
		if r = g.Guard.Ask(try); r.Verdict != guard.Wait {
			break
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return auth.Ruling{}
		}
	}
	return auth.Ruling{
		Check: r.Verdict.Check(), Refuse: r.Verdict.Refused(), First: r.Verdict == guard.Familiar, Verdict: r.Verdict.String(),
		Settle: func(o auth.Outcome) { g.Settle(r, settled[o]) },
	}
}

var settled = [...]guard.Outcome{auth.CheckedWrong: guard.Wrong, auth.CheckedRight: guard.Right, auth.NotChecked: guard.NotKnown}

// guardShelf is the shelf as package guard asks for it.
type guardShelf struct{ store.Shelf }

// Put writes a value if nobody did meanwhile.
func (s guardShelf) Put(ctx context.Context, key string, data []byte, version uint64) (uint64, error) {
	version, err := s.Shelf.Put(ctx, key, data, version, time.Time{})
	if errors.Is(err, store.ErrStale) {
		return 0, guard.ErrChanged
	}
	return version, err
}

// All gives values by their prefix.
func (s guardShelf) All(ctx context.Context, prefix string) iter.Seq2[guard.Kept, error] {
	return func(yield func(guard.Kept, error) bool) {
		for v, err := range s.List(ctx, prefix) {
			if !yield(guard.Kept{Key: v.Key, Data: v.Data, Version: v.Version}, err) {
				return
			}
		}
	}
}

// allowedKey is where the networks are kept that an administrator allows, a line
// each.
const allowedKey = "guard/allowed"

// openGuard makes the guard of what was kept of it.
func openGuard(ctx context.Context, shelf store.Shelf, log *slog.Logger, metrics *observe.Registry) (*guard.Guard, error) {
	g := guard.New(guard.Options{Log: log, Metrics: metrics, Common: auth.Common})
	if err := g.Load(ctx, guardShelf{shelf}); err != nil {
		return nil, err
	}
	allowed, _, err := allowedNetworks(ctx, shelf)
	if err != nil {
		return nil, err
	}
	g.Allow(allowed)
	return g, nil
}

// allowedNetworks reads what allowedKey holds, with its version.
func allowedNetworks(ctx context.Context, shelf store.Shelf) ([]netip.Prefix, uint64, error) {
	v, err := shelf.Get(ctx, allowedKey)
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var all []netip.Prefix
	for line := range strings.Lines(string(v.Data)) {
		p, err := netip.ParsePrefix(strings.TrimSpace(line))
		if err != nil {
			return nil, 0, mail.Wrap(err, mail.Corrupt, "the list of networks that the guard allows is damaged")
		}
		all = append(all, p)
	}
	return all, v.Version, nil
}

// keepGuard keeps what the guard has learnt.
func (in *instance) keepGuard(ctx context.Context) error {
	return in.guard.Save(ctx, guardShelf{in.store.Shelf()})
}

// guardEvery is how often the guard's state is kept: what a crash may make it
// forget.
const guardEvery = 5 * time.Minute

func (in *instance) keepGuardAlways(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := in.keepGuard(ctx); err != nil && ctx.Err() == nil {
			in.log.Warn("what the guard has learnt could not be kept, and is tried again", observe.Error(err))
		}
	}
}

type guardGroup struct {
	Status  guardStatusCommand  `cmd:"" help:"Show what the guard knows: an attack, closed networks, weak passwords."`
	Explain guardExplainCommand `cmd:"" help:"Show an account's devices, what strangers have left, and which tries were refused, why."`
	Forget  guardForgetCommand  `cmd:"" help:"Forget what happened at an account or from a network, so that it begins anew."`
	Allow   guardAllowCommand   `cmd:"" help:"Never close a network, as that of a webmail server; without one, list those allowed."`
}

type guardStatusCommand struct{}

// Run shows what the guard knows.
func (guardStatusCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "guard-status", struct{}{}, nil, t.printing)
}

func guardStatus(ctx context.Context, in *instance, _ json.RawMessage, _ io.Reader, out *answer) error {
	s := in.guard.Status()
	said := []string{
		"attack: " + map[bool]string{true: "under way", false: "none"}[s.Attack],
		fmt.Sprintf("accounts at which strangers failed within the hour: %d (an attack above %d)", s.Failing, s.Limit),
		fmt.Sprintf("passwords refused to strangers: %d", s.Hot),
		fmt.Sprintf("remembered: %d accounts with %d devices, %d networks", s.Accounts, s.Devices, s.Networks),
	}
	for _, c := range s.Closed {
		said = append(said, fmt.Sprintf("closed to strangers: %s until %s (%d accounts failed within the hour, %d signed in within the week)",
			networkName(c.Network), c.Until.Format(time.DateTime), c.Failing, c.Good))
	}
	for _, id := range s.Weak {
		name := fmt.Sprint("account ", id)
		if identity, err := in.store.Directory().Identity(ctx, id); err == nil {
			name = identity.Name
		}
		said = append(said, "weak password: "+name+" (it is one that is tried everywhere: postern account passwd)")
	}
	for _, p := range s.Allowed {
		said = append(said, "allowed: "+p.String())
	}
	verdicts := make([]string, 0, len(s.Ruled))
	for v, n := range s.Ruled {
		if n > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%s %d", v, n))
		}
	}
	slices.Sort(verdicts)
	said = append(said, "tries since the start: "+strings.Join(verdicts, ", "))
	return out.printf("%s", strings.Join(said, "\n"))
}

func networkName(p netip.Prefix) string {
	if !p.IsValid() {
		return "clients without an address"
	}
	return p.String()
}

type guardExplainCommand struct {
	Address string `arg:"" help:"The account."`
}

// Run explains an account.
func (a guardExplainCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "guard-explain", named{Account: a.Address}, nil, t.printing)
}

// reasons are what is said of each refusal.
var reasons = map[guard.Verdict]string{
	guard.Probe:          "the password is one that is tried at many accounts",
	guard.RefuseDevice:   "the device had too many wrong passwords",
	guard.RefuseNetwork:  "many accounts fail from that network: it is closed to strangers",
	guard.RefuseHot:      "the password is one that is tried at many accounts",
	guard.RefuseAccount:  "strangers had too many wrong passwords at this account",
	guard.RefuseStranger: "strangers from that network had too many wrong passwords",
}

// refusalsShown is how many refusals are listed.
const refusalsShown = 20

func guardExplain(_ context.Context, in *instance, identity store.Identity, _ named, out *answer) error {
	e := in.guard.Explain(identity.ID)
	said := []string{fmt.Sprintf("strangers have %.0f of %.0f tries left, and one more every %s; %d wrong ones in a row", e.Left, e.Of, e.Every, e.InARow)}
	if !e.Weak.IsZero() {
		said = append(said, "its password is one that is tried everywhere (found "+e.Weak.Format(time.DateTime)+"): give it another")
	}
	for _, d := range e.Devices {
		said = append(said, fmt.Sprintf("device: %s, client %016x, last signed in %s, %.0f of %.0f tries left",
			networkName(d.Network), d.Client, d.Seen.Format(time.DateTime), d.Left, d.Of))
	}
	if len(e.Devices) == 0 {
		said = append(said, "no device is known: every client is a stranger")
	}
	for i, r := range e.Refusals {
		if i == refusalsShown {
			said = append(said, fmt.Sprintf("and %d more", len(e.Refusals)-i))
			break
		}
		said = append(said, fmt.Sprintf("refused %s from %s: %s", r.Time.Format(time.DateTime), networkName(r.Network), reasons[r.Verdict]))
	}
	return out.printf("%s", strings.Join(said, "\n"))
}

type guardForgetCommand struct {
	What string `arg:"" help:"An account's address, or a network as 192.0.2.0/24."`
}

type guardForgetArgs struct{ What string }

// Run forgets.
func (a guardForgetCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "guard-forget", guardForgetArgs(a), nil, t.printing)
}

func guardForget(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[guardForgetArgs](raw)
	if err != nil {
		return err
	}
	if network, err := parseNetwork(args.What); err == nil {
		n := in.guard.ForgetNetwork(network)
		return errors.Join(in.keepGuard(ctx), out.printf("forgot %d networks in %s", n, network))
	}
	identity, err := in.find(ctx, args.What)
	if err != nil {
		return err
	}
	in.guard.ForgetAccount(identity.ID)
	return errors.Join(in.keepGuard(ctx), out.printf("forgot what happened at %s: its devices are strangers until they sign in again", identity.Name))
}

// parseNetwork reads a network, or one address.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, mail.Errorf(mail.Invalid, "%q is no network: write it as 192.0.2.0/24 or 2001:db8::/48", text)
	}
	return p.Masked(), nil
}

type guardAllowCommand struct {
	Network string `arg:"" optional:"" help:"A network as 192.0.2.0/24, or an address."`
	Remove  bool   `help:"Allow it no more."`
}

type guardAllowArgs struct {
	Network string
	Remove  bool
}

// Run allows, or lists.
func (a guardAllowCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "guard-allow", guardAllowArgs(a), nil, t.printing)
}

func guardAllow(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[guardAllowArgs](raw)
	if err != nil {
		return err
	}
	allowed, version, err := allowedNetworks(ctx, in.store.Shelf())
	if err != nil {
		return err
	}
	if args.Network == "" {
		for _, p := range allowed {
			if err := out.printf("%s", p); err != nil {
				return err
			}
		}
		return nil
	}
	network, err := parseNetwork(args.Network)
	if err != nil {
		return err
	}
	allowed = slices.DeleteFunc(allowed, func(p netip.Prefix) bool { return p == network })
	said := "not allowed any more: %s"
	if !args.Remove {
		allowed, said = append(allowed, network), "allowed: %s"
	}
	var text strings.Builder
	for _, p := range allowed {
		fmt.Fprintln(&text, p)
	}
	if _, err := in.store.Shelf().Put(ctx, allowedKey, []byte(text.String()), version, time.Time{}); err != nil {
		return err
	}
	in.guard.Allow(allowed)
	return out.printf(said, network)
}
