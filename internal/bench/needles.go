package bench

import (
	"context"
	"math/rand/v2"
	"strings"
)

// needle is a word to search for and the messages that have it, by sequence number, as a scan of the corpus says.
type needle struct {
	word                string
	body, text, subject []int
}

// haystack hands out needles: words that few letters have, that half have and that none has, each once.
type haystack struct {
	rare, half, none, subjects []*needle
	unseen                     []int
	sizes                      []int // RFC822.SIZE of each letter
	dates                      []int64
}

// newHaystack reads the first n letters of the corpus twice: once to see which words are how common, and once to
// scan for the chosen ones. It gives each kinds of needles. The draw is new in every run.
func newHaystack(ctx context.Context, c *corpus, n, each int, told func(done int)) (*haystack, error) {
	h := &haystack{}
	inBody, inSubject := map[string]int{}, map[string]int{}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := c.letter(i)
		countWords(inBody, l.text)
		countWords(inSubject, l.subject)
		h.sizes = append(h.sizes, len(l.raw))
		h.dates = append(h.dates, l.date.Unix())
		if !l.seen {
			h.unseen = append(h.unseen, i+1)
		}
		told(i)
	}
	few := max(n/100, 1)
	h.rare = draw(inBody, each, func(k int) bool { return k <= few })
	h.half = draw(inBody, each, func(k int) bool { return k > n*4/10 && k < n*6/10 })
	h.subjects = draw(inSubject, each, func(k int) bool { return k <= few })
	for range each {
		h.none = append(h.none, &needle{word: "qx" + c.words[rand.IntN(len(c.words))] + "xq"}) // no syllable has q or x
	}
	all := append(append(append(append([]*needle(nil), h.rare...), h.half...), h.none...), h.subjects...)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scan(c.letter(i), i+1, all)
		told(i)
	}
	return h, nil
}

// countWords counts each word of a text once.
func countWords(counts map[string]int, text string) {
	mine := map[string]bool{}
	for w := range strings.FieldsSeq(strings.ToLower(text)) {
		if !mine[w] && len(w) >= 4 {
			mine[w] = true
			counts[w]++
		}
	}
}

// draw picks words at random among those whose count fits.
func draw(counts map[string]int, each int, fits func(int) bool) []*needle {
	var fitting []string
	for w, k := range counts {
		if fits(k) && isASCII(w) && !strings.Contains(mimeWords, w) {
			fitting = append(fitting, w)
		}
	}
	rand.Shuffle(len(fitting), func(i, j int) { fitting[i], fitting[j] = fitting[j], fitting[i] })
	var picked []*needle
	for _, w := range fitting[:min(each, len(fitting))] {
		picked = append(picked, &needle{word: w})
	}
	return picked
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// scan enters a letter with every needle it has, as RFC 9051 6.4.4 defines BODY, TEXT and SUBJECT: substrings, in any
// case.
func scan(l letter, seq int, all []*needle) {
	text, header, subject := strings.ToLower(l.text), strings.ToLower(l.header), strings.ToLower(l.subject)
	for _, n := range all {
		inBody := strings.Contains(text, n.word)
		if inBody {
			n.body = append(n.body, seq)
		}
		if inBody || strings.Contains(header, n.word) {
			n.text = append(n.text, seq)
		}
		if strings.Contains(subject, n.word) {
			n.subject = append(n.subject, seq)
		}
	}
}

// take gives a needle nobody used yet.
func take(from *[]*needle) (*needle, bool) {
	if len(*from) == 0 {
		return nil, false
	}
	n := (*from)[0]
	*from = (*from)[1:]
	return n, true
}
