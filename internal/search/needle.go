package search

import (
	"bytes"

	"postern/internal/mail"
)

// needle is a folded string that is looked for in folded text, by Knuth, Morris
// and Pratt's method: the text is looked at once, in pieces cut anywhere, and
// never again, so that no text however contrived takes more than linear time.
type needle struct {
	text []byte
	// next[i] is the length of the longest proper prefix of text that ends
	// text[:i]: where to go on when text[i] does not match.
	next []int32
}

// newNeedle folds s and prepares to look for it.
func newNeedle(s string, by mail.Collation) needle {
	n := needle{text: foldString(s, by)}
	n.next = make([]int32, len(n.text)+1)
	k := 0
	for i := 1; i < len(n.text); i++ {
		for k > 0 && n.text[i] != n.text[k] {
			k = int(n.next[k])
		}
		if n.text[i] == n.text[k] {
			k++
		}
		n.next[i+1] = int32(k)
	}
	return n
}

// find looks at the next piece of a text. matched is how many bytes of the
// needle the text so far ends with, 0 at its beginning; find gives it anew, and
// whether the needle was found whole.
func (n *needle) find(matched int, piece []byte) (int, bool) {
	m := len(n.text)
	if m == 0 {
		return 0, true
	}
	if m > mostAtOnce || len(piece) < 4*m {
		return n.step(matched, piece)
	}
	// What began before the piece ends in it within the needle's length. After that the piece is
	// looked at on its own, and its end once more for what goes on in the next.
	if matched > 0 {
		if _, found := n.step(matched, piece[:m-1]); found {
			return m, true
		}
	}
	if bytes.Contains(piece, n.text) {
		return m, true
	}
	return n.step(0, piece[len(piece)-m+1:])
}

// mostAtOnce is the longest needle that is looked for by comparing it at each place: the
// time it takes in the worst case is that of the text times this.
const mostAtOnce = 32

// step is find, octet by octet.
func (n *needle) step(matched int, piece []byte) (int, bool) {
	for i := 0; i < len(piece); i++ {
		if matched == 0 {
			skip := bytes.IndexByte(piece[i:], n.text[0])
			if skip < 0 {
				return 0, false
			}
			i += skip
		}
		for matched > 0 && n.text[matched] != piece[i] {
			matched = int(n.next[matched])
		}
		if n.text[matched] == piece[i] {
			if matched++; matched == len(n.text) {
				return matched, true
			}
		}
	}
	return matched, false
}
