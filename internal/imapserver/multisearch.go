package imapserver

import (
	"context"
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/search"
	"postern/internal/view"
)

// multiSearch is the command ESEARCH (RFC 7377).
func (s *session) multiSearch(c *command) error {
	var args imapwire.MultiSearchArgs
	if !s.r.ExpectMultiSearchArgs(&args) {
		return s.unsaved(&args.SearchArgs, s.r.Err())
	}
	if err := s.multiSearchAllowed(&args); err != nil {
		return s.unsaved(&args.SearchArgs, err)
	}
	var found []foundIn
	err := s.whileSearchMayLast(func(ctx context.Context) error {
		return s.eachSource(ctx, args.Sources, func(box *openBox) error {
			f, err := s.searchIn(ctx, box, &args.SearchArgs)
			if err == nil && !f.found.uids.Empty() {
				found = append(found, f)
			}
			return err
		})
	})
	if err != nil {
		return s.unsaved(&args.SearchArgs, err)
	}
	if args.Return&imapwire.ReturnSave != 0 {
		var uids mail.UIDSet
		if len(found) > 0 {
			uids = found[0].found.uids
		}
		s.box.view.Save(savedOf(uids, &args.SearchArgs))
	}
	if args.Update {
		s.refuseUpdate(c.tag, "ESEARCH is not updated, SEARCH is")
	}
	// A mailbox in which nothing was found is not spoken of (RFC 7377 2.1).
	for i := range found {
		f := &found[i]
		s.answerESearch(&args.SearchArgs, &imapwire.ESearch{Tag: c.tag, Of: f.of, UID: true, Found: f.found.uids, ModSeq: f.highest}, f.found)
	}
	return nil
}

// foundIn is what was found in one mailbox.
type foundIn struct {
	of      imapwire.SearchedMailbox
	found   findings
	highest mail.ModSeq // of what MODSEQ found
}

// multiSearchAllowed is searchAllowed with what RFC 7377 2.2 adds. "$" is of the
// selected mailbox, so that it finds nothing that could be meant elsewhere.
func (s *session) multiSearchAllowed(args *imapwire.MultiSearchArgs) error {
	selected, others := len(args.Sources) == 0, false
	for _, f := range args.Sources {
		selected = selected || f.Scope == imapwire.ScopeSelected
		others = others || f.Scope != imapwire.ScopeSelected
	}
	switch {
	case (selected || args.Update) && s.box == nil:
		return bad("no mailbox is selected")
	case others && args.Return&imapwire.ReturnSave != 0:
		return bad("SAVE is for a search of the selected mailbox alone")
	}
	if err := s.searchAllowed(&args.SearchArgs); err != nil {
		return err
	}
	if others && asksSaved(&args.Criteria) {
		return bad("$ is for a search of the selected mailbox alone")
	}
	return nil
}

// asksSaved reports whether criteria mean "$".
func asksSaved(c *mail.Criteria) bool {
	return c.Set.Saved || slices.ContainsFunc(c.Children, func(child mail.Criteria) bool { return asksSaved(&child) })
}

// searchIn searches one mailbox. Numbers mean the messages as they stand in it now;
// those beyond its end are no error here (RFC 7377 2).
func (s *session) searchIn(ctx context.Context, box *openBox, args *imapwire.SearchArgs) (foundIn, error) {
	env := s.searchEnv(box, args.Return&imapwire.ReturnRelevancy != 0)
	env.Resolve = func(set mail.NumSet, byUID bool) (mail.UIDSet, error) {
		if !byUID {
			set = withinEnd(set, box.view.Len())
		}
		return box.view.Resolve(set, byUID)
	}
	program, err := search.Compile(args.Criteria, env)
	if err != nil {
		return foundIn{}, err
	}
	found, err := s.findWithin(ctx, box, program)
	if err != nil {
		return foundIn{}, err
	}
	f := foundIn{of: imapwire.SearchedMailbox{Name: box.name, Validity: box.sel.Start().Info.Validity}, found: found}
	if args.Uses&imapwire.UsesModSeq != 0 {
		f.highest = s.highestOf(box, savedOf(found.uids, args))
	}
	return f, nil
}

