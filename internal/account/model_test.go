package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/store/storetest"
	"postern/internal/view"
)

// modelTest drives two nodes on one store, several clients on either, against a
// plain reference. Pages are saved at any time, or fail to be; the log is
// forgotten as far as it may be; nodes restart; commits fail, or succeed without
// anybody knowing, or find that the other node was faster.
type modelTest struct {
	mem     *storetest.Mem
	clock   *clock
	hold    time.Duration
	nodes   [2]*node
	boxes   []*refBox
	clients []*client
	recent  map[string]bool
	texts   int
	lives   int

	server  refMetadata
	quota   mail.OwnQuota
	altered map[*refBox]mail.UIDSet // by the actions of the burst so far
}

type node struct {
	store *faulty
	pool  *Pool
	a     *Account
	life  int
}

const modelAccount = 3

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &modelTest{mem: storetest.Memory(), clock: newClock(), hold: 24 * time.Hour, recent: map[string]bool{}, server: refMetadata{}}
		m.mem.SetNow(m.clock.Now)
		m.nodes[0] = &node{store: &faulty{Store: m.mem}}
		m.nodes[1] = &node{store: &faulty{Store: m.mem.Node()}}
		for i := range m.nodes {
			m.start(t, i)
		}
		for _, info := range m.nodes[0].a.Mailboxes() {
			m.boxes = append(m.boxes, newRefBox(info))
		}
		t.Repeat(map[string]func(*rapid.T){
			"single": m.single, "single2": m.single, "burst": m.burst, "select": m.sel, "close": m.close, "sync": m.syncAny, "fetch": m.fetchAny, "mailboxes": m.mailboxes, "grant": m.grant,
			"metadata": m.metadata, "quota": m.setQuota,
			"save": m.save, "restart": m.restart, "time": m.time, "fault": m.fault,
			"": m.invariants,
		})
		m.end(t)
	})
}

func newRefBox(info Info) *refBox {
	return &refBox{
		name: info.Name, validity: info.Validity, next: info.Counts.UIDNext,
		live: map[mail.UID]*refMessage{}, gone: map[mail.UID]*refMessage{}, texts: map[mail.UID]string{},
		metadata: refMetadata{},
	}
}

func (m *modelTest) start(t *rapid.T, i int) {
	n := m.nodes[i]
	m.lives++
	n.life = m.lives
	n.pool = NewPool(n.store, Options{
		Now: m.clock.Now, Every: -1, ExpungeHold: m.hold,
		Defaults: []DefaultMailbox{{Name: "INBOX"}, {Name: "a"}, {Name: "b"}},
	})
	a, err := n.pool.Open(context.Background(), modelAccount)
	if err != nil {
		t.Fatal(err)
	}
	n.a = a
}

// follow brings a node into step with the log, as Grew does.
func (m *modelTest) follow(t *rapid.T, i int) {
	if err := m.nodes[i].a.ask(context.Background(), &request{sync: true}); err != nil {
		t.Fatalf("node %d cannot follow: %v", i, err)
	}
}

