package imapserver

import (
	"context"
	"fmt"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// getMetadata is the command GETMETADATA (RFC 5464 4.2).
func (s *session) getMetadata(c *command) error {
	var args imapwire.GetMetadataArgs
	if !s.r.ExpectGetMetadataArgs(&args) {
		return s.r.Err()
	}
	all, err := s.metadataOf(args.Mailbox)
	if err != nil {
		return err
	}
	found := pickEntries(all, args.Entries, args.Depth)
	if args.HasMaxSize {
		shown, longest := found[:0], 0
		for _, e := range found {
			if uint64(len(e.Value)) <= uint64(args.MaxSize) {
				shown = append(shown, e)
			} else {
				longest = max(longest, len(e.Value))
			}
		}
		if found = shown; longest > 0 {
			c.done(fmt.Sprintf("METADATA LONGENTRIES %d", longest), "there are longer values")
		}
	}
	if len(found) > 0 {
		s.w.Metadata(args.Mailbox, found)
	}
	return nil
}

// metadataOf gives the entries that somebody may see of a mailbox or of the server
// ("").
func (s *session) metadataOf(name string) ([]mail.Metadata, error) {
	if name == "" {
		return append(s.account.Metadata(), s.srv.metadata.Entries()...), nil // private before shared
	}
	mailbox, err := s.mailbox(name, mail.RightLookup|mail.RightRead)
	if err != nil {
		return nil, err
	}
	return mailbox.Metadata(), nil
}

// pickEntries gives the entries that are asked for, each once, in the order in
// which they are asked for. One that has no value is NIL where it alone is asked
// for; asked for with those below it, only what exists is given (RFC 5464 4.2.2).
func pickEntries(all []mail.Metadata, asked []string, depth imapwire.Depth) []mail.Metadata {
	var found []mail.Metadata
	seen := map[string]bool{}
	add := func(e mail.Metadata) {
		if key := mail.EntryKey(e.Name); !seen[key] {
			seen[key] = true
			found = append(found, e)
		}
	}
	for _, name := range asked {
		there := false
		for _, e := range all {
			levels, below := mail.EntryDepth(e.Name, name)
			switch {
			case !below || levels > 1 && depth == imapwire.DepthOne || levels > 0 && depth == imapwire.DepthNone:
				continue
			case levels == 0:
				e.Name = name // as its client writes it
			}
			there = true
			add(e)
		}
		if !there && depth == imapwire.DepthNone {
			add(mail.Metadata{Name: name})
		}
	}
	return found
}

// listMetadata writes what LIST ... RETURN (METADATA (...)) wants to know of a
// mailbox. Where it cannot be known there is nothing (RFC 9590 3).
func (s *session) listMetadata(name string, asked []string) {
	if all, err := s.metadataOf(name); err == nil {
		s.w.Metadata(name, pickEntries(all, asked, imapwire.DepthNone))
	}
}

// setMetadata is the command SETMETADATA (RFC 5464 4.3). The server's shared
// entries are the administrator's.
func (s *session) setMetadata(*command) error {
	var args imapwire.SetMetadataArgs
	if !s.r.ExpectSetMetadataArgs(&args, account.MaxMetadataValue) {
		if args.TooLong {
			return tooLongValue()
		}
		return s.r.Err()
	}
	for _, e := range args.Entries {
		if strings.EqualFold(e.Name, mail.SpecialUseEntry) {
			if _, known := mail.ParseSpecialUses(string(e.Value)); !known {
				return no("USEATTR", "no mailbox here can be used for that") // RFC 6154 3, 4
			}
		}
	}
	var mailbox *account.Mailbox
	var at mail.ModSeq
	var err error
	if args.Mailbox == "" {
		if err := s.filtersAllowed(args.Entries); err != nil {
			return err
		}
		at, err = patiently(s.ctx, s, func(ctx context.Context) (mail.ModSeq, error) {
			return s.account.SetMetadata(ctx, args.Entries)
		})
	} else {
		if mailbox, err = s.mailbox(args.Mailbox, rightsToSet(args.Entries)); err == nil {
			at, err = patiently(s.ctx, s, func(ctx context.Context) (mail.ModSeq, error) {
				return mailbox.SetMetadata(ctx, args.Entries)
			})
		}
	}
	switch {
	case mail.KindOf(err) == mail.TooBig:
		return tooLongValue()
	case mail.KindOf(err) == mail.Limit:
		return &refusal{reply: reply{statusNo, "METADATA TOOMANY", err.Error()}, cause: err}
	case err != nil:
		return err
	}
	s.setMetadataMyself(mailbox, args.Entries, at)
	return nil
}

func tooLongValue() error {
	return no(fmt.Sprintf("METADATA MAXSIZE %d", account.MaxMetadataValue), "a value is too long")
}

// rightsToSet are those that somebody needs to set entries. RFC 5464 3.3 wants
// lookup and at least one of some others; what all readers see is for those who may
// write.
func rightsToSet(entries []mail.Metadata) mail.Rights {
	need := mail.RightLookup | mail.RightRead
	for _, e := range entries {
		if !mail.PrivateEntry(e.Name) {
			need |= mail.RightWrite
		}
	}
	return need
}
