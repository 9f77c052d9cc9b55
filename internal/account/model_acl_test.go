package account

import (
	"context"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// Access control lists in the model test: the reference keeps them as maps.

// grantee is whose entry it is.
type grantee struct {
	who      mail.AccountID
	negative bool
}

var someGrantees = []grantee{{mail.Anyone, false}, {mail.Anyone, true}, {11, false}, {11, true}, {12, false}}

// grant changes an entry of some mailbox's list on some node.
func (m *modelTest) grant(t *rapid.T) {
	i, b := m.anyNode(t), m.anyBox(t)
	who := rapid.SampledFrom(someGrantees).Draw(t, "who")
	op := rapid.SampledFrom([]mail.RightsOp{mail.SetRights, mail.AddRights, mail.RemoveRights}).Draw(t, "op")
	rights := mail.Rights(rapid.IntRange(0, int(mail.AllRights)).Draw(t, "rights"))
	box := m.handle(t, i, b)
	m.do(t, i, []*action{{
		what: "grant",
		run:  func() error { return box.Grant(context.Background(), who.who, who.negative, op, rights) },
		verify: func(t *rapid.T, done, told bool) {
			if !done {
				return
			}
			b.acl = maps.Clone(b.acl)
			if b.acl == nil {
				b.acl = map[grantee]mail.Rights{}
			}
			switch now := b.acl[who]; op {
			case mail.AddRights:
				b.acl[who] = now | rights
			case mail.RemoveRights:
				b.acl[who] = now - now&rights
			default:
				b.acl[who] = rights
			}
			if b.acl[who] == 0 {
				delete(b.acl, who)
			}
		},
	}})
}

// inherit gives mailboxes the reference has just learnt of the list of the nearest
// one that was above them before.
func (m *modelTest) inherit(before map[string]map[grantee]mail.Rights, known int) {
	for _, b := range m.boxes[known:] {
		for name := b.name; ; {
			at := strings.LastIndexByte(name, '/')
			if at < 0 {
				break
			}
			name = name[:at]
			if acl, there := before[name]; there {
				b.acl = acl
				break
			}
		}
	}
}

// lists gives the lists of all mailboxes by name.
func (m *modelTest) lists() map[string]map[grantee]mail.Rights {
	all := map[string]map[grantee]mail.Rights{}
	for _, b := range m.boxes {
		if !b.deleted {
			all[b.name] = b.acl
		}
	}
	return all
}

// compareACL checks a node's list of a mailbox, and what it comes to.
func (m *modelTest) compareACL(t *rapid.T, a *Account, b *refBox) {
	box, err := a.Mailbox(b.name, 0)
	if err != nil {
		t.Fatal(err)
	}
	acl, err := box.ACL()
	if err != nil {
		t.Fatal(err)
	}
	got := map[grantee]mail.Rights{}
	for _, g := range acl {
		got[grantee{g.Account, g.Negative}] = g.Rights
	}
	if !maps.Equal(got, b.acl) || !acl.Sound() {
		t.Fatalf("mailbox %s: list %v, want %v", b.name, acl, b.acl)
	}
	for _, who := range []mail.AccountID{11, 12, 13} {
		want := (b.acl[grantee{mail.Anyone, false}] | b.acl[grantee{who, false}]) &^ (b.acl[grantee{mail.Anyone, true}] | b.acl[grantee{who, true}])
		_, err := a.Guest(who, "").Mailbox(b.name, mail.RightRead)
		switch may := want&mail.RightRead != 0; {
		case may && err != nil, !may && err == nil, !may && (mail.KindOf(err) == mail.NotPermitted) != (want&mail.RightLookup != 0):
			t.Fatalf("mailbox %s, account %d with %s: %v", b.name, who, want, err)
		}
		listed := slices.ContainsFunc(a.Guest(who, "").Mailboxes(), func(info Info) bool { return info.Name == b.name && info.Rights == want })
		if listed != (want&mail.RightLookup != 0) {
			t.Fatalf("mailbox %s, account %d with %s: listed is %v", b.name, who, want, listed)
		}
	}
}
