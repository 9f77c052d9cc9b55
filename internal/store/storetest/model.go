package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/store"
)

// Model compares a driver with a plain reference under random calls, made one
// after another. open gives an empty store; Model closes it. reopen, which may
// be nil, gives back a store that was closed, with its leases over.
func Model(t *testing.T, open func(t testing.TB) store.Store, reopen func(t testing.TB, closed store.Store) store.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{s: open(t), ctx: t.Context(), accounts: map[mail.AccountID]*refAccount{},
			bodies: map[mail.BodyRef]*refBody{}, shelf: map[string]refValue{}, versions: map[uint64]bool{}}
		defer func() { _ = m.s.Close() }()
		actions := map[string]func(*rapid.T){
			"":        m.check,
			"commit":  m.commit,
			"commit2": m.commit,
			"save":    m.save,
			"put":     m.put,
			"abandon": m.abandon,
			"sweep":   m.sweep,
			"destroy": m.destroy,
			"shelve":  m.shelve,
			"unshelf": m.unshelve,
		}
		if reopen != nil {
			actions["reopen"] = func(rt *rapid.T) {
				if err := m.s.Close(); err != nil {
					rt.Fatal(err)
				}
				m.s = reopen(t, m.s)
				for _, b := range m.bodies {
					b.leased = false
				}
			}
		}
		rt.Repeat(actions)
	})
}

// model is the driver under test and, in plain maps, what must be in it.
type model struct {
	s        store.Store
	ctx      context.Context
	accounts map[mail.AccountID]*refAccount
	bodies   map[mail.BodyRef]*refBody
	refs     []mail.BodyRef // in order of Put, swept or not
	shelf    map[string]refValue
	versions map[uint64]bool
}

type refAccount struct {
	head, forgotten mail.ModSeq
	log             []store.Record
	scopes          map[store.Scope]*refScope
	summaries       map[mail.MessageID]string
	marks           map[mail.BodyRef]bool
}

type refScope struct {
	saved mail.ModSeq
	head  string
	pages map[store.PageKey]string
}

type refBody struct {
	data   []byte
	leased bool
	marks  map[mail.AccountID]bool
}

type refValue struct {
	data    string
	version uint64
}

func (m *model) account(rt *rapid.T) (mail.AccountID, *refAccount) {
	id := mail.AccountID(rapid.IntRange(1, 3).Draw(rt, "account"))
	if m.accounts[id] == nil {
		m.accounts[id] = &refAccount{scopes: map[store.Scope]*refScope{}, summaries: map[mail.MessageID]string{}, marks: map[mail.BodyRef]bool{}}
	}
	return id, m.accounts[id]
}

// someRefs draws bodies, of which some may be swept.
func (m *model) someRefs(rt *rapid.T, label string) []mail.BodyRef {
	if len(m.refs) == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(m.refs), 0, 3).Draw(rt, label)
}

func (m *model) commit(rt *rapid.T) {
	id, a := m.account(rt)
	after := a.head
	if rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
		after = mail.ModSeq(rapid.Uint64Range(0, uint64(a.head)+3).Draw(rt, "after"))
	}
	e := store.Entry{
		Last:    after + mail.ModSeq(rapid.IntRange(1, 4).Draw(rt, "changes")),
		Record:  rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "record"),
		Take:    m.someRefs(rt, "take"),
		Release: m.someRefs(rt, "release"),
	}
	for range rapid.IntRange(0, 3).Draw(rt, "summaries") {
		e.Summaries = append(e.Summaries, store.Summary{ID: mail.MessageID(rapid.IntRange(1, 8).Draw(rt, "id")),
			Data: []byte(rapid.StringN(0, 5, -1).Draw(rt, "summary"))})
	}
	if rapid.Bool().Draw(rt, "drops") {
		e.Drop = []mail.MessageID{mail.MessageID(rapid.IntRange(1, 8).Draw(rt, "drop"))}
	}
	want := error(nil)
	if after != a.head {
		want = store.ErrStale
	} else if slices.ContainsFunc(e.Take, func(r mail.BodyRef) bool { return !a.marks[r] && (m.bodies[r] == nil || !m.bodies[r].leased) }) {
		want = store.ErrLease
	}
	if err := m.s.Account(id).Commit(m.ctx, after, e); !errors.Is(err, want) {
		rt.Fatalf("Commit gave %v, want %v", err, want)
	}
	if want != nil {
		return
	}
	a.head = e.Last
	a.log = append(a.log, store.Record{Last: e.Last, Data: e.Record})
	for _, ref := range e.Take {
		a.marks[ref] = true
		m.bodies[ref].marks[id] = true
	}
	for _, ref := range e.Release {
		m.unmark(id, ref)
	}
	for _, s := range e.Summaries {
		a.summaries[s.ID] = string(s.Data)
	}
	for _, d := range e.Drop {
		delete(a.summaries, d)
	}
}

