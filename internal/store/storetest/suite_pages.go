package storetest

import (
	"errors"
	"fmt"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

var pageCases = []testCase{
	{"empty", testPagesEmpty},
	{"save and load", testPagesSave},
	{"compare and set", testPagesStale},
	{"remove", testPagesRemove},
	{"kinds and order", testPagesKinds},
	{"invalid", testPagesInvalid},
	{"one moment", testPagesMoment},
	{"callback's error", testPagesCallback},
}

var summaryCases = []testCase{
	{"write, drop, read", testSummaries},
	{"many", testSummariesMany},
}

// scopeState is what is kept of one scope, of one kind of pages.
type scopeState struct {
	saved mail.ModSeq
	head  string
	pages map[uint64]string
	order []uint64
}

func loadScope(t testing.TB, a store.Account, scope store.Scope, kind store.PageKind) scopeState {
	t.Helper()
	st := scopeState{pages: map[uint64]string{}}
	saved, err := a.Load(t.Context(), scope, kind, func(low uint64, data []byte) error {
		st.pages[low] = string(data)
		st.order = append(st.order, low)
		return nil
	})
	must(t, err)
	st.saved = saved
	must(t, a.Heads(t.Context(), func(h store.Head) error {
		if h.Scope == scope {
			st.head = string(h.Data)
			if h.Saved != saved {
				t.Errorf("scope %d: Heads says saved at %d, Load says %d", scope, h.Saved, saved)
			}
		}
		return nil
	}))
	return st
}

func page(kind store.PageKind, low uint64, data string) store.Page {
	return store.Page{PageKey: store.PageKey{Kind: kind, Low: low}, Data: []byte(data)}
}

func testPagesEmpty(t *testing.T, s store.Store) {
	a := s.Account(1)
	st := loadScope(t, a, 5, 1)
	if st.saved != 0 || len(st.pages) != 0 {
		t.Errorf("a scope without a head page has %+v", st)
	}
}

func testPagesSave(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	must(t, a.Commit(ctx, 0, store.Entry{Last: 20}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{
		{Scope: 0, Now: 10, Head: []byte("root")},
		{Scope: 7, Now: 10, Head: []byte("seven"), Put: []store.Page{page(1, 1, "a"), page(1, 100, "b"), page(1, 200, "c")}},
	}}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{
		{Scope: 7, Was: 10, Now: 20, Head: []byte("seven again"), Put: []store.Page{page(1, 100, "B"), page(1, 150, "d")},
			Delete: []store.PageKey{{Kind: 1, Low: 1}, {Kind: 1, Low: 9999}}},
	}}))
	root, seven := loadScope(t, a, 0, 1), loadScope(t, a, 7, 1)
	if root.saved != 10 || root.head != "root" || len(root.pages) != 0 {
		t.Errorf("root is %+v", root)
	}
	if got := fmt.Sprint(seven); got != fmt.Sprint(scopeState{saved: 20, head: "seven again",
		pages: map[uint64]string{100: "B", 150: "d", 200: "c"}, order: []uint64{100, 150, 200}}) {
		t.Errorf("scope 7 is %s", got)
	}
	// The head page is page kind 0.
	n := 0
	saved, err := a.Load(ctx, 7, 0, func(low uint64, data []byte) error {
		if n++; low != 0 || string(data) != "seven again" {
			t.Errorf("kind 0 gives %d %q", low, data)
		}
		return nil
	})
	must(t, err)
	if saved != 20 || n != 1 {
		t.Errorf("kind 0: saved %d, %d pages", saved, n)
	}
	// An account with pages and no log is listed, too.
	must(t, s.Account(2).Save(ctx, store.Save{Scopes: []store.ScopeSave{{Now: 1}}}))
	ids, err := collect(s.Accounts(ctx))
	must(t, err)
	wantEqual(t, "accounts", ids, []mail.AccountID{1, 2}, same)
}

