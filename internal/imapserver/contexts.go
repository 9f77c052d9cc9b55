package imapserver

import (
	"context"
	"slices"
	"time"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/search"
)

// searchContext is a search whose client is told how its results change (RFC 5267
// 4.3). What the client has of them is kept; which messages have to be asked again
// follows from what the view takes in.
type searchContext struct {
	tag     string
	uid     bool                 // the client knows its results by UID
	items   []imapwire.FetchItem // of messages that are new among the results
	order   []mail.SortCriterion // of SORT; nil of SEARCH
	compare mail.Comparator      // what the order compares texts by
	in      mail.UIDSet          // what the client has
	sorted  []mail.UID           // the same in order, of SORT
	within  *recompiled          // what it takes to ask for OLDER and YOUNGER again; nil without them
	search  *search.Program
}

// recompiled is a search that depends on the time. Numbers and "$" mean what they
// meant when the command came (RFC 5267 4.3).
type recompiled struct {
	criteria mail.Criteria
	meant    []mail.UIDSet // what Resolve gave, in the order in which it was asked
	at       time.Time

	collation mail.Collation // COMPARATOR may have set another since
}

// withinAgain is after what time OLDER and YOUNGER are looked at again. RFC 5032
// allows updates to be late.
const withinAgain = time.Minute

// contextRoom bounds what all contexts of a session but the first keep: runs of UIDs,
// and places of sorted messages.
const contextRoom = 100_000

func (c *searchContext) room() int { return len(c.in) + len(c.sorted) }

// compile makes the program of a search that may become a context, and notes what it
// takes to do so again.
func (s *session) compile(args *imapwire.SearchArgs, relevancy bool) (*search.Program, *recompiled, error) {
	env := s.searchEnv(s.box, relevancy)
	if !args.Update || args.Uses&imapwire.UsesWithin == 0 {
		program, err := search.Compile(args.Criteria, env)
		return program, nil, err
	}
	again := &recompiled{criteria: args.Criteria, at: env.Now, collation: env.Collation}
	resolve := env.Resolve
	env.Resolve = func(set mail.NumSet, byUID bool) (mail.UIDSet, error) {
		uids, err := resolve(set, byUID)
		again.meant = append(again.meant, uids)
		return uids, err
	}
	program, err := search.Compile(args.Criteria, env)
	return program, again, err
}

// compileAgain is compile at another time.
func (s *session) compileAgain(r *recompiled) (*search.Program, error) {
	env := s.searchEnv(s.box, false)
	env.Collation = r.collation
	asked := 0
	env.Resolve = func(mail.NumSet, bool) (mail.UIDSet, error) {
		asked++
		return r.meant[asked-1], nil
	}
	r.at = env.Now
	return search.Compile(r.criteria, env)
}

// updateAllowed checks UPDATE before the search is made. A tag that names a context
// already cannot name another (RFC 5267 4.3).
func (s *session) updateAllowed(c *command, args *imapwire.SearchArgs) error {
	if !args.Update {
		return nil
	}
	if slices.ContainsFunc(s.box.contexts, func(x *searchContext) bool { return x.tag == c.tag }) {
		return bad("this tag names a search that is still updated")
	}
	if len(args.Items) > 0 {
		_, err := s.planFetch(imapwire.MergeFetchItems(nil, args.Items), false)
		return err
	}
	return nil
}

// keepContext makes a search that was answered one whose client is told of changes.
// Where there are too many the client is told that it is not (RFC 5267 4.3.1); one
// is always possible.
func (s *session) keepContext(x *searchContext) {
	b := s.box
	room := x.room()
	for _, other := range b.contexts {
		room += other.room()
	}
	if len(b.contexts) > 0 && (len(b.contexts) >= s.srv.limits.Contexts || room > contextRoom) {
		s.refuseUpdate(x.tag, "there are too many searches to be updated")
		return
	}
	if len(b.contexts) == 0 {
		b.touched, b.lost = nil, nil
	}
	b.contexts = append(b.contexts, x)
	// Those that are gone and still shown were found, and are told to be gone.
	b.lost = b.lost.Union(b.view.Held())
}

func (s *session) refuseUpdate(tag, why string) {
	s.w.Status("", imapwire.NO, `NOUPDATE "`+tag+`"`, why)
}

