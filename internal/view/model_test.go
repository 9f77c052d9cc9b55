package view

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// The model: one mailbox that is a plain map, several sessions that each have a
// View, and on the other side of each a client that believes nothing but the
// lines it is sent. The client's list of messages must be the View's at every
// step, whoever does what in between.

// box is the mailbox as it is.
type box struct {
	head     mail.ModSeq
	next     mail.UID
	rows     map[mail.UID]row
	expunged map[mail.UID]mail.ModSeq
}

type row struct {
	at    mail.ModSeq
	flags mail.SystemFlags
}

func (b *box) uids() mail.UIDSet { return mail.NewUIDSet(slices.Collect(maps.Keys(b.rows))...) }

// since reads what came after a cursor from the log, so to speak.
func (b *box) since(cursor mail.ModSeq, knownBelow mail.UID) mail.Delta {
	d := mail.Delta{At: b.head}
	for _, u := range slices.Sorted(maps.Keys(b.rows)) {
		switch r := b.rows[u]; {
		case u > knownBelow:
			d.Added = d.Added.Append(u)
		case r.at > cursor:
			d.Changed = d.Changed.Append(u)
		}
	}
	for _, u := range slices.Sorted(maps.Keys(b.expunged)) {
		if b.expunged[u] > cursor && u <= knownBelow {
			d.Expunged = d.Expunged.Append(u)
		}
	}
	return d
}

// compared finds the same by comparing rows with the view, as is done when the
// log does not reach back.
func (b *box) compared(v *View) mail.Delta {
	d := b.since(v.Cursor(), v.MaxUID())
	d.Expunged = v.UIDs().Subtract(b.uids())
	return d
}

// client is what a mail program keeps: a list whose places are sequence
// numbers, and flags by UID.
type client struct {
	list    []mail.UID
	flags   map[mail.UID]mail.SystemFlags
	highest mail.ModSeq
}

func (c *client) clone() *client {
	return &client{slices.Clone(c.list), maps.Clone(c.flags), c.highest}
}

func (c *client) remove(seq uint32) {
	delete(c.flags, c.list[seq-1])
	c.list = slices.Delete(c.list, int(seq-1), int(seq))
}

type session struct {
	view     *View
	client   *client
	vanished bool // the client has enabled QRESYNC
}

// open selects the mailbox: the client learns everything.
func open(b *box, vanished bool) *session {
	s := &session{view: New(b.uids(), b.head), client: &client{flags: map[mail.UID]mail.SystemFlags{}}, vanished: vanished}
	s.exists(b, s.view.Len())
	s.client.highest = s.view.Highest()
	return s
}

// exists is an EXISTS response and the FETCH n:m (UID FLAGS) that follows it.
func (s *session) exists(b *box, n uint32) {
	for seq := uint32(len(s.client.list)) + 1; seq <= n; seq++ {
		uid, _ := s.view.UID(seq)
		s.client.list = append(s.client.list, uid)
		s.client.flags[uid] = b.rows[uid].flags // none if expunged meanwhile
	}
}

// tell writes what Tell gives to the client.
func (s *session) tell(t *rapid.T, b *box, mayExpunge bool) {
	s.tellOnly(t, b, Tellable{Expunges: mayExpunge, Exists: true, Flags: true})
}

