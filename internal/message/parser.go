package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Parse reads the message of size bytes in r and describes it. Its errors are
// those of r, and io.ErrUnexpectedEOF when r ends before size.
func Parse(r io.ReaderAt, size int64) (*Summary, error) {
	p := NewParser()
	n, err := io.CopyBuffer(p, onlyReader{io.NewSectionReader(r, 0, size)}, make([]byte, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("message: reading at offset %d: %w", n, err)
	}
	if n != size {
		return nil, fmt.Errorf("message: ends at %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return p.Close()
}

// onlyReader hides SectionReader.WriteTo, which would bring its own buffer.
type onlyReader struct{ io.Reader }

// mark is a place in the message: its offset and the line ends before it.
type mark struct{ off, lines int64 }

// lineState says how the bytes of the current line are to be read.
type lineState uint8

const (
	atLineStart lineState = iota // nothing of the line was seen
	inDelimiter                  // begins with "-": may be a delimiter, is collected
	inOpening                    // a delimiter that opened a part: skip to the next line
	inName                       // header: collecting a field name
	inValue                      // header: keeping a field's value
	inBlank                      // header: a CR at the line's start was seen
	inRest                       // nothing more to learn from this line
)

// Parser is an io.Writer that parses the message written to it, in pieces of
// any size. It keeps the open parts, the header fields it was told to keep and
// at most one short line; it never keeps body bytes. A Parser is for one
// message and one goroutine.
type Parser struct {
	sum   *Summary
	state lineState

	pos  mark // the next byte
	line mark // the first byte of the current line
	eol  int  // length of the line end before the current line: 0, 1 or 2
	prev byte // the byte before pos

	stack  []frame // open parts, the root first
	active int     // open boundaries in stack
	delims delimiters
	parts  int  // parts created
	params int  // parameters kept
	addrs  int  // address structures kept
	full   bool // MaxParts was met: no boundary counts any more

	collected []byte // the line while inDelimiter, the name while inName
	header    headerFields

	closed bool
	steps  int64 // work done, so that tests can show that it is linear
}

var _ io.Writer = (*Parser)(nil)

// NewParser returns a Parser that waits for the first byte of a message.
func NewParser() *Parser {
	p := &Parser{sum: &Summary{}}
	p.header.budget = MaxKept
	p.sum.Root = p.open(&p.sum.Envelope, false)
	return p
}

var errClosed = errors.New("message: write to a closed parser")

// Write takes the next bytes of the message. It keeps no reference to b and
// fails only after Close.
func (p *Parser) Write(b []byte) (int, error) {
	if p.closed {
		return 0, errClosed
	}
	for i := 0; i < len(b); {
		i += p.step(b[i:])
	}
	return len(b), nil
}

// Close tells the parser that the message has ended, and returns its Summary.
func (p *Parser) Close() (*Summary, error) {
	if p.closed {
		return nil, errClosed
	}
	p.closed = true
	if p.state == inDelimiter {
		p.endDelimiter()
	}
	if p.state == inOpening {
		p.openPending()
	}
	p.closeAbove(-1, p.pos)
	p.sum.Size = p.pos.off
	p.sum.Lines = p.pos.lines
	if p.sum.Envelope.Date.Present {
		if t, ok := ParseDate(p.sum.Envelope.Date.Value); ok {
			p.sum.SentDate = t
		}
	}
	return p.sum, nil
}

// step takes some bytes of b, which is not empty, and says how many. It may
// take none when it changes the state to one that will.
func (p *Parser) step(b []byte) int {
	p.steps++
	switch p.state {
	case atLineStart:
		return p.startLine(b)
	case inDelimiter:
		return p.delimiterLine(b)
	case inName:
		return p.nameLine(b)
	case inValue:
		return p.valueLine(b)
	case inBlank:
		return p.blankLine(b)
	default:
		return p.restOfLine(b)
	}
}

// advance moves past b, which holds no line end.
func (p *Parser) advance(b []byte) int {
	if len(b) > 0 {
		p.pos.off += int64(len(b))
		p.prev = b[len(b)-1]
	}
	return len(b)
}

// endLine moves past the LF that ends the current line.
func (p *Parser) endLine() {
	p.eol = 1
	if p.prev == '\r' && p.pos.off > p.line.off {
		p.eol = 2
	}
	p.pos.off++
	p.pos.lines++
	p.prev = '\n'
	p.line = p.pos
	p.state = atLineStart
}

func (p *Parser) startLine(b []byte) int {
	if !p.top().inHeader {
		switch {
		case p.active == 0:
			// Nothing but the end of data can end this part.
			p.pos.lines += int64(bytes.Count(b, lf))
			return p.advance(b)
		case b[0] == '-':
			p.state, p.collected = inDelimiter, p.collected[:0]
		default:
			p.state = inRest
		}
		return 0
	}
	switch c := b[0]; {
	case c == ' ' || c == '\t':
		// A line of white space only is folding too, not the header's end.
		p.state = inRest
		if p.header.keeping() {
			p.state = inValue
		}
		return 0
	case c == '\n':
		p.endLine()
		p.endHeader(p.pos)
		return 1
	case c == '\r':
		p.state = inBlank
		return p.advance(b[:1])
	case c == '-' && p.active > 0:
		p.header.end()
		p.state, p.collected = inDelimiter, p.collected[:0]
		return 0
	default:
		p.header.end()
		p.state, p.collected = inName, p.collected[:0]
		return 0
	}
}

var lf = []byte{'\n'}

// blankLine decides about a header line that began with CR: the end of the
// header if LF follows, rubbish otherwise.
func (p *Parser) blankLine(b []byte) int {
	p.header.end()
	if b[0] != '\n' {
		p.state = inRest
		return 0
	}
	p.endLine()
	p.endHeader(p.pos)
	return 1
}

func (p *Parser) restOfLine(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return p.advance(b)
	}
	p.advance(b[:i])
	opening := p.state == inOpening
	p.endLine()
	if opening {
		p.openPending()
	}
	return i + 1
}

// nameLine collects a field name up to its colon. A line without one, or with
// something before it that is no field name, is skipped with its continuation
// lines; it does not end the header. mbox "From " lines are such lines.
func (p *Parser) nameLine(b []byte) int {
	i := bytes.IndexAny(b[:min(len(b), maxFieldName)], ":\n")
	if i < 0 {
		n := min(len(b), maxFieldName)
		p.collected = append(p.collected, b[:n]...)
		if len(p.collected) > maxFieldName {
			p.state = inRest
		}
		return p.advance(b[:n])
	}
	if b[i] == '\n' {
		p.state = inRest
		return p.advance(b[:i])
	}
	p.collected = append(p.collected, b[:i]...)
	p.state = inRest
	if p.header.begin(p.collected, p.top().envelope != nil) {
		p.state = inValue
	}
	return p.advance(b[:i+1])
}

func (p *Parser) valueLine(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		p.header.add(b)
		return p.advance(b)
	}
	p.header.add(b[:i])
	p.header.unfold()
	p.advance(b[:i])
	p.endLine()
	return i + 1
}

// maxDelimiter is how much of a line is needed to see which boundary it has.
const maxDelimiter = 2 + MaxBoundary + 2 + 1

func (p *Parser) delimiterLine(b []byte) int {
	n := min(len(b), maxDelimiter-len(p.collected))
	if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
		p.collected = append(p.collected, b[:i]...)
		p.endDelimiter()
		return p.advance(b[:i])
	}
	p.collected = append(p.collected, b[:n]...)
	if len(p.collected) == maxDelimiter || len(p.collected) > 1 && p.collected[1] != '-' {
		p.endDelimiter()
	}
	return p.advance(b[:n])
}
