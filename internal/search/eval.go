package search

import (
	"context"
	"io"

	"postern/internal/mail"
	"postern/internal/message"
)

// Source is where an Evaluator gets what a row does not tell of one message. It
// is asked at most once for each while one message is matched, and only if it
// matters; what it gives need be good only so long.
type Source interface {
	// Summary gives what was found when the message was parsed.
	Summary(ctx context.Context) (*message.Summary, error)

	// Thread gives the thread the message belongs to.
	Thread(ctx context.Context) (mail.ThreadID, error)

	// Body gives the message's octets. The caller of Match closes what there is
	// to close.
	Body(ctx context.Context) (io.ReaderAt, error)
}

// MatchRow says whether a message matches as far as its row tells. It allocates
// nothing. If the Program needs nothing but rows, it is never Unknown. A message that is to be
// graded never is Yes.
func (p *Program) MatchRow(r *Row) Answer {
	e := Evaluator{program: p, row: r}
	a := e.ask(&p.root)
	if a == Yes && p.graded {
		return Unknown
	}
	return a
}

// Evaluator matches one message after the other. It holds the buffers for that,
// some 50 KiB once a body was read, and is used by one goroutine at a time.
type Evaluator struct {
	program *Program
	row     *Row

	// While a message is matched whose row was not enough:
	ctx     context.Context
	source  Source // nil: do not ask
	summary *message.Summary
	thread  *mail.ThreadID
	body    io.ReaderAt
	err     error

	sent, field, text []Answer
	matched           []int // by text key: bytes of its needle the text ends with

	folder *folder
	read   []byte
	folded []byte

	// For fuzzy keys; fits, hits and grades by text key.
	words     wordScan
	fits      []fit   // in the present text
	hits      []bool  // while grading: the needle is in the present text
	grades    []uint8 // while grading: the best so far
	grading   bool
	relevancy uint8
}

// Evaluator gives a new Evaluator of the program.
func (p *Program) Evaluator() *Evaluator {
	e := &Evaluator{
		program: p,
		sent:    make([]Answer, len(p.sent)),
		field:   make([]Answer, len(p.field)),
		text:    make([]Answer, len(p.text)),
		matched: make([]int, len(p.text)),
		folder:  &folder{by: p.collation},
	}
	if p.fuzzyText {
		e.fits, e.hits, e.grades = make([]fit, len(p.text)), make([]bool, len(p.text)), make([]uint8, len(p.text))
	}
	return e
}

// Relevancy grades the message that Match said Yes to last, from 1 to 100 (RFC 6203
// 4). It is 100 if nothing about it was fuzzy, or Env did not ask.
func (e *Evaluator) Relevancy() uint8 { return e.relevancy }

// Match says whether a message matches. Its errors are those of the Source, of
// reading the body, and of ctx (mail.Canceled), which is looked at with every
// header field and 16 KiB of text; none come of what a message contains.
func (e *Evaluator) Match(ctx context.Context, r *Row, s Source) (bool, error) {
	e.row = r
	e.relevancy = bestScore
	if a := e.ask(&e.program.root); a == No || a == Yes && !e.program.graded {
		return a == Yes, nil
	}
	e.ctx, e.source = ctx, s
	e.givenUp()
	clear(e.sent)
	clear(e.field)
	for i := range e.text {
		e.text[i] = e.known(e.program.text[i].lookup)
	}
	a := e.ask(&e.program.root)
	if a == Unknown && e.err == nil {
		a = e.readText()
	}
	if a == Yes && e.program.graded {
		e.relevancy = e.grade()
	}
	err := e.err
	e.ctx, e.source, e.summary, e.thread, e.body, e.err = nil, nil, nil, nil, nil, nil
	return a == Yes && err == nil, err
}

// ask evaluates a node by what is known: the row, and once there is a source the
// Summary and header fields, fetched when they are first asked for. Keys on text
// are Unknown until readText has found out. An And is No as soon as one child
// is, even if others are Unknown.
func (e *Evaluator) ask(n *node) Answer {
	switch n.kind {
	case isConst:
		return n.answer
	case isRow:
		return answer(n.row.matches(e.row))
	case isNot:
		return e.ask(&n.children[0]).not()
	case isAnd, isOr:
		decides := No
		if n.kind == isOr {
			decides = Yes
		}
		all := decides.not()
		for i := range n.children {
			switch a := e.ask(&n.children[i]); a {
			case decides:
				return decides
			case Unknown:
				all = Unknown
			}
		}
		return all
	}
	if e.source == nil || e.err != nil {
		switch n.kind {
		case isField:
			return e.known(e.program.field[n.key].lookup)
		case isText:
			return e.known(e.program.text[n.key].lookup)
		}
		return Unknown
	}
	switch n.kind {
	case isSent:
		known := &e.sent[n.key]
		if *known == Unknown {
			*known = e.askSent(&e.program.sent[n.key])
		}
		return *known
	case isThread:
		if !e.getThread() {
			return Unknown
		}
		return answer(*e.thread == n.thread)
	case isField:
		known := &e.field[n.key]
		if *known == Unknown {
			*known = e.known(e.program.field[n.key].lookup)
		}
		if *known == Unknown {
			*known = e.askField(&e.program.field[n.key])
		}
		return *known
	default:
		return e.text[n.key]
	}
}

// givenUp reports whether the search was given up, and makes that its error.
func (e *Evaluator) givenUp() bool {
	if err := e.ctx.Err(); err != nil {
		e.fail(mail.Wrap(err, mail.Canceled, "search given up"))
		return true
	}
	return false
}

// fail keeps the first error, if it is one; every answer is Unknown from then on.
func (e *Evaluator) fail(err error) Answer {
	if e.err == nil {
		e.err = err
	}
	return Unknown
}

func (e *Evaluator) getSummary() bool {
	if e.summary == nil && e.err == nil {
		summary, err := e.source.Summary(e.ctx)
		if err != nil {
			e.fail(err)
		}
		e.summary = summary
	}
	return e.err == nil
}

func (e *Evaluator) getThread() bool {
	if e.thread == nil && e.err == nil {
		thread, err := e.source.Thread(e.ctx)
		if err != nil {
			e.fail(err)
		}
		e.thread = &thread
	}
	return e.err == nil
}

func (e *Evaluator) getBody() bool {
	if e.body == nil && e.err == nil {
		body, err := e.source.Body(e.ctx)
		if err != nil {
			e.fail(err)
		}
		e.body = body
	}
	return e.err == nil
}

// askSent looks at the day of the Date field as it is written there. A message
// without one that can be read is on no day.
func (e *Evaluator) askSent(k *sentKey) Answer {
	if !e.getSummary() {
		return Unknown
	}
	if e.summary.SentDate.IsZero() {
		return No
	}
	return answer(within(k.op, civil(e.summary.SentDate), k.day))
}
