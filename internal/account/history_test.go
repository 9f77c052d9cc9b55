package account

import (
	"math/rand/v2"
	"testing"
	"time"

	"postern/internal/mail"
)

// TestVanishedSince compares what a mailbox says is gone with a plain list of
// when each message went: exactly that while it remembers, and everything that is
// not there where it has forgotten, never less.
func TestVanishedSince(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		a := w.open()
		inbox := box(t, a, "INBOX")
		s := sel(t, inbox)
		went := map[mail.UID]mail.ModSeq{} // expunged by which change
		var when []time.Time               // expunges, in order
		var by []mail.ModSeq
		forgotten := mail.ModSeq(0)
		next := mail.UID(1)
		for range 60 {
			switch k := rnd.IntN(10); {
			case k < 4:
				n := 1 + rnd.IntN(4)
				w.fill(inbox, n)
				next += mail.UID(n)
			case k < 7:
				first := mail.UID(1 + rnd.IntN(int(next)))
				uids := mail.UIDSet{{First: first, Last: first + mail.UID(rnd.IntN(3))}}
				_, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: uids, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)})
				if err != nil {
					t.Fatal(err)
				}
				gone, err := s.Expunge(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !gone.Empty() {
					at := s.Info().HighestModSeq
					for uid := range gone.All() {
						went[uid] = at
					}
					when, by = append(when, w.clock.Now()), append(by, at)
				}
			case k < 8:
				w.housekeep(time.Duration(rnd.IntN(16)) * time.Hour)
				for i := range when {
					if !when[i].After(w.clock.Now().Add(-24 * time.Hour)) {
						forgotten = by[i]
					}
				}
			case k < 9:
				s.Close()
				a.Release()
				w.restart() // what was forgotten is remembered to be
				a = w.open()
				inbox = box(t, a, "INBOX")
				s = sel(t, inbox)
			}
			there := s.Start().UIDs
			if d := s.Delta(s.Start().At, there); true {
				there = there.Subtract(d.Expunged).Union(d.Added)
			}
			since := mail.ModSeq(rnd.IntN(int(s.Info().HighestModSeq) + 2))
			first := mail.UID(1 + rnd.IntN(int(next)))
			known := mail.UIDSet{{First: first, Last: first + mail.UID(rnd.IntN(40))}}
			var want mail.UIDSet
			for uid := mail.UID(1); uid < next; uid++ {
				exact := went[uid] > since
				lost := since < forgotten && !there.Contains(uid)
				if known.Contains(uid) && (exact || lost) && since < s.Info().HighestModSeq {
					want = want.Append(uid)
				}
			}
			if got := s.VanishedSince(known, since); !got.Equal(want) {
				t.Fatalf("seed %d: of %v since %d (forgotten up to %d) vanished %v, want %v", seed, known, since, forgotten, got, want)
			}
		}
		s.Close()
		a.Release()
	}
}

// TestChangedSince asks for rows above a ModSeq, those of expunged messages among
// them.
func TestChangedSince(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 5)
	s := sel(t, inbox)
	before := s.Info().HighestModSeq
	flag := func(uids mail.UIDSet) {
		t.Helper()
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: uids, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Flagged)}); err != nil {
			t.Fatal(err)
		}
	}
	flag(set(2, 4))
	expungeAll(t, s, set(4))
	if got := s.ChangedSince(span(1, 9), before); !got.Equal(set(2, 4)) {
		t.Errorf("changed: %v", got)
	}
	if got := s.ChangedSince(span(3, 9), before); !got.Equal(set(4)) {
		t.Errorf("changed of 3 to 9: %v", got)
	}
	if got := s.ChangedSince(span(1, 9), s.Info().HighestModSeq); !got.Empty() {
		t.Errorf("changed since now: %v", got)
	}
}

// TestStoreUnlessPresent is UNCHANGEDSINCE 0 (RFC 7162 3.1.3, example 8): it sets
// a keyword where it is not there, and a system flag never.
func TestStoreUnlessPresent(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 2)
	s := sel(t, inbox)
	none := mail.ModSeq(0)
	try := func(op mail.FlagOp, flags mail.Flags, changed, modified mail.UIDSet) {
		t.Helper()
		got, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: span(1, 2), Op: op, Flags: flags, UnchangedSince: &none})
		if err != nil {
			t.Fatal(err)
		}
		if !got.Changed.Equal(changed) || !got.Modified.Equal(modified) {
			t.Errorf("%v: changed %v and not %v, want %v and %v", flags, got.Changed, got.Modified, changed, modified)
		}
	}
	sent := mail.NewFlags(0, "$MDNSent")
	try(mail.AddFlags, sent, span(1, 2), nil)
	try(mail.AddFlags, sent, nil, span(1, 2))
	try(mail.AddFlags, mail.NewFlags(0, "$mdnsent", "Other"), nil, span(1, 2))
	try(mail.AddFlags, mail.NewFlags(mail.Seen, "Other"), nil, span(1, 2))
	try(mail.SetFlags, mail.NewFlags(0, "Other"), nil, span(1, 2))
	try(mail.RemoveFlags, mail.NewFlags(0, "Other"), nil, nil)
}
