package terms

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"io"
	"slices"
)

// Builder makes a segment of messages, which it is given one after the other with
// rising numbers. It holds everything in memory until it is written; Held says how
// much, so that whoever fills it can stop in time.
type Builder struct {
	maker uint32
	ids   []uint64
	cut   cutter
	field byte
	begun int // where in log the present message's terms begin

	// A table of terms by their hashes, without a pointer in it: there are a hundred thousand of
	// them, and they come by the million.
	seed  maphash.Seed
	slots []uint32 // place in known, plus one
	known []known
	text  []byte // of all of them, one after the other

	log []occurrence // in the order in which they came
}

// known is a term that has come before.
type known struct {
	hash    uint32
	at      uint32 // in text
	octets  uint16
	section byte
	last    uint32 // place of the last message with it, plus one
	n       uint32 // messages with it
}

// occurrence is a term in a message, once for each.
type occurrence struct{ term, place uint32 }

// What things take in memory.
const (
	knownOctets      = 20
	occurrenceOctets = 8
	leastSlots       = 1 << 12
)

// NewBuilder gives an empty Builder. maker names the way in which texts are decoded and folded
// before they come here: a needle is right only for a segment of the same maker.
func NewBuilder(maker uint32) *Builder {
	b := &Builder{maker: maker, seed: maphash.MakeSeed()}
	b.cut.give = b.term
	b.Reset()
	return b
}

// Reset empties the builder.
func (b *Builder) Reset() {
	b.ids, b.known, b.text, b.log, b.begun = nil, nil, nil, nil, 0
	b.slots = make([]uint32, leastSlots)
}

// Messages is how many messages it has.
func (b *Builder) Messages() int { return len(b.ids) }

// Held is how many octets of memory it takes, about.
func (b *Builder) Held() int {
	return 8*len(b.ids) + knownOctets*len(b.known) + len(b.text) + occurrenceOctets*len(b.log) + 4*len(b.slots)
}

// Begin begins a message. Its number is above those before.
func (b *Builder) Begin(id uint64) {
	b.ids = append(b.ids, id)
	b.begun = len(b.log)
}

// Terms is how many terms the present message has had, each counted once.
func (b *Builder) Terms() int { return len(b.log) - b.begun }

// Text takes the next piece of a text of the present message.
func (b *Builder) Text(field int, piece []byte) {
	b.field = byte(field)
	b.cut.piece(piece)
}

// EndText ends the text in a field.
func (b *Builder) EndText(field int) {
	b.field = byte(field)
	b.cut.end()
}

// Undo takes the present message out again.
func (b *Builder) Undo() {
	b.cut.end()
	for _, o := range b.log[b.begun:] {
		b.known[o.term].n--
		b.known[o.term].last = 0 // the next message has the same place
	}
	b.log = b.log[:b.begun]
	b.ids = b.ids[:len(b.ids)-1]
}

// term notes a term of the present message.
func (b *Builder) term(gram bool, term []byte) {
	section := b.field << 1
	if gram {
		section |= 1
	}
	at := b.find(section, term)
	k := &b.known[at]
	place := uint32(len(b.ids)) // plus one
	if k.last == place {
		return
	}
	k.last = place
	k.n++
	b.log = append(b.log, occurrence{at, place - 1})
}

// find gives the place of a term in known, where it puts it if it is new.
func (b *Builder) find(section byte, term []byte) uint32 {
	hash := uint32(maphash.Bytes(b.seed, term)) + uint32(section)*0x9E3779B9
	mask := uint32(len(b.slots) - 1)
	i := hash & mask
	for ; b.slots[i] != 0; i = (i + 1) & mask {
		k := &b.known[b.slots[i]-1]
		if k.hash == hash && k.section == section && bytes.Equal(b.text[k.at:k.at+uint32(k.octets)], term) {
			return b.slots[i] - 1
		}
	}
	b.known = append(b.known, known{hash: hash, at: uint32(len(b.text)), octets: uint16(len(term)), section: section})
	b.text = append(b.text, term...)
	b.slots[i] = uint32(len(b.known))
	if 2*len(b.known) > len(b.slots) {
		b.grow()
	}
	return uint32(len(b.known) - 1)
}

// grow makes the table twice as large.
func (b *Builder) grow() {
	b.slots = make([]uint32, 2*len(b.slots))
	mask := uint32(len(b.slots) - 1)
	for n := range b.known {
		i := b.known[n].hash & mask
		for b.slots[i] != 0 {
			i = (i + 1) & mask
		}
		b.slots[i] = uint32(n + 1)
	}
}

// Write writes the segment and empties the builder.
func (b *Builder) Write(w io.Writer) error {
	defer b.Reset()
	if len(b.ids) > maxMessages {
		return errTooMany
	}
	// The places of each term, in one piece: the log is in their order already.
	ends := make([]uint32, len(b.known))
	total := uint32(0)
	for i := range b.known {
		ends[i] = total // where its places begin; moved as they come
		total += b.known[i].n
	}
	all := make([]uint32, total)
	for _, o := range b.log {
		all[ends[o.term]] = o.place
		ends[o.term]++
	}
	s := newWriter(w, len(b.ids), b.maker)
	for _, i := range b.sorted() {
		k := &b.known[i]
		s.add(k.section, b.textOf(k), all[ends[i]-k.n:ends[i]])
	}
	return s.finish(b.ids)
}

func (b *Builder) textOf(k *known) []byte { return b.text[k.at : k.at+uint32(k.octets)] }

// sorted gives the terms that are in any message, by section and then by their octets.
func (b *Builder) sorted() []uint32 {
	type ranked struct {
		head uint64 // section and the first seven octets
		term uint32
	}
	ranks := make([]ranked, 0, len(b.known))
	for i := range b.known {
		k := &b.known[i]
		if k.n == 0 {
			continue
		}
		var head [8]byte
		head[0] = k.section
		copy(head[1:], b.textOf(k))
		ranks = append(ranks, ranked{binary.BigEndian.Uint64(head[:]), uint32(i)})
	}
	slices.SortFunc(ranks, func(x, y ranked) int {
		if x.head != y.head {
			return cmp.Compare(x.head, y.head)
		}
		return bytes.Compare(b.textOf(&b.known[x.term]), b.textOf(&b.known[y.term]))
	})
	terms := make([]uint32, len(ranks))
	for i := range ranks {
		terms[i] = ranks[i].term
	}
	return terms
}
