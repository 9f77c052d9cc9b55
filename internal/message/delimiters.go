package message

import (
	"bytes"
	"slices"
)

// delimiters finds out which of the open boundaries a line has. A message can
// open MaxDepth of them and then have nothing but lines that are almost
// delimiters, so a line is not compared with each.
type delimiters struct {
	stale   bool           // boundaries were opened or closed since index
	frames  map[string]int // boundary to the innermost frame that has it open
	lengths []int          // distinct lengths of boundaries, ascending
}

// index takes over the open boundaries of the stack. They change no more often
// than parts begin.
func (d *delimiters) index(stack []frame) {
	if d.frames == nil {
		d.frames = make(map[string]int)
	}
	clear(d.frames)
	d.lengths = d.lengths[:0]
	for i, f := range stack {
		if f.boundary != nil {
			d.frames[string(f.boundary)] = i
			d.lengths = append(d.lengths, len(f.boundary))
		}
	}
	slices.Sort(d.lengths)
	d.lengths = slices.Compact(d.lengths)
	d.stale = false
}

// match finds the frame whose delimiter the line is; the line comes without
// "--" in front and without white space behind. A line that is exactly a
// delimiter goes first, then one that is exactly a closing delimiter; else the
// longest boundary that the line begins with counts, for RFC 2046 5.1.1 asks for
// no more than a prefix. Of equal boundaries the innermost counts. The work is
// added to steps.
func (d *delimiters) match(line []byte, steps *int64) (frame int, closing, ok bool) {
	if i, ok := d.frames[string(line)]; ok {
		return i, false, true
	}
	if b, isClosing := bytes.CutSuffix(line, []byte("--")); isClosing {
		if i, ok := d.frames[string(b)]; ok {
			return i, true, true
		}
	}
	shorter, _ := slices.BinarySearch(d.lengths, len(line)+1)
	for _, n := range slices.Backward(d.lengths[:shorter]) {
		*steps++
		if i, ok := d.frames[string(line[:n])]; ok {
			return i, bytes.HasPrefix(line[n:], []byte("--")), true
		}
	}
	return 0, false, false
}
