package search

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"postern/internal/mail"
)

// What follows is RFC 5256 3 as it is written, with pointers and without a thought
// for time. Base subjects come from plainBaseSubject.

// plainNode is a message or dummy.
type plainNode struct {
	n        int // place in the mailbox, -1 for a dummy
	h        *Heading
	parent   *plainNode
	children []*plainNode
}

func (p *plainNode) isDummy() bool { return p.n < 0 }

func (p *plainNode) isBelow(other *plainNode) bool {
	for ; p != nil; p = p.parent {
		if p == other {
			return true
		}
	}
	return false
}

func (p *plainNode) adopt(child *plainNode) {
	child.parent = p
	p.children = append(p.children, child)
}

func (p *plainNode) leave() {
	if p.parent != nil {
		p.parent.children = slices.DeleteFunc(p.parent.children, func(c *plainNode) bool { return c == p })
		p.parent = nil
	}
}

// plainIDs takes the valid Message-IDs of a field whose msg-ids have neither quotes
// nor white space.
func plainIDs(field string) (ids []string) {
	for _, word := range strings.Fields(field) {
		if id, ok := strings.CutPrefix(word, "<"); ok && strings.HasSuffix(id, ">") && strings.Contains(id, "@") {
			ids = append(ids, strings.TrimSuffix(id, ">"))
		}
	}
	return ids
}

// plainLinks is steps 1 to 3 of REFERENCES: the children of the root.
func plainLinks(mailbox []Heading) *plainNode {
	byID := map[string]*plainNode{}
	var all []*plainNode
	find := func(id string) *plainNode {
		if byID[id] == nil {
			byID[id] = &plainNode{n: -1}
			all = append(all, byID[id])
		}
		return byID[id]
	}
	for n := range mailbox {
		h := &mailbox[n]
		var own *plainNode
		if ids := plainIDs(h.MessageID); len(ids) > 0 && find(ids[0]).isDummy() {
			own = find(ids[0])
		} else {
			own = &plainNode{}
			all = append(all, own)
		}
		own.n, own.h = n, h
		refs := plainIDs(h.References)
		if len(refs) == 0 {
			if refs = plainIDs(h.InReplyTo); len(refs) > 1 {
				refs = refs[:1]
			}
		}
		for i := 1; i < len(refs); i++ { // 1.A
			parent, child := find(refs[i-1]), find(refs[i])
			if child.parent == nil && !parent.isBelow(child) {
				parent.adopt(child)
			}
		}
		if len(refs) > 0 {
			find(refs[len(refs)-1])
		}
		own.leave() // 1.B
		if len(refs) > 0 {
			if last := find(refs[len(refs)-1]); !last.isBelow(own) {
				last.adopt(own)
			}
		}
	}
	root := &plainNode{n: -1}
	for _, p := range all {
		if p.parent == nil {
			root.adopt(p) // 2
		}
	}
	plainPrune(root, true)
	return root
}

// plainPrune is step 3.
func plainPrune(level *plainNode, isRoot bool) {
	for _, p := range slices.Clone(level.children) {
		plainPrune(p, false)
		if p.isDummy() && (len(p.children) < 2 || !isRoot) {
			p.leave()
			for _, c := range slices.Clone(p.children) {
				c.leave()
				level.adopt(c)
			}
		}
	}
}

// first gives the node that stands for p where messages are compared.
func (p *plainNode) first() *plainNode {
	if p.isDummy() {
		return p.children[0]
	}
	return p
}

func plainSort(p *plainNode) {
	for _, c := range p.children {
		plainSort(c)
	}
	slices.SortFunc(p.children, func(a, b *plainNode) int {
		return cmp.Or(cmp.Compare(a.first().h.Sent, b.first().h.Sent), cmp.Compare(a.first().n, b.first().n))
	})
}

func (p *plainNode) threadSubject() string {
	base, _ := plainBaseSubject(p.first().h.Subject)
	return strings.ToUpper(base)
}

func (p *plainNode) isReply() bool {
	if p.isDummy() {
		return false
	}
	_, isReply := plainBaseSubject(p.h.Subject)
	return isReply
}

