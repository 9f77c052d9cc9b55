package imapwire

import (
	"bytes"
	"io"

	"postern/internal/mail"
)

// maxLengthDigits bounds the digits of a literal's length. What RFC 9051 calls a
// number64 has 63 bits; eighteen digits always fit into those, and are beyond
// every limit there is.
const maxLengthDigits = 18

// header recognises the header of a literal, "{" number ["+"] "}" line end, at
// the end of the octets it is fed. It is the one place that knows its grammar:
// the reader of literals and the drain after an error both use it.
type header struct {
	state  headerState
	digits int
	size   int64
	plus   bool
}

type headerState uint8

const (
	headerNone   headerState = iota
	headerOpen               // "{"
	headerDigits             // "{" and digits
	headerPlus               // and "+"
	headerClosed             // and "}"
	headerCR                 // and CR
	headerEnd                // and LF: a literal follows
)

func (h *header) next(c byte) {
	switch {
	case c == '{':
		*h = header{state: headerOpen}
	case c >= '0' && c <= '9' && (h.state == headerOpen || h.state == headerDigits):
		h.state = headerDigits
		h.digits++
		if h.digits <= maxLengthDigits {
			h.size = h.size*10 + int64(c-'0')
		}
	case c == '+' && h.state == headerDigits:
		h.state, h.plus = headerPlus, true
	case c == '}' && (h.state == headerDigits || h.state == headerPlus):
		h.state = headerClosed
	case c == '\r' && h.state == headerClosed:
		h.state = headerCR
	case c == '\n' && (h.state == headerClosed || h.state == headerCR):
		h.state = headerEnd
	default:
		*h = header{}
	}
}

func (h *header) tooLong() bool { return h.digits > maxLengthDigits }

// literalState is what is known of the literals of a command.
type literalState struct {
	left     int64 // octets of the present literal that have not been read
	accepted bool  // the present literal is wanted
	waits    bool  // the client waits for a continuation request before it sends
	refused  bool  // the client waits and will be told not to send: the command is over
	count    int   // literals so far
	memory   int64 // octets of literals that were read into memory
	drained  int64 // octets of literals that were skipped although refused
}

// Literal is the header of a literal: the octets follow.
type Literal struct {
	Size    int64
	NonSync bool // "{n+}": the client does not wait (RFC 7888)
	Binary  bool // "~{n}": the octets may be anything (RFC 3516 literal8)
}

func tooLong() error {
	return &FatalError{Kind: mail.TooBig, Text: "command line too long"}
}

func literalTooBig() error {
	return &FatalError{Kind: mail.TooBig, Text: "literal too big"}
}

// literalHeader reads the header of a literal that begins here. Nothing is
// accepted yet.
func (r *Reader) literalHeader(l *Literal) bool {
	*l = Literal{}
	if c, ok := r.peek(); !ok {
		return false
	} else if c == '~' {
		r.pos++
		l.Binary = true
	}
	r.scan = header{}
	for r.scan.state != headerEnd {
		c, ok := r.peek()
		if !ok {
			return false
		}
		h := r.scan
		if h.next(c); h.state == headerNone || c == '{' && r.scan.state != headerNone {
			return r.expected("the length of a literal")
		}
		r.pos++
		if r.scan = h; h.tooLong() {
			return r.wrong("a literal's length", "too many digits")
		}
	}
	l.Size, l.NonSync = r.scan.size, r.scan.plus
	r.scan = header{}
	r.release()
	r.lit.left, r.lit.accepted, r.lit.waits = l.Size, false, !l.NonSync
	r.lit.count++
	return true
}

// refuseLiteral records an error about the literal whose header was read.
func (r *Reader) refuseLiteral(kind mail.Kind, format string, args ...any) bool {
	r.refuse(kind, format, args...)
	if r.lit.waits {
		r.lit.refused = true
	}
	return false
}

// acceptLiteral makes the literal come whose header was read.
func (r *Reader) acceptLiteral() bool {
	r.lit.accepted = true
	if !r.lit.waits {
		return true
	}
	r.lit.waits = false
	if r.Continue == nil {
		return true
	}
	if err := r.Continue(); err != nil {
		return r.fatal(err)
	}
	return true
}

// skipLiteral skips what is left of the present literal. What was accepted is
// skipped whatever its size; what was not counts against Limits.Drain.
func (r *Reader) skipLiteral() bool {
	if r.lit.waits {
		r.lit.refused, r.ended = true, true
		r.release()
		return false
	}
	if r.lit.left == 0 {
		return true
	}
	if !r.lit.accepted {
		if r.lit.drained += r.lit.left; r.lit.drained > r.Limits.Drain {
			return r.fatal(literalTooBig())
		}
	}
	for r.lit.left > 0 {
		n, err := r.br.Discard(int(min(r.lit.left, 1<<20)))
		r.lit.left -= int64(n)
		if err != nil {
			return r.lost(err)
		}
	}
	return true
}

// memoryLiteral reads a literal into memory that the caller may keep. NUL is
// refused outside of literal8 (RFC 9051 9, CHAR8).
func (r *Reader) memoryLiteral(dst *[]byte) bool {
	var l Literal
	if !r.literalHeader(&l) {
		return false
	}
	lim := &r.Limits
	switch {
	case lim.Literals > 0 && r.lit.count > lim.Literals:
		return r.refuseLiteral(mail.Limit, "more than %d literals in a command", lim.Literals)
	case l.Size > lim.Literal:
		return r.refuseLiteral(mail.TooBig, "a literal here has at most %d octets", lim.Literal)
	case l.NonSync && l.Size > lim.NonSync:
		return r.refuseLiteral(mail.TooBig, "a non-synchronizing literal has at most %d octets", lim.NonSync)
	case r.lit.memory+l.Size > lim.Args:
		return r.refuseLiteral(mail.Limit, "the arguments of a command have at most %d octets", lim.Args)
	}
	r.lit.memory += l.Size
	if !r.acceptLiteral() {
		return false
	}
	data := make([]byte, l.Size)
	n, err := io.ReadFull(r.br, data)
	r.lit.left -= int64(n)
	if err != nil {
		return r.lost(err)
	}
	if !l.Binary && bytes.IndexByte(data, 0) >= 0 {
		return r.wrong("a literal without NUL", "the octet 0x00")
	}
	*dst = data
	return true
}

// LiteralReader gives the octets of one message literal and then io.EOF. It is
// good until the next call of a method of its Reader.
type LiteralReader struct {
	r   *Reader
	nul bool
}

// Read reads octets of the literal. The connection's end is
// io.ErrUnexpectedEOF; the literal's end is io.EOF.
func (l *LiteralReader) Read(p []byte) (int, error) {
	r := l.r
	if r.broken {
		return 0, r.err
	}
	if r.lit.left == 0 {
		return 0, io.EOF
	}
	n, err := r.br.Read(p[:min(int64(len(p)), r.lit.left)])
	r.lit.left -= int64(n)
	l.nul = l.nul || bytes.IndexByte(p[:n], 0) >= 0
	if err != nil {
		r.lost(err)
		if n == 0 {
			return 0, r.err
		}
	}
	return n, nil
}

// NUL reports whether an octet 0 was among those read. A plain literal must not
// hold one (RFC 9051 9, CHAR8); messages that do exist all the same, and whether
// APPEND takes one is for the server to say.
func (l *LiteralReader) NUL() bool { return l.nul }
