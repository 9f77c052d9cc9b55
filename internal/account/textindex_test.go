package account

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// segment stores what stands for a segment, about a range of messages.
func (w *world) segment(low, high mail.MessageID) mail.IndexSegment {
	w.t.Helper()
	ref, size, err := w.pool.PutSegment(context.Background(), strings.NewReader(fmt.Sprintf("about %d to %d", low, high)))
	if err != nil {
		w.t.Fatal(err)
	}
	return mail.IndexSegment{Body: ref, Low: low, High: high, Messages: uint32(high - low), Octets: uint64(size)}
}

// index makes an account's whole index one segment.
func (w *world) index(a *Account, low, high mail.MessageID) {
	w.t.Helper()
	var out []mail.BodyRef
	for _, s := range a.Index() {
		out = append(out, s.Body)
	}
	if err := a.ReplaceIndex(context.Background(), out, []mail.IndexSegment{w.segment(low, high)}); err != nil {
		w.t.Fatal(err)
	}
}

// TestReplaceIndex changes the list of segments and finds it as it was left after a
// restart, from the log and from pages; what is taken out goes, and nobody's figures change.
func TestReplaceIndex(t *testing.T) {
	for _, saved := range []bool{false, true} {
		w := newWorld(t)
		a := w.open()
		inbox := box(t, a, "INBOX")
		w.fill(inbox, 10)
		before, used := inbox.Info(), a.model.used
		one, two := w.segment(1, 4), w.segment(4, 11)
		if err := a.ReplaceIndex(t.Context(), nil, []mail.IndexSegment{two, one}); err != nil {
			t.Fatal(err)
		}
		if got := a.Index(); !slices.Equal(got, []mail.IndexSegment{one, two}) {
			t.Errorf("%+v", got)
		}
		both := w.segment(1, 11)
		if err := a.ReplaceIndex(t.Context(), []mail.BodyRef{one.Body, two.Body}, []mail.IndexSegment{both}); err != nil {
			t.Fatal(err)
		}
		if after := inbox.Info(); after != before || a.model.used != used {
			t.Errorf("%+v, %+v used; before %+v, %+v", after, a.model.used, before, used)
		}
		if saved {
			w.pool.forgetAll = true
			saveNow(t, a)
		}
		w.restart()
		a = w.open()
		if got := a.Index(); !slices.Equal(got, []mail.IndexSegment{both}) {
			t.Errorf("saved %v: after a restart %+v", saved, got)
		}
		w.mem.EndLeases()
		if _, err := w.mem.Bodies().Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for s, want := range map[mail.IndexSegment]mail.Kind{one: mail.NotFound, two: mail.NotFound, both: 0} {
			b, err := w.pool.OpenSegment(t.Context(), s.Body)
			if (err != nil) != (want != 0) || err != nil && mail.KindOf(err) != want {
				t.Errorf("%+v: %v", s, err)
			}
			if err == nil {
				b.Close()
			}
		}
		// It goes with the account: the world's check finds no body left.
		if err := w.pool.Destroy(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplaceIndexRefuses leaves the list alone where somebody was faster, or it would contradict itself.
func TestReplaceIndexRefuses(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	w.fill(box(t, a, "INBOX"), 10)
	w.index(a, 3, 6)
	before := a.Index()
	for _, tt := range []struct {
		what string
		out  []mail.BodyRef
		in   mail.IndexSegment
		want mail.Kind
	}{
		{"over another", nil, w.segment(5, 8), mail.Invalid},
		{"the same once more", nil, w.segment(3, 6), mail.Invalid},
		{"about messages that are still to come", nil, w.segment(6, 12), mail.Invalid},
		{"about nothing", nil, mail.IndexSegment{Body: w.segment(6, 7).Body, Low: 6, High: 6}, mail.Invalid},
		{"in place of one that is not there", []mail.BodyRef{{1}}, w.segment(6, 8), mail.NotFound},
	} {
		err := a.ReplaceIndex(t.Context(), tt.out, []mail.IndexSegment{tt.in})
		if err == nil || mail.KindOf(err) != tt.want || !slices.Equal(a.Index(), before) {
			t.Errorf("%s: %v, and the index is %+v", tt.what, err, a.Index())
		}
		w.pool.AbandonSegment(t.Context(), tt.in.Body)
	}
	gone := w.segment(6, 7)
	w.pool.AbandonSegment(t.Context(), gone.Body)
	if _, err := w.mem.Bodies().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.ReplaceIndex(t.Context(), nil, []mail.IndexSegment{gone}); err == nil || !errors.Is(err, store.ErrLease) {
		t.Errorf("a segment that was swept: %v", err)
	}
}

// TestBehind names the accounts that lack enough of their index, and holds none of them.
func TestBehind(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	w.fill(box(t, a, "INBOX"), 10)
	behind := func(least int, want bool) {
		t.Helper()
		if got := w.pool.Behind(least); (len(got) == 1) != want {
			t.Errorf("behind by %d: %v", least, got)
		}
	}
	behind(10, true)
	behind(11, false)
	w.index(a, 1, 8)
	behind(3, true)
	behind(4, false)
	w.index(a, 2, 11) // the first is missing between others
	behind(1000, true)
	a.Release()
}

// TestAttend comes to accounts in memory and to no others: one that was removed stays so.
func TestAttend(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	w.fill(box(t, a, "INBOX"), 1)
	a.Release()
	came := 0
	attend := func() {
		t.Helper()
		err := w.pool.Attend(t.Context(), 7, func(a *Account) error {
			came++
			if a.NextMessage() != 2 {
				t.Errorf("the next message is %d", a.NextMessage())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	attend()
	if err := w.pool.Destroy(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	attend()
	if came != 1 {
		t.Errorf("it came %d times", came)
	}
	for id := range w.mem.Accounts(t.Context()) {
		t.Errorf("account %d is there", id)
	}
}

// TestCheckFindsDamagedIndex finds segments that are damaged or may go, which harms no mail.
func TestCheckFindsDamagedIndex(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	w.fill(box(t, a, "INBOX"), 3)
	w.index(a, 1, 4)
	ref := a.Index()[0].Body
	for what, s := range map[string]store.Store{
		"cannot be read":        &lostBody{w.mem, ref},
		"does not bear the acc": &lostMark{w.mem, ref},
	} {
		var found []Problem
		if err := Check(t.Context(), s, func(p Problem) { found = append(found, p) }); err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].Harm != HarmIndex || !strings.Contains(found[0].Text, what) {
			t.Errorf("%s: found %+v", what, found)
		}
	}
}

// lostBody is a store without one of its bodies.
type lostBody struct {
	store.Store
	ref mail.BodyRef
}

func (l *lostBody) Bodies() store.Bodies { return lostBodies{l.Store.Bodies(), l.ref} }

type lostBodies struct {
	store.Bodies
	ref mail.BodyRef
}

func (l lostBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	if ref == l.ref {
		return nil, mail.Errorf(mail.NotFound, "there is no body %s", ref)
	}
	return l.Bodies.Open(ctx, ref)
}

// lostMark is a store in which one body does not bear its account's mark.
type lostMark struct {
	store.Store
	ref mail.BodyRef
}

func (l *lostMark) Account(id mail.AccountID) store.Account {
	return lostMarkAccount{l.Store.Account(id), l.ref}
}

type lostMarkAccount struct {
	store.Account
	ref mail.BodyRef
}

func (l lostMarkAccount) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return func(yield func(mail.BodyRef, error) bool) {
		for ref, err := range l.Account.Marked(ctx) {
			if ref != l.ref && !yield(ref, err) {
				return
			}
		}
	}
}