func (m *model) unmark(id mail.AccountID, ref mail.BodyRef) {
	if !m.accounts[id].marks[ref] {
		return
	}
	delete(m.accounts[id].marks, ref)
	b := m.bodies[ref]
	delete(b.marks, id)
	b.leased = b.leased && len(b.marks) > 0
}

func (m *model) save(rt *rapid.T) {
	id, a := m.account(rt)
	save := store.Save{Forget: mail.ModSeq(rapid.Uint64Range(0, uint64(a.head)).Draw(rt, "forget"))}
	var want error
	for _, scope := range rapid.SliceOfNDistinct(rapid.Uint64Range(0, 3), 0, 2, rapid.ID).Draw(rt, "scopes") {
		ss := store.ScopeSave{Scope: store.Scope(scope), Now: a.head + 1, Head: []byte(rapid.StringN(0, 4, -1).Draw(rt, "head"))}
		if old := a.scopes[ss.Scope]; old != nil {
			ss.Was = old.saved
		}
		if rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
			ss.Was, want = ss.Was+1, store.ErrStale
		}
		ss.Remove = rapid.IntRange(0, 5).Draw(rt, "remove") == 0
		for range rapid.IntRange(0, 3).Draw(rt, "pages") {
			key := store.PageKey{Kind: store.PageKind(rapid.IntRange(1, 2).Draw(rt, "kind")), Low: rapid.Uint64Range(0, 4).Draw(rt, "low")}
			if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
				ss.Delete = append(ss.Delete, key)
			} else if !slices.Contains(ss.Delete, key) {
				ss.Put = append(ss.Put, store.Page{PageKey: key, Data: []byte(rapid.StringN(0, 4, -1).Draw(rt, "page"))})
			}
		}
		// A page both put and deleted has no meaning the contract gives.
		ss.Delete = slices.DeleteFunc(ss.Delete, func(k store.PageKey) bool {
			return slices.ContainsFunc(ss.Put, func(p store.Page) bool { return p.PageKey == k })
		})
		save.Scopes = append(save.Scopes, ss)
	}
	if err := m.s.Account(id).Save(m.ctx, save); !errors.Is(err, want) {
		rt.Fatalf("Save gave %v, want %v", err, want)
	}
	if want == nil {
		a.apply(save)
	}
}

func (a *refAccount) apply(save store.Save) {
	for _, ss := range save.Scopes {
		if ss.Remove {
			delete(a.scopes, ss.Scope)
			continue
		}
		if a.scopes[ss.Scope] == nil {
			a.scopes[ss.Scope] = &refScope{pages: map[store.PageKey]string{}}
		}
		s := a.scopes[ss.Scope]
		s.saved, s.head = ss.Now, string(ss.Head)
		for _, p := range ss.Put {
			s.pages[p.PageKey] = string(p.Data)
		}
		for _, k := range ss.Delete {
			delete(s.pages, k)
		}
	}
	for len(a.log) > 0 && a.log[0].Last <= save.Forget {
		a.forgotten, a.log = a.log[0].Last, a.log[1:]
	}
}