func testPagesStale(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	save := func(scopes ...store.ScopeSave) error { return a.Save(ctx, store.Save{Scopes: scopes}) }
	must(t, save(store.ScopeSave{Scope: 1, Now: 5, Head: []byte("h"), Put: []store.Page{page(1, 1, "p")}}))
	must(t, save(store.ScopeSave{Scope: 2, Now: 6, Head: []byte("h2")}))
	cases := []struct {
		name   string
		scopes []store.ScopeSave
	}{
		{"Was 0 where there is a head page", []store.ScopeSave{{Scope: 1, Now: 9}}},
		{"Was of another save", []store.ScopeSave{{Scope: 1, Was: 4, Now: 9}}},
		{"Was where there is no head page", []store.ScopeSave{{Scope: 3, Was: 4, Now: 9}}},
		{"the second of two scopes", []store.ScopeSave{{Scope: 1, Was: 5, Now: 9, Head: []byte("x")}, {Scope: 2, Was: 5, Now: 9}}},
		{"remove at a wrong Was", []store.ScopeSave{{Scope: 1, Was: 6, Remove: true}}},
	}
	for _, c := range cases {
		wantErr(t, c.name, save(c.scopes...), store.ErrStale)
	}
	if one := loadScope(t, a, 1, 1); one.saved != 5 || one.head != "h" || one.pages[1] != "p" {
		t.Errorf("refused saves left %+v", one)
	}
	must(t, save(store.ScopeSave{Scope: 1, Was: 5, Now: 9, Head: []byte("x")}, store.ScopeSave{Scope: 2, Was: 6, Now: 9}))
	// Saving again at the same ModSeq is a save like any other.
	must(t, save(store.ScopeSave{Scope: 1, Was: 9, Now: 9, Head: []byte("y")}))
	if one := loadScope(t, a, 1, 1); one.head != "y" {
		t.Errorf("head is %q", one.head)
	}
}

func testPagesRemove(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{
		{Scope: 1, Now: 5, Put: []store.Page{page(1, 1, "p"), page(255, 1<<64-1, "q")}},
		{Scope: 2, Now: 5, Put: []store.Page{page(1, 1, "r")}},
	}}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Was: 5, Remove: true, Head: []byte("x"), Put: []store.Page{page(1, 2, "x")}}}}))
	for _, kind := range []store.PageKind{1, 255} {
		if one := loadScope(t, a, 1, kind); one.saved != 0 || len(one.pages) != 0 {
			t.Errorf("a removed scope has %+v", one)
		}
	}
	if two := loadScope(t, a, 2, 1); two.pages[1] != "r" {
		t.Errorf("the other scope has %+v", two)
	}
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 8, Head: []byte("new")}}}))
	if one := loadScope(t, a, 1, 1); one.saved != 8 || len(one.pages) != 0 {
		t.Errorf("a scope that came again has %+v", one)
	}
}

func testPagesKinds(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	scopes := []store.Scope{0, 1, 255, 256, 1<<64 - 1}
	var saves []store.ScopeSave
	for _, scope := range scopes {
		ss := store.ScopeSave{Scope: scope, Now: 1, Head: fmt.Append(nil, "head ", scope)}
		for _, kind := range []store.PageKind{1, 2, 255} {
			for _, low := range []uint64{1<<64 - 1, 0, 256, 255, 1} {
				ss.Put = append(ss.Put, page(kind, low, fmt.Sprint(scope, kind, low)))
			}
		}
		saves = append(saves, ss)
	}
	must(t, a.Save(ctx, store.Save{Scopes: saves}))
	var got []store.Scope
	must(t, a.Heads(ctx, func(h store.Head) error {
		if string(h.Data) != fmt.Sprint("head ", h.Scope) {
			t.Errorf("scope %d has head %q", h.Scope, h.Data)
		}
		got = append(got, h.Scope)
		return nil
	}))
	wantEqual(t, "scopes", got, scopes, same)
	for _, scope := range scopes {
		for _, kind := range []store.PageKind{1, 2, 255} {
			st := loadScope(t, a, scope, kind)
			wantEqual(t, "page order", st.order, []uint64{0, 1, 255, 256, 1<<64 - 1}, same)
			for low, data := range st.pages {
				if data != fmt.Sprint(scope, kind, low) {
					t.Errorf("page %d %d %d is %q", scope, kind, low, data)
				}
			}
		}
	}
}

