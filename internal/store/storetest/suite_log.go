package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

var logCases = []testCase{
	{"empty", testLogEmpty},
	{"append and read", testLogAppend},
	{"stale", testLogStale},
	{"invalid", testLogInvalid},
	{"slices are not kept", testLogSlices},
	{"since in the middle of a record", testLogMiddle},
	{"forget", testLogForget},
	{"forget everything", testLogForgetAll},
	{"large record", testLogLarge},
	{"accounts are apart", testLogApart},
	{"canceled", testLogCanceled},
	{"stop early", testLogStop},
	{"call from within", testLogNested},
	{"grew", testGrew},
	{"destroy", testDestroy},
}

func testLogEmpty(t *testing.T, s store.Store) {
	a := s.Account(7)
	head, err := a.Head(t.Context())
	must(t, err)
	if head != 0 {
		t.Errorf("an account without a log has head %d", head)
	}
	got, err := records(t.Context(), a, 0)
	must(t, err)
	if len(got) != 0 {
		t.Errorf("an account without a log gives %v", got)
	}
	ids, err := collect(s.Accounts(t.Context()))
	must(t, err)
	wantEqual(t, "accounts", ids, nil, same)
}

func testLogAppend(t *testing.T, s store.Store) {
	a := s.Account(1)
	var want []store.Record
	var head mail.ModSeq
	for i := range 50 {
		last := head + mail.ModSeq(i%3) + 1 // a record holds one change or several
		data := fmt.Appendf(nil, "record %d", i)
		must(t, a.Commit(t.Context(), head, store.Entry{Last: last, Record: data}))
		head = last
		want = append(want, store.Record{Last: last, Data: data})
		got, err := a.Head(t.Context())
		must(t, err)
		if got != head {
			t.Fatalf("head is %d, want %d", got, head)
		}
	}
	for i := range want {
		var after mail.ModSeq
		if i > 0 {
			after = want[i-1].Last
		}
		got, err := records(t.Context(), s.Account(1), after)
		must(t, err)
		wantEqual(t, fmt.Sprintf("since %d", after), got, want[i:], equalRecords)
	}
	for _, after := range []mail.ModSeq{head, head + 1, mail.MaxModSeq} {
		got, err := records(t.Context(), a, after)
		must(t, err)
		wantEqual(t, fmt.Sprintf("since %d", after), got, nil, equalRecords)
	}
	// An empty record is a record.
	must(t, a.Commit(t.Context(), head, store.Entry{Last: head + 1}))
	got, err := records(t.Context(), a, head)
	must(t, err)
	wantEqual(t, "empty record", got, []store.Record{{Last: head + 1}}, equalRecords)
}

func testLogStale(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	wantErr(t, "commit above an empty log", a.Commit(ctx, 1, store.Entry{Last: 2}), store.ErrStale)
	append1(t, a, 0, "one")
	must(t, a.Commit(ctx, 1, store.Entry{Last: 5, Record: []byte("two to five")}))
	ref := put(t, s, []byte("body"))
	for _, after := range []mail.ModSeq{0, 1, 2, 4, 6, 100} {
		err := a.Commit(ctx, after, store.Entry{
			Last: after + 10, Record: []byte("stale"), Take: []mail.BodyRef{ref},
			Summaries: []store.Summary{{ID: 1, Data: []byte("stale")}},
		})
		wantErr(t, fmt.Sprintf("commit after %d", after), err, store.ErrStale)
	}
	got, err := records(ctx, a, 0)
	must(t, err)
	wantEqual(t, "log after stale commits", got, []store.Record{
		{Last: 1, Data: []byte("one")}, {Last: 5, Data: []byte("two to five")}}, equalRecords)
	// Nothing of a refused entry is there.
	refs, err := collect(a.Marked(ctx))
	must(t, err)
	wantEqual(t, "marks", refs, nil, same)
	must(t, a.Summaries(ctx, []mail.MessageID{1}, func(int, []byte) error {
		t.Error("a refused entry left a summary")
		return nil
	}))
}

func testLogInvalid(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	wantKind(t, "an entry that does not move on", a.Commit(ctx, 0, store.Entry{Last: 0}), mail.Invalid)
	append1(t, a, 0, "one")
	append1(t, a, 1, "two")
	wantKind(t, "an entry that goes back", a.Commit(ctx, 2, store.Entry{Last: 1}), mail.Invalid)
}

func testLogSlices(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	record, summary := []byte("record"), []byte("summary")
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Record: record, Summaries: []store.Summary{{ID: 9, Data: summary}}}))
	head, page := []byte("head"), []byte("page")
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 3, Now: 1, Head: head,
		Put: []store.Page{{PageKey: store.PageKey{Kind: 1, Low: 1}, Data: page}}}}}))
	for _, b := range [][]byte{record, summary, head, page} {
		for i := range b {
			b[i] = 'X'
		}
	}
	got, err := records(ctx, a, 0)
	must(t, err)
	wantEqual(t, "record", got, []store.Record{{Last: 1, Data: []byte("record")}}, equalRecords)
	must(t, a.Summaries(ctx, []mail.MessageID{9}, func(_ int, data []byte) error {
		if string(data) != "summary" {
			t.Errorf("summary is %q", data)
		}
		return nil
	}))
	st := loadScope(t, a, 3, 1)
	if st.head != "head" || st.pages[1] != "page" {
		t.Errorf("pages are %+v", st)
	}
}

