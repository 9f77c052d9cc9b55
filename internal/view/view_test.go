package view

import (
	"slices"
	"testing"
	"time"

	"postern/internal/mail"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func set(uids ...mail.UID) mail.UIDSet { return mail.NewUIDSet(uids...) }

func span(first, last mail.UID) mail.UIDSet { return mail.UIDSet{{First: first, Last: last}} }

// unasked is for Tellings in which no message's flags are known to the client.
func unasked(t *testing.T) func(mail.UID) mail.ModSeq {
	return func(u mail.UID) mail.ModSeq {
		t.Errorf("asked for the ModSeq of %d", u)
		return 0
	}
}

func changes(t *Telling, at func(mail.UID) mail.ModSeq) (seqs []uint32, uids []mail.UID) {
	for seq, uid := range t.Changes(at) {
		seqs, uids = append(seqs, seq), append(uids, uid)
	}
	return seqs, uids
}

func TestNumbersAndUIDs(t *testing.T) {
	v := New(mail.UIDSet{{First: 3, Last: 5}, {First: 9, Last: 9}, {First: 20, Last: 21}}, 7)
	want := []mail.UID{3, 4, 5, 9, 20, 21}
	if v.Len() != 6 {
		t.Fatalf("Len %d, want 6", v.Len())
	}
	for i, u := range want {
		seq := uint32(i + 1)
		if got, ok := v.UID(seq); !ok || got != u {
			t.Errorf("UID(%d) = %d, %t, want %d", seq, got, ok, u)
		}
		if got, ok := v.Seq(u); !ok || got != seq {
			t.Errorf("Seq(%d) = %d, %t, want %d", u, got, ok, seq)
		}
	}
	for _, seq := range []uint32{0, 7, 1 << 31} {
		if u, ok := v.UID(seq); ok {
			t.Errorf("UID(%d) = %d, want none", seq, u)
		}
	}
	for _, u := range []mail.UID{0, 1, 2, 6, 8, 10, 19, 22, 1<<32 - 1} {
		if seq, ok := v.Seq(u); ok {
			t.Errorf("Seq(%d) = %d, want none", u, seq)
		}
	}
}

// The five messages at the end of nine are RFC 9051 7.5.1's example of a server
// that goes from higher numbers to lower ones.
func TestExpungesDescend(t *testing.T) {
	v := New(span(1, 9), 1)
	v.Advance(mail.Delta{At: 2, Expunged: span(5, 9)}, noon)
	telling := v.Tell(true)
	if got, want := slices.Collect(telling.Expunges()), []uint32{9, 8, 7, 6, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if telling.NewExists || telling.Exists != 4 {
		t.Errorf("NewExists %t Exists %d: EXPUNGE has said that already", telling.NewExists, telling.Exists)
	}
	if !telling.Vanished.Equal(span(5, 9)) {
		t.Errorf("Vanished %s", telling.Vanished)
	}
}

func TestHeldExpungeKeepsItsNumber(t *testing.T) {
	v := New(span(11, 15), 10)
	v.Advance(mail.Delta{At: 12, Expunged: set(12)}, noon)
	v.Advance(mail.Delta{At: 13, Added: span(16, 17)}, noon.Add(time.Hour))
	telling := v.Tell(false)
	if n := len(slices.Collect(telling.Expunges())); n != 0 || !telling.Vanished.Empty() {
		t.Errorf("%d expunges told, want none", n)
	}
	if !telling.NewExists || telling.Exists != 7 {
		t.Errorf("EXISTS %d (new %t), want 7: it never falls but by EXPUNGE", telling.Exists, telling.NewExists)
	}
	if u, _ := v.UID(3); u != 13 {
		t.Errorf("message 3 is UID %d, want 13", u)
	}
	if got, err := v.Resolve(numbers(1, mail.Star), false); err != nil || !got.Equal(span(11, 17)) {
		t.Errorf("1:* is %s (%v), want 11:17", got, err)
	}
	if !v.Held().Equal(set(12)) || !v.HeldSince().Equal(noon) {
		t.Errorf("held %s since %s", v.Held(), v.HeldSince())
	}
	// RFC 7162 3.2: lower than the expunge's, which is above 10.
	if telling.Highest != 10 || v.Highest() != 10 || v.Cursor() != 13 {
		t.Errorf("highest %d, cursor %d, want 10 and 13", telling.Highest, v.Cursor())
	}
	telling = v.Tell(true)
	if got := slices.Collect(telling.Expunges()); !slices.Equal(got, []uint32{2}) {
		t.Errorf("expunges %v, want 2", got)
	}
	if telling.Highest != 13 || !v.HeldSince().IsZero() || v.Len() != 6 {
		t.Errorf("highest %d, held since %s, len %d", telling.Highest, v.HeldSince(), v.Len())
	}
	if u, _ := v.UID(2); u != 13 {
		t.Errorf("message 2 is UID %d, want 13", u)
	}
	if again := v.Tell(true); !again.Empty() {
		t.Error("told twice")
	}
}

func TestHighestRisesToBeforeTheHeldExpunge(t *testing.T) {
	v := New(span(1, 3), 5)
	v.Advance(mail.Delta{At: 8, Changed: set(1)}, noon)
	v.Advance(mail.Delta{At: 9, Expunged: set(2)}, noon)
	if v.Highest() != 5 {
		t.Errorf("highest %d before anything is told, want 5", v.Highest())
	}
	if telling := v.Tell(false); telling.Highest != 8 {
		t.Errorf("highest %d, want 8: the change is told, the expunge at 9 is not", telling.Highest)
	}
	v.Advance(mail.Delta{At: 20, Expunged: set(3)}, noon.Add(time.Hour))
	if telling := v.Tell(false); telling.Highest != 8 || !v.HeldSince().Equal(noon) {
		t.Errorf("highest %d since %s, want 8 since %s", telling.Highest, v.HeldSince(), noon)
	}
	if telling := v.Tell(true); telling.Highest != 20 {
		t.Errorf("highest %d, want 20", telling.Highest)
	}
}

func TestCameAndWentBetweenTellings(t *testing.T) {
	v := New(span(1, 2), 1)
	v.Advance(mail.Delta{At: 2, Added: span(3, 5)}, noon)
	v.AddRecent(span(3, 5))
	v.Advance(mail.Delta{At: 3, Expunged: set(4), Changed: set(5)}, noon)
	telling := v.Tell(false)
	if telling.Exists != 4 || telling.Recent != 2 || !v.Held().Empty() || telling.Highest != 3 {
		t.Errorf("exists %d recent %d held %s highest %d", telling.Exists, telling.Recent, v.Held(), telling.Highest)
	}
	if seqs, _ := changes(&telling, unasked(t)); len(seqs) != 0 {
		t.Errorf("FETCH %v of a message the client has just been told of", seqs)
	}
	if u, _ := v.UID(4); u != 5 {
		t.Errorf("message 4 is UID %d, want 5", u)
	}
}

func TestChangesAreToldUnderTheNewNumbers(t *testing.T) {
	v := New(span(1, 5), 1)
	v.Advance(mail.Delta{At: 4, Expunged: set(2), Changed: set(1, 4, 5)}, noon)
	telling := v.Tell(true)
	seqs, uids := changes(&telling, unasked(t))
	if !slices.Equal(seqs, []uint32{1, 3, 4}) || !slices.Equal(uids, []mail.UID{1, 4, 5}) {
		t.Errorf("got %v %v", seqs, uids)
	}
}

func TestChangeOfMessageThenExpungedIsNotTold(t *testing.T) {
	v := New(span(1, 3), 1)
	v.Advance(mail.Delta{At: 2, Changed: set(2)}, noon)
	v.Advance(mail.Delta{At: 3, Expunged: set(2)}, noon)
	telling := v.Tell(false)
	if seqs, _ := changes(&telling, unasked(t)); len(seqs) != 0 {
		t.Errorf("FETCH %v of an expunged message", seqs)
	}
}

func TestOwnChangesAreNotEchoed(t *testing.T) {
	const own, foreign = mail.ModSeq(6), mail.ModSeq(7)
	tests := []struct {
		name    string
		prepare func(v *View)
		rowAt   mail.ModSeq
		want    []uint32
	}{
		{"silent", func(v *View) { v.FlagsAssumed(set(2), own) }, own, nil},
		{"told", func(v *View) { v.FlagsTold(set(2), own) }, own, nil},
		{"silent, then another session", func(v *View) { v.FlagsAssumed(set(2), own) }, foreign, []uint32{2}},
		{"told, then another session", func(v *View) { v.FlagsTold(set(2), own) }, foreign, []uint32{2}},
		{"silent, on an untold change", func(v *View) {
			v.Advance(mail.Delta{At: 5, Changed: set(2)}, noon)
			v.FlagsAssumed(set(2), own)
		}, own, []uint32{2}},
		{"told, on an untold change", func(v *View) {
			v.Advance(mail.Delta{At: 5, Changed: set(2)}, noon)
			v.FlagsTold(set(2), own)
		}, own, nil},
		{"told, from before an untold change", func(v *View) {
			v.Advance(mail.Delta{At: 5, Changed: set(2)}, noon)
			v.FlagsTold(set(2), 4)
		}, 5, []uint32{2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := New(span(1, 3), 4)
			tt.prepare(v)
			v.Advance(mail.Delta{At: foreign, Changed: set(2)}, noon)
			telling := v.Tell(true)
			if seqs, _ := changes(&telling, func(mail.UID) mail.ModSeq { return tt.rowAt }); !slices.Equal(seqs, tt.want) {
				t.Errorf("FETCH %v, want %v", seqs, tt.want)
			}
			if len(v.known) != 0 {
				t.Errorf("%d notes kept that no Delta can need", len(v.known))
			}
		})
	}
}

func TestStoreOnHeldMessage(t *testing.T) {
	v := New(span(1, 3), 1)
	flags := mail.NewFlags(mail.Seen, "x")
	if v.SetFlags(2, flags) {
		t.Error("SetFlags on a message that is not held")
	}
	v.Advance(mail.Delta{At: 2, Expunged: set(2)}, noon)
	if !v.SetFlags(2, flags) {
		t.Fatal("SetFlags refused for a held message")
	}
	if got, ok := v.Flags(2); !ok || !got.Equal(flags) {
		t.Errorf("Flags %s %t", got, ok)
	}
	v.Tell(true)
	if _, ok := v.Flags(2); ok {
		t.Error("flags outlive the message")
	}
}

func TestSavedResultLosesWhatIsToldExpunged(t *testing.T) {
	v := New(span(1, 6), 1)
	v.Save(mail.UIDSet{{First: 2, Last: 4}, {First: 6, Last: 9}})
	dollar := mail.NumSet{Saved: true}
	resolved := func() mail.UIDSet {
		t.Helper()
		bySeq, err := v.Resolve(dollar, false)
		if err != nil {
			t.Fatal(err)
		}
		byUID, err := v.Resolve(dollar, true)
		if err != nil || !byUID.Equal(bySeq) {
			t.Fatalf("$ is %s by UID, %s by number (%v)", byUID, bySeq, err)
		}
		return byUID
	}
	if got := resolved(); !got.Equal(set(2, 3, 4, 6)) {
		t.Errorf("$ is %s", got)
	}
	v.Advance(mail.Delta{At: 2, Expunged: set(3)}, noon)
	v.Tell(false)
	if got := resolved(); !got.Equal(set(2, 3, 4, 6)) {
		t.Errorf("$ is %s before the expunge is told", got)
	}
	v.Tell(true)
	if got := resolved(); !got.Equal(set(2, 4, 6)) {
		t.Errorf("$ is %s after the expunge is told", got)
	}
	v.Save(nil)
	if got := resolved(); !got.Empty() {
		t.Errorf("$ is %s after it was reset", got)
	}
}

func TestRecent(t *testing.T) {
	v := New(span(1, 4), 1)
	v.AddRecent(set(3, 4, 99))
	if n := v.Recent().Len(); n != 2 || !v.IsRecent(3) || v.IsRecent(99) || v.IsRecent(1) {
		t.Errorf("recent %s", v.Recent())
	}
	if telling := v.Tell(true); telling.NewRecent || telling.Recent != 2 {
		t.Errorf("RECENT %d (new %t): SELECT has said so", telling.Recent, telling.NewRecent)
	}
	v.Advance(mail.Delta{At: 2, Added: set(5, 6)}, noon)
	v.AddRecent(set(6))
	if telling := v.Tell(true); !telling.NewRecent || telling.Recent != 3 {
		t.Errorf("RECENT %d (new %t), want 3", telling.Recent, telling.NewRecent)
	}
	v.Advance(mail.Delta{At: 3, Expunged: set(4)}, noon)
	if telling := v.Tell(false); telling.NewRecent || telling.Recent != 3 {
		t.Errorf("RECENT %d (new %t), want 3 while the message is held", telling.Recent, telling.NewRecent)
	}
	if telling := v.Tell(true); !telling.NewRecent || telling.Recent != 2 {
		t.Errorf("RECENT %d (new %t), want 2", telling.Recent, telling.NewRecent)
	}
}

func TestGone(t *testing.T) {
	v := New(span(1, 2), 1)
	v.Advance(mail.Delta{At: 2, Gone: true}, noon)
	if telling := v.Tell(false); !telling.Gone || telling.Empty() || !v.Gone() || v.Len() != 2 {
		t.Errorf("gone %t %t, len %d", telling.Gone, v.Gone(), v.Len())
	}
}

// A Delta found by comparing rows repeats what the view holds back, and one from
// a caller at fault may name what it must not.
func TestAdvanceTwiceIsOnce(t *testing.T) {
	v := New(span(2, 5), 1)
	d := mail.Delta{At: 3, Added: span(6, 7), Expunged: set(1, 3, 99), Changed: set(1, 4, 99)}
	v.Advance(d, noon)
	v.Advance(d, noon.Add(time.Hour))
	v.Advance(mail.Delta{At: 2, Added: set(1, 5, 8)}, noon)
	if v.Cursor() != 3 || !v.HeldSince().Equal(noon) || !v.UIDs().Equal(span(2, 8)) || v.MaxUID() != 8 {
		t.Errorf("cursor %d since %s UIDs %s", v.Cursor(), v.HeldSince(), v.UIDs())
	}
	telling := v.Tell(true)
	seqs, uids := changes(&telling, unasked(t))
	if telling.Exists != 6 || !telling.Vanished.Equal(set(3)) || !slices.Equal(seqs, []uint32{2}) || !slices.Equal(uids, []mail.UID{4}) {
		t.Errorf("exists %d vanished %s changes %v %v", telling.Exists, telling.Vanished, seqs, uids)
	}
}

func TestNumberedAndSeqs(t *testing.T) {
	v := New(mail.UIDSet{{First: 10, Last: 12}, {First: 20, Last: 22}, {First: 30, Last: 30}}, 1)
	asked := mail.UIDSet{{First: 1, Last: 10}, {First: 12, Last: 20}, {First: 22, Last: 25}, {First: 40, Last: 41}}
	var seqs []uint32
	var uids []mail.UID
	for seq, uid := range v.Numbered(asked) {
		seqs, uids = append(seqs, seq), append(uids, uid)
	}
	if !slices.Equal(seqs, []uint32{1, 3, 4, 6}) || !slices.Equal(uids, []mail.UID{10, 12, 20, 22}) {
		t.Errorf("got %v %v", seqs, uids)
	}
	got := v.AppendSeqs(nil, asked)
	if want := []mail.NumRange{{From: 1, To: 1}, {From: 3, To: 4}, {From: 6, To: 6}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for range v.Numbered(asked) {
		break // must not go on after the loop has ended
	}
}
