package imapwire

import (
	"bufio"
	"bytes"
)

// Reader reads commands off one connection. It is used by one goroutine at a
// time. Between commands it holds nothing but its settings, so a connection that
// waits may give its bufio.Reader and the Reader back and take others later.
type Reader struct {
	// UTF8 says how mailbox names are written: false is modified UTF-7 (RFC 3501
	// 5.1.3), true is UTF-8 (after ENABLE IMAP4rev2 or UTF8=ACCEPT). It is set
	// between commands and holds from the next argument on.
	UTF8 bool

	// Limits holds for the command that is read next.
	Limits Limits

	// Continue is called when a literal that the client waits to send is
	// accepted. It writes a continuation request and flushes it.
	Continue func() error

	br     *bufio.Reader
	buf    []byte // a window on br's buffer, no longer than the line limit leaves
	pos    int    // how much of the window is read
	used   int    // octets of this command read before the window, literals not counted
	limit  int    // the line limit of this command
	err    error  // the first error of this command
	broken bool   // err is for good: nothing can be read any more
	begun  bool   // an octet of the command was read
	ended  bool   // the command's line end was read
	later  bool   // a command was read before

	name    string // the command's name, for errors
	depth   int    // parentheses and search keys that are open
	items   int    // elements of lists so far
	scan    header // how much of a literal's header an error interrupted
	lit     literalState
	scratch []byte // a token that lies across two windows

	supplied string // the mailbox name read last, if it was not normalised
}

// NewReader makes a reader of the commands that br gives.
func NewReader(br *bufio.Reader, limits Limits, cont func() error) *Reader {
	return &Reader{br: br, Limits: limits, Continue: cont, ended: true}
}

// Reset makes the reader read from br, as after STARTTLS, or when a connection
// that was parked is woken; a parked one's br may be nil. Whatever was left of a
// command is forgotten; UTF8, Limits and Continue stay.
func (r *Reader) Reset(br *bufio.Reader) {
	*r = Reader{UTF8: r.UTF8, Limits: r.Limits, Continue: r.Continue, br: br, ended: true, later: r.later}
}

// Err gives the first error of the command that is being read, nil if there is
// none. See the package comment for the four things it can be.
func (r *Reader) Err() error { return r.err }

// Broken reports whether nothing can be read from the connection any more.
func (r *Reader) Broken() bool { return r.broken }

// Buffered is how many octets beyond those read have already arrived.
func (r *Reader) Buffered() int { return r.br.Buffered() - r.pos }

// Pending reports whether a further line has already arrived whole, so that
// reading it will not wait. It may be called between commands.
func (r *Reader) Pending() bool {
	ahead, _ := r.br.Peek(r.br.Buffered())
	return bytes.IndexByte(ahead[r.pos:], '\n') >= 0
}

// Upcoming gives the name of the next command as Command would, if it has already
// arrived, and "" otherwise. It reads nothing. A session that may tell of expunged
// messages now asks it whether a command that means messages by number is already
// on its way (RFC 9051 5.5).
func (r *Reader) Upcoming() string {
	ahead, _ := r.br.Peek(r.br.Buffered())
	line, _, whole := bytes.Cut(ahead[r.pos:], []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	_, line, _ = bytes.Cut(line, []byte{' '}) // the tag
	word, line, more := bytes.Cut(line, []byte{' '})
	if !more && !whole {
		return ""
	}
	name := commandName(word)
	if name == "UID" {
		if word, _, more = bytes.Cut(line, []byte{' '}); !more && !whole {
			return ""
		}
		name = uidCommandName(word)
	}
	return name
}

// peek gives the next octet of the command's text without reading it.
func (r *Reader) peek() (byte, bool) {
	if r.pos < len(r.buf) || r.fill() {
		return r.buf[r.pos], true
	}
	return 0, false
}

// fill waits until the window holds an octet that is not read.
func (r *Reader) fill() bool {
	if r.broken {
		return false
	}
	r.release()
	room := r.limit - r.used
	if room <= 0 {
		return r.fatal(tooLong())
	}
	if _, err := r.br.Peek(1); err != nil {
		return r.lost(err)
	}
	r.buf, _ = r.br.Peek(min(r.br.Buffered(), room)) // cannot fail: it is all there
	r.begun = true
	return true
}

// release gives the window up: what was read of it leaves br's buffer.
func (r *Reader) release() {
	if r.pos > 0 {
		_, _ = r.br.Discard(r.pos) // cannot fail: the window is in the buffer
	}
	r.used += r.pos
	r.buf, r.pos = nil, 0
}

// begin makes the reader ready for a new command.
func (r *Reader) begin() {
	r.used, r.limit = 0, r.Limits.Line
	r.err, r.begun, r.ended = nil, false, false
	r.name, r.depth, r.items = "", 0, 0
	r.scan, r.lit = header{}, literalState{}
	r.scratch = r.scratch[:0]
	if cap(r.scratch) > keepScratch {
		r.scratch = nil
	}
}

// keepScratch is how much memory for tokens is kept from one command to the next.
const keepScratch = 4 << 10

// End reads what is left of the command, so that the next one is next: the rest
// of the line, literals that come without being asked for, and what is left of a
// message literal that was accepted. It does nothing after ExpectCRLF. Its error
// means that nothing can be read any more; Err is left as it was otherwise.
func (r *Reader) End() error {
	if !r.ended && !r.broken {
		r.drain()
	}
	if r.broken {
		return r.err
	}
	return nil
}

// drain reads to the end of the command without understanding it. A line that
// ends like the header of a non-synchronizing literal is followed by that
// literal, wherever the error was (RFC 7888 3). One that ends like the header of a
// synchronizing literal is the command's end: the client waits, and the tagged
// reply tells it not to send.
func (r *Reader) drain() {
	if r.lit.refused {
		r.ended = true
		r.release()
		return
	}
	if !r.skipLiteral() {
		return
	}
	for {
		c, ok := r.peek()
		if !ok {
			return
		}
		r.pos++
		r.scan.next(c)
		if c != '\n' {
			continue
		}
		h := r.scan
		r.scan = header{}
		if h.state != headerEnd || !h.plus {
			r.ended = true
			r.release()
			return
		}
		if h.tooLong() {
			r.fatal(literalTooBig())
			return
		}
		r.release()
		r.lit.left, r.lit.accepted = h.size, false
		if !r.skipLiteral() {
			return
		}
	}
}