// tellOnly writes what TellOnly gives to the client.
func (s *session) tellOnly(t *rapid.T, b *box, may Tellable) {
	mayExpunge := may.Expunges
	telling := s.view.TellOnly(may)
	before := len(s.client.list)
	if !may.Exists && telling.NewExists {
		t.Fatal("messages were told that had to be held back")
	}
	if s.vanished {
		for u := range telling.Vanished.All() {
			i := slices.Index(s.client.list, u)
			if i < 0 {
				t.Fatalf("VANISHED %d, which the client was never told of", u)
			}
			s.client.remove(uint32(i + 1))
		}
	} else {
		var gone []mail.UID
		for seq := range telling.Expunges() {
			if seq == 0 || int(seq) > len(s.client.list) {
				t.Fatalf("%d EXPUNGE to a client that knows %d", seq, len(s.client.list))
			}
			gone = append(gone, s.client.list[seq-1])
			s.client.remove(seq)
		}
		if !mail.NewUIDSet(gone...).Equal(telling.Vanished) {
			t.Fatalf("EXPUNGE took %v, VANISHED would have taken %s", gone, telling.Vanished)
		}
	}
	if !mayExpunge && len(s.client.list) != before {
		t.Fatal("an expunge was told that had to be held back")
	}
	if telling.NewExists {
		if added := uint32(telling.Added.Len()); added != telling.Exists-uint32(len(s.client.list)) {
			t.Fatalf("%d new messages, EXISTS %d to a client that knows %d", added, telling.Exists, len(s.client.list))
		}
		if int(telling.Exists) <= len(s.client.list) {
			t.Fatalf("EXISTS %d to a client that knows %d", telling.Exists, len(s.client.list))
		}
		s.exists(b, telling.Exists)
	}
	if int(telling.Exists) != len(s.client.list) {
		t.Fatalf("Exists %d, the client knows %d", telling.Exists, len(s.client.list))
	}
	for seq, uid := range telling.Changes(func(u mail.UID) mail.ModSeq { return b.rows[u].at }) {
		if !may.Flags {
			t.Fatal("flags were told that had to be held back")
		}
		if s.client.list[seq-1] != uid {
			t.Fatalf("FETCH %d means %d, the client takes it for %d", seq, uid, s.client.list[seq-1])
		}
		if r, ok := b.rows[uid]; ok {
			s.client.flags[uid] = r.flags
		}
	}
	if telling.Highest < s.client.highest {
		t.Fatalf("HIGHESTMODSEQ fell from %d to %d", s.client.highest, telling.Highest)
	}
	s.client.highest = telling.Highest
}

// agree compares what the client believes with what the view believes it does.
func (s *session) agree(t *rapid.T) {
	if int(s.view.Len()) != len(s.client.list) {
		t.Fatalf("the view has %d messages, the client %d", s.view.Len(), len(s.client.list))
	}
	for i, uid := range s.client.list {
		seq := uint32(i + 1)
		if got, ok := s.view.UID(seq); !ok || got != uid {
			t.Fatalf("message %d is %d to the view and %d to the client", seq, got, uid)
		}
		if got, ok := s.view.Seq(uid); !ok || got != seq {
			t.Fatalf("UID %d is message %d to the view and %d to the client", uid, got, seq)
		}
	}
}

// store does a STORE by sequence numbers the client picks.
func (s *session) store(t *rapid.T, b *box) {
	if len(s.client.list) == 0 {
		return
	}
	var picked mail.NumSet
	var meant []mail.UID
	for range rapid.IntRange(1, 4).Draw(t, "n") {
		seq := rapid.IntRange(1, len(s.client.list)).Draw(t, "seq")
		picked.Ranges = append(picked.Ranges, mail.NumRange{From: uint32(seq), To: uint32(seq)})
		meant = append(meant, s.client.list[seq-1])
	}
	uids, err := s.view.Resolve(picked, false)
	if err != nil || !uids.Equal(mail.NewUIDSet(meant...)) {
		t.Fatalf("STORE %v reaches %s (%v), the client means %v", picked.Ranges, uids, err, meant)
	}
	op := rapid.SampledFrom([]mail.FlagOp{mail.SetFlags, mail.AddFlags, mail.RemoveFlags}).Draw(t, "op")
	with := mail.Flags{System: rapid.SampledFrom([]mail.SystemFlags{mail.Seen, mail.Flagged}).Draw(t, "flag")}
	silent := rapid.Bool().Draw(t, "silent")
	apply := func(f mail.SystemFlags) mail.SystemFlags {
		return op.Apply(mail.Flags{System: f}, with).System
	}
	at := b.head + 1
	var altered, assumed mail.UIDSet
	for u := range uids.All() {
		r, there := b.rows[u]
		if there && apply(r.flags) != r.flags {
			altered = altered.Append(u)
			if r.at <= s.view.Cursor() {
				assumed = assumed.Append(u)
			}
			b.head, b.rows[u] = at, row{at, apply(r.flags)}
		}
		if silent {
			s.client.flags[u] = apply(s.client.flags[u])
		} else if there {
			s.client.flags[u] = b.rows[u].flags
		}
	}
	if silent {
		s.view.FlagsAssumed(assumed, at)
	} else {
		s.view.FlagsTold(altered, at)
	}
}

