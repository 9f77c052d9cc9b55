package account

import (
	"context"
	"fmt"
	"io"
	"slices"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/view"
)

// The plain reference of the model test: mailboxes as maps, one after another.

type refMessage struct {
	text    string
	flags   mail.Flags
	expunge int64 // unix seconds; of expunged ones
}

type refBox struct {
	name     string
	validity mail.UIDValidity
	next     mail.UID
	live     map[mail.UID]*refMessage
	gone     map[mail.UID]*refMessage
	texts    map[mail.UID]string // of every UID there ever was
	deleted  bool
	acl      map[grantee]mail.Rights // never changed in place
	highest  mail.ModSeq
	metadata refMetadata
}

func (b *refBox) counts() mail.Counts {
	c := mail.Counts{UIDNext: b.next}
	for _, m := range b.live {
		c.Messages++
		c.Unseen += count(m.flags.System&mail.Seen == 0)
		c.Deleted += count(m.flags.System&mail.Deleted != 0)
		c.Bytes += uint64(len(m.text))
		if m.flags.System&mail.Deleted != 0 {
			c.DeletedBytes += uint64(len(m.text))
		}
	}
	return c
}

func (b *refBox) uids() mail.UIDSet {
	var all []mail.UID
	for uid := range b.live {
		all = append(all, uid)
	}
	return mail.NewUIDSet(all...)
}

func (b *refBox) add(text string, flags mail.Flags) mail.UID {
	uid := b.next
	b.next++
	b.live[uid] = &refMessage{text: text, flags: flags}
	b.texts[uid] = text
	return uid
}

func (b *refBox) expunge(uid mail.UID, now int64) {
	m := b.live[uid]
	delete(b.live, uid)
	m.expunge = now
	b.gone[uid] = m
}

// client is what a client knows, which it learnt from responses alone.
type client struct {
	pool      int
	account   *Account
	box       *refBox
	s         *Selection
	readWrite bool
	view      *view.View
	uids      []mail.UID // by sequence number less one
	flags     map[mail.UID]string
}

// faulty is a store whose next calls can be made to fail, and which tells nobody
// when its log grows: the test decides when a node follows.
type faulty struct {
	store.Store
	before func()     // runs once before the next Commit
	commit commitFate // of the next Commit
	save   bool       // the next Save fails
}

type commitFate int

const (
	commitWell commitFate = iota
	commitUnavailable
	commitUnknownDone
	commitUnknownNot
)

func (f *faulty) Account(id mail.AccountID) store.Account {
	return &faultyAccount{f.Store.Account(id), f}
}

type faultyAccount struct {
	store.Account
	f *faulty
}

func (a *faultyAccount) Grew() <-chan struct{} { return nil }

func (a *faultyAccount) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	if before := a.f.before; before != nil {
		a.f.before = nil
		before()
	}
	fate := a.f.commit
	switch fate {
	case commitUnavailable, commitUnknownNot:
		a.f.commit = commitWell
		if fate == commitUnknownNot {
			return store.ErrUnknown
		}
		return mail.Errorf(mail.Unavailable, "injected")
	}
	err := a.Account.Commit(ctx, after, e)
	if err == nil && fate == commitUnknownDone {
		a.f.commit = commitWell
		err = store.ErrUnknown
	}
	return err
}

func (a *faultyAccount) Save(ctx context.Context, s store.Save) error {
	if a.f.save {
		a.f.save = false
		return mail.Errorf(mail.Unavailable, "injected")
	}
	return a.Account.Save(ctx, s)
}

// sync brings a client up to date as far as it may be, and checks what it is
// told against the reference.
func (m *modelTest) sync(t *rapid.T, c *client, mayExpunge bool) {
	m.follow(t, c.pool)
	c.view.Advance(c.s.Delta(c.view.Cursor(), c.view.UIDs()), m.clock.Now())
	m.claim(t, c, c.view.UIDs())
	tell := c.view.Tell(mayExpunge)
	if tell.Gone != c.box.deleted {
		t.Fatalf("mailbox %s: told gone %v", c.box.name, tell.Gone)
	}
	for seq := range tell.Expunges() {
		if seq < 1 || int(seq) > len(c.uids) {
			t.Fatalf("EXPUNGE %d of %d messages", seq, len(c.uids))
		}
		uid := c.uids[seq-1]
		if c.box.live[uid] != nil {
			t.Fatalf("EXPUNGE %d is UID %d, which is there", seq, uid)
		}
		c.uids = slices.Delete(c.uids, int(seq)-1, int(seq))
		delete(c.flags, uid)
	}
	if int(tell.Exists) < len(c.uids) {
		t.Fatalf("EXISTS %d, and the client knows %d", tell.Exists, len(c.uids))
	}
	for seq := len(c.uids) + 1; seq <= int(tell.Exists); seq++ {
		uid, ok := c.view.UID(uint32(seq))
		if !ok || len(c.uids) > 0 && uid <= c.uids[len(c.uids)-1] {
			t.Fatalf("message %d has UID %d after %v", seq, uid, c.uids)
		}
		c.uids = append(c.uids, uid)
		c.flags[uid] = m.fetchFlags(t, c, uid)
	}
	for seq, uid := range tell.Changes(func(uid mail.UID) mail.ModSeq { return m.row(t, c, uid).ModSeq }) {
		if c.uids[seq-1] != uid {
			t.Fatalf("FETCH %d is UID %d and was %d", seq, uid, c.uids[seq-1])
		}
		c.flags[uid] = m.fetchFlags(t, c, uid)
	}
	m.compare(t, c, mayExpunge)
}

