package imapserver

import (
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/view"
)

// QRESYNC (RFC 7162 3.2): a client that comes back is told what changed and what is
// gone since the moment it knows, and expunges are told by UID.

// qresyncEnabled refuses what only a client may use that has enabled QRESYNC.
func (s *session) qresyncEnabled() error {
	if !s.qresync {
		return bad("QRESYNC is not enabled")
	}
	return nil
}

// resync answers the parameter QRESYNC of SELECT, after the mailbox was opened: if
// the UIDs are those the client knows, it hears of the known ones that are gone
// and of those that changed (RFC 7162 3.2.5).
func (s *session) resync(q *imapwire.QResync) {
	b := s.box
	info := b.sel.Start().Info
	if q.Validity != info.Validity {
		return // RFC 7162 3.2.5: as if no parameters were given
	}
	highest := info.Counts.UIDNext - 1
	known := view.Known(q.Known, highest)
	if len(q.Known.Ranges) == 0 {
		known = view.Known(allUIDs(), highest)
	}
	matched := b.view.MatchedUpTo(q.Numbers, q.UIDs)
	s.tellVanished(known.Subtract(upTo(matched)), q.ModSeq)
	s.writeFlags(b.sel.ChangedSince(known, q.ModSeq), true)
}

// tellVanished writes VANISHED (EARLIER): which of the UIDs are gone that were
// expunged after a mod-sequence. What the client still has among its sequence
// numbers is not said to have gone earlier: it is told in its time, without
// EARLIER, which renumbers.
func (s *session) tellVanished(known mail.UIDSet, since mail.ModSeq) {
	b := s.box
	s.writeVanished(b.sel.VanishedSince(known, since).Subtract(b.view.UIDs()), true)
}

// vanishedRanges is how many ranges one VANISHED response has at most. Their text
// stays below 8,192 octets, beyond which the RFC does not trust lines to be read
// (RFC 7162 4).
const vanishedRanges = 350

// writeVanished writes VANISHED responses.
func (s *session) writeVanished(uids mail.UIDSet, earlier bool) {
	for len(uids) > 0 {
		n := min(len(uids), vanishedRanges)
		s.w.Vanished(uids[:n], earlier)
		uids = uids[n:]
	}
}

// fetchAllowed checks the modifiers of FETCH (RFC 7162 3.1.4.1, 3.2.6).
func (s *session) fetchAllowed(c *command, args *imapwire.FetchArgs) error {
	switch {
	case len(args.Other) > 0:
		return bad("unknown modifier of FETCH")
	case args.Vanished && !c.spec.byUID:
		return bad("VANISHED is for UID FETCH alone")
	case args.Vanished && !args.HasChangedSince:
		return bad("VANISHED needs CHANGEDSINCE")
	case args.Vanished:
		return s.qresyncEnabled()
	}
	return nil
}

// changedSince narrows the messages of a FETCH with CHANGEDSINCE, and tells before
// what is gone if that was asked for. CHANGEDSINCE 0, which the grammar does not
// have and iOS sends, asks for everything.
func (s *session) changedSince(args *imapwire.FetchArgs, uids mail.UIDSet) mail.UIDSet {
	if args.Vanished && !args.Set.Saved {
		highest := s.box.sel.Info().Counts.UIDNext - 1
		s.tellVanished(view.Known(args.Set, highest), args.ChangedSince)
	}
	return s.box.sel.ChangedSince(uids, args.ChangedSince)
}

func allUIDs() mail.NumSet { return mail.NumSet{Ranges: []mail.NumRange{{From: 1, To: mail.Star}}} }

// upTo is the UIDs up to one, none for 0.
func upTo(last mail.UID) mail.UIDSet {
	if last == 0 {
		return nil
	}
	return mail.UIDSet{{First: 1, Last: last}}
}