// end closes everything and checks the store.
func (m *modelTest) end(t *rapid.T) {
	for _, n := range m.nodes {
		*n.store = faulty{Store: n.store.Store}
		if err := n.pool.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	m.check(t)
}

func (m *modelTest) check(t *rapid.T) {
	err := Check(context.Background(), m.mem, func(p Problem) { t.Errorf("check: %s", p) })
	if err != nil {
		t.Errorf("check: %v", err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// invariants hold after every step.
func (m *modelTest) invariants(t *rapid.T) {
	for i, n := range m.nodes {
		if n.store.commit == commitWell && n.store.before == nil {
			m.follow(t, i)
		} else {
			continue
		}
		want := map[string]*refBox{}
		for _, b := range m.boxes {
			if !b.deleted {
				want[b.name] = b
			}
		}
		m.compareMetadata(t, n, want)
		m.compareQuota(t, n)
		for _, info := range n.a.Mailboxes() {
			b := want[info.Name]
			if b == nil || b.validity != info.Validity {
				t.Fatalf("node %d has mailbox %s with %d", i, info.Name, info.Validity)
			}
			delete(want, info.Name)
			if got := b.counts(); got != info.Counts {
				t.Fatalf("node %d, mailbox %s: counts %+v, want %+v", i, info.Name, info.Counts, got)
			}
			if info.HighestModSeq < b.highest {
				t.Fatalf("mailbox %s: HIGHESTMODSEQ falls from %d to %d", info.Name, b.highest, info.HighestModSeq)
			}
			b.highest = info.HighestModSeq
			m.compareACL(t, n.a, b)
		}
		if len(want) > 0 {
			t.Fatalf("node %d lacks mailboxes %v", i, want)
		}
	}
}

func (m *modelTest) anyNode(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "node") }

func (m *modelTest) anyBox(t *rapid.T) *refBox {
	var there []*refBox
	for _, b := range m.boxes {
		if !b.deleted {
			there = append(there, b)
		}
	}
	return rapid.SampledFrom(there).Draw(t, "mailbox")
}

func (m *modelTest) anyClient(t *rapid.T) *client {
	if len(m.clients) == 0 {
		t.Skip("no client")
	}
	return rapid.SampledFrom(m.clients).Draw(t, "client")
}

func (m *modelTest) handle(t *rapid.T, i int, b *refBox) *Mailbox {
	m.follow(t, i)
	mb, err := m.nodes[i].a.Mailbox(b.name, mail.RightRead)
	if err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
	return mb
}

func anyFlags(t *rapid.T) mail.Flags {
	system := rapid.SampledFrom([]mail.SystemFlags{0, mail.Seen, mail.Deleted, mail.Seen | mail.Flagged}).Draw(t, "system")
	keywords := rapid.SliceOfN(rapid.SampledFrom([]string{"$Junk", "blue", "Zeta"}), 0, 2).Draw(t, "keywords")
	return mail.NewFlags(system, keywords...)
}

func (m *modelTest) sel(t *rapid.T) {
	if len(m.clients) >= 6 {
		t.Skip("enough clients")
	}
	i, b := m.anyNode(t), m.anyBox(t)
	rw := rapid.Bool().Draw(t, "readWrite")
	s, err := m.handle(t, i, b).Select(context.Background(), rw)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{pool: i, account: m.nodes[i].a, box: b, s: s, readWrite: rw, flags: map[mail.UID]string{}}
	start := s.Start()
	if !start.UIDs.Equal(b.uids()) {
		t.Fatalf("selected %v, want %v", start.UIDs, b.uids())
	}
	unseen := mail.UID(0)
	for uid := range start.UIDs.All() {
		if b.live[uid].flags.System&mail.Seen == 0 && unseen == 0 {
			unseen = uid
		}
		for _, k := range b.live[uid].flags.Keywords {
			if !slices.Contains(start.Keywords, k) {
				t.Fatalf("keyword %s is not among %v", k, start.Keywords)
			}
		}
	}
	if start.FirstUnseen != unseen {
		t.Fatalf("first unseen is %d, want %d", start.FirstUnseen, unseen)
	}
	m.claimed(t, c, start.Recent)
	c.view = view.New(start.UIDs, start.At)
	for uid := range start.UIDs.All() {
		c.uids = append(c.uids, uid)
		c.flags[uid] = m.fetchFlags(t, c, uid)
	}
	m.compare(t, c, true)
	m.clients = append(m.clients, c)
}

func (m *modelTest) close(t *rapid.T) {
	c := m.anyClient(t)
	c.s.Close()
	m.clients = slices.DeleteFunc(m.clients, func(d *client) bool { return d == c })
}

func (m *modelTest) syncAny(t *rapid.T) {
	c := m.anyClient(t)
	m.sync(t, c, rapid.Bool().Draw(t, "mayExpunge"))
}

func (m *modelTest) fetchAny(t *rapid.T) {
	c := m.anyClient(t)
	if len(c.uids) == 0 {
		t.Skip("empty")
	}
	m.fetch(t, c, rapid.IntRange(1, len(c.uids)).Draw(t, "seq"))
}

// anyUIDs picks messages the client knows.
func anyUIDs(t *rapid.T, c *client) mail.UIDSet {
	if len(c.uids) == 0 {
		t.Skip("empty")
	}
	return mail.NewUIDSet(rapid.SliceOfN(rapid.SampledFrom(c.uids), 1, 5).Draw(t, "uids")...)
}

func (m *modelTest) mailboxes(t *rapid.T) {
	i := m.anyNode(t)
	b := m.anyBox(t)
	a := m.nodes[i].a
	ctx := context.Background()
	name := rapid.SampledFrom([]string{"a", "b", "c", "a/x", "b/y/z", "INBOX/k"}).Draw(t, "name")
	m.follow(t, i)
	before, known := m.lists(), len(m.boxes)
	defer func() { m.inherit(before, known) }()
	names := map[string]*refBox{}
	for _, other := range m.boxes {
		if !other.deleted {
			names[other.name] = other
		}
	}
	missing := uint64(0)
	for at, c := range name {
		if c == mail.Separator && names[name[:at]] == nil {
			missing++
		}
	}
	children := false
	for other := range names {
		children = children || IsBelow(other, b.name)
	}
	var want mail.Kind
	var err error
	done := func(what string, op func() error) bool {
		if want == mail.Internal {
			ok := false
			m.do(t, i, []*action{{what: what, run: op, verify: func(t *rapid.T, done, told bool) { ok = done }}})
			return ok
		}
		m.follow(t, i)
		if err = op(); mail.KindOf(err) != want || err == nil {
			t.Fatalf("%s: got %v, want %v", what, err, want)
		}
		return false
	}
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		if names[name] != nil {
			want = mail.AlreadyExists
		} else if m.exceeds(mail.Usage{Mailboxes: missing + 1}) {
			want = mail.OverQuota
		}
		if done("create", func() error { _, err := a.CreateMailbox(ctx, name, 0); return err }) {
			m.learn(t, i)
		}
	case 1:
		switch {
		case b.name == mail.Inbox:
			want = mail.Cannot
		case children:
			want = mail.HasChildren
		}
		if done("delete", func() error { return a.DeleteMailbox(ctx, b.name) }) {
			b.deleted = true
			for uid := range b.uids().All() {
				b.expunge(uid, m.clock.Now().Unix())
			}
		}
	default:
		switch {
		case names[name] != nil:
			want = mail.AlreadyExists
		case IsBelow(name, b.name) && b.name != mail.Inbox:
			want = mail.Cannot
		case m.exceeds(mail.Usage{Mailboxes: missing + uint64(count(b.name == mail.Inbox))}):
			want = mail.OverQuota
		}
		from := b.name
		if !done("rename", func() error { return a.RenameMailbox(ctx, from, name) }) {
			return
		}
		if from != mail.Inbox {
			for _, other := range names {
				if other == b || IsBelow(other.name, from) {
					other.name = name + other.name[len(from):]
				}
			}
			m.learn(t, i)
			return
		}
		m.learn(t, i)
		for _, fresh := range m.boxes {
			if fresh.name == name && !fresh.deleted {
				fresh.next = 1
				maps.Copy(fresh.metadata, b.metadata) // RFC 5464 4.1
				for uid := range b.uids().All() {
					fresh.add(b.live[uid].text, b.live[uid].flags)
					b.expunge(uid, m.clock.Now().Unix())
				}
			}
		}
	}
}

// learn takes in mailboxes the reference does not know.
func (m *modelTest) learn(t *rapid.T, i int) {
	m.follow(t, i)
	for _, info := range m.nodes[i].a.Mailboxes() {
		known := false
		highest := mail.UIDValidity(0)
		for _, b := range m.boxes {
			known = known || b.name == info.Name && !b.deleted
			highest = max(highest, b.validity)
		}
		if known {
			continue
		}
		if info.Validity <= highest && !m.fresh(info.Validity, highest) {
			t.Fatalf("mailbox %s has UIDVALIDITY %d, and %d was used", info.Name, info.Validity, highest)
		}
		m.boxes = append(m.boxes, newRefBox(info))
	}
}

// fresh reports whether no mailbox ever had that UIDVALIDITY: several are made at
// once and learnt in order of name.
func (m *modelTest) fresh(v, highest mail.UIDValidity) bool {
	for _, b := range m.boxes {
		if b.validity == v {
			return false
		}
	}
	return true
}

func (m *modelTest) save(t *rapid.T) {
	i := m.anyNode(t)
	n := m.nodes[i]
	n.store.save = rapid.IntRange(0, 3).Draw(t, "fails") == 0
	n.pool.forgetAll = rapid.Bool().Draw(t, "forget")
	if rapid.Bool().Draw(t, "follow") {
		m.follow(t, i)
	}
	// As saveIfDue does it, whatever the rule says.
	err := n.a.ask(context.Background(), &request{run: func() { n.a.model.tailRecords = saveRecords; n.a.saveAfter = 0 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.a.ask(context.Background(), &request{}); err != nil { // until the save is over
		t.Fatal(err)
	}
	n.store.save = false
}

func (m *modelTest) restart(t *rapid.T) {
	i := m.anyNode(t)
	n := m.nodes[i]
	n.store.commit = commitWell
	if err := n.pool.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.clients = slices.DeleteFunc(m.clients, func(c *client) bool { return c.pool == i })
	if rapid.Bool().Draw(t, "check") {
		m.check(t)
	}
	m.start(t, i)
}

func (m *modelTest) time(t *rapid.T) {
	m.clock.Add(rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Minute, 13 * time.Hour}).Draw(t, "pass"))
	n := m.nodes[m.anyNode(t)]
	n.store.commit = commitWell
	if err := n.pool.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// fault decides what becomes of a node's next commit: it fails one way or the
// other, or the other node is faster.
func (m *modelTest) fault(t *rapid.T) {
	i := m.anyNode(t)
	n, other := m.nodes[i], m.nodes[1-i]
	if rapid.Bool().Draw(t, "stale") {
		if n.store.before != nil || other.store.before != nil || other.store.commit != commitWell {
			t.Skip("one thing at a time")
		}
		name := fmt.Sprintf("sub%d", rapid.IntRange(0, 9).Draw(t, "name"))
		n.store.before = func() {
			other.store.commit, other.store.before = commitWell, nil
			err := other.a.Subscribe(context.Background(), name, !slices.Contains(other.a.Subscriptions(), name))
			if err != nil && !errors.Is(err, context.Canceled) {
				panic(err)
			}
		}
		return
	}
	n.store.commit = rapid.SampledFrom([]commitFate{commitUnavailable, commitUnknownDone, commitUnknownNot}).Draw(t, "fate")
}
