package message

import (
	"bytes"
)

// frame is a part that has not ended yet.
type frame struct {
	part     *Part
	envelope *Envelope // where the header's envelope goes; nil in a MIME part
	inHeader bool
	body     mark   // where the body begins
	boundary []byte // of a multipart whose closing delimiter was not seen
	digest   bool   // default type of this part is message/rfc822
	// last is where the last closed child ended; the part ends no earlier.
	last mark
}

func (p *Parser) top() *frame { return &p.stack[len(p.stack)-1] }

// open begins a part at the current position. The part is the root of a message
// if envelope says where that message's envelope is wanted.
func (p *Parser) open(envelope *Envelope, digest bool) *Part {
	part := &Part{HeaderStart: p.pos.off}
	p.parts++
	p.header.reset()
	p.stack = append(p.stack, frame{part: part, envelope: envelope, inHeader: true, digest: digest})
	return part
}

// endDelimiter looks at the collected line, which began with "-". If it is a
// delimiter, the parts it ends are closed; if it opens a part, that begins on
// the next line.
func (p *Parser) endDelimiter() {
	p.state = inRest
	if p.active == 0 || !bytes.HasPrefix(p.collected, []byte("--")) {
		return
	}
	if p.delims.stale {
		p.delims.index(p.stack)
	}
	i, closing, ok := p.delims.match(bytes.TrimRight(p.collected[2:], " \t\r"), &p.steps)
	if !ok {
		return
	}
	// The line end before a delimiter belongs to the delimiter (RFC 2046
	// 5.1.1), also where it would end a header line.
	end := p.line
	if p.eol > 0 {
		end.off -= int64(p.eol)
		end.lines--
	}
	p.closeAbove(i, end)
	if closing {
		p.stack[i].boundary = nil
		p.active--
		p.delims.stale = true
		return
	}
	p.state = inOpening
}

// openPending begins the part that the delimiter line before announced.
func (p *Parser) openPending() {
	p.state = atLineStart
	parent := p.top().part
	part := p.open(nil, parent.Subtype == "DIGEST")
	parent.Parts = append(parent.Parts, part)
	if p.parts < MaxParts {
		return
	}
	// The last part takes in the rest of the message, headers and all.
	p.full, p.active = true, 0
	p.sum.Truncated = true
	part.Type, part.Subtype, part.Encoding = "APPLICATION", "OCTET-STREAM", "7BIT"
	part.BodyStart = p.pos.off
	p.top().inHeader, p.top().body = false, p.pos
}

// closeAbove ends all open parts above stack[index] at end, or later where a
// part begins later (a part between two delimiter lines that share a line end).
func (p *Parser) closeAbove(index int, end mark) {
	for len(p.stack)-1 > index {
		f := p.top()
		if f.inHeader {
			p.header.end()
			if end.off < f.part.HeaderStart {
				end = p.line
			}
			p.endHeader(end) // may open the root of an encapsulated message
			continue
		}
		end = later(end, later(f.body, f.last))
		f.part.BodyEnd = end.off
		f.part.Lines = end.lines - f.body.lines
		if f.part.IsMultipart() && len(f.part.Parts) == 0 {
			f.part.Parts = []*Part{emptyPart(end.off)}
		}
		if f.boundary != nil && !p.full {
			p.active--
			p.delims.stale = true
		}
		p.stack = p.stack[:len(p.stack)-1]
		if len(p.stack) > 0 {
			p.top().last = end
		}
	}
}

func later(a, b mark) mark {
	if b.off > a.off {
		return b
	}
	return a
}

// emptyPart stands for the body that the grammar of BODYSTRUCTURE demands in a
// multipart that has none.
func emptyPart(off int64) *Part {
	part := &Part{HeaderStart: off, BodyStart: off, BodyEnd: off, Encoding: "7BIT"}
	part.Type, part.Subtype, part.Params = "TEXT", "PLAIN", usASCII()
	return part
}

// endHeader takes in the header of the top part, whose body begins at body, and
// prepares for what the part is: a multipart, a message or anything else.
func (p *Parser) endHeader(body mark) {
	f := p.top()
	part := f.part
	f.inHeader = false
	f.body = body
	part.BodyStart = body.off
	if f.envelope != nil {
		*f.envelope = p.readEnvelope()
		if len(p.stack) == 1 {
			p.sum.References = p.header.text(fieldReferences)
		}
	}
	p.readContentFields(part, f.digest)

	switch {
	case part.Type == "MULTIPART":
		if len(p.stack) >= MaxDepth {
			p.demote(part)
			return
		}
		b := bytes.TrimRight([]byte(findParam(part.Params, "BOUNDARY")), " \t")
		if len(b) > 0 && len(b) <= MaxBoundary && !p.full {
			f.boundary = b
			p.active++
			p.delims.stale = true
		}
	case part.Type == "MESSAGE" && (part.Subtype == "RFC822" || part.Subtype == "GLOBAL"):
		switch {
		case !isIdentity(part.Encoding):
			// BODYSTRUCTURE has no way to say message/rfc822 without an
			// envelope (RFC 9051 9, body-type-basic), and there is none to be
			// had without decoding.
			part.Type, part.Subtype = "APPLICATION", "OCTET-STREAM"
		case len(p.stack) >= MaxDepth || p.parts >= MaxParts-1:
			p.demote(part)
		default:
			part.Envelope = &Envelope{}
			child := p.open(part.Envelope, false)
			child.HeaderStart = body.off
			part.Parts = []*Part{child}
		}
	}
}

// demote makes of a part beyond the limits one whose inside is not looked at.
func (p *Parser) demote(part *Part) {
	p.sum.Truncated = true
	part.Type, part.Subtype = "APPLICATION", "OCTET-STREAM"
}