func testPagesInvalid(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	cases := map[string][]store.ScopeSave{
		"a scope twice":   {{Scope: 1, Now: 1}, {Scope: 1, Now: 1}},
		"a head page put": {{Scope: 1, Now: 1, Put: []store.Page{page(0, 0, "x")}}},
		"saved at 0":      {{Scope: 1}},
	}
	for name, scopes := range cases {
		wantKind(t, name, a.Save(ctx, store.Save{Scopes: scopes}), mail.Invalid)
	}
}

// testPagesMoment saves one scope over and over while it is loaded: all pages
// and Saved must come from one save.
func testPagesMoment(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	const saves = 200
	done := make(chan error, 1)
	go func() {
		for now := mail.ModSeq(1); now <= saves; now++ {
			ss := store.ScopeSave{Scope: 1, Was: now - 1, Now: now, Head: fmt.Append(nil, now)}
			for low := range uint64(20) {
				ss.Put = append(ss.Put, page(1, low, fmt.Sprint(now)))
			}
			if err := a.Save(ctx, store.Save{Scopes: []store.ScopeSave{ss}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for running := true; running; {
		select {
		case err := <-done:
			must(t, err)
			running = false
		default:
		}
		seen := map[string]bool{}
		saved, err := a.Load(ctx, 1, 1, func(_ uint64, data []byte) error {
			seen[string(data)] = true
			return nil
		})
		must(t, err)
		if saved > 0 && (len(seen) != 1 || !seen[fmt.Sprint(saved)]) {
			t.Fatalf("saved at %d with pages of %v", saved, seen)
		}
	}
}

func testPagesCallback(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Summaries: []store.Summary{{ID: 1, Data: []byte("s")}}}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 5, Put: []store.Page{page(1, 1, "p"), page(1, 2, "p")}}, {Scope: 2, Now: 5}}}))
	mine := errors.New("enough")
	n := 0
	wantErr(t, "Heads", a.Heads(ctx, func(store.Head) error { n++; return mine }), mine)
	_, err := a.Load(ctx, 1, 1, func(uint64, []byte) error { n++; return mine })
	wantErr(t, "Load", err, mine)
	wantErr(t, "Summaries", a.Summaries(ctx, []mail.MessageID{1, 1}, func(int, []byte) error { n++; return mine }), mine)
	if n != 3 {
		t.Errorf("%d callbacks after an error, want one each", n-3)
	}
}

func testSummaries(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Summaries: []store.Summary{
		{ID: 5, Data: []byte("five")}, {ID: 1, Data: []byte("one")}, {ID: 256, Data: nil}, {ID: 9, Data: []byte("nine")}}}))
	must(t, a.Commit(ctx, 1, store.Entry{Last: 2,
		Summaries: []store.Summary{{ID: 5, Data: []byte("FIVE")}, {ID: 7, Data: []byte("never")}},
		Drop:      []mail.MessageID{9, 7, 12345}}))
	ids := []mail.MessageID{256, 9, 5, 5, 1, 2, 1 << 60}
	type found struct {
		i    int
		data string
	}
	var got []found
	must(t, a.Summaries(ctx, ids, func(i int, data []byte) error {
		got = append(got, found{i, string(data)})
		return nil
	}))
	wantEqual(t, "summaries", got, []found{{0, ""}, {2, "FIVE"}, {3, "FIVE"}, {4, "one"}}, same)
	all, err := collect(a.SummaryIDs(ctx))
	must(t, err)
	wantEqual(t, "ids", all, []mail.MessageID{1, 5, 256}, same)
	must(t, a.Summaries(ctx, nil, func(int, []byte) error { t.Error("a summary of nothing"); return nil }))
}

func testSummariesMany(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	const n = 3000
	var e store.Entry
	var ids []mail.MessageID
	e.Last = 1
	for id := mail.MessageID(1); id <= n; id++ {
		e.Summaries = append(e.Summaries, store.Summary{ID: id, Data: fmt.Append(nil, "summary ", id)})
		ids = append(ids, n+1-id) // descending
	}
	must(t, a.Commit(ctx, 0, e))
	next := 0
	must(t, a.Summaries(ctx, ids, func(i int, data []byte) error {
		if i != next || string(data) != fmt.Sprint("summary ", ids[i]) {
			return fmt.Errorf("summary %d of %d is %q at %d", i, ids[i], data, next)
		}
		next++
		return nil
	}))
	if next != n {
		t.Errorf("%d summaries, want %d", next, n)
	}
}
