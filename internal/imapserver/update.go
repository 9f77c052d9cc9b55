package imapserver

import (
	"slices"
	"time"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/view"
)

// conclude is the one exit of every command: what came in meanwhile, the tagged
// line, and out with it. A tagged line whose client has sent another command
// already may wait for that one's reply; a refusal does not, because what is left
// of its command may still be on the way.
func (s *session) conclude(err error) *ending {
	answer, end := s.replyTo(err)
	if end == nil {
		if err := s.tellAfter(err != nil); err != nil {
			_, end = s.replyTo(err)
		}
	}
	if answer.status != "" {
		if end == nil {
			s.tellStopped(&answer)
			s.tellHighest(answer.status == statusOK)
		}
		s.answer(answer)
		if tooBad := s.countBad(answer.status == statusBad && !isBlameless(err)); end == nil {
			end = tooBad
		}
	}
	if end != nil {
		return end
	}
	heldTooLong := s.box != nil && s.heldTooLong()
	if err != nil || !s.r.Pending() {
		if err := s.flush(); err != nil {
			return s.lost(err)
		}
	}
	if err != nil {
		if end := s.skipRest(); end != nil {
			return end
		}
	}
	s.letGo()
	s.active = time.Now()
	if heldTooLong {
		return &ending{reason: endHeldBack, say: "messages expunged elsewhere cannot be shown any longer"}
	}
	if s.state == loggedOut {
		return &ending{reason: endLogout}
	}
	return nil
}

// skipRest skips what is left of a refused command.
func (s *session) skipRest() *ending {
	if err := s.link.atRate(s.srv.limits.MessageRate, s.srv.limits.MessageWindow); err != nil {
		return s.lost(err)
	}
	if err := s.r.End(); err != nil {
		_, end := s.replyTo(err)
		return end
	}
	return nil
}

// answer writes the tagged line.
func (s *session) answer(a reply) {
	if a.status == statusOK {
		a = s.cmd.ok
		if a.text == "" {
			a.text = s.cmd.spec.name + " completed"
		}
	}
	s.w.Status(s.cmd.tag, imapwire.Condition(a.status), a.code, a.text)
}

// countBad keeps count of commands answered BAD. Those who guess at the protocol
// are programs for another one, or attackers.
func (s *session) countBad(isBad bool) *ending {
	if !isBad {
		s.badInRow = 0
		return nil
	}
	s.srv.count.bad.Add()
	s.bad++
	s.badInRow++
	l := &s.srv.limits
	if s.state == notAuthenticated && s.bad-s.badSignedIn >= l.BadBefore || s.bad >= l.Bad || s.badInRow >= l.BadInRow {
		return &ending{reason: endBad, say: "too many bad commands"}
	}
	return nil
}

// heldTooLong reports whether an expunge was held back for so long that the
// messages may be freed before the client hears of it.
func (s *session) heldTooLong() bool {
	since := s.box.view.HeldSince()
	return !since.IsZero() && s.srv.now().Sub(since) >= s.srv.limits.HeldBack
}

// tellAfter tells the client of the selected mailbox what came in, as far as the
// command that ends allows. What comes after a refused command cannot be told yet
// from what is left of it.
func (s *session) tellAfter(refused bool) error {
	s.tellMetadata()
	if s.cmd.spec == nil {
		return nil
	}
	if s.box != nil {
		mayExpunge := s.cmd.spec.reveals && !s.cmd.numbers && !refused && !s.numbersUnderWay()
		if err := s.tell(mayExpunge); err != nil {
			return err
		}
	}
	s.tellOthers()
	return nil
}

// numbersUnderWay reports whether a command that uses sequence numbers may have
// arrived already: the client gave them the meaning they had before.
func (s *session) numbersUnderWay() bool {
	if s.r.Buffered() == 0 {
		return false
	}
	sp := s.srv.commands[s.r.Upcoming()]
	return sp == nil || sp.sequences
}

// follow takes in what came since the view's cursor.
func (s *session) follow() {
	b := s.box
	if !s.link.take(mailboxChanged) && b.sel.Info().HighestModSeq <= b.view.Cursor() {
		return
	}
	d := b.sel.Delta(b.view.Cursor(), b.view.UIDs())
	b.view.Advance(d, s.srv.now())
	b.noteChanges(&d)
	if !d.Added.Empty() {
		b.view.AddRecent(b.sel.Claim(d.Added))
	}
}

// tell writes what may be told now of what came in, as far as the client wants to
// hear of it.
func (s *session) tell(mayExpunge bool) error { return s.tellOnly(s.tellable(mayExpunge)) }

func (s *session) tellOnly(may view.Tellable) error {
	s.follow()
	s.tellRights()
	b := s.box
	s.tellKey()
	s.loseFromContexts()
	t := b.view.TellOnly(may)
	if t.Empty() {
		return s.updateContexts()
	}
	if s.qresync || s.uidOnly {
		s.writeVanished(t.Vanished, false)
		s.cmd.expunges = s.cmd.expunges || !t.Vanished.Empty()
	} else {
		for seq := range t.Expunges() {
			s.w.Expunge(seq)
		}
	}
	if t.NewExists {
		s.tellKeywords() // new messages may bring new ones
		s.w.Exists(t.Exists)
	}
	if t.NewRecent && !s.rev2 {
		s.w.Recent(t.Recent)
	}
	if t.NewExists {
		if err := s.announce(t.Added); err != nil {
			return err
		}
	}
	s.tellFlags(&t)
	if t.Gone {
		return s.boxGone()
	}
	return s.updateContexts()
}