// resync is what a client does that lost its connection and comes back with
// what it has and the HIGHESTMODSEQ it was told (RFC 7162 3.2.5).
func (c *client) resync(b *box) {
	c.list = slices.DeleteFunc(c.list, func(u mail.UID) bool {
		gone := b.expunged[u] > c.highest
		if gone {
			delete(c.flags, u)
		}
		return gone
	})
	for _, u := range slices.Sorted(maps.Keys(b.rows)) {
		if r := b.rows[u]; r.at > c.highest {
			if !slices.Contains(c.list, u) {
				c.list = append(c.list, u)
			}
			c.flags[u] = r.flags
		}
	}
	c.highest = b.head
}

func (c *client) matches(b *box) error {
	if want := slices.Sorted(maps.Keys(b.rows)); !slices.Equal(c.list, want) {
		return fmt.Errorf("the client has %v, the mailbox %v", c.list, want)
	}
	for u, r := range b.rows {
		if c.flags[u] != r.flags {
			return fmt.Errorf("UID %d has flags %v, the client thinks %v", u, r.flags, c.flags[u])
		}
	}
	return nil
}

func TestViewsAgainstNaiveClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &box{head: 1, next: 1, rows: map[mail.UID]row{}, expunged: map[mail.UID]mail.ModSeq{}}
		arrive := func(t *rapid.T) {
			b.head++
			for range rapid.IntRange(1, 5).Draw(t, "n") {
				b.next += mail.UID(rapid.IntRange(0, 2).Draw(t, "gap"))
				b.rows[b.next] = row{at: b.head}
				b.next++
			}
		}
		arrive(t)
		sessions := []*session{open(b, false), open(b, true), open(b, false)}
		pick := func(t *rapid.T) *session { return rapid.SampledFrom(sessions).Draw(t, "session") }
		advance := func(t *rapid.T, s *session) {
			d := b.since(s.view.Cursor(), s.view.MaxUID())
			if rapid.Bool().Draw(t, "by comparing") {
				d = b.compared(s.view)
			}
			s.view.Advance(d, time.Unix(int64(b.head), 0))
		}
		t.Repeat(map[string]func(*rapid.T){
			"arrive": arrive,
			"expunge": func(t *rapid.T) {
				there := slices.Sorted(maps.Keys(b.rows))
				if len(there) == 0 {
					return
				}
				b.head++
				for _, u := range rapid.SliceOfN(rapid.SampledFrom(there), 1, 3).Draw(t, "uids") {
					delete(b.rows, u)
					b.expunged[u] = b.head
				}
			},
			"store":   func(t *rapid.T) { pick(t).store(t, b) },
			"advance": func(t *rapid.T) { advance(t, pick(t)) },
			"tell":    func(t *rapid.T) { pick(t).tell(t, b, false) },
			"tell expunges": func(t *rapid.T) {
				pick(t).tell(t, b, true)
			},
			"tell some": func(t *rapid.T) {
				some := func(what string) bool { return rapid.Bool().Draw(t, what) }
				pick(t).tellOnly(t, b, Tellable{Expunges: some("expunges"), Exists: some("exists"), Flags: some("flags")})
			},
			"catch up": func(t *rapid.T) {
				s := pick(t)
				advance(t, s)
				s.tell(t, b, true)
				if err := s.client.matches(b); err != nil {
					t.Fatal("after everything was told: ", err)
				}
				if s.view.Highest() != b.head {
					t.Fatalf("HIGHESTMODSEQ %d, the mailbox is at %d", s.view.Highest(), b.head)
				}
			},
			"come back": func(t *rapid.T) {
				s := pick(t)
				c := s.client.clone()
				c.resync(b)
				if err := c.matches(b); err != nil {
					t.Fatalf("after coming back with HIGHESTMODSEQ %d: %v", s.client.highest, err)
				}
			},
			"": func(t *rapid.T) {
				for _, s := range sessions {
					s.agree(t)
				}
			},
		})
	})
}
