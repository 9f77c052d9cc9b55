package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"postern/internal/auth"
	"postern/internal/mail"
)

type aliasGroup struct {
	Add    aliasAddCommand    `cmd:"" help:"Make an address stand for accounts; @DOMAIN catches whatever nobody else does there."`
	List   aliasListCommand   `cmd:"" help:"List aliases and what they stand for."`
	Remove aliasRemoveCommand `cmd:"" help:"Remove an alias."`
}

type aliasAddCommand struct {
	Alias    string   `arg:"" help:"The address, or @DOMAIN."`
	Accounts []string `arg:"" help:"The accounts it stands for."`
}

type aliasListCommand struct{}

type aliasRemoveCommand struct {
	Alias string `arg:"" help:"The address, or @DOMAIN."`
}

type aliasArgs struct {
	Alias    string
	Accounts []string `json:",omitempty"`
}

// Run adds or replaces the alias.
func (a aliasAddCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "alias-add", aliasArgs(a), nil, t.printing)
}

// aliasName gives an alias's canonical name.
func (in *instance) aliasName(alias string) (string, error) {
	if domain, catchAll := strings.CutPrefix(alias, "@"); catchAll {
		domain, err := auth.Domain(domain)
		return "@" + domain, err
	}
	name, err := in.rules.Parse(alias)
	return name.String(), err
}

func aliasAdd(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[aliasArgs](raw)
	if err != nil {
		return err
	}
	name, err := in.aliasName(args.Alias)
	if err != nil {
		return err
	}
	var ids []mail.AccountID
	var names []string
	for _, a := range args.Accounts {
		identity, err := in.find(ctx, a)
		if err != nil {
			return err
		}
		ids, names = append(ids, identity.ID), append(names, identity.Name)
	}
	if err := in.store.Directory().SetAlias(ctx, name, ids); err != nil {
		return about(name, err)
	}
	return out.printf("%s stands for %s", name, strings.Join(names, ", "))
}

// Run lists the aliases.
func (aliasListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "alias-list", struct{}{}, nil, t.printing)
}

func aliasList(ctx context.Context, in *instance, _ json.RawMessage, _ io.Reader, out *answer) error {
	for alias, err := range in.store.Directory().Aliases(ctx) {
		if err != nil {
			return err
		}
		var names []string
		for _, id := range alias.Accounts {
			identity, err := in.store.Directory().Identity(ctx, id)
			if err != nil {
				return err
			}
			names = append(names, identity.Name)
		}
		if err := out.printf("%s\t%s", alias.Name, strings.Join(names, " ")); err != nil {
			return err
		}
	}
	return nil
}

// Run removes the alias.
func (a aliasRemoveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "alias-remove", aliasArgs{Alias: a.Alias}, nil, t.printing)
}

func aliasRemove(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[aliasArgs](raw)
	if err != nil {
		return err
	}
	name, err := in.aliasName(args.Alias)
	if err != nil {
		return err
	}
	if err := in.store.Directory().RemoveAlias(ctx, name); err != nil {
		return about(name, err)
	}
	return out.printf("removed %s", name)
}