func (m *model) put(rt *rapid.T) {
	size := rapid.SampledFrom([]int{0, 1, 100, 64 << 10, 64<<10 + 1, 256 << 10, 256<<10 + 1}).Draw(rt, "size")
	data := noise(byte(len(m.refs)), size)
	ref, _, err := m.s.Bodies().Put(m.ctx, bytes.NewReader(data))
	if err != nil {
		rt.Fatal(err)
	}
	if slices.Contains(m.refs, ref) {
		rt.Fatalf("name %v came twice", ref)
	}
	m.refs = append(m.refs, ref)
	m.bodies[ref] = &refBody{data: data, leased: true, marks: map[mail.AccountID]bool{}}
}

func (m *model) abandon(rt *rapid.T) {
	for _, ref := range m.someRefs(rt, "abandon") {
		m.s.Bodies().Abandon(m.ctx, ref)
		if b := m.bodies[ref]; b != nil {
			b.leased = false
		}
	}
}

func (m *model) sweep(rt *rapid.T) {
	var want store.Swept
	for ref, b := range m.bodies {
		if !b.leased && len(b.marks) == 0 {
			want.Bodies++
			want.Bytes += int64(len(b.data))
			delete(m.bodies, ref)
		}
	}
	got, err := m.s.Bodies().Sweep(m.ctx)
	if err != nil || got != want {
		rt.Fatalf("swept %+v, %v; want %+v", got, err, want)
	}
}

func (m *model) destroy(rt *rapid.T) {
	id, a := m.account(rt)
	if rapid.IntRange(0, 3).Draw(rt, "really") != 0 {
		return
	}
	if err := m.s.Account(id).Destroy(m.ctx); err != nil {
		rt.Fatal(err)
	}
	for ref := range a.marks {
		m.unmark(id, ref)
	}
	delete(m.accounts, id)
}

func (m *model) shelve(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "b/1"}).Draw(rt, "key")
	expect := rapid.SampledFrom([]uint64{0, store.AnyVersion, m.shelf[key].version}).Draw(rt, "expect")
	data := rapid.StringN(0, 4, -1).Draw(rt, "data")
	v, err := m.s.Shelf().Put(m.ctx, key, []byte(data), expect, time.Time{})
	if expect != store.AnyVersion && expect != m.shelf[key].version {
		if !errors.Is(err, store.ErrStale) {
			rt.Fatalf("Put gave %v, want ErrStale", err)
		}
		return
	}
	if err != nil || m.versions[v] || v == 0 {
		rt.Fatalf("Put gave version %d (used: %v), %v", v, m.versions[v], err)
	}
	m.versions[v] = true
	m.shelf[key] = refValue{data, v}
}

func (m *model) unshelve(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "b/1"}).Draw(rt, "key")
	if err := m.s.Shelf().Delete(m.ctx, key, m.shelf[key].version); err != nil {
		rt.Fatal(err)
	}
	delete(m.shelf, key)
}