func testLogMiddle(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	must(t, a.Commit(ctx, 0, store.Entry{Last: 10, Record: []byte("1 to 10")}))
	must(t, a.Commit(ctx, 10, store.Entry{Last: 20, Record: []byte("11 to 20")}))
	got, err := records(ctx, a, 5)
	must(t, err)
	wantEqual(t, "since 5", got, []store.Record{{Last: 10, Data: []byte("1 to 10")}, {Last: 20, Data: []byte("11 to 20")}}, equalRecords)
}

func testLogForget(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	for i := range mail.ModSeq(10) { // records end at 10, 20, ... 100
		must(t, a.Commit(ctx, i*10, store.Entry{Last: i*10 + 10, Record: fmt.Append(nil, i)}))
	}
	first := func(after mail.ModSeq) mail.ModSeq {
		t.Helper()
		got, err := records(ctx, a, after)
		must(t, err)
		return got[0].Last
	}
	must(t, a.Save(ctx, store.Save{Forget: 35})) // up to 30, for 40 is above 35
	for _, after := range []mail.ModSeq{0, 9, 10, 29} {
		_, err := records(ctx, a, after)
		wantErr(t, fmt.Sprintf("since %d", after), err, store.ErrForgotten)
	}
	if last := first(30); last != 40 {
		t.Errorf("since 30 begins with %d", last)
	}
	if last := first(35); last != 40 {
		t.Errorf("since 35 begins with %d", last)
	}
	must(t, a.Save(ctx, store.Save{Forget: 10})) // never falls
	_, err := records(ctx, a, 20)
	wantErr(t, "since 20", err, store.ErrForgotten)
	must(t, a.Save(ctx, store.Save{})) // nothing
	if last := first(30); last != 40 {
		t.Errorf("since 30 begins with %d", last)
	}
	// In one transaction with the pages: a stale save forgets nothing.
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 50, Head: []byte("h")}}, Forget: 50}))
	err = a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 1, Now: 90, Head: []byte("h")}}, Forget: 90})
	wantErr(t, "save at a wrong Was", err, store.ErrStale)
	if last := first(50); last != 60 {
		t.Errorf("since 50 begins with %d", last)
	}
	head, err := a.Head(ctx)
	must(t, err)
	if head != 100 {
		t.Errorf("head is %d, want 100", head)
	}
}

func testLogForgetAll(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	append1(t, a, 0, "one")
	must(t, a.Commit(ctx, 1, store.Entry{Last: 4, Record: []byte("two")}))
	must(t, a.Save(ctx, store.Save{Forget: mail.MaxModSeq}))
	head, err := a.Head(ctx)
	must(t, err)
	if head != 4 {
		t.Errorf("head is %d after forgetting, want 4", head)
	}
	got, err := records(ctx, a, 4)
	must(t, err)
	wantEqual(t, "since the head", got, nil, equalRecords)
	_, err = records(ctx, a, 3)
	wantErr(t, "since 3", err, store.ErrForgotten)
	wantErr(t, "a stale commit", a.Commit(ctx, 1, store.Entry{Last: 2}), store.ErrStale)
	append1(t, a, 4, "five")
	got, err = records(ctx, a, 4)
	must(t, err)
	wantEqual(t, "since 4", got, []store.Record{{Last: 5, Data: []byte("five")}}, equalRecords)
	ids, err := collect(s.Accounts(ctx))
	must(t, err)
	wantEqual(t, "accounts", ids, []mail.AccountID{1}, same)
}

func testLogLarge(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	data := noise(1, 1<<20)
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Record: data}))
	append1(t, a, 1, "small")
	got, err := records(ctx, a, 0)
	must(t, err)
	wantEqual(t, "log", got, []store.Record{{Last: 1, Data: data}, {Last: 2, Data: []byte("small")}}, equalRecords)
}

func testLogApart(t *testing.T, s store.Store) {
	ctx := t.Context()
	ids := []mail.AccountID{1, 2, 255, 256, 1 << 32, 1<<64 - 1}
	for _, id := range ids {
		must(t, s.Account(id).Commit(ctx, 0, store.Entry{Last: 1, Record: fmt.Append(nil, id),
			Summaries: []store.Summary{{ID: 1, Data: fmt.Append(nil, id)}}}))
	}
	for _, id := range ids {
		got, err := records(ctx, s.Account(id), 0)
		must(t, err)
		wantEqual(t, "log", got, []store.Record{{Last: 1, Data: fmt.Append(nil, id)}}, equalRecords)
		must(t, s.Account(id).Summaries(ctx, []mail.MessageID{1}, func(_ int, data []byte) error {
			if !bytes.Equal(data, fmt.Append(nil, id)) {
				t.Errorf("account %d has the summary of %s", id, data)
			}
			return nil
		}))
	}
	got, err := collect(s.Accounts(ctx))
	must(t, err)
	wantEqual(t, "accounts", got, ids, same)
}

