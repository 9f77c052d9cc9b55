package terms

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// Merge writes one segment of several, which follow one another: the numbers of each are
// above those of the one before, and their maker is the same. Messages that keep says no to are left out. It reads the
// segments a block at a time. It gives the number of messages that were written.
func Merge(w io.Writer, segments []*Segment, keep func(id uint64) bool) (int, error) {
	var ids []uint64
	var walks []*walk
	for _, s := range segments {
		if s.maker != segments[0].maker {
			return 0, errMakers
		}
		k := &walk{s: s, next: make([]int32, s.n)}
		for i := range k.next {
			id := s.ID(i)
			if k.next[i] = -1; !keep(id) {
				continue
			}
			if len(ids) > 0 && ids[len(ids)-1] >= id {
				return 0, damaged("segments overlap")
			}
			k.next[i] = int32(len(ids))
			ids = append(ids, id)
		}
		if err := k.step(); err != nil {
			return 0, err
		}
		walks = append(walks, k)
	}
	if len(ids) > maxMessages {
		return 0, errTooMany
	}
	out := newWriter(w, len(ids), segments[0].maker)
	var list []uint32
	for {
		walks = slices.DeleteFunc(walks, func(k *walk) bool { return k.done })
		if len(walks) == 0 || out.err != nil {
			break
		}
		least := slices.MinFunc(walks, func(a, b *walk) int {
			return cmp.Or(cmp.Compare(a.section, b.section), bytes.Compare(a.term, b.term))
		})
		section, term := least.section, bytes.Clone(least.term)
		list = list[:0]
		for _, k := range walks { // in the segments' order, so places rise
			if k.section != section || !bytes.Equal(k.term, term) {
				continue
			}
			var err error
			if list, err = k.places(list); err == nil {
				err = k.step()
			}
			if err != nil {
				return 0, err
			}
		}
		if len(list) > 0 {
			out.add(section, term, list)
		}
	}
	return len(ids), out.finish(ids)
}

// walk goes over the terms of a segment in order.
type walk struct {
	s    *Segment
	next []int32 // by place: the message's place in what is written; -1: none
	done bool

	section byte
	term    []byte

	block   int    // the one after the present
	words   []byte // what is left of the present block
	lists   *listing
	at      int // in lists
	scratch []uint32
}

// step goes to the next term.
func (k *walk) step() error {
	k.at++
	for len(k.words) == 0 {
		if k.block == len(k.s.blocks) {
			k.done = true
			return nil
		}
		b := &k.s.blocks[k.block]
		k.block++
		packed, err := k.s.read(b.words)
		if err != nil {
			return err
		}
		words, err := k.s.unpack(b, packed)
		if err != nil {
			return err
		}
		if k.lists, err = k.s.lists(b); err != nil {
			return err
		}
		if bytes.Count(words, zero) != b.terms+1 {
			return damaged("its terms")
		}
		k.words, k.section, k.at = words[1:], b.section, 0
	}
	end := bytes.IndexByte(k.words, 0)
	if end <= 0 || k.at > 0 && bytes.Compare(k.words[:end], k.term) <= 0 {
		return damaged("its terms are out of order")
	}
	k.term, k.words = k.words[:end], k.words[end+1:]
	return nil
}

// places appends the places of the present term's messages in what is written.
func (k *walk) places(dst []uint32) ([]uint32, error) {
	list, form, ok := k.lists.list(k.at)
	if ok {
		k.scratch, ok = places(k.scratch[:0], list, form, k.s.n)
	}
	if !ok {
		return dst, damaged("a list")
	}
	for _, p := range k.scratch {
		if to := k.next[p]; to >= 0 {
			dst = append(dst, uint32(to))
		}
	}
	return dst, nil
}
