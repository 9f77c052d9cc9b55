package terms

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The form of a segment's file:
//
//	magic 8 | for each section that has terms: lists of its blocks, then terms of its blocks | ids | directory | trailer
//	terms of a block  0 | (term | 0)*, ascending; compressed
//	lists of a block  (length << 1 | form)* | list*, as many as terms
//	ids               number | first | distances*
//	directory         number of blocks | block*
//	block             section | first term | number of terms | octets of terms, uncompressed | terms: at, octets, CRC | lists: at, octets, CRC
//	trailer           ids: at u64, octets u32, CRC u32 | directory: the same | version u32 | maker u32 | CRC of the trailer so far u32 | magic 8
//
// Numbers are varints but for those in the trailer and CRCs, which are big-endian.
// CRCs are CRC-32C. A section is a field and a kind of terms: field<<1, with bit 0
// set for grams. Sections ascend.
const (
	magic       = "PSTNTERM"
	version     = 1
	trailerSize = 2*16 + 4 + 4 + 4 + 8

	blockTerms = 16 << 10 // octets of terms after which a block ends
	blockLists = 32 << 10 // octets of lists
)

// Fields is how many fields there can be.
const Fields = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// maxMessages bounds a segment, and with it the sets that are made of it.
const maxMessages = 1 << 24

var (
	errTooMany = errors.New("terms: a segment has too many messages")
	errMakers  = errors.New("terms: segments are of different makers")
)

// block is what the directory says of one.
type block struct {
	section byte
	first   []byte // term
	terms   int
	octets  int // of terms, uncompressed
	words   extent
	lists   extent
}

// extent is a part of the file.
type extent struct {
	at     int64
	octets int
	sum    uint32
}

// writer writes a segment, term by term.
type writer struct {
	w     io.Writer
	at    int64
	n     int // messages
	maker uint32
	err   error

	section byte
	blocks  []block
	open    *block // the last of blocks, while it takes terms
	words   []byte // of the open block
	heads   []byte // lengths of its lists
	lists   []byte

	held    [][]byte // terms of the section's blocks that are closed
	waiting int      // the first of them, in blocks
}

func newWriter(w io.Writer, n int, maker uint32) *writer {
	s := &writer{w: w, n: n, maker: maker}
	s.write([]byte(magic))
	return s
}

func (s *writer) write(b []byte) extent {
	e := extent{s.at, len(b), sum(b)}
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	s.at += int64(len(b))
	return e
}

// add writes a term with its rising places. Sections and the terms in one ascend.
func (s *writer) add(section byte, term []byte, places []uint32) {
	if section != s.section {
		s.endSection()
		s.section = section
	}
	if s.open == nil {
		s.blocks = append(s.blocks, block{section: section, first: append([]byte(nil), term...)})
		s.open = &s.blocks[len(s.blocks)-1]
		s.words = append(s.words[:0], 0)
		s.heads, s.lists = s.heads[:0], s.lists[:0]
	}
	s.words = append(append(s.words, term...), 0)
	start := len(s.lists)
	var form byte
	s.lists, form = appendList(s.lists, places, s.n)
	s.heads = binary.AppendUvarint(s.heads, uint64(len(s.lists)-start)<<1|uint64(form))
	s.open.terms++
	if len(s.words) >= blockTerms || len(s.lists) >= blockLists {
		s.endBlock()
	}
}

func (s *writer) endBlock() {
	if s.open == nil {
		return
	}
	s.open.octets = len(s.words)
	s.held = append(s.held, pack(s.words))
	s.open.lists = s.write(append(s.heads, s.lists...))
	s.open = nil
}

// endSection writes the terms of a section in one piece: a search reads all of them.
func (s *writer) endSection() {
	s.endBlock()
	for _, words := range s.held {
		s.blocks[s.waiting].words = s.write(words)
		s.waiting++
	}
	s.held = s.held[:0]
}

// finish writes what comes last.
func (s *writer) finish(ids []uint64) error {
	s.endSection()
	b := binary.AppendUvarint(nil, uint64(len(ids)))
	before := uint64(0)
	for _, id := range ids {
		b = binary.AppendUvarint(b, id-before)
		before = id
	}
	idsAt := s.write(b)
	b = binary.AppendUvarint(nil, uint64(len(s.blocks)))
	for i := range s.blocks {
		k := &s.blocks[i]
		b = append(b, k.section)
		b = append(binary.AppendUvarint(b, uint64(len(k.first))), k.first...)
		b = binary.AppendUvarint(b, uint64(k.terms))
		b = binary.AppendUvarint(b, uint64(k.octets))
		b = appendExtent(appendExtent(b, k.words), k.lists)
	}
	directory := s.write(b)
	b = b[:0]
	for _, e := range []extent{idsAt, directory} {
		b = binary.BigEndian.AppendUint64(b, uint64(e.at))
		b = binary.BigEndian.AppendUint32(b, uint32(e.octets))
		b = binary.BigEndian.AppendUint32(b, e.sum)
	}
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint32(b, s.maker)
	b = binary.BigEndian.AppendUint32(b, sum(b))
	s.write(append(b, magic...))
	return s.err
}

func appendExtent(b []byte, e extent) []byte {
	b = binary.AppendUvarint(b, uint64(e.at))
	b = binary.AppendUvarint(b, uint64(e.octets))
	return binary.BigEndian.AppendUint32(b, e.sum)
}
