package imapserver

import (
	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// store is the commands STORE and UID STORE (RFC 9051 6.4.6). A message that
// another session expunged, and that is still shown here, is answered as if it
// had been changed: the change is kept in this view alone.
func (s *session) store(c *command) error {
	var args imapwire.StoreArgs
	if !s.r.ExpectStoreArgs(&args) {
		return s.r.Err()
	}
	if args.HasUnchangedSince || len(args.Other) > 0 {
		return bad("unknown parameter of STORE")
	}
	if err := s.box.writable(); err != nil {
		return err
	}
	uids, err := s.box.view.Resolve(args.Set, c.spec.byUID)
	if err != nil || uids.Empty() {
		return err
	}
	req := account.StoreRequest{UIDs: uids, Op: args.Op, Flags: args.Flags}
	unknown := s.changedUnseen(uids, args.Silent)
	result, err := s.box.sel.StoreFlags(s.ctx, req)
	if err != nil {
		return err
	}
	s.link.raise(mailboxChanged)
	b := s.box
	if args.Silent && result.ModSeq != 0 {
		b.view.FlagsAssumed(result.Changed.Subtract(unknown), result.ModSeq)
	}
	s.follow()
	s.storeHeld(result.Gone, &args)
	if args.Silent {
		return nil
	}
	// Without .SILENT the client is told what the flags are now of every message
	// it named, altered or not.
	s.tellKeywords()
	s.writeFlags(uids, c.spec.byUID || s.rev2)
	b.view.FlagsTold(uids, b.view.Cursor())
	return nil
}

// changedUnseen gives those messages that another session changed and this
// client was not told of: after a STORE with .SILENT it cannot know their flags.
func (s *session) changedUnseen(uids mail.UIDSet, silent bool) mail.UIDSet {
	b := s.box
	if !silent || b.sel.Info().HighestModSeq <= b.view.Cursor() {
		return nil
	}
	var unknown mail.UIDSet
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	for !uids.Empty() {
		rows, rest := b.sel.Rows(room[:0], uids)
		for i := range rows {
			if rows[i].ModSeq > b.view.Cursor() {
				unknown = unknown.Append(rows[i].UID)
			}
		}
		if uids = rest; len(rows) == 0 {
			break
		}
	}
	return unknown
}

// storeHeld makes the change of a STORE, in this view alone, to messages that
// are expunged elsewhere.
func (s *session) storeHeld(gone mail.UIDSet, args *imapwire.StoreArgs) {
	b := s.box
	var room [1]account.Row
	for uid := range gone.All() {
		flags, own := b.view.Flags(uid)
		if !own {
			rows, _ := b.sel.Rows(room[:0], mail.UIDSet{{First: uid, Last: uid}})
			if len(rows) == 0 {
				continue
			}
			flags = b.sel.Flags(rows[0].Flags)
		}
		b.view.SetFlags(uid, args.Op.Apply(flags, args.Flags))
	}
}
