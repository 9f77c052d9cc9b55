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
	if len(args.Other) > 0 {
		return bad("unknown parameter of STORE")
	}
	if err := s.box.writable(); err != nil {
		return err
	}
	uids, err := s.box.view.Resolve(args.Set, c.spec.byUID)
	if err != nil {
		return err
	}
	uids = s.newest(c, uids)
	// Flags that the rights do not allow are left as they are (RFC 4314 4).
	if args.Op, args.Flags, err = s.box.sel.MayStore(args.Op, args.Flags); err != nil {
		return err
	}
	if args.Op != mail.RemoveFlags {
		if err := s.box.sel.AdmitKeywords(s.ctx, args.Flags); err != nil {
			return err
		}
	}
	if args.HasUnchangedSince {
		if err := s.enableCondStore(); err != nil || uids.Empty() {
			return err
		}
		return s.storeUnchanged(c, &args, uids)
	}
	if uids.Empty() {
		return nil
	}
	req := account.StoreRequest{UIDs: uids, Op: args.Op, Flags: args.Flags}
	if args.Silent {
		return s.storeSilently(req, &args)
	}
	result, err := s.storeFlags(req)
	if err != nil {
		return err
	}
	s.link.raise(mailboxChanged)
	s.follow()
	s.storeHeld(result.Gone, &args)
	// The client is told what the flags are now of every message it named, altered
	// or not.
	b := s.box
	s.tellKeywords()
	s.writeFlags(uids, c.spec.byUID || s.rev2)
	b.view.FlagsTold(uids, b.view.Cursor())
	return nil
}

// storeSilently is STORE with .SILENT. The client works out for itself what the
// flags are, which it can only where it knew what they were: messages that
// another session has changed and this one was not told of are changed apart, and
// told by the exit.
func (s *session) storeSilently(req account.StoreRequest, args *imapwire.StoreArgs) error {
	b := s.box
	known := b.view.Cursor()
	req.UnchangedSince = &known
	result, err := s.storeFlags(req)
	if err != nil {
		return err
	}
	b.view.FlagsAssumed(result.Changed, result.ModSeq)
	if s.condstore {
		s.writeModSeqs(result.Changed, result.ModSeq) // RFC 7162 3.1.4.2, example 14
	}
	s.link.raise(mailboxChanged)
	if result.Modified.Empty() && result.Gone.Empty() {
		s.tellKeywords() // silence is about the messages
		return nil
	}
	gone := result.Gone
	if !result.Modified.Empty() {
		req.UIDs, req.UnchangedSince = result.Modified, nil
		if result, err = s.storeFlags(req); err != nil {
			return err
		}
		gone = gone.Union(result.Gone)
	}
	s.follow()
	s.storeHeld(gone, args)
	s.tellKeywords()
	return nil
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
