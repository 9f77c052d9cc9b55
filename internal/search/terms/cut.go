package terms

import "unicode/utf8"

// maxWord is the longest run of letters that becomes a term as it is, in octets.
// Longer ones are hardly words; they would fill the dictionary.
const maxWord = 40

// maxRun is how much of a run is held before its grams are given.
const maxRun = 4096

// class is what a character is to the index. It depends on the character alone, so
// that a string is cut in the same places wherever it stands in a text.
type class uint8

const (
	between class = iota // belongs to no term
	letter               // of a script with spaces between words, or a digit
	dense                // of a script without
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return letter
		}
		return between
	case r < 0x0E00, 0x10A0 <= r && r < 0x1780: // Thai to Myanmar lie between, Khmer begins the rest
		return letter
	}
	return dense
}

// classAt gives the class of the character that p begins with, and its length. An
// octet that is no character is between terms.
func classAt(p []byte) (class, int) {
	if p[0] < utf8.RuneSelf {
		return classOf(rune(p[0])), 1
	}
	r, size := utf8.DecodeRune(p)
	if r == utf8.RuneError && size == 1 {
		return between, 1
	}
	return classOf(r), size
}

// cutter cuts text into terms.
type cutter struct {
	run     []byte
	class   class
	long    bool // grams of the run's beginning have been given
	partial []byte
	give    func(gram bool, term []byte)
}

// piece takes the next piece of a text.
func (c *cutter) piece(p []byte) {
	if len(c.partial) > 0 {
		p = append(c.partial, p...)
		c.partial = nil
	}
	for len(p) > 0 {
		if p[0] >= utf8.RuneSelf && !utf8.FullRune(p) {
			c.partial = append([]byte(nil), p...)
			return
		}
		is, size := classAt(p)
		if is != c.class {
			c.endRun()
			c.class = is
		}
		if is == between {
			p = p[size:]
			continue
		}
		// The rest of the run at once, where it is plain.
		n := size
		if is == letter {
			for n < len(p) && plain[p[n]] {
				n++
			}
		}
		c.run = append(c.run, p[:n]...)
		p = p[n:]
		if len(c.run) > maxRun {
			rest, _ := c.grams()
			c.run = c.run[:copy(c.run, rest)]
			c.long = true
		}
	}
}

// plain are the octets that are letters or digits by themselves.
var plain = func() (is [256]bool) {
	for c := range rune(utf8.RuneSelf) {
		is[c] = classOf(c) == letter
	}
	return is
}()

// end ends the text.
func (c *cutter) end() {
	c.partial = nil // no character, so between terms
	c.endRun()
}

func (c *cutter) endRun() {
	if len(c.run) > 0 {
		if c.class == letter && len(c.run) <= maxWord && !c.long {
			c.give(false, c.run)
		} else if rest, covered := c.grams(); !covered {
			c.give(true, rest) // shorter than any gram, and not the end of one
		}
	}
	c.run, c.long, c.class = c.run[:0], false, between
}

// grams gives the grams that are whole in the run, and the rest that is the
// beginning of others, and whether the last of them ended with the run.
func (c *cutter) grams() (rest []byte, covered bool) {
	rest = c.run
	for {
		n := gramLen(rest)
		if n == 0 {
			return rest, covered
		}
		c.give(true, rest[:n])
		covered = n == len(rest)
		_, size := classAt(rest)
		rest = rest[size:]
	}
}

// gramLen is the length of the gram that p begins with: the fewest characters, at
// least two, that have three octets. It is 0 if p is too short for one.
func gramLen(p []byte) int {
	n := 0
	for k := 0; k < 2 || n < 3; k++ {
		if n == len(p) {
			return 0
		}
		_, size := classAt(p[n:])
		n += size
	}
	return n
}
