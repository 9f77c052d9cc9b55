package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"postern/internal/index"
	"postern/internal/mail"
	"postern/internal/store"
)

type indexGroup struct {
	Status  indexStatusCommand  `cmd:"" help:"Show how far the text index has come, and its size."`
	Rebuild indexRebuildCommand `cmd:"" help:"Throw the text index away and make it anew. Searches find everything meanwhile, and take longer."`
}

type indexStatusCommand struct {
	Address string `arg:"" optional:"" help:"The account; all, if none is named."`
}

type indexRebuildCommand struct {
	Address string `arg:"" optional:"" help:"The account; all, if none is named."`
}

type indexArgs struct {
	Account string `json:",omitempty"`
}

// Run shows the index of one account or of all.
func (i indexStatusCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "index-status", indexArgs{i.Address}, nil, t.printing)
}

// Run makes the index of one account or of all anew.
func (i indexRebuildCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	m := t.meter()
	defer m.done()
	return c.administer(ctx, "index-rebuild", indexArgs{i.Address}, nil, m.each)
}

// eachIndexed calls do with one account or all of them, by name.
func (in *instance) eachIndexed(ctx context.Context, raw json.RawMessage, do func(store.Identity) error) error {
	args, err := decode[indexArgs](raw)
	if err != nil {
		return err
	}
	if args.Account != "" {
		identity, err := in.find(ctx, args.Account)
		if err != nil {
			return err
		}
		return do(identity)
	}
	for identity, err := range in.store.Directory().Identities(ctx) {
		if err == nil {
			err = do(identity)
		}
		if mail.KindOf(err) == mail.NotFound && err != nil { // removed meanwhile
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func indexStatus(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	if !in.cfg.Index.Enabled {
		if err := out.printf("the text index is off: index.enabled is false"); err != nil {
			return err
		}
	}
	return in.eachIndexed(ctx, raw, func(identity store.Identity) error {
		s, err := in.index.Status(ctx, identity.ID)
		if err != nil {
			return about(identity.Name, err)
		}
		return sayIndex(identity.Name, s, out)
	})
}

func sayIndex(name string, s index.Status, out *answer) error {
	share := 0.0
	if s.Mail > 0 {
		share = float64(s.Octets) / float64(s.Mail) * 100
	}
	return out.printf("%s\t%d of %d messages\t%d segments\t%s, %.1f %% of the mail", name, s.Indexed, s.Messages, s.Segments, octets(int64(s.Octets)), share)
}

func indexRebuild(ctx context.Context, in *instance, raw json.RawMessage, body io.Reader, out *answer) error {
	if err := drain(body); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := in.eachIndexed(ctx, raw, func(identity store.Identity) error {
		told := out.paced("indexing "+identity.Name, stop)
		s, err := in.index.Rebuild(ctx, identity.ID, func(done, of int) { told(int64(done), int64(of)) })
		if err != nil {
			return about(identity.Name, err)
		}
		return sayIndex(identity.Name, s, out)
	})
	if err != nil && context.Cause(ctx) != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}