// withinEnd leaves of a sequence set what a mailbox of so many messages has.
func withinEnd(set mail.NumSet, end uint32) mail.NumSet {
	if set.Saved {
		return set
	}
	var kept []mail.NumRange
	for _, r := range set.Ranges {
		first, last := r.Bounds(end)
		if first = max(first, 1); first <= end {
			kept = append(kept, mail.NumRange{From: first, To: min(last, end)})
		}
	}
	return mail.NumSet{Ranges: kept}
}

// eachSource visits the mailboxes that some filters mean, each once; none stand for
// the selected one. Those that are not there, or that one may not read or look up,
// are passed over without a word (RFC 7377 2.2). The selected mailbox is visited
// as its client knows it, others as they are now.
func (s *session) eachSource(ctx context.Context, filters []imapwire.MailboxFilter, visit func(*openBox) error) error {
	if len(filters) == 0 {
		filters = []imapwire.MailboxFilter{{Scope: imapwire.ScopeSelected}}
	}
	seen := map[string]bool{}
	visit = s.selectedOnce(visit) // it may have another name by now
	for i := range filters {
		f := &filters[i]
		if f.Scope == imapwire.ScopeSelected {
			if err := visit(s.box); err != nil {
				return err
			}
			continue
		}
		f.Names = canonical(f.Names)
		names, err := s.meant(f)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			need := mail.RightRead
			if !slices.Contains(f.Names, name) {
				need |= mail.RightLookup // it was not named, so one must not learn of it
			}
			if err := s.visit(ctx, name, need, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// selectedOnce makes of visit one that visits the selected mailbox once.
func (s *session) selectedOnce(visit func(*openBox) error) func(*openBox) error {
	visited := false
	return func(box *openBox) error {
		if box == s.box {
			if visited {
				return nil
			}
			visited = true
		}
		return visit(box)
	}
}

// visit opens a mailbox by its name, if one may, and visits it.
func (s *session) visit(ctx context.Context, name string, need mail.Rights, visit func(*openBox) error) error {
	mailbox, err := s.mailbox(name, need)
	var sel *account.Selection
	if err == nil {
		if s.box != nil && s.box.sel.Holds(mailbox) {
			return visit(s.box)
		}
		sel, err = mailbox.Select(ctx, false)
	}
	switch kind := mail.KindOf(err); {
	case err != nil && (kind == mail.NotFound || kind == mail.NotPermitted || kind == mail.Cannot):
		return nil
	case err != nil:
		return err
	}
	defer sel.Close()
	start := sel.Start()
	box := &openBox{name: name, examined: true, sel: sel, view: view.New(start.UIDs, start.At)}
	box.view.AddRecent(start.Recent)
	return visit(box)
}

// meant gives the names of the mailboxes that a filter means, but for the selected
// one, sorted where they were not given. Mail to user+detail may go into any mailbox,
// so that INBOXES are PERSONAL (RFC 5465 6.3).
func (s *session) meant(f *imapwire.MailboxFilter) ([]string, error) {
	switch f.Scope {
	case imapwire.ScopeMailboxes:
		return f.Names, nil
	case imapwire.ScopeSubscribed:
		return s.account.Subscriptions(), nil
	}
	boxes, err := s.mailboxesBelow(f.Names)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range boxes {
		if !f.Scope.Named() || slices.ContainsFunc(f.Names, func(top string) bool { return inSubtree(f.Scope, info.Name, top) }) {
			names = append(names, info.Name)
		}
	}
	return names, nil
}

// canonical gives names as mailboxes bear them; those that no mailbox can bear go.
func canonical(names []string) []string {
	var out []string
	for _, name := range names {
		if name, err := account.CanonicalName(strings.TrimSuffix(name, string(mail.Separator))); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// inSubtree reports whether a mailbox is a subtree's top or below it.
func inSubtree(scope imapwire.MailboxScope, name, top string) bool {
	below, ok := strings.CutPrefix(name, top)
	if !ok || below == "" {
		return ok
	}
	deeper := strings.IndexByte(below[1:], mail.Separator) >= 0
	return below[0] == mail.Separator && (scope == imapwire.ScopeSubtree || !deeper)
}
