package terms

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"
)

// What of a needle is looked up. The more of it is, the fewer messages are candidates; beyond this
// it makes no difference, and would let a client with a long string keep us busy.
const (
	maxRuns  = 8
	maxGrams = 32 // of a run
)

// Needle is a string that is looked for.
type Needle struct {
	runs     []run
	complete bool // the runs are all of it
}

// run is a stretch of a needle that is part of one run of the text.
type run struct {
	text       []byte
	dense      bool
	begun, end bool // the text's run begins and ends where this one does: something else stands beside it
	grams      [][]byte
}

// NewNeedle prepares to look for a string, which is folded like the text. With
// asciiOnly it is compared with the text in another way, and only the ASCII in it is certain to
// stand in the folded text.
func NewNeedle(folded []byte, asciiOnly bool) *Needle {
	n := &Needle{}
	asciiOnly = asciiOnly && !isASCII(folded) || !utf8.Valid(folded)
	for i := 0; i < len(folded); {
		is, size := classAt(folded[i:])
		if is == between || asciiOnly && folded[i] >= utf8.RuneSelf {
			i += size
			continue
		}
		start := i
		for i < len(folded) {
			next, size := classAt(folded[i:])
			if next != is || asciiOnly && folded[i] >= utf8.RuneSelf {
				break
			}
			i += size
		}
		r := run{text: folded[start:i], dense: is == dense, begun: start > 0 && !asciiOnly, end: i < len(folded) && !asciiOnly}
		for rest := r.text; ; {
			k := gramLen(rest)
			if k == 0 || len(r.grams) == maxGrams {
				break
			}
			r.grams = append(r.grams, rest[:k])
			_, size := classAt(rest)
			rest = rest[size:]
		}
		n.runs = append(n.runs, r)
	}
	n.complete = len(n.runs) == 1 && len(n.runs[0].text) == len(folded)
	// The longest first, for few messages have them, and each once.
	slices.SortStableFunc(n.runs, func(a, b run) int {
		return cmp.Or(len(b.text)-len(a.text), bytes.Compare(a.text, b.text))
	})
	n.runs = slices.CompactFunc(n.runs, func(a, b run) bool {
		return bytes.Equal(a.text, b.text) && a.begun == b.begun && a.end == b.end
	})
	n.runs = n.runs[:min(len(n.runs), maxRuns)]
	return n
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Selective reports whether the index knows anything of such a string: if not, every
// message may contain it.
func (n *Needle) Selective() bool { return len(n.runs) > 0 }

// pattern is what the run looks like in a dictionary of words, where a 0 stands
// before and after each.
func (r *run) pattern() []byte {
	p := make([]byte, 0, len(r.text)+2)
	if r.begun {
		p = append(p, 0)
	}
	p = append(p, r.text...)
	if r.end {
		p = append(p, 0)
	}
	return p
}

// Find adds to may the messages in whose texts of that field the string may be found,
// and to sure, if it is not nil, those in which it certainly is.
func (s *Segment) Find(n *Needle, field int, may, sure Set) error {
	if !n.Selective() {
		may.fill(s.Messages())
		return nil
	}
	all := NewSet(s.Messages())
	all.fill(s.Messages())
	for i := range n.runs {
		r := &n.runs[i]
		found, certain := NewSet(s.Messages()), NewSet(s.Messages())
		if err := s.findRun(r, byte(field)<<1, found, certain); err != nil {
			return err
		}
		if all.and(found); all.empty() {
			return nil
		}
		if len(n.runs) == 1 && n.complete && sure != nil {
			sure.Or(certain)
		}
	}
	may.Or(all)
	return nil
}

// findRun finds the messages that have a run. certain are those in which its text stands in one
// piece.
func (s *Segment) findRun(r *run, section byte, found, certain Set) error {
	if !r.dense {
		if err := s.scan(section, r.pattern(), certain); err != nil {
			return err
		}
		found.Or(certain)
		if r.begun && r.end && len(r.text) <= maxWord {
			return nil // it is a word, and no other run
		}
	}
	// Or it is part of a long run, or of one without spaces.
	section |= 1
	switch len(r.grams) {
	case 0:
		// Shorter than a gram: in any that has it. One that is a whole run stands for itself.
		part := NewSet(s.Messages())
		if err := s.scan(section, r.text, part); err != nil {
			return err
		}
		found.Or(part)
		certain.Or(part)
	default:
		var both Set
		for i, g := range r.grams {
			one := NewSet(s.Messages())
			if err := s.exactly(section, g, one); err != nil {
				return err
			}
			if i == 0 {
				both = one
			} else {
				both.and(one)
			}
			if both.empty() {
				break
			}
		}
		found.Or(both)
		if len(r.grams) == 1 && len(r.grams[0]) == len(r.text) {
			certain.Or(both)
		}
	}
	return nil
}

// exactly adds the messages that have the term.
func (s *Segment) exactly(section byte, term []byte, to Set) error {
	last := -1
	for i := range s.blocks {
		if b := &s.blocks[i]; b.section == section && bytes.Compare(b.first, term) <= 0 {
			last = i
		}
	}
	if last < 0 {
		return nil
	}
	pattern := append(append([]byte{0}, term...), 0)
	return s.scanBlock(last, pattern, to, &stretch{})
}

// scan adds the messages of the terms of a section in which the pattern is found. Before and
// after each term stands a 0.
func (s *Segment) scan(section byte, pattern []byte, to Set) error {
	var next stretch
	for i := range s.blocks {
		if s.blocks[i].section != section {
			continue
		}
		if err := s.scanBlock(i, pattern, to, &next); err != nil {
			return err
		}
	}
	return nil
}

// scanBlock is scan of one block.
func (s *Segment) scanBlock(i int, pattern []byte, to Set, next *stretch) error {
	words, err := s.words(i, next)
	if err != nil {
		return err
	}
	var lists *listing // read once a term is found
	for at, ended := 0, 0; ; {
		hit := bytes.Index(words[at:], pattern)
		if hit < 0 {
			return nil
		}
		from := at + hit
		if pattern[0] == 0 {
			from++
		}
		ended += bytes.Count(words[at:from], zero) // before the first term stands one, too
		if lists == nil {
			if lists, err = s.lists(&s.blocks[i]); err != nil {
				return err
			}
		}
		if !lists.add(ended-1, to, s.Messages()) {
			return damaged("a list")
		}
		// A term counts once. The 0 after it may be the one before the next.
		end := bytes.IndexByte(words[from:], 0)
		if end < 0 {
			return damaged("its terms")
		}
		at = from + end
	}
}

var zero = []byte{0}
