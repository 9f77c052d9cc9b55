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
	if len(n.text) == 0 {
		return 0, true
	}
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
