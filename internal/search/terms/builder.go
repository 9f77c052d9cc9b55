package terms

import (
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

// Builder makes a segment of messages, which it is given one after the other with
// rising numbers. It holds everything in memory until it is written; Held says how
// much, so that whoever fills it can stop in time.
type Builder struct {
	maker  uint32
	ids    []uint64
	terms  map[string]int32 // section and term → its place in lists
	lists  []growing
	held   int
	cut    cutter
	key    []byte
	fresh  int // terms of the present message
	within bool
}

// growing is a list while it grows.
type growing struct {
	last uint32 // place; valid if n > 0
	n    uint32
	gaps []byte
}

// What a term costs in memory beside its octets, roughly.
const termHeld = 96

// NewBuilder gives an empty Builder. maker names the way in which texts are decoded and folded
// before they come here: a needle is right only for a segment of the same maker.
func NewBuilder(maker uint32) *Builder {
	b := &Builder{maker: maker}
	b.cut.give = b.term
	b.Reset()
	return b
}

// Reset empties the builder.
func (b *Builder) Reset() {
	b.ids, b.lists, b.held, b.within = nil, nil, 0, false
	b.terms = map[string]int32{}
}

// Messages is how many messages it has.
func (b *Builder) Messages() int { return len(b.ids) }

// Held is how many octets of memory it takes, about.
func (b *Builder) Held() int { return b.held }

// Begin begins a message. Its number is above those before.
func (b *Builder) Begin(id uint64) {
	b.ids = append(b.ids, id)
	b.held += 8
	b.fresh = 0
}

// Terms is how many terms the present message has had, each counted once.
func (b *Builder) Terms() int { return b.fresh }

// Text takes the next piece of a text of the present message.
func (b *Builder) Text(field int, piece []byte) {
	b.key = append(b.key[:0], byte(field)<<1)
	b.cut.piece(piece)
}

// EndText ends the text in a field.
func (b *Builder) EndText(field int) {
	b.key = append(b.key[:0], byte(field)<<1)
	b.cut.end()
}

// Undo takes the present message out again.
func (b *Builder) Undo() {
	at := uint32(len(b.ids) - 1)
	b.cut.end()
	for i := range b.lists {
		l := &b.lists[i]
		if l.n == 0 || l.last != at {
			continue
		}
		// Found again from the beginning, which happens to few messages.
		l.n--
		last, rest := uint32(0), l.gaps
		for range l.n {
			gap, size := binary.Uvarint(rest)
			last += uint32(gap)
			rest = rest[size:]
		}
		l.gaps, l.last = l.gaps[:len(l.gaps)-len(rest)], last
	}
	b.ids = b.ids[:at]
}

func (b *Builder) term(gram bool, term []byte) {
	section := b.key[0] &^ 1
	if gram {
		section |= 1
	}
	b.key = append(append(b.key[:0], section), term...)
	at := uint32(len(b.ids) - 1)
	i, known := b.terms[string(b.key)]
	if !known {
		i = int32(len(b.lists))
		b.terms[string(b.key)] = i
		b.lists = append(b.lists, growing{})
		b.held += termHeld + len(b.key)
	}
	l := &b.lists[i]
	if l.n > 0 && l.last == at {
		return
	}
	before := len(l.gaps)
	gap := at
	if l.n > 0 {
		gap -= l.last
	}
	l.gaps = binary.AppendUvarint(l.gaps, uint64(gap))
	l.last = at
	l.n++
	b.fresh++
	b.held += len(l.gaps) - before
}

// Write writes the segment and empties the builder.
func (b *Builder) Write(w io.Writer) error {
	if len(b.ids) > maxMessages {
		return errTooMany
	}
	all := make([]struct {
		key  string
		list int32
	}, 0, len(b.terms))
	for key, list := range b.terms {
		if b.lists[list].n > 0 {
			all = append(all, struct {
				key  string
				list int32
			}{key, list})
		}
	}
	slices.SortFunc(all, func(x, y struct {
		key  string
		list int32
	}) int {
		return cmp.Compare(x.key, y.key)
	})
	s := newWriter(w, len(b.ids), b.maker)
	var list []uint32
	for _, t := range all {
		list = list[:0]
		at, rest := uint32(0), b.lists[t.list].gaps
		for len(rest) > 0 {
			gap, size := binary.Uvarint(rest)
			at += uint32(gap)
			list = append(list, at)
			rest = rest[size:]
		}
		s.add(t.key[0], []byte(t.key[1:]), list)
	}
	err := s.finish(b.ids)
	b.Reset()
	return err
}
