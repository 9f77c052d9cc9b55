package imapserver

import (
	"fmt"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// CONDSTORE (RFC 7162 3.1). A session becomes one that knows of mod-sequences by
// ENABLE or by the first command that uses them, and stays one. From then on every
// FETCH response that it did not ask for has UID and MODSEQ in it; before, none
// has MODSEQ (mbsync breaks off when it meets one).

// condStoreOffered refuses the use of mod-sequences where CONDSTORE is masked.
func (s *session) condStoreOffered() error {
	if s.hidden("CONDSTORE") {
		return bad("CONDSTORE is not offered")
	}
	return nil
}

// enableCondStore is what every CONDSTORE enabling command does (RFC 7162 3.1).
// The first of them in a session is answered by HIGHESTMODSEQ if a mailbox is
// selected.
func (s *session) enableCondStore() error {
	if err := s.condStoreOffered(); err != nil || s.condstore {
		return err
	}
	s.condstore = true
	if s.box != nil {
		s.w.Status("", imapwire.OK, s.highestCode(), "mod-sequences are told from now on")
	}
	return nil
}

// highestCode is the response code HIGHESTMODSEQ. While an expunge is held back it
// stays below that (RFC 7162 3.2: "the server MUST send the HIGHESTMODSEQ response
// code with a lower value than the EXPUNGE's mod-sequence").
func (s *session) highestCode() string {
	return fmt.Sprintf("HIGHESTMODSEQ %d", s.box.view.Highest())
}

// tellHighest tells HIGHESTMODSEQ at the end of a command, after all else. A client
// takes the highest MODSEQ it was sent for the state it knows, so where that would
// be wrong it is told better: an expunge is held back, or more happened while its
// responses were written. Under QRESYNC it also hears of it when expunges were
// told (RFC 7162 3.2.7, 3.2.9, 6; RFC 6851 4.4). It goes with the tagged OK if
// there is room.
func (s *session) tellHighest(ok bool) {
	if s.box == nil || s.cmd.modSeq <= s.box.view.Highest() && !(s.qresync && s.cmd.expunges) {
		return
	}
	if ok && s.cmd.ok.code == "" {
		s.cmd.ok.code = s.highestCode()
		return
	}
	s.w.Status("", imapwire.OK, s.highestCode(), "all up to here was told")
}

// fetchModSeq adds MODSEQ to a FETCH response.
func (s *session) fetchModSeq(m mail.ModSeq) {
	s.w.FetchModSeq(m)
	s.cmd.modSeq = max(s.cmd.modSeq, m)
}

// writeModSeqs writes a FETCH response with the mod-sequence that a change by
// STORE has given these messages: the client knows their flags.
func (s *session) writeModSeqs(uids mail.UIDSet, m mail.ModSeq) {
	for seq, uid := range s.box.view.Numbered(uids) {
		if s.beginFetch(seq, uid); !s.uidOnly {
			s.w.FetchUID(uid)
		}
		s.fetchModSeq(m)
		s.w.EndFetch()
	}
}

// storeUnchanged is STORE with UNCHANGEDSINCE (RFC 7162 3.1.3). Messages that fail
// the test are named by MODIFIED, with a FETCH response that saves the client from
// asking. Those that another session expunged, and that are still shown here, are
// neither changed nor named: STORE then fails in the end (example 11), UID STORE
// passes over them like over any UID that is not there.
func (s *session) storeUnchanged(c *command, args *imapwire.StoreArgs, uids mail.UIDSet) error {
	b := s.box
	told := b.view.Cursor()
	since := min(args.UnchangedSince, told)
	req := account.StoreRequest{UIDs: uids, Op: args.Op, Flags: args.Flags, UnchangedSince: &since}
	result, err := s.storeFlags(req)
	if err != nil {
		return err
	}
	if args.Silent {
		b.view.FlagsAssumed(result.Changed, result.ModSeq)
	}
	modified := result.Modified
	if args.UnchangedSince > told && !modified.Empty() {
		// The client has seen more than it was told of by this view: changes that
		// have not gone out yet pass the test, and are told with this one.
		req.UIDs, req.UnchangedSince = modified, &args.UnchangedSince
		again, err := s.storeFlags(req)
		if err != nil {
			return err
		}
		modified = again.Modified
	}
	s.link.raise(mailboxChanged)
	s.follow()
	s.tellKeywords()
	gone := modified.Intersect(b.view.Held())
	modified = modified.Subtract(gone)
	s.answerStore(uids.Subtract(gone), modified, args.Silent)
	return s.concludeStore(c, modified, gone)
}

// answerStore writes the FETCH responses of a conditional STORE: even with .SILENT
// one for each message that passed the test, and one for each that did not.
func (s *session) answerStore(uids, modified mail.UIDSet, silent bool) {
	b := s.box
	if !silent {
		s.writeFlags(uids, true)
		b.view.FlagsTold(uids, b.view.Cursor())
		return
	}
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	for rest := uids.Subtract(modified); !rest.Empty(); {
		rows, more := b.sel.Rows(room[:0], rest)
		for i := range rows {
			s.writeModSeqs(mail.UIDSet{{First: rows[i].UID, Last: rows[i].UID}}, rows[i].ModSeq)
		}
		if rest = more; len(rows) == 0 {
			break
		}
	}
	s.writeFlags(modified, true)
	b.view.FlagsTold(modified, b.view.Cursor())
}

// concludeStore gives the end of a conditional STORE.
func (s *session) concludeStore(c *command, modified, gone mail.UIDSet) error {
	code := ""
	if !modified.Empty() {
		code = "MODIFIED " + s.numbered(c, modified).String()
	}
	switch {
	case !gone.Empty() && !c.spec.byUID && code == "":
		return no("EXPUNGEISSUED", "some of the messages no longer exist") // RFC 5530 3
	case !gone.Empty() && !c.spec.byUID:
		return no(code, "some of the messages no longer exist")
	case code != "":
		c.done(code, "some of the messages were changed meanwhile")
	}
	return nil
}

// numbered gives messages as the command names them: as UIDs or as sequence
// numbers.
func (s *session) numbered(c *command, uids mail.UIDSet) mail.UIDSet {
	if c.spec.byUID {
		return uids
	}
	return s.seqSet(uids)
}

// seqSet gives the sequence numbers of messages.
func (s *session) seqSet(uids mail.UIDSet) mail.UIDSet {
	var numbers mail.UIDSet
	for _, r := range s.box.view.AppendSeqs(nil, uids) {
		numbers = append(numbers, mail.UIDRange{First: mail.UID(r.From), Last: mail.UID(r.To)})
	}
	return numbers
}

// highestOf gives the highest mod-sequence of messages, for the answer to a search
// for MODSEQ (RFC 7162 3.1.5, RFC 4731 3.2).
func (s *session) highestOf(box *openBox, uids mail.UIDSet) (highest mail.ModSeq) {
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	for !uids.Empty() {
		rows, rest := box.sel.Rows(room[:0], uids)
		for i := range rows {
			highest = max(highest, rows[i].ModSeq)
		}
		if uids = rest; len(rows) == 0 {
			break
		}
	}
	return highest
}
