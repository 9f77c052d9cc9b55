package search

import (
	"errors"
	"io"
	"strings"

	"postern/internal/mail"
	"postern/internal/message"
)

// fuzzyField says how well the words of a key are met in a field: in one of its
// addresses, or in one of the fields of its name. It is 0 if they are not, or
// reading failed.
func (e *Evaluator) fuzzyField(k *fieldKey) uint8 {
	if !e.getSummary() {
		return 0
	}
	switch {
	case k.kind == notKept || e.summary.Truncated:
		return e.fuzzyHeader(k)
	case !k.kind.isAddresses():
		return e.fuzzyIn(k.fuzzy, message.DecodeHeader(k.kind.text(e.summary).Value))
	}
	best := uint8(0)
	addresses := k.kind.addresses(e.summary)
	for i := range addresses {
		a := &addresses[i]
		best = max(best, e.fuzzyIn(k.fuzzy, message.DecodeHeader(a.Name), " ", message.DecodeHeader(a.Mailbox), "@", a.Host))
	}
	return best
}

func (e *Evaluator) fuzzyHeader(k *fieldKey) uint8 {
	if !e.getBody() {
		return 0
	}
	best := uint8(0)
	root := e.summary.Root
	header := message.NewHeaderReader(io.NewSectionReader(e.body, root.HeaderStart, root.HeaderSize()))
	for {
		field, err := header.Next()
		switch {
		case errors.Is(err, io.EOF):
			return best
		case err != nil || e.givenUp():
			e.fail(err)
			return 0
		case mail.CompareKeywords(field.Name, k.name) == 0:
			best = max(best, e.fuzzyIn(k.fuzzy, message.DecodeHeader(field.Value())))
		}
	}
}

// fuzzyIn says how well the words are met in one text, given in strings.
func (e *Evaluator) fuzzyIn(f *fuzzy, text ...string) uint8 {
	var best fit
	e.fold(func(piece []byte) bool {
		for len(piece) > 0 {
			var word []byte
			if word, piece = e.words.next(piece); word != nil {
				f.meet(&best, word)
			}
		}
		return true
	}, text...)
	if word := e.words.end(); word != nil {
		f.meet(&best, word)
	}
	return f.quality(&best)
}

// placeOf says what it counts, in percent, to be found in a header field rather
// than in another; content stands between.
func placeOf(field string) uint8 {
	switch strings.ToLower(field) {
	case "subject":
		return 100
	case "from", "to", "cc", "bcc", "sender", "reply-to":
		return 90
	}
	return worstPlace
}

const placeOfContent = 70

// beginText prepares the keys on text for another one.
func (e *Evaluator) beginText() {
	clear(e.matched)
	if e.program.fuzzyText {
		e.words.begin() // in case the text before was not read to its end
		e.words.word, e.words.runes = e.words.word[:0], 0
		clear(e.fits)
		clear(e.hits)
	}
}

// showWords shows the words of a folded piece to the fuzzy keys that look for them.
func (e *Evaluator) showWords(piece []byte, isHeader bool) {
	for len(piece) > 0 {
		var word []byte
		if word, piece = e.words.next(piece); word != nil {
			e.meet(word, isHeader)
		}
	}
}

func (e *Evaluator) meet(word []byte, isHeader bool) {
	for i := range e.program.text {
		if key := &e.program.text[i]; key.fuzzy != nil && (e.grading || e.text[i] == Unknown) && (key.header || !isHeader) {
			key.fuzzy.meet(&e.fits[i], word)
		}
	}
}

// endText ends a text and says whether that answers a key. While a message is
// graded it keeps how well each key was met, and where.
func (e *Evaluator) endText(isHeader bool, place uint8) (news bool) {
	if !e.program.fuzzyText {
		return false
	}
	if word := e.words.end(); word != nil {
		e.meet(word, isHeader)
	}
	for i := range e.program.text {
		key := &e.program.text[i]
		if key.fuzzy == nil || isHeader && !key.header {
			continue
		}
		quality := key.fuzzy.quality(&e.fits[i])
		switch {
		case e.grading:
			if e.hits[i] {
				quality = asWritten
			}
			if key.header { // BODY has but one kind of place
				quality = uint8(int(quality) * int(place) / 100)
			}
			e.grades[i] = max(e.grades[i], quality)
		case quality > 0 && e.text[i] == Unknown:
			e.text[i], news = Yes, true
		}
	}
	return news
}

// grade gives the relevancy of a message that matches (RFC 6203 4). For keys on
// text the message is read to its end: the best place decides, not the first.
func (e *Evaluator) grade() uint8 {
	if e.program.fuzzyText {
		clear(e.grades)
		if !e.getSummary() || !e.getBody() {
			return 0
		}
		e.grading = true
		e.readPart(e.summary.Root)
		e.grading = false
	}
	fit, graded := e.fitOf(&e.program.root)
	if !graded {
		return bestScore
	}
	return uint8(1 + max(0, fit-worstFit)*(bestScore-1)/(asWritten-worstFit))
}

// fitOf says how well a node is met: an And by the mean of its children, an Or by
// the best of those that match. graded is false if nothing in it is fuzzy.
func (e *Evaluator) fitOf(n *node) (fit int, graded bool) {
	switch n.kind {
	case isField:
		k := &e.program.field[n.key]
		switch {
		case k.fuzzy == nil:
			return 0, false
		case e.askExactly(k) == Yes:
			return asWritten, true
		}
		return int(e.fuzzyField(k)), true
	case isText:
		return int(e.grades[n.key]), e.program.text[n.key].fuzzy != nil
	case isAnd, isOr:
		sum, count := 0, 0
		for i := range n.children {
			child := &n.children[i]
			one, ok := e.fitOf(child)
			matches := ok && one > 0 || !ok && e.ask(child) != No
			switch {
			case n.kind == isAnd && !matches:
				return 0, true
			case ok && n.kind == isAnd:
				sum, count = sum+one, count+1
			case ok && matches:
				sum, count = max(sum, one), 1
			}
		}
		if count == 0 {
			return 0, false
		}
		return sum / count, true
	}
	return 0, false
}
