package search

import (
	"cmp"
	"slices"

	"postern/internal/mail"
)

// Threader puts messages into threads (RFC 5256 3, THREAD). It keeps some ten
// octets per message, each base subject once, and for REFERENCES and REFS each
// Message-ID once; time is that of sorting the messages once.
type Threader struct {
	algorithm mail.ThreadAlgorithm
	uids      []mail.UID
	sent      []int64

	subjects subjects
	refs     references
}

// NewThreader makes a Threader that compares subjects by a collation.
func NewThreader(a mail.ThreadAlgorithm, by mail.Collation) *Threader {
	t := &Threader{algorithm: a}
	t.subjects.folder.by = by
	t.subjects.known = map[string]int32{"": 0}
	t.refs.ids = map[string]int32{}
	return t
}

// Needs says what of the Headings has to be filled in.
func (t *Threader) Needs() Fields {
	const links = FieldMessageID | FieldInReplyTo | FieldReferences
	switch t.algorithm {
	case mail.ThreadOrderedSubject:
		return FieldSent | FieldSubject
	case mail.ThreadReferences:
		return FieldSent | FieldSubject | links
	default:
		return FieldSent | links
	}
}

// Add adds a message, in the order of the mailbox. It is mail.Limit if the
// messages have more references or subjects than are worth keeping.
func (t *Threader) Add(uid mail.UID, h *Heading) error {
	i := int32(len(t.uids))
	t.uids = append(t.uids, uid)
	t.sent = append(t.sent, h.Sent)
	if t.algorithm != mail.ThreadRefs {
		if err := t.subjects.add(h.Subject); err != nil {
			return err
		}
	}
	if t.algorithm == mail.ThreadOrderedSubject {
		return nil
	}
	return t.refs.add(i, h)
}

// Threads gives the threads.
func (t *Threader) Threads() mail.Threads {
	switch t.algorithm {
	case mail.ThreadOrderedSubject:
		return t.orderedSubject()
	case mail.ThreadReferences:
		return t.references()
	default:
		return t.latestLast()
	}
}

// byDate gives the messages by sent date, those of one date as they stand in the
// mailbox (RFC 5256 2.2).
func (t *Threader) byDate() []int32 {
	order := make([]int32, len(t.uids))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.sent[a], t.sent[b]), cmp.Compare(a, b))
	})
	return order
}

// isDummy reports whether a node stands for a message that is not there: nodes are
// numbered from 0, the messages first.
func (t *Threader) isDummy(node int32) bool { return int(node) >= len(t.uids) }

// forest puts the messages below their parents, in the order given; so every set
// of siblings is in that order. A dummy, which is the head of a thread, stands
// where its first child would (RFC 5256 3, THREAD, step 6).
func (t *Threader) forest(order, parent []int32) mail.Threads {
	f := mail.Threads{First: mail.NoThread, Nodes: make([]mail.ThreadNode, len(parent))}
	last := make([]int32, len(parent)) // child of each node
	for i := range f.Nodes {
		f.Nodes[i] = mail.ThreadNode{Child: mail.NoThread, Next: mail.NoThread}
		if !t.isDummy(int32(i)) {
			f.Nodes[i].Num = uint32(t.uids[i])
		}
	}
	lastHead := int32(mail.NoThread)
	head := func(node int32) {
		if lastHead == mail.NoThread {
			f.First = node
		} else {
			f.Nodes[lastHead].Next = node
		}
		lastHead = node
	}
	for _, i := range order {
		p := parent[i]
		switch {
		case p == none:
			head(i)
			continue
		case f.Nodes[p].Child != mail.NoThread:
			f.Nodes[last[p]].Next = i
		default:
			f.Nodes[p].Child = i
			if t.isDummy(p) {
				head(p)
			}
		}
		last[p] = i
	}
	return f
}

// subjects are the base subjects of the messages, each kept once.
type subjects struct {
	known   map[string]int32 // folded; the empty one is 0
	size    int              // of all of them together
	of      []int32          // of each message
	isReply []bool
	folder  folder
	base    []byte
	folded  []byte
}

func (s *subjects) add(subject string) error {
	base, isReply := appendBase(s.base[:0], subject)
	s.base = base
	s.folded = s.folder.flush(s.folder.append(s.folded[:0], base))
	n, ok := s.known[string(s.folded)]
	if !ok {
		n = int32(len(s.known))
		s.known[string(s.folded)] = n
		if s.size += len(s.folded); s.size > maxKeyText {
			return mail.Errorf(mail.Limit, "the messages have too much text in their subjects")
		}
	}
	s.of, s.isReply = append(s.of, n), append(s.isReply, isReply)
	return nil
}
