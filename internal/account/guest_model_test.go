package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/store/storetest"
)

// guestModel lets an owner and a guest work in each other's sight, on two nodes,
// against a plain reference of what rights allow (RFC 4314 4).
type guestModel struct {
	mem   *storetest.Mem
	clock *clock
	pools [2]*Pool
	texts int
	node  int // 1 or 2: use this one

	rights map[string]mail.Rights // the guest's, by name of the owner's mailbox
	mail   map[string]map[string]mail.Flags
	own    map[string]mail.Flags // the guest's INBOX; messages go by their text
}

const (
	guestOwner = mail.AccountID(5)
	guestGuest = mail.AccountID(6)
)

func TestGuestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &guestModel{mem: storetest.Memory(), clock: newClock(), rights: map[string]mail.Rights{},
			mail: map[string]map[string]mail.Flags{"a": {}, "b": {}}, own: map[string]mail.Flags{}}
		g.mem.SetNow(g.clock.Now)
		defaults := []DefaultMailbox{{Name: "a"}, {Name: "b"}}
		for i, s := range []*faulty{{Store: g.mem}, {Store: g.mem.Node()}} {
			g.pools[i] = NewPool(s, Options{Now: g.clock.Now, Every: -1, Defaults: defaults})
		}
		for range 2 {
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "mailbox")
			g.append(t, guestOwner, name, mail.AllRights)
		}
		g.append(t, guestGuest, "", mail.AllRights)
		t.Repeat(map[string]func(*rapid.T){
			"grant": g.grant, "grant2": g.grant,
			"append":  func(t *rapid.T) { n := g.name(t); g.append(t, guestGuest, n, g.rights[n]) },
			"owner":   func(t *rapid.T) { g.append(t, guestOwner, g.name(t), mail.AllRights) },
			"store":   g.store,
			"expunge": g.expunge,
			"copy":    func(t *rapid.T) { g.copy(t, false) },
			"move":    func(t *rapid.T) { g.copy(t, true) },
			"":        g.compare,
		})
		for _, p := range g.pools {
			if err := p.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if err := Check(context.Background(), g.mem, func(p Problem) { t.Fatalf("check: %s", p) }); err != nil {
			t.Fatal(err)
		}
	})
}

func (g *guestModel) name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "mailbox")
}

