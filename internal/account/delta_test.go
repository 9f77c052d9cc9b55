package account

import (
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// TestDeltaFromRingAndRowsIsTheSame makes random changes to one mailbox and asks
// at random cursors, once with a ring that reaches back and once with one that
// does not.
func TestDeltaFromRingAndRowsIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flags := newFlagTable()
		m := &mailbox{id: 1, rows: &table{}, gone: &table{expunge: true}}
		m.claimed, m.counts.UIDNext = 1, 1
		type moment struct {
			at   mail.ModSeq
			told mail.UIDSet
		}
		moments := []moment{{}}
		change := func(e mail.Event) {
			m.highest++
			m.applyRows(&mail.Change{ModSeq: m.highest, Mailbox: 1, Event: e}, flags)
			moments = append(moments, moment{m.highest, m.rows.set()})
		}
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			there := m.rows.set()
			some := func() mail.UIDSet {
				first := mail.UID(rapid.IntRange(1, int(there.Max())).Draw(t, "first"))
				return there.Intersect(mail.UIDSet{{First: first, Last: first + mail.UID(rapid.IntRange(0, 5).Draw(t, "more"))}})
			}
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what == 0 || there.Empty():
				var e mail.MessagesAdded
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					e.Messages = append(e.Messages, mail.Message{UID: m.counts.UIDNext, ID: mail.MessageID(m.counts.UIDNext)})
					m.counts.UIDNext++
				}
				change(e)
			case what == 1:
				if uids := some(); !uids.Empty() {
					change(mail.MessagesExpunged{UIDs: uids, At: 1})
				}
			default:
				if uids := some(); !uids.Empty() {
					change(mail.FlagsChanged{Op: mail.SetFlags, Flags: mail.NewFlags(mail.SystemFlags(what)), UIDs: uids})
				}
			}
		}
		for _, then := range moments {
			fromRing := m.delta(then.at, then.told)
			lost := *m
			lost.ring.start = m.highest // as after a reload
			lost.ring.changes = nil
			fromRows := lost.delta(then.at, then.told)
			if !same(fromRing, fromRows) {
				t.Fatalf("since %d with %v told: ring %+v, rows %+v", then.at, then.told, fromRing, fromRows)
			}
			now := m.rows.set()
			if got := then.told.Subtract(fromRing.Expunged).Union(fromRing.Added); !got.Equal(now) {
				t.Fatalf("since %d: %v and %+v make %v, want %v", then.at, then.told, fromRing, got, now)
			}
		}
	})
}

func same(a, b mail.Delta) bool {
	return a.At == b.At && a.Added.Equal(b.Added) && a.Expunged.Equal(b.Expunged) && a.Changed.Equal(b.Changed) && a.Gone == b.Gone
}

func TestRingIsBounded(t *testing.T) {
	var r ring
	for at := mail.ModSeq(1); at <= 5*ringChanges; at++ {
		r.note(change{at, changeFlags, set(mail.UID(at))})
		if len(r.changes) > ringChanges || cap(r.changes) > 4*ringChanges || r.runs != len(r.changes) {
			t.Fatalf("%d changes, %d runs, room for %d", len(r.changes), r.runs, cap(r.changes))
		}
		if got, ok := r.since(at - 1); !ok || len(got) != 1 {
			t.Fatalf("the change just made is not in the ring")
		}
		if got, ok := r.since(r.start); !ok || len(got) != len(r.changes) {
			t.Fatalf("%d changes since its start, %v", len(got), ok)
		}
	}
	if _, ok := r.since(r.start - 1); ok || r.start < 4*ringChanges {
		t.Errorf("it claims to reach back to %d", r.start)
	}
	var scattered mail.UIDSet
	for uid := mail.UID(1); uid < 3*ringRuns; uid += 2 {
		scattered = scattered.Append(uid)
	}
	r.note(change{9999, changeFlags, scattered})
	if r.runs != 0 || len(r.changes) != 0 || r.start != 9999 {
		t.Errorf("%d runs in %d changes from %d", r.runs, len(r.changes), r.start)
	}
}
