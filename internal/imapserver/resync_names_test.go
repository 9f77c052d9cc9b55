package imapserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"postern/internal/mail"
)

// TestResyncNames lets the mailbox behind a name become another one: renamed away and made anew, changed for another, deleted
// with everything in it; lets its account leave memory and come back from the store. Who followed the name at any time
// before comes back with what was known then, and has exactly what is there now.
func TestResyncNames(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, nil)
			rnd := rand.New(rand.NewPCG(seed, 9))
			setUp := w.login()
			setUp.ok("CREATE Box", anything)
			setUp.ok("CREATE Bag", anything)
			setUp.ok("CREATE Archive/Old", anything)
			setUp.ok("LOGOUT", anything)
			written := []cache{{highest: "0", flags: map[mail.UID]string{}}}
			for round := range 50 {
				w.changeNames(rnd, round)
				there := w.truth("Box")
				for range 2 {
					was := written[rnd.IntN(len(written))]
					y := &syncer{client: w.login(), rnd: rnd, box: "Box"}
					y.come(was.writeDown())
					if !maps.Equal(y.flags, there) || len(y.uids) != len(there) {
						t.Fatalf("round %d: who came back with %+v has %v and not %v", round, was, y.flags, there)
					}
					for range rnd.IntN(3) {
						y.step()
					}
					written = append(written, y.writeDown())
					y.ok("LOGOUT", anything)
					there = w.truth("Box")
				}
			}
		})
	}
}

// changeNames does something at random to the mailbox called Box, or to what is in it.
func (w *world) changeNames(rnd *rand.Rand, round int) {
	w.t.Helper()
	c := w.login()
	fill := func(n int) {
		for i := range n {
			c.append("Box", []string{"", `(\Seen) `, `($Work) `}[rnd.IntN(3)], sample(i))
		}
	}
	switch rnd.IntN(8) {
	case 0, 1:
		fill(1 + rnd.IntN(4))
	case 2, 3:
		c.ok("SELECT Box", anything)
		for range 3 {
			set := fmt.Sprintf("%d:%d", 1+rnd.IntN(6), 1+rnd.IntN(6))
			c.ok("UID STORE "+set+[]string{` +FLAGS (\Deleted)`, ` FLAGS (\Answered)`, ` -FLAGS (\Deleted)`}[rnd.IntN(3)], anything)
		}
		c.ok("EXPUNGE", anything)
	case 4: // renamed away, and another under its name
		c.ok(fmt.Sprintf("RENAME Box Archive/Old/%d", round), anything)
		c.ok("CREATE Box", anything)
		fill(rnd.IntN(4))
	case 5: // changed for another: each keeps its UIDVALIDITY
		c.ok("RENAME Box Bow", anything)
		c.ok("RENAME Bag Box", anything)
		c.ok("RENAME Bow Bag", anything)
	case 6:
		c.ok("DELETE Box", anything)
		c.ok("CREATE Box", anything)
		fill(rnd.IntN(5))
	case 7: // nobody is here any more: the account leaves memory, and what is held long enough is freed
		c.ok("LOGOUT", anything)
		w.clock.add(time.Duration(1+rnd.IntN(30)) * time.Hour)
		if err := w.pool.Housekeep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	c.ok("LOGOUT", anything)
}