// check compares everything there is.
func (m *model) check(rt *rapid.T) {
	if err := errors.Join(m.checkAccounts(), m.checkBodies(), m.checkShelf()); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) checkAccounts() error {
	var want []mail.AccountID
	for id, a := range m.accounts {
		if err := m.checkAccount(id, a); err != nil {
			return fmt.Errorf("account %d: %w", id, err)
		}
		if a.head > 0 || len(a.scopes) > 0 {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	got, err := collect(m.s.Accounts(m.ctx))
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("accounts are %v, %w; want %v", got, err, want)
	}
	return nil
}

func (m *model) checkAccount(id mail.AccountID, a *refAccount) error {
	h := m.s.Account(id)
	head, err := h.Head(m.ctx)
	if err != nil || head != a.head {
		return fmt.Errorf("head is %d, %w; want %d", head, err, a.head)
	}
	log, err := records(m.ctx, h, a.forgotten)
	if err != nil || !slices.EqualFunc(log, a.log, equalRecords) {
		return fmt.Errorf("log is %v, %w; want %v", log, err, a.log)
	}
	if a.forgotten > 0 {
		if _, err := records(m.ctx, h, a.forgotten-1); !errors.Is(err, store.ErrForgotten) {
			return fmt.Errorf("since %d gives %w, want ErrForgotten", a.forgotten-1, err)
		}
	}
	ids, err := collect(h.SummaryIDs(m.ctx))
	if err != nil || !slices.Equal(ids, sortedKeys(a.summaries)) {
		return fmt.Errorf("summaries of %v, %w; want %v", ids, err, sortedKeys(a.summaries))
	}
	err = h.Summaries(m.ctx, ids, func(i int, data []byte) error {
		if string(data) != a.summaries[ids[i]] {
			return fmt.Errorf("summary %d is %q, want %q", ids[i], data, a.summaries[ids[i]])
		}
		return nil
	})
	if err != nil {
		return err
	}
	marks, err := collect(h.Marked(m.ctx))
	if err != nil || len(marks) != len(a.marks) || slices.ContainsFunc(marks, func(r mail.BodyRef) bool { return !a.marks[r] }) {
		return fmt.Errorf("marks are %v, %w; want %v", marks, err, a.marks)
	}
	return a.checkPages(m.ctx, h)
}

func (a *refAccount) checkPages(ctx context.Context, h store.Account) error {
	var scopes []store.Scope
	err := h.Heads(ctx, func(head store.Head) error {
		scopes = append(scopes, head.Scope)
		if s := a.scopes[head.Scope]; s == nil || s.saved != head.Saved || s.head != string(head.Data) {
			return fmt.Errorf("head page is %+v, want %+v", head, s)
		}
		return nil
	})
	if err != nil || !slices.Equal(scopes, sortedKeys(a.scopes)) {
		return fmt.Errorf("scopes are %v, %w; want %v", scopes, err, sortedKeys(a.scopes))
	}
	for _, scope := range scopes {
		got := map[store.PageKey]string{}
		for kind := store.PageKind(1); kind <= 2; kind++ {
			_, err := h.Load(ctx, scope, kind, func(low uint64, data []byte) error {
				got[store.PageKey{Kind: kind, Low: low}] = string(data)
				return nil
			})
			if err != nil {
				return err
			}
		}
		if !maps.Equal(got, a.scopes[scope].pages) {
			return fmt.Errorf("scope %d has %v, want %v", scope, got, a.scopes[scope].pages)
		}
	}
	return nil
}

// checkBodies finds every body that a mark or a lease holds; one without may be
// swept already.
func (m *model) checkBodies() error {
	all, err := collect(m.s.Bodies().All(m.ctx))
	if err != nil {
		return err
	}
	there := map[mail.BodyRef]bool{}
	for _, ref := range all {
		there[ref] = true
		if m.bodies[ref] == nil {
			return fmt.Errorf("body %v should be gone", ref)
		}
	}
	for ref, b := range m.bodies {
		if !there[ref] && (b.leased || len(b.marks) > 0) {
			return fmt.Errorf("body %v is gone", ref)
		}
		if !there[ref] || len(b.data) > 1000 && ref != m.refs[len(m.refs)-1] {
			continue // large ones are read once
		}
		if data, err := read(m.ctx, m.s, ref); err != nil || !bytes.Equal(data, b.data) {
			return fmt.Errorf("body %v: other octets, %w", ref, err)
		}
	}
	return nil
}

func (m *model) checkShelf() error {
	list, err := collect(m.s.Shelf().List(m.ctx, ""))
	if err != nil || len(list) != len(m.shelf) {
		return fmt.Errorf("the shelf has %v, %w; want %v", list, err, m.shelf)
	}
	for _, v := range list {
		if want := m.shelf[v.Key]; want.version != v.Version || want.data != string(v.Data) {
			return fmt.Errorf("the shelf has %+v, want %+v", v, want)
		}
	}
	return nil
}
