package search

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"postern/internal/mail"
)

// fuzzy is a text that is looked for word by word (RFC 6203): each of its words has
// to be in the other text, in any order and perhaps misspelt. Words are compared
// folded and without their marks, and letters that are no others with marks as
// those that stand for them: "Strasse" is "straße", "Muller" is "Müller".
type fuzzy struct {
	words []fuzzyWord
}

type fuzzyWord struct {
	text  []byte
	runes []rune
	edits int // how many letters may be wrong, missing, too many or exchanged
}

// Bounds on what is compared word by word. What is beyond is found as it is
// written, or not at all.
const (
	maxFuzzyWords = 16 // of a text that is looked for
	maxWord       = 64 // letters of a word; nobody's is longer
)

// How well a word is met, and a text: in percent.
const (
	asWritten   = 100 // the whole text, as the exact key finds it
	sameWord    = 90
	partOfWord  = 80
	oneEdit     = 60
	twoEdits    = 40
	worstPlace  = 50 // of 100: see placeOf
	worstFit    = twoEdits * worstPlace / 100
	bestScore   = 100
	shortestCut = 4 // letters that a word must have to be found within another
)

// newFuzzy prepares to look for a text's words. It gives nil if there are none, or
// too many: then the text is only looked for as it is written.
func newFuzzy(text string, by mail.Collation) *fuzzy {
	f := &fuzzy{}
	var scan wordScan
	add := func(word []byte) bool {
		if word == nil {
			return true
		}
		w := fuzzyWord{text: bytes.Clone(word), runes: []rune(string(word))}
		switch n := len(w.runes); { // most mistakes are one letter, in eight or more there may be two
		case n >= 8:
			w.edits = 2
		case n >= 4:
			w.edits = 1
		}
		f.words = append(f.words, w)
		return len(f.words) <= maxFuzzyWords
	}
	for piece := foldString(text, by); len(piece) > 0; {
		var word []byte
		if word, piece = scan.next(piece); !add(word) {
			return nil
		}
	}
	if !add(scan.end()) || len(f.words) == 0 || scan.tooLong {
		return nil
	}
	return f
}

// fit is how well each word of a fuzzy has been met in a text so far.
type fit [maxFuzzyWords]uint8

// meet compares a word of the text with each of those looked for.
func (f *fuzzy) meet(best *fit, word []byte) {
	length := -1
	for i := range f.words {
		w := &f.words[i]
		if best[i] >= sameWord {
			continue
		}
		if length < 0 {
			length = utf8.RuneCount(word)
		}
		best[i] = max(best[i], w.compare(word, length))
	}
}

// quality says how well all words were met together, 0 if one was not.
func (f *fuzzy) quality(best *fit) uint8 {
	sum := 0
	for i := range f.words {
		if best[i] == 0 {
			return 0
		}
		sum += int(best[i])
	}
	return uint8(sum / len(f.words))
}

func (w *fuzzyWord) compare(word []byte, length int) uint8 {
	switch {
	case bytes.Equal(word, w.text):
		return sameWord
	case bytes.HasPrefix(word, w.text), len(w.runes) >= shortestCut && bytes.Contains(word, w.text):
		return partOfWord
	case w.edits == 0, length-len(w.runes) > w.edits, len(w.runes)-length > w.edits:
		return 0
	}
	switch d := distance(w.runes, word); {
	case d > w.edits:
		return 0
	case d == 1:
		return oneEdit
	default:
		return twoEdits
	}
}

// distance is how many letters have to be changed, put in, taken out or exchanged
// with their neighbour to make one word of the other, none of them twice (optimal
// string alignment). Neither has more than maxWord.
func distance(a []rune, word []byte) int {
	var rows [3][maxWord + 1]uint8
	last, row, next := &rows[0], &rows[1], &rows[2]
	for j := range a {
		row[j+1] = uint8(j + 1)
	}
	i, before := 0, rune(-1)
	for len(word) > 0 {
		r, size := utf8.DecodeRune(word)
		word = word[size:]
		i++
		next[0] = uint8(i)
		for j, other := range a {
			d := row[j]
			if r != other {
				d = min(d, row[j+1], next[j]) + 1
				if j > 0 && r == a[j-1] && before == other {
					d = min(d, last[j-1]+1)
				}
			}
			next[j+1] = d
		}
		before = r
		last, row, next = row, next, last
	}
	return int(row[len(a)])
}

// wordScan cuts folded text that comes in pieces into words: runs of letters and
// digits, without the marks on them. Pieces end between characters.
type wordScan struct {
	word    []byte
	runes   int
	ended   bool // the word was given and makes room for the next
	tooLong bool
}

// next gives the first word that ends in a piece, nil if none does, and what is left
// of the piece. The word is good until the next call.
func (s *wordScan) next(piece []byte) (word, rest []byte) {
	s.begin()
	for len(piece) > 0 {
		r, size := rune(piece[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(piece)
		}
		piece = piece[size:]
		switch {
		case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
			s.add(r)
		case 'a' <= r && r <= 'z': // i;octet leaves them, and so does "ﬁ" (RFC 5051)
			s.add(r - ('a' - 'A'))
		case r < utf8.RuneSelf || r == utf8.RuneError:
			if word := s.end(); word != nil {
				return word, piece
			}
		case unicode.Is(unicode.M, r):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if plain, ok := plainLetters[r]; ok {
				for _, r := range plain {
					s.add(r)
				}
			} else {
				s.add(unicode.ToTitle(r))
			}
		default:
			if word := s.end(); word != nil {
				return word, piece
			}
		}
	}
	return nil, nil
}

// end ends the text and gives its last word, nil if it has none.
func (s *wordScan) end() []byte {
	s.begin()
	if s.runes == 0 {
		return nil
	}
	s.ended = true
	if s.runes > maxWord {
		s.tooLong = true
		return nil
	}
	return s.word
}

func (s *wordScan) begin() {
	if s.ended {
		s.word, s.runes, s.ended = s.word[:0], 0, false
	}
}

func (s *wordScan) add(r rune) {
	s.begin()
	if s.runes++; s.runes <= maxWord {
		s.word = utf8.AppendRune(s.word, r)
	}
}

// plainLetters are letters that Unicode does not take for others with marks, with
// what people write who do not have them. They are folded: most are capitals.
var plainLetters = map[rune]string{
	'ß': "SS", 'ẞ': "SS", 'Æ': "AE", 'Œ': "OE", 'Ø': "O", 'Đ': "D", 'Ð': "D", 'Þ': "TH", 'Ħ': "H", 'Ł': "L",
	'Ŧ': "T", 'ı': "I", 'Ŋ': "N", 'ĸ': "K",
}
