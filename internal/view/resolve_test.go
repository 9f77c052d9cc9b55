package view

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// numbers makes a set of pairs of ends.
func numbers(ends ...uint32) mail.NumSet {
	var s mail.NumSet
	for i := 0; i+1 < len(ends); i += 2 {
		s.Ranges = append(s.Ranges, mail.NumRange{From: ends[i], To: ends[i+1]})
	}
	return s
}

func TestResolve(t *testing.T) {
	const star, top = mail.Star, 1<<32 - 1
	gaps := mail.UIDSet{{First: 101, Last: 103}, {First: 110, Last: 110}, {First: 200, Last: 205}}
	tests := []struct {
		name  string
		uids  mail.UIDSet
		set   mail.NumSet
		byUID bool
		want  string
		bad   bool
	}{
		// RFC 9051 9, sequence-set: a mailbox with 15 messages.
		{"the RFC's first example", span(1, 15), numbers(2, 2, 4, 7, 9, 9, 12, star), false, "2,4:7,9,12:15", false},
		// RFC 9051 9, sequence-set: a mailbox with 10 messages.
		{"the RFC's second example", span(1, 10), numbers(star, 4, 5, 7), false, "4:10", false},
		{"4:2 is 2:4", span(1, 10), numbers(4, 2), false, "2:4", false},
		{"UID 3291:* includes the last message", span(1, 10), numbers(3291, star), true, "10", false},
		{"*:3291 too", span(1, 10), numbers(star, 3291), true, "10", false},
		{"number to UID over gaps", gaps, numbers(3, 5), false, "103,110,200", false},
		{"everything by number", gaps, numbers(1, star), false, "101:103,110,200:205", false},
		{"everything by UID", gaps, numbers(1, top), true, "101:103,110,200:205", false},
		{"star by number", gaps, numbers(star, star), false, "205", false},
		{"star by UID", gaps, numbers(star, star), true, "205", false},
		// RFC 9051 6.4.9: neither 443 nor 557 exist, and the range is valid.
		{"ends that do not exist", set(495), numbers(443, 557), true, "495", false},
		{"UIDs that do not exist", gaps, numbers(1, 100, 104, 109, 111, 199, 206, top), true, "", false},
		{"overlapping, unsorted", gaps, numbers(204, 205, 103, 110, 102, 104), true, "102:103,110,204:205", false},
		{"number above the last", gaps, numbers(11, 11), false, "", true},
		{"range that ends above the last", gaps, numbers(1, 11), false, "", true},
		{"range that begins above the last", gaps, numbers(11, star), false, "", true},
		{"highest number there can be", gaps, numbers(top, top), false, "", true},
		{"good and bad", gaps, numbers(1, 1, 11, 11), false, "", true},
		{"number in an empty mailbox", nil, numbers(1, 1), false, "", true},
		{"star by number in an empty mailbox", nil, numbers(star, star), false, "", true},
		{"1:* by number in an empty mailbox", nil, numbers(1, star), false, "", true},
		{"star by UID in an empty mailbox", nil, numbers(star, star), true, "", false},
		{"1:* by UID in an empty mailbox", nil, numbers(1, star), true, "", false},
		{"highest UID there can be", span(top, top), numbers(top, top), true, "4294967295", false},
		{"$ that was never saved", gaps, mail.NumSet{Saved: true}, false, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := New(tt.uids, 1).Resolve(tt.set, tt.byUID)
			if tt.bad {
				if mail.KindOf(err) != mail.Invalid || err == nil {
					t.Fatalf("got %s, error %v, want mail.Invalid", got, err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s, error %v, want %s", got, err, tt.want)
			}
		})
	}
}

// naiveResolve looks at every message of a small view.
func naiveResolve(uids []mail.UID, set mail.NumSet, byUID bool) (want mail.UIDSet, bad bool) {
	highest := uint32(len(uids))
	if byUID && len(uids) > 0 {
		highest = uint32(uids[len(uids)-1])
	}
	in := func(n uint32) bool {
		for _, r := range set.Ranges {
			from, to := r.From, r.To
			if from == mail.Star {
				from = highest
			}
			if to == mail.Star {
				to = highest
			}
			if from <= n && n <= to || to <= n && n <= from {
				return true
			}
		}
		return false
	}
	if !byUID {
		for _, r := range set.Ranges {
			if r.From > highest || r.To > highest || highest == 0 {
				return nil, true
			}
		}
	}
	for i, u := range uids {
		n := uint32(i + 1)
		if byUID {
			n = uint32(u)
		}
		if in(n) {
			want = want.Append(u)
		}
	}
	return want, false
}

// FuzzResolve compares Resolve with naiveResolve. The first byte of data says
// what numbers mean and how many bytes name UIDs (each a step from the one
// before); the rest are ends of ranges, two bytes each.
func FuzzResolve(f *testing.F) {
	f.Add([]byte{6, 1, 1, 1, 0, 0, 1, 0, 0})
	f.Add([]byte{7, 1, 9, 2, 0, 0, 4, 0, 1})
	f.Add([]byte{0, 0, 1, 0, 0})
	f.Add([]byte{9, 200, 1, 1, 30, 0, 3, 0, 2, 0, 1, 0, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		byUID, steps := data[0]&1 != 0, int(data[0]>>1)
		data = data[1:]
		steps = min(steps, len(data))
		var uids []mail.UID
		last := mail.UID(0)
		for _, step := range data[:steps] {
			last += mail.UID(step)%16 + 1
			uids = append(uids, last)
		}
		var s mail.NumSet
		for data = data[steps:]; len(data) >= 4; data = data[4:] {
			s.Ranges = append(s.Ranges, mail.NumRange{
				From: uint32(binary.BigEndian.Uint16(data)) % 512,
				To:   uint32(binary.BigEndian.Uint16(data[2:])) % 512,
			})
		}
		want, bad := naiveResolve(uids, s, byUID)
		got, err := New(mail.NewUIDSet(uids...), 1).Resolve(s, byUID)
		if bad != (err != nil) || !bad && !got.Equal(want) {
			t.Errorf("%v of %v (by UID: %t): got %s, error %v, want %s, bad %t", s.Ranges, uids, byUID, got, err, want, bad)
		}
	})
}

// TestRuns compares runs with a plain slice while UIDs come and go.
func TestRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rs runs
		var plain []mail.UID
		next := mail.UID(1)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				var more mail.UIDSet
				for range rapid.IntRange(0, 20).Draw(t, "n") {
					next += mail.UID(rapid.IntRange(0, 1).Draw(t, "gap"))
					more = more.Append(next)
					plain = append(plain, next)
					next++
				}
				rs = rs.add(more)
			} else {
				var gone, kept []mail.UID
				for _, u := range plain {
					if rapid.IntRange(0, 3).Draw(t, "take") == 0 {
						gone = append(gone, u)
					} else {
						kept = append(kept, u)
					}
				}
				stranger := rapid.SampledFrom([]mail.UID{0, next, next + 5}).Draw(t, "stranger")
				if stranger != 0 {
					gone = append(gone, stranger)
				}
				rs, plain = rs.remove(mail.NewUIDSet(gone...)), kept
			}
			if int(rs.len()) != len(plain) || !rs.set().Equal(mail.NewUIDSet(plain...)) {
				t.Fatalf("runs %v, want %v", rs, plain)
			}
			for i, u := range plain {
				if got, ok := rs.uid(uint32(i + 1)); !ok || got != u {
					t.Fatalf("uid(%d) = %d, %t, want %d in %v", i+1, got, ok, u, rs)
				}
				if seq, ok := rs.seq(u); !ok || int(seq) != i+1 {
					t.Fatalf("seq(%d) = %d, %t, want %d in %v", u, seq, ok, i+1, rs)
				}
			}
		}
	})
}