// tellRights tells a guest that the rights on the selected mailbox have changed (RFC
// 4314 5.1.1: SHOULD).
func (s *session) tellRights() {
	b := s.box
	if b.host == nil || b.closed() {
		return
	}
	was, now := b.rights, b.may()
	if b.rights = now; was.Flags() != now.Flags() {
		s.writeMailboxFlags()
	}
	if access(was) != access(now) {
		s.w.Status("", imapwire.OK, access(now), "your rights have changed") // RFC 9051 7.1
	}
}

// boxGone answers the deletion of the selected mailbox by another session: the
// client is told that it is closed (RFC 9051 7.1, CLOSED is for another purpose)
// and can go on in the authenticated state only by a new connection, because no
// response takes it there. A guest who may not read it any more is answered likewise
// (RFC 4314 5.1.1: MAY), in the same words for both.
func (s *session) boxGone() *ending {
	if s.box.host != nil {
		return &ending{reason: endBoxGone, say: "the selected mailbox is not there any more"}
	}
	return &ending{reason: endBoxGone, say: "the selected mailbox was deleted"}
}

// tellFlags writes the flags of messages that changed.
func (s *session) tellFlags(t *view.Telling) {
	b := s.box
	// RFC 9051 6.4.9, 7.5.2; RFC 5465 5.1.
	withUID := s.rev2 || s.notify != nil || s.cmd.spec.byUID
	var uids mail.UIDSet
	n := 0
	emit := func() {
		if n > 0 {
			s.writeFlags(uids, withUID)
		}
		uids, n = nil, 0
	}
	for _, uid := range t.Changes(b.changedAt) {
		if n == 0 {
			s.tellKeywords()
		}
		uids = uids.Append(uid)
		if n++; n == rowChunk {
			emit()
		}
	}
	emit()
}

// writeFlags writes a FETCH response with the flags of each of the messages, as
// they are now. RFC 9051 6.3.13 and 7.5.2 want the UID with it, RFC 3501 does not.
func (s *session) writeFlags(uids mail.UIDSet, withUID bool) {
	b := s.box
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	for !uids.Empty() {
		rows, rest := b.sel.Rows(room[:0], uids)
		for i := range rows {
			seq, ok := b.view.Seq(rows[i].UID)
			if !ok {
				continue
			}
			s.beginFetch(seq, rows[i].UID)
			if (withUID || s.condstore) && !s.uidOnly {
				s.w.FetchUID(rows[i].UID)
			}
			s.fetchFlags(&rows[i])
			if s.condstore {
				s.fetchModSeq(rows[i].ModSeq) // RFC 7162 3.2.4
			}
			s.w.EndFetch()
		}
		if uids = rest; len(rows) == 0 {
			return
		}
	}
}

// fetchFlags adds FLAGS to a FETCH response: the flags of a message as this
// session sees them.
func (s *session) fetchFlags(row *account.Row) {
	b := s.box
	recent := !s.rev2 && b.view.IsRecent(row.UID)
	if row.Expunged {
		if own, ok := b.view.Flags(row.UID); ok {
			s.w.FetchFlags(own, recent)
			return
		}
	}
	if recent {
		s.w.FetchFlags(b.sel.Flags(row.Flags), true)
		return
	}
	s.w.FetchStored(imapwire.FetchFlags, b.sel.FlagText(row.Flags))
}

// changedAt gives the ModSeq of a message's last change.
func (b *openBox) changedAt(uid mail.UID) mail.ModSeq {
	var room [1]account.Row
	rows, _ := b.sel.Rows(room[:0], mail.UIDSet{{First: uid, Last: uid}})
	if len(rows) == 0 {
		return 0
	}
	return rows[0].ModSeq
}

// tellKeywords tells of keywords that are new in the mailbox, before messages are
// shown that bear them: clients learn from FLAGS which there are.
func (s *session) tellKeywords() {
	b := s.box
	now := b.sel.Keywords()
	for _, k := range now {
		if _, told := slices.BinarySearchFunc(b.keywords, k, mail.CompareKeywords); !told {
			b.keywords = now
			s.writeMailboxFlags()
			return
		}
	}
}

// writeMailboxFlags writes FLAGS and PERMANENTFLAGS.
func (s *session) writeMailboxFlags() {
	all := mail.Flags{System: mail.AllSystem, Keywords: s.box.keywords}
	s.w.MailboxFlags(all)
	// RFC 4314 5.1.1: PERMANENTFLAGS accurately reflect the rights.
	kinds := s.box.may().Flags()
	// "\*" says that keywords can be made (RFC 9051 7.1).
	s.w.PermanentFlags(all.Of(kinds), kinds&mail.OtherFlags != 0 && s.box.sel.MoreKeywords())
}
