package imapwire

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"postern/internal/mail"
)

// SyntaxError says that a command does not follow the grammar. Its text may be
// shown to the client: it holds at most one octet of what was sent, escaped.
type SyntaxError struct {
	Pos      int    // octets of the command before the error, literals' data not counted
	Expected string // what the grammar asks for here, as "a sequence set"
	After    string // the command's name, "" while it is being read
	Found    string // what is there instead, as `"x"` or "the end of the line"
}

// Error gives the reason a BAD is answered with.
func (e *SyntaxError) Error() string {
	after := ""
	if e.After != "" {
		after = " after " + e.After
	}
	return fmt.Sprintf("expected %s%s, found %s at %d", e.Expected, after, e.Found, e.Pos)
}

// FatalError says that no further command can be read from the connection: the
// conversation says BYE with Text and closes.
type FatalError struct {
	Kind mail.Kind // TooBig, or Invalid where the other side does not speak IMAP
	Text string
}

// Error gives the text of the BYE.
func (e *FatalError) Error() string { return e.Text }

// NotIMAP reports whether the other side speaks HTTP, SMTP, TLS or noise: the
// connection is closed without another word in answer to what it said.
func (e *FatalError) NotIMAP() bool { return e.Kind == mail.Invalid }

// expected records that what the grammar asks for is not what is next.
func (r *Reader) expected(what string) bool {
	if r.err != nil || r.broken {
		return false
	}
	found := "nothing"
	if c, ok := r.peek(); ok {
		found = describe(c)
	} else if r.broken {
		return false // the connection failed first
	}
	r.err = &SyntaxError{Pos: r.used + r.pos, Expected: what, After: r.name, Found: found}
	return false
}

// wrong records that something which was read whole is not as the grammar asks.
func (r *Reader) wrong(expected, found string) bool {
	if r.err == nil {
		r.err = &SyntaxError{Pos: r.used + r.pos, Expected: expected, After: r.name, Found: found}
	}
	return false
}

// refuse records that what was read cannot be done.
func (r *Reader) refuse(kind mail.Kind, format string, args ...any) bool {
	if r.err == nil {
		r.err = mail.Errorf(kind, format, args...)
	}
	return false
}

// fatal records that the connection cannot be read any further. It takes the
// place of an error recorded before: that one's reply would not be read.
func (r *Reader) fatal(err error) bool {
	if !r.broken {
		r.broken = true
		r.err = err
	}
	return false
}

// lost records that the connection failed while a command was being read.
func (r *Reader) lost(err error) bool {
	if errors.Is(err, io.EOF) && r.begun {
		err = io.ErrUnexpectedEOF
	}
	return r.fatal(err)
}

// describe names an octet for an error's text.
func describe(c byte) string {
	switch {
	case c == '\r' || c == '\n':
		return "the end of the line"
	case c == ' ':
		return "a space"
	case c > ' ' && c < 0x7f:
		return strconv.Quote(string(rune(c)))
	}
	return fmt.Sprintf("the octet 0x%02x", c)
}