func plainReferences(mailbox []Heading) *plainNode {
	root := plainLinks(mailbox)
	plainSort(root) // 4
	table := map[string]*plainNode{}
	for _, current := range root.children { // 5.B
		subject := current.threadSubject()
		if subject == "" {
			continue
		}
		there := table[subject]
		if there == nil || !there.isDummy() && (current.isDummy() || there.isReply() && !current.isReply()) {
			table[subject] = current
		}
	}
	for _, current := range slices.Clone(root.children) { // 5.C
		subject := current.threadSubject()
		there := table[subject]
		switch {
		case subject == "" || there == current:
		case there.isDummy() && current.isDummy():
			current.leave()
			for _, c := range slices.Clone(current.children) {
				c.leave()
				there.adopt(c)
			}
		case there.isDummy(), current.isReply() && !there.isReply():
			current.leave()
			there.adopt(current)
		default:
			dummy := &plainNode{n: -1}
			for _, p := range []*plainNode{current, there} {
				p.leave()
				dummy.adopt(p)
			}
			root.adopt(dummy)
			table[subject] = dummy
		}
	}
	plainSort(root) // 6
	return root
}

// plainRefs is REFS as Dovecot has it.
func plainRefs(mailbox []Heading) *plainNode {
	root := plainLinks(mailbox)
	plainSort(root)
	type moment struct {
		date int64
		n    int
	}
	var latest func(p *plainNode) moment
	latest = func(p *plainNode) moment {
		last := moment{-1 << 62, -1}
		if !p.isDummy() {
			last = moment{p.h.Sent, p.n}
		}
		for _, c := range p.children {
			if m := latest(c); m.date > last.date || m.date == last.date && m.n > last.n {
				last = m
			}
		}
		return last
	}
	slices.SortFunc(root.children, func(a, b *plainNode) int {
		x, y := latest(a), latest(b)
		return cmp.Or(cmp.Compare(x.date, y.date), cmp.Compare(x.n, y.n))
	})
	return root
}

func plainOrderedSubject(mailbox []Heading) *plainNode {
	var messages []*plainNode
	for n := range mailbox {
		messages = append(messages, &plainNode{n: n, h: &mailbox[n]})
	}
	slices.SortFunc(messages, func(a, b *plainNode) int {
		return cmp.Or(cmp.Compare(a.threadSubject(), b.threadSubject()),
			cmp.Compare(a.h.Sent, b.h.Sent), cmp.Compare(a.n, b.n))
	})
	root := &plainNode{n: -1}
	for _, m := range messages {
		if n := len(root.children); n > 0 && root.children[n-1].threadSubject() == m.threadSubject() {
			root.children[n-1].adopt(m)
		} else {
			root.adopt(m)
		}
	}
	slices.SortFunc(root.children, func(a, b *plainNode) int {
		return cmp.Or(cmp.Compare(a.h.Sent, b.h.Sent), cmp.Compare(a.n, b.n))
	})
	return root
}

// text writes a node's children as THREAD does; UIDs are places plus one.
func (p *plainNode) text() string {
	var b strings.Builder
	for _, c := range p.children {
		b.WriteString("(" + c.members() + ")")
	}
	return b.String()
}

func (p *plainNode) members() string {
	number := ""
	if !p.isDummy() {
		number = fmt.Sprint(p.n + 1)
	}
	switch {
	case len(p.children) == 0:
		return number
	case number == "":
		return p.text()
	case len(p.children) == 1:
		return number + " " + p.children[0].members()
	}
	return number + " " + p.text()
}

// threadsText is what imapwire makes of Threads, for few messages.
func threadsText(t mail.Threads) string {
	var list func(first int32) string
	members := func(at int32) string { return "" }
	list = func(first int32) string {
		text := ""
		for at := first; at != mail.NoThread; at = t.Nodes[at].Next {
			text += "(" + members(at) + ")"
		}
		return text
	}
	members = func(at int32) string {
		node := t.Nodes[at]
		number := ""
		if node.Num > 0 {
			number = fmt.Sprint(node.Num)
		}
		switch {
		case node.Child == mail.NoThread:
			return number
		case number != "" && t.Nodes[node.Child].Next == mail.NoThread:
			return number + " " + members(node.Child)
		case number != "":
			return number + " " + list(node.Child)
		}
		return list(node.Child)
	}
	return list(t.First)
}
