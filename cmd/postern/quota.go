package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"strconv"

	"postern/cmd/postern/config"
	"postern/internal/mail"
)

type accountQuotaCommand struct {
	Address   string `arg:"" help:"The account."`
	Storage   string `placeholder:"SIZE" help:"Mail it may hold, as in \"5 GiB\"; \"none\" for no limit, \"default\" for the configured one."`
	Messages  string `placeholder:"NUMBER" help:"Messages it may hold; \"none\" or \"default\" likewise."`
	Mailboxes string `placeholder:"NUMBER" help:"Mailboxes it may have; \"none\" or \"default\" likewise."`
}

// quotaArgs are the limits to be changed, as they stand on the command line; those
// that are empty stay.
type quotaArgs struct {
	Account                      string
	Storage, Messages, Mailboxes string `json:",omitempty"`
}

// Run shows the quota, having changed it if asked to.
func (a accountQuotaCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "account-quota", quotaArgs{a.Address, a.Storage, a.Messages, a.Mailboxes}, nil, t.printing)
}

// quotaOf are the configured limits, in which 0 is none.
func quotaOf(c config.Quota) *mail.Quota {
	limit := func(n int64) uint64 {
		if n == 0 {
			return mail.Unlimited
		}
		return uint64(n)
	}
	return &mail.Quota{Octets: limit(int64(c.Storage)), Messages: limit(int64(c.Messages)), Mailboxes: limit(int64(c.Mailboxes))}
}

func parseCount(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, mail.Errorf(mail.Invalid, "%q is neither a number nor \"none\" nor \"default\"", text)
	}
	return n, nil
}

func parseOctets(text string) (uint64, error) {
	size, err := config.ParseSize(text)
	if err != nil {
		return 0, mail.Wrap(err, mail.Invalid, "a size, \"none\" or \"default\" is needed")
	}
	return uint64(size), nil
}

// change gives what a limit becomes by an argument.
func change(was mail.QuotaLimit, arg string, parse func(string) (uint64, error)) (mail.QuotaLimit, error) {
	switch arg {
	case "":
		return was, nil
	case "default":
		return mail.QuotaLimit{}, nil
	case "none":
		return mail.QuotaLimit{Given: true, Most: mail.Unlimited}, nil
	}
	n, err := parse(arg)
	return mail.QuotaLimit{Given: true, Most: n}, err
}

func accountQuota(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[quotaArgs](raw)
	if err != nil {
		return err
	}
	identity, err := in.find(ctx, args.Account)
	if err != nil {
		return err
	}
	acct, err := in.pool.Open(ctx, identity.ID)
	if err != nil {
		return err
	}
	defer acct.Release()
	own := acct.OwnQuota()
	for _, l := range []struct {
		limit *mail.QuotaLimit
		arg   string
		parse func(string) (uint64, error)
	}{{&own.Octets, args.Storage, parseOctets}, {&own.Messages, args.Messages, parseCount}, {&own.Mailboxes, args.Mailboxes, parseCount}} {
		if *l.limit, err = change(*l.limit, l.arg, l.parse); err != nil {
			return err
		}
	}
	if err := acct.SetQuota(ctx, own); err != nil {
		return err
	}
	return sayQuota(acct.Quota, own, out)
}

func sayQuota(quota func() (mail.Usage, mail.Quota), own mail.OwnQuota, out *answer) error {
	used, most := quota()
	octets := func(n uint64) string { return config.Size(min(n, math.MaxInt64)).String() }
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	for _, l := range []struct {
		what       string
		used, most uint64
		text       func(uint64) string
		own        bool
	}{
		{"storage", used.Octets, most.Octets, octets, own.Octets.Given}, {"messages", used.Messages, most.Messages, count, own.Messages.Given},
		{"mailboxes", used.Mailboxes, most.Mailboxes, count, own.Mailboxes.Given},
	} {
		limit, from := "no limit", "default"
		if l.most != mail.Unlimited {
			limit = l.text(l.most)
		}
		if l.own {
			from = "its own"
		}
		if err := out.printf("%s\t%s\tof %s\t%s", l.what, l.text(l.used), limit, from); err != nil {
			return err
		}
	}
	return nil
}
