package imapserver

import (
	"slices"
	"strings"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/search"
)

// sort is the commands SORT and UID SORT (RFC 5256, RFC 5957), with RETURN
// (RFC 5267 3).
func (s *session) sort(c *command) error {
	var args imapwire.SortArgs
	if !s.r.ExpectSortArgs(&args) {
		return s.unsaved(&args.SearchArgs, s.r.Err())
	}
	if err := s.sortAllowed(&args.SearchArgs); err != nil {
		return s.unsaved(&args.SearchArgs, err)
	}
	byRelevancy := slices.ContainsFunc(args.Order, func(c mail.SortCriterion) bool { return c.Key == mail.SortRelevancy })
	if byRelevancy && args.Uses&imapwire.UsesFuzzy == 0 {
		return bad("RELEVANCY is for a search with FUZZY") // RFC 6203 6
	}
	if err := s.updateAllowed(c, &args.SearchArgs); err != nil {
		return err
	}
	sorter := search.NewSorter(args.Order, s.compare)
	var sorted []mail.UID
	var scores []uint8
	graded := args.Return&imapwire.ReturnRelevancy != 0
	program, again, err := s.compile(&args.SearchArgs, byRelevancy || graded)
	if err != nil {
		return s.unsaved(&args.SearchArgs, err)
	}
	err = s.forFound(program, sorter.Needs(), sorter.Add, func(found *findings) {
		sorted = sorter.Sorted()
		if graded {
			scores = found.relevancy(slices.Values(sorted))
		}
	})
	if err != nil {
		return s.unsaved(&args.SearchArgs, err)
	}
	if args.Return&imapwire.ReturnSave != 0 {
		s.box.view.Save(savedOfSorted(sorted, &args.SearchArgs))
	}
	s.answerSort(c, &args, sorted, scores)
	switch {
	case args.Update && byRelevancy:
		s.refuseUpdate(c.tag, "an order by relevancy is not updated")
	case args.Update:
		s.keepContext(&searchContext{tag: c.tag, uid: c.spec.byUID, items: args.Items, order: args.Order, compare: s.compare,
			in: mail.NewUIDSet(sorted...), sorted: sorted, within: again, search: program})
	}
	return nil
}

// sortAllowed is searchAllowed for SORT and THREAD, which always name a charset.
func (s *session) sortAllowed(args *imapwire.SearchArgs) error {
	if s.utf8Accept && !strings.EqualFold(args.Charset, "UTF-8") {
		return bad("the charset has to be UTF-8 now") // RFC 9755 3
	}
	return s.criteriaAllowed(args)
}

// savedOfSorted is what "$" becomes: as for SEARCH, where MIN and MAX are the ends
// of the order (RFC 5267 3.1), and PARTIAL is a part of it.
func savedOfSorted(sorted []mail.UID, args *imapwire.SearchArgs) mail.UIDSet {
	ends := args.Return & (imapwire.ReturnMin | imapwire.ReturnMax | imapwire.ReturnPartial)
	if ends == 0 || args.Return&(imapwire.ReturnAll|imapwire.ReturnCount) != 0 || len(sorted) == 0 {
		return mail.NewUIDSet(sorted...)
	}
	var saved []mail.UID
	if ends&imapwire.ReturnPartial != 0 {
		skip, take := args.Partial.Of(len(sorted))
		saved = append(saved, sorted[skip:skip+take]...)
	}
	if ends&imapwire.ReturnMin != 0 {
		saved = append(saved, sorted[0])
	}
	if ends&imapwire.ReturnMax != 0 {
		saved = append(saved, sorted[len(sorted)-1])
	}
	return mail.NewUIDSet(saved...)
}

// answerSort writes SORT, or ESEARCH for those who asked for results. IMAP4rev2
// has no SORT of its own, so unlike SEARCH it is answered alike in both revisions.
func (s *session) answerSort(c *command, args *imapwire.SortArgs, sorted []mail.UID, scores []uint8) {
	numbers := make([]uint32, len(sorted))
	for i, uid := range sorted {
		numbers[i] = s.numberOf(c, uid)
	}
	var highest mail.ModSeq // RFC 7162 3.1.9
	if args.Uses&imapwire.UsesModSeq != 0 {
		highest = s.highestOf(s.box, savedOfSorted(sorted, &args.SearchArgs))
	}
	if args.Return&imapwire.ReturnPartial != 0 && scores != nil {
		skip, take := args.Partial.Of(len(scores)) // RFC 6203 4: of the results that are given
		scores = scores[skip : skip+take]
	}
	switch {
	case !args.HasReturn:
		s.w.Sort(numbers, highest)
	case args.Return != imapwire.ReturnSave: // alone it is answered by nothing
		s.w.ESort(&imapwire.ESort{Tag: c.tag, UID: c.spec.byUID, Return: args.Return, Sorted: numbers, ModSeq: highest,
			Partial: args.Partial, Scores: scores})
	}
}

// numberOf is the number by which a command's reply means a message of the view.
func (s *session) numberOf(c *command, uid mail.UID) uint32 {
	if c.spec.byUID {
		return uint32(uid)
	}
	seq, _ := s.box.view.Seq(uid) // what is searched is in the view
	return seq
}
