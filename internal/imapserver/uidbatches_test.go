package imapserver

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// TestBatchesOf compares with what RFC 10022 says in words, one UID after the other.
func TestBatchesOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 200), 0, 80, rapid.ID).Draw(t, "uids")
		slices.Sort(list)
		var uids mail.UIDSet
		for _, u := range list {
			uids = uids.Append(mail.UID(u))
		}
		args := imapwire.UIDBatchesArgs{Size: rapid.Uint32Range(1, 90).Draw(t, "size")}
		if rapid.Bool().Draw(t, "some") {
			args.First = rapid.Uint32Range(1, 20).Draw(t, "first")
			args.Last = args.First + rapid.Uint32Range(0, 20).Draw(t, "more")
		}
		got := batchesOf(uids, &args)

		slices.Reverse(list) // newest first
		var want [][]uint32
		for batch := range slices.Chunk(list, int(args.Size)) {
			want = append(want, batch)
		}
		whole := len(want)
		if args.Last != 0 {
			want = want[min(int(args.First-1), whole):min(int(args.Last), whole)]
		}
		if len(got) != len(want) {
			t.Fatalf("%d batches, want %d: %v", len(got), len(want), got)
		}
		for i, b := range got {
			var in []uint32
			for _, u := range list {
				if mail.UID(u) >= b.First && mail.UID(u) <= b.Last {
					in = append(in, u)
				}
			}
			if !slices.Equal(in, want[i]) || b.First < 1 || b.Last < b.First {
				t.Errorf("batch %d is %v with %v, want %v", i, b, in, want[i])
			}
			if i > 0 && got[i-1].First != b.Last+1 {
				t.Errorf("between %v and %v there is a gap", got[i-1], b)
			}
		}
		if last := int(args.Last); (last == 0 || last >= whole) && len(got) > 0 && int(max(args.First, 1)) <= whole && got[len(got)-1].First != 1 {
			t.Errorf("the last batch of all ends with %d", got[len(got)-1].First)
		}
	})
}