// cancelUpdate is the command CANCELUPDATE (RFC 5267 4.3.5).
func (s *session) cancelUpdate(*command) error {
	var tags []string
	if !s.r.ExpectCancelUpdateArgs(&tags) {
		return s.r.Err()
	}
	b := s.box
	known := func(tag string) bool {
		return slices.ContainsFunc(b.contexts, func(x *searchContext) bool { return x.tag == tag })
	}
	for _, tag := range tags {
		if !known(tag) {
			return no("", "there is no search of that tag to be updated")
		}
	}
	b.contexts = slices.DeleteFunc(b.contexts, func(x *searchContext) bool { return slices.Contains(tags, x.tag) })
	return nil
}

// noteChanges notes what of a Delta concerns the results of searches.
func (b *openBox) noteChanges(d *mail.Delta) {
	if len(b.contexts) > 0 {
		b.touched = b.touched.Union(d.Changed).Subtract(d.Expunged)
		b.lost = b.lost.Union(d.Expunged)
	}
}

// loseFromContexts tells that expunged messages are no results any more. That is told
// at once, also of those that are still shown (RFC 5267 Appendix A.3), and before
// their EXPUNGE: their numbers are valid yet (RFC 5267 4.3.4).
func (s *session) loseFromContexts() {
	b := s.box
	if b.lost.Empty() {
		return
	}
	for _, x := range b.contexts {
		s.updateContext(x, x.in.Intersect(b.lost), nil, nil)
	}
	b.lost = nil
}

// askContexts asks each search which of these messages are among its results now, and
// gives what became of each. If that takes too much or fails, there are no updates any
// more: what the client has could not be kept true.
func (s *session) askContexts(uids mail.UIDSet) ([]contextNews, error) {
	b := s.box
	news := make([]contextNews, len(b.contexts))
	err := s.whileSearchMayLast(func(ctx context.Context) error {
		for i, x := range b.contexts {
			if err := s.askContext(ctx, x, uids, &news[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return news, nil
	}
	if s.ctx.Err() != nil {
		return nil, err
	}
	if mail.KindOf(err) != mail.Limit {
		observe.Fault(s.ctx, s.log, "searches cannot be updated", err, s.attrs()...)
	}
	for _, x := range b.contexts {
		s.refuseUpdate(x.tag, "it cannot be updated any longer")
	}
	b.contexts, b.touched, b.lost = nil, nil, nil
	return nil, nil
}

// contextNews is what became of a context's results.
type contextNews struct {
	removed, added mail.UIDSet
	sorted         []mail.UID // the results that stay and those that come, of SORT
}

func (s *session) askContext(ctx context.Context, x *searchContext, uids mail.UIDSet, news *contextNews) error {
	b := s.box
	found := finding{session: s, box: b, ctx: ctx, program: x.search, body: x.search.Needs().Body}
	if err := found.among(x.search.Bound(uids)); err != nil {
		return err
	}
	news.removed = x.in.Intersect(uids).Subtract(found.found.uids)
	news.added = found.found.uids.Subtract(x.in)
	if x.order == nil || news.added.Empty() {
		return nil
	}
	var err error
	news.sorted, err = s.sortInto(ctx, x, news)
	return err
}

// fewSorted is how many messages are put into their places one by one: for more,
// everything is sorted again.
const fewSorted = 32

// sortInto gives the results of a SORT with those that are added in their places. What
// a message is sorted by never changes, so only the places of new ones are looked for.
func (s *session) sortInto(ctx context.Context, x *searchContext, news *contextNews) ([]mail.UID, error) {
	stay := make([]mail.UID, 0, len(x.sorted)+news.added.Len())
	for _, uid := range x.sorted {
		if !news.removed.Contains(uid) {
			stay = append(stay, uid)
		}
	}
	if news.added.Len() > fewSorted {
		return s.inOrder(ctx, x, x.in.Subtract(news.removed).Union(news.added))
	}
	for uid := range news.added.All() {
		low, high := 0, len(stay)
		for low < high {
			mid := (low + high) / 2
			pair, err := s.inOrder(ctx, x, mail.NewUIDSet(stay[mid], uid))
			if err != nil {
				return nil, err
			}
			if pair[0] == uid {
				high = mid
			} else {
				low = mid + 1
			}
		}
		stay = slices.Insert(stay, low, uid)
	}
	return stay, nil
}

// inOrder sorts messages as a SORT does.
func (s *session) inOrder(ctx context.Context, x *searchContext, uids mail.UIDSet) ([]mail.UID, error) {
	sorter := search.NewSorter(x.order, x.compare)
	g := gathering{s: s, ctx: ctx, needs: sorter.Needs(), add: sorter.Add, found: &findings{}}
	if err := g.of(uids); err != nil {
		return nil, err
	}
	return sorter.Sorted(), nil
}
