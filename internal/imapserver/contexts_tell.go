package imapserver

import (
	"slices"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// announce tells what there is to tell of messages that EXISTS has just told of: which
// searches they are results of, and what the client wants to know of them. With NOTIFY
// that comes last (RFC 5465 5.2), with UPDATE alone before ADDTO (RFC 5465 7).
func (s *session) announce(added mail.UIDSet) error {
	b := s.box
	var joined []contextNews
	if len(b.contexts) > 0 {
		var err error
		if joined, err = s.askContexts(added); err != nil {
			return err
		}
	}
	addTo := func() {
		for i := range joined {
			s.updateContext(b.contexts[i], nil, joined[i].added, joined[i].sorted)
		}
	}
	late := s.notify != nil && len(s.notify.items) > 0
	if late {
		addTo()
	}
	err := s.fetchNew(added, joined)
	if !late {
		addTo()
	}
	return err
}

// updateContexts tells what changed flags have made of the results of searches. The
// flags are told before (RFC 5465 5.1).
func (s *session) updateContexts() error {
	b := s.box
	if len(b.contexts) == 0 {
		return nil
	}
	touched := b.touched.Intersect(b.view.Announced()).Subtract(b.view.Held())
	b.touched = b.touched.Subtract(touched)
	if err := s.tellLater(); err != nil {
		return err
	}
	if touched.Empty() {
		return nil
	}
	news, err := s.askContexts(touched)
	for i := range news {
		s.updateContext(b.contexts[i], news[i].removed, news[i].added, news[i].sorted)
	}
	return err
}

// tellLater looks at searches for OLDER and YOUNGER again, whose results change with
// the time alone.
func (s *session) tellLater() error {
	b := s.box
	for i := 0; i < len(b.contexts); i++ {
		x := b.contexts[i]
		if x.within == nil || s.srv.now().Sub(x.within.at) < withinAgain {
			continue
		}
		program, err := s.compileAgain(x.within)
		if err != nil {
			return err
		}
		x.search = program
		all := b.contexts
		b.contexts = []*searchContext{x}
		news, err := s.askContexts(b.view.Announced().Subtract(b.view.Held()))
		if b.contexts == nil {
			b.contexts = slices.Delete(all, i, i+1)
			i--
		} else {
			b.contexts = all
		}
		for k := range news {
			s.updateContext(x, news[k].removed, news[k].added, news[k].sorted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// updateContext tells the client which results went and came, and counts it as told.
// sorted is the list of a SORT to which something came.
func (s *session) updateContext(x *searchContext, removed, added mail.UIDSet, sorted []mail.UID) {
	if removed.Empty() && added.Empty() {
		return
	}
	u := imapwire.ContextUpdate{Tag: x.tag, UID: x.uid}
	x.in = x.in.Subtract(removed).Union(added)
	if x.order == nil {
		if !removed.Empty() {
			u.Remove = []imapwire.ContextChange{{Set: s.numbersOf(x, removed)}}
		}
		if !added.Empty() {
			u.Add = []imapwire.ContextChange{{Set: s.numbersOf(x, added)}}
		}
		s.w.ContextUpdate(&u)
		return
	}
	// From the last to the first, so that no removal moves another; then from the
	// first to the last, which each gives the place it has in the end.
	u.Remove = s.stretches(x, x.sorted, removed)
	slices.Reverse(u.Remove)
	if added.Empty() {
		x.sorted = slices.DeleteFunc(x.sorted, removed.Contains)
	} else {
		x.sorted = sorted
		u.Add = s.stretches(x, sorted, added)
	}
	s.w.ContextUpdate(&u)
}

// stretches gives where messages stand in a list, those that follow each other
// together.
func (s *session) stretches(x *searchContext, list []mail.UID, these mail.UIDSet) (out []imapwire.ContextChange) {
	before := false
	for i, uid := range list {
		is := these.Contains(uid)
		if is && !before {
			out = append(out, imapwire.ContextChange{Position: uint32(i + 1)})
		}
		if before = is; is {
			last := &out[len(out)-1]
			last.Sorted = append(last.Sorted, s.numberFor(x, uid))
		}
	}
	return out
}

func (s *session) numberFor(x *searchContext, uid mail.UID) uint32 {
	if x.uid {
		return uint32(uid)
	}
	seq, _ := s.box.view.Seq(uid)
	return seq
}

// numbersOf gives messages as a context names them.
func (s *session) numbersOf(x *searchContext, uids mail.UIDSet) mail.UIDSet {
	if x.uid {
		return uids
	}
	return s.seqSet(uids)
}