// compare checks what a client knows once it was told everything.
func (m *modelTest) compare(t *rapid.T, c *client, expunged bool) {
	if int(c.view.Len()) != len(c.uids) {
		t.Fatalf("the view has %d messages, the client %d", c.view.Len(), len(c.uids))
	}
	if c.box.deleted {
		return
	}
	live := c.box.uids()
	known := mail.NewUIDSet(c.uids...)
	if missing := live.Subtract(known); !missing.Empty() {
		t.Fatalf("the client was not told of %v", missing)
	}
	if expunged && !known.Equal(live) {
		t.Fatalf("the client knows %v, there are %v", known, live)
	}
	for uid, msg := range c.box.live {
		if c.flags[uid] != msg.flags.String() {
			t.Fatalf("mailbox %s: the client thinks UID %d has flags %s, and it has %s", c.box.name, uid, c.flags[uid], msg.flags)
		}
	}
}

func (m *modelTest) row(t *rapid.T, c *client, uid mail.UID) Row {
	rows, rest := c.s.Rows(make([]Row, 0, 2), mail.UIDSet{{First: uid, Last: uid}})
	if len(rows) != 1 || len(rest) != 0 {
		t.Fatalf("UID %d has rows %v", uid, rows)
	}
	return rows[0]
}

func (m *modelTest) fetchFlags(t *rapid.T, c *client, uid mail.UID) string {
	return string(c.s.FlagText(m.row(t, c, uid).Flags))
}

// claim notes what a session is shown as \Recent: no message to two sessions of
// one node that may write.
func (m *modelTest) claim(t *rapid.T, c *client, uids mail.UIDSet) {
	m.claimed(t, c, c.s.Claim(uids))
}

func (m *modelTest) claimed(t *rapid.T, c *client, fresh mail.UIDSet) {
	if !c.readWrite {
		return
	}
	for uid := range fresh.All() {
		key := fmt.Sprint(m.nodes[c.pool].life, c.box.validity, uid)
		if m.recent[key] {
			t.Fatalf("UID %d is \\Recent twice", uid)
		}
		m.recent[key] = true
	}
}

// fetch reads a message by the sequence number the client has for it.
func (m *modelTest) fetch(t *rapid.T, c *client, seq int) {
	uid := c.uids[seq-1]
	got, err := c.view.Resolve(mail.NumSet{Ranges: []mail.NumRange{{From: uint32(seq), To: uint32(seq)}}}, false)
	if err != nil || !got.Equal(mail.UIDSet{{First: uid, Last: uid}}) {
		t.Fatalf("message %d is %v, %v, and was told to be UID %d", seq, got, err, uid)
	}
	rows, _ := c.s.Rows(make([]Row, 0, 1), got)
	if len(rows) == 0 {
		// Held no longer: only for a message expunged longer ago than the hold.
		if g := c.box.gone[uid]; g == nil && c.box.live[uid] != nil || g != nil && !m.mayBePurged(g) {
			t.Fatalf("UID %d has no row", uid)
		}
		return
	}
	read := false
	err = c.s.Summaries(context.Background(), rows, func(_ int, sum *Summary) error {
		read = true
		b, err := c.s.Body(context.Background(), sum)
		if err != nil {
			return err
		}
		defer b.Close()
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if string(text) != c.box.texts[uid] {
			t.Fatalf("UID %d reads %q and was %q", uid, text, c.box.texts[uid])
		}
		return err
	})
	if g := c.box.gone[uid]; (err != nil || !read) && (g == nil && !c.box.deleted || g != nil && !m.mayBePurged(g)) {
		t.Fatalf("UID %d cannot be read: %v", uid, err)
	}
}

// mayBePurged reports whether a message was expunged so long ago that the
// janitor may have taken it.
func (m *modelTest) mayBePurged(g *refMessage) bool {
	return g.expunge+int64(m.hold.Seconds()) <= m.clock.Now().Unix()
}
