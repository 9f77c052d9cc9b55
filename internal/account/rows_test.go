package account

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// TestTable compares a table with a plain map while pages fill, split, empty and
// join, and go through their encoding.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flags := newFlagTable()
		ids := []FlagsID{0, flags.intern(mail.NewFlags(mail.Seen)), flags.intern(mail.NewFlags(0, "a", "b"))}
		expunge := rapid.Bool().Draw(t, "expunged")
		table := &table{expunge: expunge}
		want := map[mail.UID]Row{}
		stored := map[mail.UID][]byte{} // pages by low
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			first := mail.UID(rapid.IntRange(1, 30000).Draw(t, "first"))
			n := mail.UID(rapid.IntRange(1, 9000).Draw(t, "n"))
			step := mail.UID(rapid.IntRange(1, 4).Draw(t, "step"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				for uid := first; uid < first+n*step; uid += step {
					_, there := want[uid]
					r := Row{
						UID: uid, Flags: ids[uid%3], ModSeq: mail.ModSeq(uid)<<20 + 1, Size: uint32(uid) * 1000,
						Date: mail.InternalDate(int64(uid)<<30 - 1<<44), Saved: uint32(uid), ID: mail.MessageID(uid) << 25,
						Expunged: expunge,
					}
					if table.insert(&r, int64(uid), mail.ModSeq(uid)<<18) == there {
						t.Fatalf("insert of %d: there was %v", uid, there)
					}
					if !there {
						want[uid] = r
					}
				}
			case 2:
				gone := mail.UIDSet{{First: first, Last: first + n}}
				table.remove(gone, func(p *rowPage, i int) {
					if p.row(i) != want[mail.UID(p.uid[i])] {
						t.Fatalf("removing %+v", p.row(i))
					}
				})
				maps.DeleteFunc(want, func(uid mail.UID, _ Row) bool { return gone.Contains(uid) })
			default:
				table.tidy()
				saveTable(table, flags, stored)
				table = loadTable(t, stored, flags, expunge)
			}
			compareTable(t, table, want)
		}
	})
}

// saveTable does what a save does to the store.
func saveTable(table *table, flags *flagTable, stored map[mail.UID][]byte) {
	for _, low := range table.removed {
		delete(stored, low)
	}
	for _, p := range table.pages {
		if p.dirty || !p.saved {
			stored[p.low] = encodePage(p, flags)
		}
	}
}

func loadTable(t *rapid.T, stored map[mail.UID][]byte, flags *flagTable, expunge bool) *table {
	loaded := &table{expunge: expunge}
	for _, low := range slices.Sorted(maps.Keys(stored)) {
		p, err := decodePage(uint64(low), stored[low], expunge)
		if err == nil {
			err = loaded.add(low, p, flags)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return loaded
}

func compareTable(t *rapid.T, table *table, want map[mail.UID]Row) {
	if table.count != len(want) {
		t.Fatalf("it counts %d rows, want %d", table.count, len(want))
	}
	var got mail.UIDSet
	table.each(everything, func(p *rowPage, i int) bool {
		r := p.row(i)
		if r != want[r.UID] {
			t.Fatalf("got %+v, want %+v", r, want[r.UID])
		}
		if at, by := int64(0), mail.ModSeq(0); p.gone != nil {
			if at, by = p.expungedAt(i); at != int64(r.UID) || by != mail.ModSeq(r.UID)<<18 {
				t.Fatalf("UID %d was expunged at %d by %d", r.UID, at, by)
			}
		}
		got = got.Append(r.UID)
		return true
	})
	if got.Len() != len(want) || !got.Equal(table.set()) {
		t.Fatalf("it walks %d rows of %d", got.Len(), len(want))
	}
	for i, p := range table.pages {
		if p.len() > pageRows || p.len() > 0 && mail.UID(p.uid[0]) < p.low || i > 0 && p.low <= table.pages[i-1].low || cap(p.uid) != cap(p.idHigh) {
			t.Fatalf("page %d at %d has %d rows", i, p.low, p.len())
		}
	}
	if len(want) > 0 {
		uid := slices.Sorted(maps.Keys(want))[len(want)/2]
		c := cursor{t: table}
		c.seek(uid)
		if at, ok := c.uid(); !ok || at != uid || c.row() != want[uid] {
			t.Fatalf("seek of %d finds %d", uid, at)
		}
	}
}

func TestRowTakesAtMost36Octets(t *testing.T) {
	const n = 100_000
	table := &table{}
	for uid := mail.UID(1); uid <= n; uid++ {
		table.insert(&Row{UID: uid, ModSeq: 1, ID: 1}, 0, 0)
	}
	octets := 0
	for _, p := range table.pages {
		p.columns(func(c *[]uint32) { octets += 4 * cap(*c) }, func(c *[]uint16) { octets += 2 * cap(*c) })
		octets += 4*cap(p.flags) + cap(p.dateTop) + 400 // the page itself: headers of 13 slices and the rest
	}
	if perRow := float64(octets) / n; perRow > 36 {
		t.Errorf("%.1f octets a row", perRow)
	}
}
