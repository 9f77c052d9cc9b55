package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store"
)

type metadataGroup struct {
	List   metadataListCommand   `cmd:"" help:"List the server's entries and their values."`
	Set    metadataSetCommand    `cmd:"" help:"Give an entry of the server a value."`
	Remove metadataRemoveCommand `cmd:"" help:"Remove an entry of the server."`
}

type metadataListCommand struct{}

type metadataSetCommand struct {
	Entry string `arg:"" help:"Its name: /shared/comment, /shared/admin (a URI, as in mailto:postmaster@example.org) or another below /shared."`
	Value string `arg:"" help:"Its value."`
}

type metadataRemoveCommand struct {
	Entry string `arg:"" help:"Its name."`
}

type metadataArgs struct {
	Entry string
	Value string `json:",omitempty"`
}

// metadataShelf is where the shelf has the entries: behind it stands the name of
// each in small letters. The data are a version and the value.
const (
	metadataShelf        = "metadata"
	metadataShelfVersion = 1
)

// adminEntry "MUST be a URI" (RFC 5464 3.2.1.1).
const adminEntry = "/shared/admin"

// readMetadata takes in what the shelf has.
func (in *instance) readMetadata(ctx context.Context) error {
	var all []mail.Metadata
	for note, err := range in.store.Shelf().List(ctx, metadataShelf+"/") {
		if err != nil {
			return err
		}
		if len(note.Data) == 0 || note.Data[0] != metadataShelfVersion {
			return mail.Errorf(mail.Corrupt, "the server's entry %s is of an unknown version", note.Key)
		}
		all = append(all, mail.Metadata{Name: strings.TrimPrefix(note.Key, metadataShelf), Value: note.Data[1:]})
	}
	in.metadata.Set(all)
	return nil
}

// Run lists the entries.
func (metadataListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "metadata-list", struct{}{}, nil, t.printing)
}

func metadataList(_ context.Context, in *instance, _ json.RawMessage, _ io.Reader, out *answer) error {
	for _, e := range in.metadata.Entries() {
		if err := out.printf("%s\t%q", e.Name, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// Run sets the entry.
func (m metadataSetCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "metadata-set", metadataArgs(m), nil, t.printing)
}

func metadataSet(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[metadataArgs](raw)
	if err != nil {
		return err
	}
	key, err := metadataKey(args.Entry)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(in.metadata.Entries(), func(e mail.Metadata) bool { return e.Name == key })
	switch n := len(in.metadata.Entries()); {
	case len(args.Value) > account.MaxMetadataValue:
		return mail.Errorf(mail.TooBig, "a value has at most %d octets", account.MaxMetadataValue)
	case n >= account.MaxMetadataEntries && !there:
		return mail.Errorf(mail.Limit, "the server has %d entries already", n)
	case key == adminEntry:
		if u, err := url.Parse(args.Value); err != nil || u.Scheme == "" {
			return mail.Errorf(mail.Invalid, "%s is a URI, as in mailto:postmaster@example.org", adminEntry)
		}
	}
	data := append([]byte{metadataShelfVersion}, args.Value...)
	if _, err := in.store.Shelf().Put(ctx, metadataShelf+key, data, store.AnyVersion, time.Time{}); err != nil {
		return err
	}
	if err := in.readMetadata(ctx); err != nil {
		return err
	}
	return out.printf("set %s", key)
}

// metadataKey gives the form in which the shelf knows an entry.
func metadataKey(name string) (string, error) {
	if !mail.SettableEntry(name) || mail.PrivateEntry(name) {
		return "", mail.Errorf(mail.Invalid, "%q is no entry that the server can have: /shared/comment, /shared/admin, /shared/vendor/TOKEN/NAME and others below /shared are", name)
	}
	return mail.EntryKey(name), nil
}

// Run removes the entry.
func (m metadataRemoveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "metadata-unset", metadataArgs{Entry: m.Entry}, nil, t.printing)
}

func metadataUnset(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
	args, err := decode[metadataArgs](raw)
	if err != nil {
		return err
	}
	key, err := metadataKey(args.Entry)
	if err != nil {
		return err
	}
	if _, err := in.store.Shelf().Get(ctx, metadataShelf+key); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if err := in.store.Shelf().Delete(ctx, metadataShelf+key, store.AnyVersion); err != nil {
		return err
	}
	if err := in.readMetadata(ctx); err != nil {
		return err
	}
	return out.printf("removed %s", key)
}
