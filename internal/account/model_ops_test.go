package account

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// action is a request to one node's committer. What it should have done is
// worked out on the reference when the actions before it have been verified.
type action struct {
	what string
	run  func() error
	// verify makes the change to the reference if it was done, and compares
	// what was answered if anything was.
	verify func(t *rapid.T, done, told bool)
	// exceeds says whether the quota does not allow it. nil: it always does.
	exceeds func() bool
	err     error
}

// single does one action.
func (m *modelTest) single(t *rapid.T) {
	i := m.anyNode(t)
	m.do(t, i, []*action{m.anyAction(t, i)})
}

// burst does several at once, so that they are planned as one batch.
func (m *modelTest) burst(t *rapid.T) {
	i := m.anyNode(t)
	var actions []*action
	for range rapid.IntRange(2, 6).Draw(t, "actions") {
		actions = append(actions, m.anyAction(t, i))
	}
	m.do(t, i, actions)
}

// do runs actions on a node whose next commit may have a fate.
func (m *modelTest) do(t *rapid.T, i int, actions []*action) {
	n := m.nodes[i]
	m.follow(t, i)
	m.altered = map[*refBox]mail.UIDSet{}
	fate := n.store.commit
	if len(actions) == 1 {
		actions[0].err = actions[0].run()
	} else {
		m.together(n.a, actions)
	}
	if n.store.commit == fate {
		fate = commitWell // nothing was committed
	}
	n.store.commit = commitWell
	for _, a := range actions {
		exceeds := a.exceeds != nil && a.exceeds()
		switch {
		case errors.Is(a.err, ErrReplaced):
			a.verify(t, false, fate == commitWell)
		case mail.KindOf(a.err) == mail.OverQuota:
			// What was planned before it may have failed to be committed.
			if !exceeds && fate == commitWell {
				t.Fatalf("%s: %v, and there is room", a.what, a.err)
			}
		case exceeds && a.err == nil:
			t.Fatalf("%s: it exceeds the quota", a.what)
		case a.err == nil && fate == commitWell:
			a.verify(t, true, true)
		case a.err != nil && fate != commitWell && mail.KindOf(a.err) == mail.Unavailable:
			a.verify(t, fate == commitUnknownDone, false)
		default:
			t.Fatalf("%s: %v with fate %d", a.what, a.err, fate)
		}
	}
}

// together hands the actions to the committer in order while it is busy.
func (m *modelTest) together(a *Account, actions []*action) {
	gate, busy := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- a.ask(context.Background(), &request{run: func() { close(busy); <-gate }})
	}()
	<-busy
	done := make(chan struct{})
	for k, act := range actions {
		go func() {
			act.err = act.run()
			done <- struct{}{}
		}()
		for waiting := 0; waiting <= k; runtime.Gosched() {
			a.queue.mu.Lock()
			waiting = len(a.queue.waiting)
			a.queue.mu.Unlock()
		}
	}
	close(gate)
	for range actions {
		<-done
	}
	<-held
}

func (m *modelTest) anyAction(t *rapid.T, i int) *action {
	var writers []*client
	for _, c := range m.clients {
		if c.pool == i && c.readWrite && !c.box.deleted && len(c.uids) > 0 {
			writers = append(writers, c)
		}
	}
	if len(writers) == 0 || rapid.IntRange(0, 3).Draw(t, "append") == 0 {
		return m.append(t, i)
	}
	c := rapid.SampledFrom(writers).Draw(t, "client")
	switch rapid.IntRange(0, 5).Draw(t, "action") {
	case 0:
		return m.expunge(t, c)
	case 1:
		return m.copyMove(t, c)
	case 2:
		return m.replace(t, c)
	default:
		return m.storeFlags(t, c)
	}
}