// account opens an account on some node, which then follows the log.
func (g *guestModel) account(t *rapid.T, id mail.AccountID) *Account {
	node := g.node
	if node == 0 {
		node = rapid.IntRange(1, 2).Draw(t, "node")
	}
	a, err := g.pools[node-1].Open(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	a.Release() // it lingers
	if err := a.ask(context.Background(), &request{sync: true}); err != nil {
		t.Fatal(err)
	}
	return a
}

// handle gives the guest's handle on a mailbox of the owner, whatever the rights are,
// as one got before they changed; or on the guest's own INBOX.
func (g *guestModel) handle(t *rapid.T, name string) *Mailbox {
	owner := guestOwner
	if name == "" {
		owner, name = guestGuest, mail.Inbox
	}
	box, err := g.account(t, owner).Mailbox(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	box.viewer.who = guestGuest
	return box
}

func (g *guestModel) wants(t *rapid.T, what, name string, err error, need mail.Rights) bool {
	has := g.rights[name]
	switch {
	case has&need == need:
		if err != nil {
			t.Fatalf("%s with %s: %v", what, has, err)
		}
		return true
	case has&mail.RightLookup == 0:
		if mail.KindOf(err) != mail.NotFound {
			t.Fatalf("%s with %s: %v", what, has, err)
		}
	case mail.KindOf(err) != mail.NotPermitted:
		t.Fatalf("%s with %s: %v", what, has, err)
	}
	return false
}

func (g *guestModel) grant(t *rapid.T) {
	name := g.name(t)
	rights := mail.Rights(rapid.IntRange(0, int(mail.AllRights)).Draw(t, "rights"))
	if rapid.Bool().Draw(t, "most") {
		rights = mail.AllRights &^ (1 << rapid.IntRange(0, 10).Draw(t, "right"))
	}
	box, err := g.account(t, guestOwner).Mailbox(name, 0)
	if err == nil {
		err = box.Grant(context.Background(), guestGuest, false, mail.SetRights, rights)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.rights[name] = rights
}

func (g *guestModel) flags(t *rapid.T) mail.Flags {
	f := mail.Flags{System: mail.SystemFlags(rapid.IntRange(0, int(mail.AllSystem)).Draw(t, "system"))}
	if rapid.Bool().Draw(t, "keyword") {
		f.Keywords = []string{"x"}
	}
	return f
}

// allowed is what a guest stores of flags, said once more and otherwise.
func allowed(f mail.Flags, r mail.Rights) mail.Flags {
	if r&mail.RightSeen == 0 {
		f.System &^= mail.Seen
	}
	if r&mail.RightDeleteMail == 0 {
		f.System &^= mail.Deleted
	}
	if r&mail.RightWrite == 0 {
		f.System &= mail.Seen | mail.Deleted
		f.Keywords = nil
	}
	return f
}

func (g *guestModel) append(t *rapid.T, who mail.AccountID, name string, has mail.Rights) {
	g.texts++
	text := fmt.Sprintf("Subject: %d\r\n\r\n", g.texts)
	flags := g.flags(t)
	box := g.handle(t, name)
	box.viewer.who = who
	content, err := box.a.pool.Keep(context.Background(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = box.Append(context.Background(), []NewMessage{{Content: content, Flags: flags, Date: mail.NewInternalDate(g.clock.Now())}})
	content.Abandon(context.Background())
	switch {
	case name == "":
		g.own[text] = flags
	case who == guestOwner || g.wants(t, "append", name, err, mail.RightInsert):
		g.mail[name][text] = allowed(flags, has)
	}
}

// selection selects as the mailbox's owner. The guest's sessions go on with it: they
// have selected when they were allowed to.
func (g *guestModel) selection(t *rapid.T, name string) *Selection {
	box := g.handle(t, name)
	box.viewer.who = box.a.id
	s, err := box.Select(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *guestModel) store(t *rapid.T) {
	name := g.name(t)
	s := g.selection(t, name)
	defer s.Close()
	text, uid := g.pick(t, s)
	s.viewer.who = guestGuest
	op := rapid.SampledFrom([]mail.FlagOp{mail.SetFlags, mail.AddFlags, mail.RemoveFlags}).Draw(t, "op")
	flags, has := g.flags(t), g.rights[name]
	_, err := s.StoreFlags(context.Background(), StoreRequest{UIDs: set(uid), Op: op, Flags: flags})
	may := allowed(flags, has)
	if has&(mail.RightSeen|mail.RightDeleteMail|mail.RightWrite) == 0 || may.Empty() && !flags.Empty() {
		if mail.KindOf(err) != mail.NotPermitted {
			t.Fatalf("STORE %s with %s: %v", flags, has, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("STORE %s with %s: %v", flags, has, err)
	}
	if uid == 0 {
		return
	}
	was := g.mail[name][text]
	if op == mail.SetFlags {
		may = was.Remove(allowed(was, has)).Add(may)
	} else {
		may = op.Apply(was, may)
	}
	g.mail[name][text] = may
}

// pick gives some message, UID 0 for none.
func (g *guestModel) pick(t *rapid.T, s *Selection) (string, mail.UID) {
	all := texts(t, s)
	if len(all) == 0 {
		return "", 0
	}
	uid := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "message")
	return all[uid], uid
}

func (g *guestModel) expunge(t *rapid.T) {
	name := g.name(t)
	s := g.selection(t, name)
	defer s.Close()
	s.viewer.who = guestGuest
	_, err := s.Expunge(context.Background(), nil)
	if g.wants(t, "expunge", name, err, mail.RightExpunge) {
		maps.DeleteFunc(g.mail[name], func(_ string, f mail.Flags) bool { return f.System&mail.Deleted != 0 })
	}
}

// copy copies or moves a message: between two mailboxes of the owner, out of one
// into the guest's account, or the other way.
func (g *guestModel) copy(t *rapid.T, move bool) {
	from := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "from")
	to := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "to")
	g.node = rapid.IntRange(1, 2).Draw(t, "node")
	defer func() { g.node = 0 }()
	s := g.selection(t, from)
	defer s.Close()
	text, uid := g.pick(t, s)
	if _, twice := g.box(to)[text]; twice || uid == 0 {
		return // the reference knows messages by their text
	}
	dest := g.handle(t, to)
	s.viewer.who = guestGuest
	var err error
	if move {
		_, err = s.Move(context.Background(), set(uid), dest)
	} else {
		_, err = s.Copy(context.Background(), set(uid), dest)
	}
	var source, there, need mail.Rights = mail.AllRights, mail.AllRights, mail.RightRead
	if from != "" {
		source = g.rights[from]
	}
	if to != "" {
		there = g.rights[to]
	}
	if move {
		need |= mail.RightDeleteMail | mail.RightExpunge
	}
	refused := source&need != need || there&mail.RightInsert == 0
	kind := mail.KindOf(err)
	if refused != (err != nil) || refused && kind != mail.NotFound && kind != mail.NotPermitted {
		t.Fatalf("from %q with %s to %q with %s, move %v: %v", from, source, to, there, move, err)
	}
	if refused {
		return
	}
	g.box(to)[text] = allowed(g.box(from)[text], there)
	if move {
		delete(g.box(from), text)
	}
}

func (g *guestModel) box(name string) map[string]mail.Flags {
	if name == "" {
		return g.own
	}
	return g.mail[name]
}

// texts gives what is in a mailbox by UID.
func texts(t *rapid.T, s *Selection) map[mail.UID]string {
	all := map[mail.UID]string{}
	rows, _ := s.Rows(make([]Row, 0, 1000), everything)
	rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Expunged })
	err := s.Summaries(context.Background(), rows, func(i int, m *Summary) error {
		body, err := s.Body(context.Background(), m)
		if err != nil {
			return err
		}
		buf := make([]byte, body.Size())
		if _, err := body.ReadAt(buf, 0); ignoreEOF(err) != nil {
			return err
		}
		all[rows[i].UID] = string(buf)
		return body.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compare looks at everything as the owners do, and at what the guest may see.
func (g *guestModel) compare(t *rapid.T) {
	for _, name := range []string{"a", "b", ""} {
		s := g.selection(t, name)
		got := map[string]mail.Flags{}
		for uid, text := range texts(t, s) {
			rows, _ := s.Rows(make([]Row, 0, 1), set(uid))
			got[text] = s.Flags(rows[0].Flags)
		}
		want := g.box(name)
		if !maps.EqualFunc(got, want, mail.Flags.Equal) {
			t.Fatalf("mailbox %q has %v, want %v", name, got, want)
		}
		if name != "" {
			s.viewer.who = guestGuest
			rows, _ := s.Rows(make([]Row, 0, 1), everything)
			gone := s.Delta(s.Start().At, s.Start().UIDs).Gone
			if reads := g.rights[name]&mail.RightRead != 0; gone == reads || reads != (len(rows) > 0) && len(want) > 0 {
				t.Fatalf("mailbox %q with %s: %d rows, gone %v", name, g.rights[name], len(rows), gone)
			}
		}
		s.Close()
	}
}
