package terms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"sync"
)

// ErrDamaged says that a segment is not what was written.
var ErrDamaged = errors.New("terms: the segment is damaged")

func damaged(what string) error { return fmt.Errorf("%w: %s", ErrDamaged, what) }

// Segment is an open segment. It holds its directory, its messages' numbers and terms that
// were looked at. It may be used from several goroutines.
type Segment struct {
	r      io.ReaderAt
	size   int64
	blocks []block
	base   uint64
	ids    []uint32 // above base; nil: base, base+1, ...
	n      int
	maker  uint32

	mu   sync.Mutex
	kept [][]byte // terms of blocks, by block; nil: not read
	held int64
}

// Open reads what a segment of that size says of itself. Damage is ErrDamaged; other
// errors are the reader's.
func Open(r io.ReaderAt, size int64) (*Segment, error) {
	s := &Segment{r: r, size: size}
	if size < int64(len(magic)+trailerSize) {
		return nil, damaged("it is too short")
	}
	t := make([]byte, trailerSize)
	if err := readAt(r, t, size-trailerSize); err != nil {
		return nil, err
	}
	if string(t[trailerSize-len(magic):]) != magic || binary.BigEndian.Uint32(t[40:]) != sum(t[:40]) {
		return nil, damaged("it has no end")
	}
	if v := binary.BigEndian.Uint32(t[32:]); v != version {
		return nil, damaged("its version is unknown")
	}
	s.maker = binary.BigEndian.Uint32(t[36:])
	var parts [2][]byte
	for i := range parts {
		at := t[i*16:]
		e := extent{int64(binary.BigEndian.Uint64(at)), int(binary.BigEndian.Uint32(at[8:])), binary.BigEndian.Uint32(at[12:])}
		var err error
		if parts[i], err = s.read(e); err != nil {
			return nil, err
		}
	}
	if err := s.readIDs(parts[0]); err != nil {
		return nil, err
	}
	if err := s.readDirectory(parts[1]); err != nil {
		return nil, err
	}
	s.kept = make([][]byte, len(s.blocks))
	return s, nil
}

// readAt reads all of p.
func readAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return damaged("it ends early")
	}
	return err
}

// read reads a part and checks it.
func (s *Segment) read(e extent) ([]byte, error) {
	if e.at < 0 || e.octets < 0 || e.at > s.size || int64(e.octets) > s.size-e.at {
		return nil, damaged("a part lies beyond its end")
	}
	b := make([]byte, e.octets)
	if err := readAt(s.r, b, e.at); err != nil {
		return nil, err
	}
	if sum(b) != e.sum {
		return nil, damaged("a checksum does not agree")
	}
	return b, nil
}

// reading reads varints. Its first failure sticks.
type reading struct {
	b   []byte
	bad bool
}

func (d *reading) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads a number of things, each of which takes an octet at least.
func (d *reading) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *reading) take(n int) []byte {
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *reading) extent() extent {
	at, octets := d.uint(), d.uint()
	sum := d.take(4)
	if d.bad || at > math.MaxInt64 || octets > math.MaxInt32 {
		d.bad = true
		return extent{}
	}
	return extent{int64(at), int(octets), binary.BigEndian.Uint32(sum)}
}

func (s *Segment) readIDs(b []byte) error {
	d := reading{b: b}
	s.n = d.count()
	if s.n > maxMessages {
		return damaged("it has too many messages")
	}
	ids := make([]uint32, s.n)
	contiguous := true
	at := uint64(0)
	for i := range ids {
		gap := d.uint()
		if i == 0 {
			s.base, at = gap, gap
			continue
		}
		contiguous = contiguous && gap == 1
		if gap == 0 || gap > math.MaxUint32 || at-s.base+gap > math.MaxUint32 || at+gap < at {
			return damaged("its messages are out of order")
		}
		at += gap
		ids[i] = uint32(at - s.base)
	}
	if d.bad || len(d.b) > 0 {
		return damaged("the list of its messages")
	}
	if !contiguous {
		s.ids = ids
	}
	return nil
}

func (s *Segment) readDirectory(b []byte) error {
	d := reading{b: b}
	n := d.count()
	s.blocks = make([]block, 0, min(n, len(b)/20))
	for i := range n {
		var k block
		if section := d.take(1); section != nil {
			k.section = section[0]
		}
		k.first = d.take(d.count())
		terms, octets := d.uint(), d.uint()
		k.words, k.lists = d.extent(), d.extent()
		if d.bad || octets > maxBlock || terms > octets {
			return damaged("its directory")
		}
		k.terms, k.octets = int(terms), int(octets)
		if i > 0 {
			if before := &s.blocks[i-1]; k.section < before.section || k.section == before.section && slices.Compare(before.first, k.first) >= 0 {
				return damaged("its directory is out of order")
			}
		}
		s.blocks = append(s.blocks, k)
	}
	if len(d.b) > 0 {
		return damaged("its directory goes on")
	}
	return nil
}

