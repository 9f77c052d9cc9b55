package search

import (
	"strings"

	"postern/internal/mail"
)

// maxMissing bounds how many messages that are not there the others may refer to,
// all together: they cost memory, and anybody can send references.
const maxMissing = 1_000_000

// references is the parent/child links between Message-IDs (RFC 5256 3, THREAD
// REFERENCES, step 1).
type references struct {
	ids     map[string]int32 // node of each Message-ID
	nodes   []refNode
	of      []int32 // node of each message
	missing int     // nodes made for a reference that no message had claimed then
	trees   linkcut

	fields messageIDs
	read   []int32 // references of the message that is added
}

// refNode is a message, or a dummy for one that is not there.
type refNode struct {
	message int32 // or none
	parent  int32 // or none
	kids    int32
}

// add is step 1 for one message.
func (r *references) add(message int32, h *Heading) error {
	own := r.claim(message, h.MessageID)
	r.read = r.read[:0]
	if r.readIDs(h.References); len(r.read) == 0 {
		r.firstID(h.InReplyTo)
	}
	for i := 1; i < len(r.read); i++ {
		if parent, child := r.read[i-1], r.read[i]; r.nodes[child].parent == none {
			r.link(parent, child) // 1.A: a link that exists stays
		}
	}
	if r.nodes[own].parent != none {
		r.unlink(own) // 1.B: References may have been cut short in another message
	}
	if len(r.read) > 0 {
		r.link(r.read[len(r.read)-1], own)
	}
	if r.missing > maxMissing {
		return mail.Errorf(mail.Limit, "the messages refer to too many others")
	}
	return nil
}

// claim gives a message its node: that of its Message-ID, or one of its own if it
// has none or another message has the same.
func (r *references) claim(message int32, field string) int32 {
	node := int32(none)
	r.fields.of(field)
	if id, ok := r.fields.next(); ok {
		if node = r.node(id); r.nodes[node].message != none {
			node = none
		}
	}
	if node == none {
		node = r.make()
	}
	r.nodes[node].message = message
	r.of = append(r.of, node)
	return node
}

// node gives the node of a Message-ID, a dummy if there was none.
func (r *references) node(id []byte) int32 {
	node, ok := r.ids[string(id)]
	if !ok {
		node = r.make()
		r.ids[string(id)] = node
	}
	return node
}

func (r *references) make() int32 {
	r.nodes = append(r.nodes, refNode{message: none, parent: none})
	r.trees.add()
	return int32(len(r.nodes) - 1)
}

// readIDs reads the references of a References field.
func (r *references) readIDs(field string) {
	const shortest = len("<a@b>")
	skip := 0
	if len(field) > maxReferences*shortest {
		n := 0
		r.fields.of(field)
		for _, ok := r.fields.next(); ok; _, ok = r.fields.next() {
			n++
		}
		skip = max(n-maxReferences, 0)
	}
	r.fields.of(field)
	for n := 0; ; n++ {
		id, ok := r.fields.next()
		if !ok {
			return
		}
		if n == 0 || n > skip {
			r.refer(id)
		}
	}
}

// firstID reads the only reference that an In-Reply-To field gives.
func (r *references) firstID(field string) {
	if !strings.Contains(field, "<") {
		return
	}
	r.fields.of(field)
	if id, ok := r.fields.next(); ok {
		r.refer(id)
	}
}

func (r *references) refer(id []byte) {
	before := len(r.nodes)
	r.read = append(r.read, r.node(id))
	r.missing += len(r.nodes) - before
}

// link makes one node the parent of another that has none, unless that would be a
// loop.
func (r *references) link(parent, child int32) {
	switch c := &r.nodes[child]; {
	case parent == child:
		return
	case c.kids > 0 && r.nodes[parent].parent != none && r.trees.root(parent) == child:
		return
	}
	r.trees.link(child, parent)
	r.nodes[child].parent = parent
	r.nodes[parent].kids++
}

func (r *references) unlink(child int32) {
	r.trees.cut(child)
	r.nodes[r.nodes[child].parent].kids--
	r.nodes[child].parent = none
}

// above gives the parents of the messages after the dummies were pruned (steps 2
// and 3), each a message, a dummy or none; a dummy's number is the number of
// messages and more. A dummy remains only as the head of a thread, and only with
// two children or more; the children of all others go to the next above.
func (r *references) above() (parent []int32) {
	n := int32(len(r.of))
	parent = make([]int32, n)
	found := make([]int32, len(r.nodes)) // of a dummy: what its children go to, as a node
	for i := range found {
		found[i] = none
	}
	children := map[int32]int32{} // of the dummies at the head of a thread
	var way []int32
	for i, node := range r.of {
		to := r.nodes[node].parent
		for way = way[:0]; to != none && r.nodes[to].message == none; to = r.nodes[to].parent {
			if found[to] != none {
				to = found[to]
				break
			}
			way = append(way, to)
			if r.nodes[to].parent == none {
				break
			}
		}
		for _, dummy := range way {
			found[dummy] = to
		}
		if parent[i] = to; to != none && r.nodes[to].message == none {
			children[to]++
		}
	}
	dummies := map[int32]int32{}
	for i, to := range parent {
		switch {
		case to == none:
		case r.nodes[to].message != none:
			parent[i] = r.nodes[to].message
		case children[to] == 1:
			parent[i] = none
		default:
			if _, ok := dummies[to]; !ok {
				dummies[to] = n + int32(len(dummies))
			}
			parent[i] = dummies[to]
		}
	}
	for range dummies {
		parent = append(parent, none)
	}
	return parent
}