func testLogCanceled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := s.Account(1)
	wantKind(t, "Commit", a.Commit(ctx, 0, store.Entry{Last: 1}), mail.Canceled)
	_, err := a.Head(ctx)
	wantKind(t, "Head", err, mail.Canceled)
	_, err = records(ctx, a, 0)
	wantKind(t, "Since", err, mail.Canceled)
	_, err = collect(s.Accounts(ctx))
	wantKind(t, "Accounts", err, mail.Canceled)
	_, _, err = s.Bodies().Put(ctx, bytes.NewReader(nil))
	wantKind(t, "Put", err, mail.Canceled)
	head, err := a.Head(t.Context())
	must(t, err)
	if head != 0 {
		t.Errorf("a canceled commit was made")
	}
}

func testLogStop(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	for i := range mail.ModSeq(5) {
		append1(t, a, i, "record")
	}
	n := 0
	for _, err := range a.Since(ctx, 0) {
		must(t, err)
		if n++; n == 2 {
			break
		}
	}
	// An iteration may be used again from its beginning.
	seq := a.Since(ctx, 0)
	for range 2 {
		n = 0
		for _, err := range seq {
			must(t, err)
			n++
		}
		if n != 5 {
			t.Errorf("the iteration gave %d records, want 5", n)
		}
	}
}

func testLogNested(t *testing.T, s store.Store) {
	a, ctx := s.Account(1), t.Context()
	append1(t, a, 0, "one")
	append1(t, a, 1, "two")
	for r, err := range a.Since(ctx, 0) {
		must(t, err)
		head, err := a.Head(ctx)
		must(t, err)
		if r.Last <= 2 { // what is appended meanwhile may be given or not
			append1(t, a, head, "more")
		}
		if head > 10 {
			t.Fatal("the iteration does not end")
		}
	}
}

func testGrew(t *testing.T, s store.Store) {
	ch := s.Account(1).Grew()
	if ch == nil || s.Account(1).Grew() != ch {
		t.Fatal("handles of an account do not share one channel")
	}
	append1(t, s.Account(1), 0, "one")
	select {
	case _, open := <-ch:
		if !open {
			t.Error("the channel is closed")
		}
	default: // on one node, no signal for one's own commit
	}
}

func testDestroy(t *testing.T, s store.Store) {
	a, other, ctx := s.Account(1), s.Account(2), t.Context()
	shared, own := put(t, s, []byte("shared")), put(t, s, noise(3, 300<<10))
	must(t, a.Commit(ctx, 0, store.Entry{Last: 1, Record: []byte("r"), Take: []mail.BodyRef{shared, own},
		Summaries: []store.Summary{{ID: 1, Data: []byte("s")}}}))
	must(t, other.Commit(ctx, 0, store.Entry{Last: 1, Take: []mail.BodyRef{shared},
		Summaries: []store.Summary{{ID: 1, Data: []byte("other")}}}))
	must(t, a.Save(ctx, store.Save{Scopes: []store.ScopeSave{{Scope: 0, Now: 1, Head: []byte("h"),
		Put: []store.Page{{PageKey: store.PageKey{Kind: 1}, Data: []byte("p")}}}}, Forget: 1}))
	for range 2 { // again is harmless
		must(t, a.Destroy(ctx))
	}
	head, err := a.Head(ctx)
	must(t, err)
	if head != 0 {
		t.Errorf("head is %d after Destroy", head)
	}
	must(t, a.Heads(ctx, func(h store.Head) error {
		t.Errorf("head page %+v after Destroy", h)
		return nil
	}))
	summaries, err := collect(a.SummaryIDs(ctx))
	must(t, err)
	wantEqual(t, "summaries", summaries, nil, same)
	marks, err := collect(a.Marked(ctx))
	must(t, err)
	wantEqual(t, "marks", marks, nil, same)
	ids, err := collect(s.Accounts(ctx))
	must(t, err)
	wantEqual(t, "accounts", ids, []mail.AccountID{2}, same)
	if sw := swept(t, s); sw != (store.Swept{Bodies: 1, Bytes: 300 << 10}) {
		t.Errorf("swept %+v, want the one body", sw)
	}
	data, err := read(ctx, s, shared)
	must(t, err)
	if string(data) != "shared" {
		t.Errorf("the other account's body is %q", data)
	}
	// The account can begin anew.
	append1(t, a, 0, "anew")
	got, err := records(ctx, a, 0)
	must(t, err)
	wantEqual(t, "log", got, []store.Record{{Last: 1, Data: []byte("anew")}}, equalRecords)
}
