package search

import (
	"errors"
	"io"

	"postern/internal/message"
)

// chunk is how much text is read and folded at once. Folding makes no text more
// than eleven times as long (U+FDFA), and hardly any longer at all.
const chunk = 16 << 10

// readText reads the message's text, once, for all keys that are still to be
// answered, until the answer for the whole program is certain.
func (e *Evaluator) readText() Answer {
	if !e.getSummary() || !e.getBody() {
		return Unknown
	}
	if a, done := e.readPart(e.summary.Root); done {
		return a
	}
	for i, a := range e.text {
		if a == Unknown {
			e.text[i] = No
		}
	}
	return e.ask(&e.program.root)
}

// readPart reads a part's header and the text in and below it. It is done when
// nothing that follows can change the answer, or reading failed. Parts do not
// nest deeper than message.MaxDepth.
func (e *Evaluator) readPart(part *message.Part) (a Answer, done bool) {
	if a, done := e.readHeader(part); done {
		return a, true
	}
	for _, child := range part.Parts {
		if a, done := e.readPart(child); done {
			return a, true
		}
	}
	if !hasText(part) {
		return Unknown, false
	}
	return e.readContent(part.Text(e.body))
}

// hasText reports whether BODY and TEXT look at the content of a part itself.
func hasText(part *message.Part) bool {
	return len(part.Parts) == 0 && (part.Type == "TEXT" || part.Type == "MESSAGE")
}

// readHeader reads the fields of a header, each as a text of its own, name and
// all, if a key is left that looks at header fields.
func (e *Evaluator) readHeader(part *message.Part) (a Answer, done bool) {
	wanted := false
	for i := range e.text {
		key := &e.program.text[i]
		wanted = wanted || key.header && (e.text[i] == Unknown || e.grading && key.fuzzy != nil)
	}
	if !wanted {
		return Unknown, false
	}
	header := message.NewHeaderReader(io.NewSectionReader(e.body, part.HeaderStart, part.HeaderSize()))
	for {
		field, err := header.Next()
		if errors.Is(err, io.EOF) {
			return Unknown, false
		}
		if err != nil || e.givenUp() {
			return e.fail(err), true
		}
		e.beginText()
		news := false
		e.fold(func(piece []byte) bool {
			news = e.show(piece, true) || news
			return true
		}, field.Name, ": ", message.DecodeHeader(field.Value()))
		if e.endText(true, placeOf(field.Name)) || news {
			if a := e.ask(&e.program.root); a != Unknown {
				return a, true
			}
		}
	}
}

// readContent reads the content of one part, in which a text must be found
// whole.
func (e *Evaluator) readContent(r io.Reader) (a Answer, done bool) {
	e.beginText()
	if cap(e.read) < chunk {
		e.read = make([]byte, chunk)
	}
	for more := true; more; {
		n, err := r.Read(e.read[:chunk])
		e.folded = e.folder.append(e.folded[:0], e.read[:n])
		if errors.Is(err, io.EOF) {
			e.folded, err, more = e.folder.flush(e.folded), nil, false
		}
		news := e.show(e.folded, false)
		if !more && err == nil {
			news = e.endText(false, placeOfContent) || news
		}
		if news {
			if a = e.ask(&e.program.root); a != Unknown {
				e.folded = e.folder.flush(e.folded[:0])
				return a, true
			}
		}
		if err != nil || e.givenUp() {
			e.folded = e.folder.flush(e.folded[:0])
			return e.fail(err), true
		}
	}
	return Unknown, false
}

// show shows the next folded piece of a text to every key that is not answered
// yet, and says whether it answers one. Keys that look at bodies only are not
// shown header fields.
func (e *Evaluator) show(piece []byte, isHeader bool) bool {
	news := false
	for i := range e.program.text {
		key := &e.program.text[i]
		switch {
		case isHeader && !key.header, !e.grading && e.text[i] != Unknown, e.grading && (key.fuzzy == nil || e.hits[i]):
			continue
		}
		var found bool
		if e.matched[i], found = key.needle.find(e.matched[i], piece); !found {
			continue
		}
		if e.grading {
			e.hits[i] = true
		} else {
			e.text[i], news = Yes, true
		}
	}
	if e.program.fuzzyText {
		e.showWords(piece, isHeader)
	}
	return news
}

// fold folds a text that is given in strings and visits what comes out piece by
// piece, until visit gives false.
func (e *Evaluator) fold(visit func(piece []byte) bool, text ...string) {
	more := true
	for _, s := range text {
		for len(s) > 0 && more {
			e.read = append(e.read[:0], s[:min(len(s), chunk)]...)
			s = s[len(e.read):]
			e.folded = e.folder.append(e.folded[:0], e.read)
			more = visit(e.folded)
		}
	}
	e.folded = e.folder.flush(e.folded[:0])
	if more {
		visit(e.folded)
	}
}

// contains looks for a needle in a text that is given in strings.
func (e *Evaluator) contains(n *needle, text ...string) bool {
	matched, found := 0, false
	e.fold(func(piece []byte) bool {
		matched, found = n.find(matched, piece)
		return !found
	}, text...)
	return found
}