func (m *modelTest) append(t *rapid.T, i int) *action {
	b := m.anyBox(t)
	mb := m.handle(t, i, b)
	var msgs []NewMessage
	var texts []string
	for range rapid.IntRange(1, 4).Draw(t, "messages") {
		m.texts++
		text := mailText(m.texts)
		c, err := m.nodes[i].pool.Keep(context.Background(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		msg := NewMessage{Content: c, Flags: anyFlags(t), Date: mail.NewInternalDate(m.clock.Now())}
		if rapid.Bool().Draw(t, "prefix") {
			msg.Prefix = []byte("X-Prefix: here\r\n")
		}
		msgs, texts = append(msgs, msg), append(texts, string(msg.Prefix)+text)
	}
	var done Appended
	return &action{
		what: "append",
		exceeds: func() bool {
			u := mail.Usage{Messages: uint64(len(texts))}
			for _, text := range texts {
				u.Octets += uint64(len(text))
			}
			return m.exceeds(u)
		},
		run: func() (err error) { done, err = mb.Append(context.Background(), msgs); return err },
		verify: func(t *rapid.T, did, told bool) {
			if !did {
				return
			}
			var uids mail.UIDSet
			for k := range msgs {
				uids = uids.Append(b.add(texts[k], msgs[k].Flags))
			}
			if told && (!done.UIDs.Equal(uids) || done.Validity != b.validity) {
				t.Fatalf("appended as %+v, want %v", done, uids)
			}
		},
	}
}

func (m *modelTest) storeFlags(t *rapid.T, c *client) *action {
	r := StoreRequest{
		UIDs: anyUIDs(t, c), Flags: anyFlags(t),
		Op: rapid.SampledFrom([]mail.FlagOp{mail.SetFlags, mail.AddFlags, mail.RemoveFlags}).Draw(t, "op"),
	}
	var later mail.UIDSet // changed above UnchangedSince already
	if rapid.IntRange(0, 4).Draw(t, "conditional") == 0 {
		since := c.view.Highest()
		r.UnchangedSince = &since
		m.follow(t, c.pool)
		for uid := range r.UIDs.All() {
			if c.box.live[uid] != nil && m.row(t, c, uid).ModSeq > since {
				later = later.Union(mail.NewUIDSet(uid))
			}
		}
	}
	var got StoreResult
	return &action{
		what: "store",
		run:  func() (err error) { got, err = c.s.StoreFlags(context.Background(), r); return err },
		verify: func(t *rapid.T, did, told bool) {
			if did {
				m.verifyStore(t, c, &r, later, got, told)
			}
		},
	}
}

func (m *modelTest) verifyStore(t *rapid.T, c *client, r *StoreRequest, later mail.UIDSet, got StoreResult, told bool) {
	var modified, changed, gone mail.UIDSet
	for uid := range r.UIDs.All() {
		msg := c.box.live[uid]
		switch {
		case msg == nil:
			if m.held(c, uid) {
				gone = gone.Append(uid)
			}
		case r.UnchangedSince != nil && (later.Contains(uid) || m.altered[c.box].Contains(uid)):
			modified = modified.Append(uid)
		case !r.Op.Apply(msg.flags, r.Flags).Equal(msg.flags):
			changed = changed.Append(uid)
			msg.flags = r.Op.Apply(msg.flags, r.Flags)
		}
	}
	m.altered[c.box] = m.altered[c.box].Union(changed)
	if r.UnchangedSince != nil {
		modified, gone = modified.Union(gone), nil
	}
	if told && (!got.Changed.Equal(changed) || !got.Modified.Equal(modified) || !got.Gone.Equal(gone) || (got.ModSeq == 0) != changed.Empty()) {
		t.Fatalf("store %+v: got %+v, want changed %v, modified %v, gone %v", r, got, changed, modified, gone)
	}
}

// held reports whether the node still has an expunged row.
func (m *modelTest) held(c *client, uid mail.UID) bool {
	rows, _ := c.s.Rows(make([]Row, 0, 1), mail.UIDSet{{First: uid, Last: uid}})
	return c.box.gone[uid] != nil && len(rows) == 1
}

func (m *modelTest) expunge(t *rapid.T, c *client) *action {
	var within *mail.UIDSet
	if rapid.Bool().Draw(t, "within") {
		uids := anyUIDs(t, c)
		within = &uids
	}
	var got mail.UIDSet
	return &action{
		what: "expunge",
		run:  func() (err error) { got, err = c.s.Expunge(context.Background(), within); return err },
		verify: func(t *rapid.T, did, told bool) {
			if !did {
				return
			}
			var want mail.UIDSet
			for uid := range c.box.uids().All() {
				if c.box.live[uid].flags.System&mail.Deleted != 0 && (within == nil || within.Contains(uid)) {
					want = want.Append(uid)
					c.box.expunge(uid, m.clock.Now().Unix())
				}
			}
			if told && !got.Equal(want) {
				t.Fatalf("expunged %v, want %v", got, want)
			}
		},
	}
}

func (m *modelTest) copyMove(t *rapid.T, c *client) *action {
	to := m.anyBox(t)
	uids := anyUIDs(t, c)
	move := rapid.Bool().Draw(t, "move")
	mb := m.handle(t, c.pool, to)
	var got Copied
	return &action{
		what: "copy",
		exceeds: func() bool {
			var u mail.Usage
			for uid := range uids.All() {
				msg := c.box.live[uid]
				if msg == nil && !move && m.held(c, uid) {
					msg = c.box.gone[uid]
				}
				if msg != nil && !move {
					u.Octets, u.Messages = u.Octets+uint64(len(msg.text)), u.Messages+1
				}
			}
			return m.exceeds(u)
		},
		run: func() (err error) {
			if move {
				got, err = c.s.Move(context.Background(), uids, mb)
			} else {
				got, err = c.s.Copy(context.Background(), uids, mb)
			}
			return err
		},
		verify: func(t *rapid.T, did, told bool) {
			if did {
				m.verifyCopy(t, c, to, uids, move, got, told)
			}
		},
	}
}

func (m *modelTest) verifyCopy(t *rapid.T, c *client, to *refBox, uids mail.UIDSet, move bool, got Copied, told bool) {
	want := Copied{Validity: to.validity}
	var moved []mail.UID
	for uid := range uids.All() {
		msg := c.box.live[uid]
		if msg != nil {
			moved = append(moved, uid)
		} else if move || !m.held(c, uid) {
			continue
		} else {
			msg = c.box.gone[uid]
		}
		want.From = want.From.Append(uid)
		want.To = want.To.Append(to.add(msg.text, msg.flags))
	}
	m.altered[to] = m.altered[to].Union(want.To)
	if move {
		for _, uid := range moved {
			c.box.expunge(uid, m.clock.Now().Unix())
		}
	}
	if told && (!got.From.Equal(want.From) || !got.To.Equal(want.To) || got.Validity != want.Validity) {
		t.Fatalf("copied %+v, want %+v", got, want)
	}
}

func (m *modelTest) replace(t *rapid.T, c *client) *action {
	to := m.anyBox(t)
	old := rapid.SampledFrom(c.uids).Draw(t, "old")
	mb := m.handle(t, c.pool, to)
	m.texts++
	text, flags := mailText(m.texts), anyFlags(t)
	content, err := m.nodes[c.pool].pool.Keep(context.Background(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var done Appended
	return &action{
		what: "replace",
		exceeds: func() bool {
			before := c.box.live[old]
			if before == nil {
				return false
			}
			return m.exceeds(mail.Usage{Octets: uint64(max(0, len(text)-len(before.text)))})
		},
		run: func() (err error) {
			done, err = c.s.Replace(context.Background(), old, mb, NewMessage{
				Content: content, Flags: flags, Date: mail.NewInternalDate(m.clock.Now()),
			})
			return err
		},
		verify: func(t *rapid.T, did, told bool) {
			if !did {
				if told && c.box.live[old] != nil {
					t.Fatalf("message %d was not replaced", old)
				}
				return
			}
			uids := mail.NewUIDSet(to.add(text, flags))
			m.altered[to] = m.altered[to].Union(uids)
			c.box.expunge(old, m.clock.Now().Unix())
			if told && (!done.UIDs.Equal(uids) || done.Validity != to.validity) {
				t.Fatalf("replaced by %+v, want %v", done, uids)
			}
		},
	}
}
