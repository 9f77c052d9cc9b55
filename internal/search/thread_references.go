package search

import "postern/internal/mail"

// references is THREAD=REFERENCES (RFC 5256 3) from step 2 on; step 1 was done as
// the messages were added.
//
// Every set of siblings is sorted by date, and a dummy stands where its first child
// does, in step 4 as in step 6. So one order of all messages serves both: forest
// puts them below their parents in it.
func (t *Threader) references() mail.Threads {
	order := t.byDate()
	parent := t.refs.above()
	m := merging{Threader: t, parent: parent, before: t.forest(order, parent)}
	m.fillTable()
	m.merge()
	return t.forest(order, m.parent)
}

// merging is step 5: threads with the same base subject become one.
type merging struct {
	*Threader
	parent []int32      // changes
	before mail.Threads // the threads of step 4
	table  []int32      // by subject: the head of a thread, or none
}

// subject gives a thread's subject, as its number; 0 is the empty one (5.B.i).
func (m *merging) subject(head int32) int32 {
	if m.isDummy(head) {
		head = m.before.Nodes[head].Child
	}
	return m.subjects.of[head]
}

// isReply reports whether a head is a message that is a reply or forward.
func (m *merging) isReply(head int32) bool { return !m.isDummy(head) && m.subjects.isReply[head] }

// fillTable is step 5.B: a dummy goes before a message, and a message that is no
// reply before one that is.
func (m *merging) fillTable() {
	m.table = make([]int32, len(m.subjects.known))
	for i := range m.table {
		m.table[i] = none
	}
	for head := m.before.First; head != mail.NoThread; head = m.before.Nodes[head].Next {
		subject := m.subject(head)
		if subject == 0 {
			continue
		}
		entry := &m.table[subject]
		if *entry == none || !m.isDummy(*entry) && (m.isDummy(head) || m.isReply(*entry) && !m.isReply(head)) {
			*entry = head
		}
	}
}

// merge is step 5.C.
func (m *merging) merge() {
	for head := m.before.First; head != mail.NoThread; head = m.before.Nodes[head].Next {
		subject := m.subject(head)
		if subject == 0 {
			continue
		}
		switch entry := m.table[subject]; {
		case entry == head:
		case m.isDummy(entry) && m.isDummy(head):
			for child := m.before.Nodes[head].Child; child != mail.NoThread; child = m.before.Nodes[child].Next {
				m.parent[child] = entry
			}
		case m.isDummy(entry), m.isReply(head) && !m.isReply(entry):
			m.parent[head] = entry
		default: // two messages: if one were a dummy, it would be in the table
			dummy := int32(len(m.parent))
			m.parent = append(m.parent, none)
			m.parent[head], m.parent[entry] = dummy, dummy
			m.table[subject] = dummy
		}
	}
}