// Maker is who folded the texts, as whoever built the segment said.
func (s *Segment) Maker() uint32 { return s.maker }

// Messages is how many messages the segment has.
func (s *Segment) Messages() int { return s.n }

// ID gives the number of the message at a place.
func (s *Segment) ID(i int) uint64 {
	if s.ids == nil {
		return s.base + uint64(i)
	}
	return s.base + uint64(s.ids[i])
}

// Place gives a message's place in the segment, if it is there.
func (s *Segment) Place(id uint64) (int, bool) {
	if s.n == 0 || id < s.base || id-s.base > math.MaxUint32 {
		return 0, false
	}
	off := uint32(id - s.base)
	if s.ids == nil {
		return int(off), int64(off) < int64(s.n)
	}
	i := sort.Search(len(s.ids), func(i int) bool { return s.ids[i] >= off })
	return i, i < len(s.ids) && s.ids[i] == off
}

// Held is how many octets of memory the segment takes, about.
func (s *Segment) Held() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held + int64(4*len(s.ids))
	for i := range s.blocks {
		held += 160 + int64(len(s.blocks[i].first))
	}
	return held
}

// What is read of a section at once, as it is packed, and how much of a segment's terms is kept for the next
// search.
const (
	stretchOctets = 256 << 10
	keptOctets    = 16 << 20
)

// stretch is the terms of some blocks that follow one another.
type stretch struct {
	first int // block
	words [][]byte
}

// words gives the terms of a block, with a 0 before and after each. A search goes through whole
// sections, whose terms lie in one piece: what is read beyond the block waits in next.
func (s *Segment) words(i int, next *stretch) ([]byte, error) {
	s.mu.Lock()
	kept := s.kept[i]
	s.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	if k := i - next.first; k >= 0 && k < len(next.words) {
		return next.words[k], nil
	}
	end, octets := i+1, s.blocks[i].words.octets
	for end < len(s.blocks) && s.blocks[end].section == s.blocks[i].section && octets < stretchOctets &&
		s.blocks[end].words.at == s.blocks[end-1].words.at+int64(s.blocks[end-1].words.octets) {
		octets += s.blocks[end].words.octets
		end++
	}
	at := s.blocks[i].words.at
	if octets < 0 || at < 0 || at > s.size || int64(octets) > s.size-at {
		return nil, damaged("terms lie beyond its end")
	}
	b := make([]byte, octets)
	if err := readAt(s.r, b, at); err != nil {
		return nil, err
	}
	next.first, next.words = i, next.words[:0]
	for k := i; k < end; k++ {
		n := s.blocks[k].words.octets
		words, err := s.unpack(&s.blocks[k], b[:n])
		if err != nil {
			return nil, err
		}
		b = b[n:]
		next.words = append(next.words, words)
	}
	s.keep(next)
	return next.words[0], nil
}

// keep keeps terms for the next search, if there are not too many.
func (s *Segment) keep(read *stretch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, words := range read.words {
		if i := read.first + k; s.kept[i] == nil && s.held+int64(len(words)) <= keptOctets {
			s.kept[i] = words
			s.held += int64(len(words))
		}
	}
}

func (s *Segment) unpack(k *block, packed []byte) ([]byte, error) {
	if sum(packed) != k.words.sum {
		return nil, damaged("a checksum does not agree")
	}
	words, ok := unpack(make([]byte, 0, k.octets), packed, k.octets)
	if !ok || len(words) < 2 || words[0] != 0 || words[len(words)-1] != 0 {
		return nil, damaged("its terms")
	}
	return words, nil
}

// listing are the lists of a block's terms.
type listing struct {
	heads []uint64 // length << 1 | form
	ends  []int    // of the lists before, and of this one
	b     []byte
}

func (s *Segment) lists(k *block) (*listing, error) {
	b, err := s.read(k.lists)
	if err != nil {
		return nil, err
	}
	d := reading{b: b}
	if k.terms > len(b) {
		return nil, damaged("its lists")
	}
	l := &listing{heads: make([]uint64, k.terms), ends: make([]int, k.terms)}
	total := uint64(0)
	for i := range l.heads {
		l.heads[i] = d.uint()
		if total += l.heads[i] >> 1; total > uint64(len(b)) {
			return nil, damaged("its lists")
		}
		l.ends[i] = int(total)
	}
	l.b = d.b
	if d.bad || total != uint64(len(l.b)) {
		return nil, damaged("its lists")
	}
	return l, nil
}

// list gives the list of a term.
func (l *listing) list(i int) (list []byte, form byte, ok bool) {
	if i < 0 || i >= len(l.heads) {
		return nil, 0, false
	}
	length := int(l.heads[i] >> 1)
	return l.b[l.ends[i]-length : l.ends[i]], byte(l.heads[i] & 1), true
}

// add adds the messages of a term.
func (l *listing) add(i int, to Set, n int) bool {
	list, form, ok := l.list(i)
	return ok && to.addList(list, form, n)
}
