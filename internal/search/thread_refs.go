package search

import (
	"cmp"
	"slices"

	"postern/internal/mail"
)

// latestLast is THREAD=REFS, of draft-ietf-morg-inthread, which never became an
// RFC, as Dovecot has it: REFERENCES without its step 5, so that subjects do not
// matter, and threads by the sent date of their latest message, the latest thread
// at the end.
func (t *Threader) latestLast() mail.Threads {
	order := t.byDate()
	parent := t.refs.above()
	f := t.forest(order, parent)

	head := make([]int32, len(parent)) // of the thread of each node
	var heads, open []int32
	for node := f.First; node != mail.NoThread; node = f.Nodes[node].Next {
		heads = append(heads, node)
	}
	for _, h := range heads {
		open = append(open[:0], h)
		for len(open) > 0 {
			node := open[len(open)-1]
			open = open[:len(open)-1]
			head[node] = h
			for child := f.Nodes[node].Child; child != mail.NoThread; child = f.Nodes[child].Next {
				open = append(open, child)
			}
		}
	}
	latest := make([]int32, len(parent)) // place in order of the latest message below each head
	for place, i := range order {
		latest[head[i]] = int32(place)
	}
	slices.SortFunc(heads, func(a, b int32) int { return cmp.Compare(latest[a], latest[b]) })
	for i, h := range heads {
		f.Nodes[h].Next = mail.NoThread
		if i > 0 {
			f.Nodes[heads[i-1]].Next = h
		}
	}
	if len(heads) > 0 {
		f.First = heads[0]
	}
	return f
}
