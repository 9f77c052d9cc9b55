package imapserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// TestNamesOwed changes names at random, several at a time, as when a client has not
// been told for a while. One that does what it is told, step by step, has the names
// that there are, as far as it asked for them.
func TestNamesOwed(t *testing.T) {
	for seed := range uint64(20000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := &notifying{groups: []imapwire.NotifyGroup{
			{MailboxFilter: imapwire.MailboxFilter{Scope: imapwire.ScopePersonal}, Events: imapwire.NotifyMailboxName},
			{MailboxFilter: imapwire.MailboxFilter{Scope: imapwire.ScopeSubtree, Names: []string{"a"}}, Events: imapwire.NotifyMailboxName},
			{MailboxFilter: imapwire.MailboxFilter{Scope: imapwire.ScopeMailboxes, Names: []string{"a/b", "b"}}, Events: imapwire.NotifyMailboxName},
		}[seed%3 : seed%3+1]}
		m := names{rnd: rnd, ids: map[string]mail.MailboxID{}}
		for range 6 {
			m.change()
		}
		l := &listener{names: map[string]bool{}, subscribed: map[string]bool{}}
		f := &following{boxes: m.list()}
		for i := range f.boxes {
			if name := f.boxes[i].Name; n.eventsOf(name, false) != 0 {
				l.names[name] = true
			}
		}
		for range 4 {
			for range 1 + rnd.IntN(10) {
				m.change()
			}
			boxes := m.list()
			news := n.namesOwed(f, boxChanges(f.boxes, boxes), nil, boxes)
			for _, e := range news {
				attributes := []string{`\NonExistent`}
				if infoOf(boxes, e.name) != nil {
					attributes = nil
				}
				l.heardList(attributes, e.name, e.oldName)
			}
			watched := func(of map[string]bool) []string {
				return slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(name string) bool { return n.eventsOf(name, false) == 0 })
			}
			there := map[string]bool{}
			for i := range boxes {
				there[boxes[i].Name] = true
			}
			if want, got := watched(there), watched(l.names); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %v became %v, the client was told %v and has %v", seed, namesOf(f.boxes), want, news, got)
			}
			// It keeps no names that it did not ask for: they may not be true for long.
			maps.DeleteFunc(l.names, func(name string, _ bool) bool { return n.eventsOf(name, false) == 0 })
			f.boxes = boxes
		}
	}
}

func namesOf(boxes []account.Info) (out []string) {
	for _, b := range boxes {
		out = append(out, fmt.Sprintf("%s=%d", b.Name, b.ID))
	}
	return out
}

// names is an account that has nothing but names.
type names struct {
	rnd  *rand.Rand
	ids  map[string]mail.MailboxID
	next mail.MailboxID
}

func (m *names) some() string {
	name := string(rune('a' + m.rnd.IntN(3)))
	for m.rnd.IntN(2) == 0 {
		name += "/" + string(rune('a'+m.rnd.IntN(3)))
	}
	return name
}

func (m *names) create(name string) {
	for at := range name + "/" {
		if at == len(name) || at > 0 && name[at] == '/' {
			if m.ids[name[:at]] == 0 {
				m.next++
				m.ids[name[:at]] = m.next
			}
		}
	}
}

func (m *names) below(top string) bool {
	for name := range m.ids {
		if account.IsBelow(name, top) {
			return true
		}
	}
	return false
}

func (m *names) change() {
	name := m.some()
	switch to := m.some(); {
	case m.rnd.IntN(3) == 0:
		m.create(name)
	case m.rnd.IntN(3) == 0:
		if !m.below(name) {
			delete(m.ids, name)
		}
	case m.ids[name] != 0 && m.ids[to] == 0 && !account.IsBelow(to, name):
		if at := strings.LastIndexByte(to, '/'); at > 0 {
			m.create(to[:at])
		}
		move(m.ids, name, to)
	}
}

func (m *names) list() (boxes []account.Info) {
	for _, name := range slices.Sorted(maps.Keys(m.ids)) {
		boxes = append(boxes, account.Info{Name: name, ID: m.ids[name], HasChildren: m.below(name)})
	}
	return boxes
}
