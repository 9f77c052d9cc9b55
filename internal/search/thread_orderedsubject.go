package search

import "postern/internal/mail"

// orderedSubject is THREAD=ORDEREDSUBJECT (RFC 5256 3): messages with the same
// base subject are one thread, the empty one too; the first by date is its head and
// all others are the head's children. Going over the messages by date gives all of
// the orders that are asked for.
func (t *Threader) orderedSubject() mail.Threads {
	order := t.byDate()
	heads := make([]int32, len(t.subjects.known))
	for i := range heads {
		heads[i] = none
	}
	parent := make([]int32, len(t.uids))
	for _, i := range order {
		head := &heads[t.subjects.of[i]]
		parent[i] = *head
		if *head == none {
			*head = i
		}
	}
	return t.forest(order, parent)
}
