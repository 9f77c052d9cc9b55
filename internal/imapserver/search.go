package imapserver

import (
	"errors"
	"slices"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/search"
)

// search is the commands SEARCH and UID SEARCH (RFC 9051 6.4.4), with RETURN
// (RFC 4731) and SAVE (RFC 5182).
func (s *session) search(c *command) error {
	var args imapwire.SearchArgs
	if !s.r.ExpectSearchArgs(&args) {
		return s.unsaved(&args, s.r.Err())
	}
	if err := s.searchAllowed(&args); err != nil {
		return s.unsaved(&args, err)
	}
	if err := s.updateAllowed(c, &args); err != nil {
		return err
	}
	if err := s.mayBePart(args.Return&imapwire.ReturnPartial != 0, args.Partial); err != nil {
		return s.unsaved(&args, err)
	}
	if err := s.newestSearched(c, &args.Criteria); err != nil {
		return s.unsaved(&args, err)
	}
	program, again, err := s.compile(&args, args.Return&imapwire.ReturnRelevancy != 0)
	if err != nil {
		return s.unsaved(&args, err)
	}
	found, err := s.find(program)
	if err != nil {
		return s.unsaved(&args, err)
	}
	if args.Return&imapwire.ReturnSave != 0 {
		s.box.view.Save(savedOf(found.uids, &args))
	}
	s.answerSearch(c, &args, found)
	if args.Update {
		s.keepContext(&searchContext{tag: c.tag, uid: c.spec.byUID, items: args.Items, in: found.uids,
			within: again, search: program})
	}
	return nil
}

// unsaved gives the error of a search back. One that was to be saved and is
// answered NO empties "$", one that is answered BAD leaves it (RFC 9051 6.4.4.1).
func (s *session) unsaved(args *imapwire.SearchArgs, err error) error {
	var syntax *imapwire.SyntaxError
	var own *refusal
	isBad := errors.As(err, &syntax) || mail.KindOf(err) == mail.Invalid || errors.As(err, &own) && own.reply.status == statusBad
	if args.Return&imapwire.ReturnSave != 0 && !isBad && s.box != nil {
		s.box.view.Save(nil)
	}
	return err
}

// searchEnv is what a search of a mailbox has to know of the session.
func (s *session) searchEnv(box *openBox, relevancy bool) search.Env {
	return search.Env{Resolve: box.meant, Now: s.srv.now(), Account: box.sel.Account(), Relevancy: relevancy,
		Collation: s.compare.Collation}
}

// meant gives the messages that a set in criteria means. "*" in an empty mailbox
// "should" be BAD (RFC 9051 9, seq-number); here it is nothing, as in other servers,
// because Apple Mail and K-9 look into every mailbox by "1:* NOT DELETED".
func (b *openBox) meant(set mail.NumSet, byUID bool) (mail.UIDSet, error) {
	if !byUID && b.view.Len() == 0 && !set.Saved {
		set.Ranges = slices.DeleteFunc(slices.Clone(set.Ranges), func(r mail.NumRange) bool { return r.From == mail.Star || r.To == mail.Star })
	}
	return b.view.Resolve(set, byUID)
}

// searchAllowed refuses what is not announced, and what the revision of the
// protocol that was enabled does not have.
func (s *session) searchAllowed(args *imapwire.SearchArgs) error {
	if args.Charset != "" && s.utf8Accept {
		return bad("the charset is UTF-8 now") // RFC 9755 3
	}
	return s.criteriaAllowed(args)
}

// criteriaAllowed is searchAllowed without the charset.
func (s *session) criteriaAllowed(args *imapwire.SearchArgs) error {
	if err := s.putFilters(args); err != nil {
		return err
	}
	if s.uidOnly && asksNumbers(&args.Criteria) {
		return uidRequired()
	}
	switch {
	case args.Uses&^(imapwire.UsesWithin|imapwire.UsesModSeq|imapwire.UsesSaveDate|imapwire.UsesObjectID|imapwire.UsesFuzzy|imapwire.UsesFilter) != 0:
		return bad("unknown search key")
	case len(args.Other) > 0:
		return bad("unknown result option")
	case args.Return&imapwire.ReturnRelevancy != 0 && args.Uses&imapwire.UsesFuzzy == 0:
		return bad("RELEVANCY is for a search with FUZZY") // RFC 6203 4
	case s.rev2 && asks(&args.Criteria, mail.SearchRecent, mail.SearchNew, mail.SearchOld):
		return bad("NEW, OLD and RECENT are not in IMAP4rev2") // RFC 9051 Appendix E
	}
	s.cmd.numbers = asks(&args.Criteria, mail.SearchSeq) // RFC 7162 3.2.10.2
	if args.Uses&imapwire.UsesModSeq != 0 {
		return s.enableCondStore()
	}
	return nil
}

// asks reports whether criteria look at one of these. Their depth is bounded by
// the grammar.
func asks(c *mail.Criteria, ops ...mail.SearchOp) bool {
	if slices.Contains(ops, c.Op) {
		return true
	}
	for i := range c.Children {
		if asks(&c.Children[i], ops...) {
			return true
		}
	}
	return false
}

// answerSearch writes SEARCH, or ESEARCH for those who asked for results and for
// IMAP4rev2, which has no other.
func (s *session) answerSearch(c *command, args *imapwire.SearchArgs, found findings) {
	numbers := s.numbered(c, found.uids)
	var highest mail.ModSeq
	if args.Uses&imapwire.UsesModSeq != 0 {
		highest = s.highestOf(s.box, savedOf(found.uids, args))
	}
	if !args.HasReturn && !s.rev2 {
		s.w.SearchNumbers(numbers, highest)
		return
	}
	s.answerESearch(args, &imapwire.ESearch{Tag: c.tag, UID: c.spec.byUID, Found: numbers, ModSeq: highest}, found)
}

// answerESearch writes an ESEARCH response with the results that were asked for.
func (s *session) answerESearch(args *imapwire.SearchArgs, e *imapwire.ESearch, found findings) {
	e.Return = args.Return
	if !args.HasReturn {
		e.Return = imapwire.ReturnAll
	}
	if e.Return&imapwire.ReturnPartial != 0 {
		e.Partial, e.Part = args.Partial, partOf(e.Found, args.Partial)
		found.uids = partOf(found.uids, args.Partial)
	}
	if e.Return&imapwire.ReturnRelevancy != 0 {
		e.Scores = found.relevancy(found.uids.All())
	}
	if e.Return == imapwire.ReturnSave && !args.Update {
		return // RFC 9051 6.4.4: SAVE alone is answered by nothing
	}
	s.w.ESearch(e)
}
