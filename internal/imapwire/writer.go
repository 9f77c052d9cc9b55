package imapwire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"postern/internal/mail"
)

// Writer puts responses on a connection. It collects them in a buffer and writes
// when that is full or Flush is called. Its methods chain; the first error is kept
// and everything after it does nothing. It is used by one goroutine at a time.
type Writer struct {
	// UTF8 says that mailbox names and quoted strings may be UTF-8 (after ENABLE
	// IMAP4rev2 or UTF8=ACCEPT).
	UTF8 bool

	out   io.Writer
	buf   []byte
	full  int // how long buf may become before it is written
	err   error
	sent  int64
	first bool // within a list: nothing has been written in it
}

// defaultBuffer is the size of a buffer the caller did not give.
const defaultBuffer = 4 << 10

// NewWriter makes a writer to out that uses buf's memory, or its own if that is
// nil.
func NewWriter(out io.Writer, buf []byte) *Writer {
	w := new(Writer)
	w.Reset(out, buf)
	return w
}

// Reset makes the writer write to out and use buf's memory, as when a parked
// connection is woken. UTF8 stays; an error is forgotten.
func (w *Writer) Reset(out io.Writer, buf []byte) {
	if cap(buf) == 0 && out != nil {
		buf = make([]byte, 0, defaultBuffer)
	}
	w.out, w.buf, w.full, w.err = out, buf[:0], cap(buf), nil
}

// Release gives the buffer back when it holds nothing, so that a connection that
// waits costs none. The writer needs Reset before it is used again.
func (w *Writer) Release() []byte {
	buf := w.buf[:0]
	if cap(buf) > w.full {
		buf = nil // it grew: not one of the caller's any more
	}
	w.out, w.buf, w.full = nil, nil, 0
	return buf
}

// Flush writes what was collected and gives the first error.
func (w *Writer) Flush() error {
	w.flush()
	return w.err
}

func (w *Writer) flush() {
	if w.err != nil || len(w.buf) == 0 {
		w.buf = w.buf[:0]
		return
	}
	n, err := w.out.Write(w.buf)
	w.sent += int64(n)
	w.err = err
	w.buf = w.buf[:0]
	if cap(w.buf) > 8*w.full {
		w.buf = make([]byte, 0, w.full) // one long item is no reason to keep so much
	}
}

// spill writes the buffer if it is full.
func (w *Writer) spill() *Writer {
	if len(w.buf) >= w.full {
		w.flush()
	}
	return w
}

// Err gives the first error.
func (w *Writer) Err() error { return w.err }

// Buffered is how many octets have not been written yet.
func (w *Writer) Buffered() int { return len(w.buf) }

// Sent is how many octets have been written to the connection.
func (w *Writer) Sent() int64 { return w.sent }

// Raw writes text as it is.
func (w *Writer) Raw(text string) *Writer {
	w.buf = append(w.buf, text...)
	return w.spill()
}

// Bytes writes octets as they are: a production made by an AppendXxx function, now
// or when the message arrived.
func (w *Writer) Bytes(b []byte) *Writer {
	if len(w.buf)+len(b) <= w.full {
		w.buf = append(w.buf, b...)
		return w.spill()
	}
	if w.flush(); w.err == nil {
		n, err := w.out.Write(b)
		w.sent += int64(n)
		w.err = err
	}
	return w
}

// Star begins an untagged response.
func (w *Writer) Star() *Writer { return w.Raw("* ") }

// SP writes a space.
func (w *Writer) SP() *Writer { return w.Raw(" ") }

// CRLF ends a response.
func (w *Writer) CRLF() *Writer { return w.Raw("\r\n") }

// Num writes a number.
func (w *Writer) Num(n uint64) *Writer {
	w.buf = appendUint(w.buf, n)
	return w.spill()
}

// String writes a string.
func (w *Writer) String(text string) *Writer {
	w.buf = AppendString(w.buf, text, w.UTF8)
	return w.spill()
}

// NString writes a string, or NIL if it is absent.
func (w *Writer) NString(text string, present bool) *Writer {
	w.buf = AppendNString(w.buf, text, present, w.UTF8)
	return w.spill()
}

// AString writes an atom or a string.
func (w *Writer) AString(text string) *Writer {
	w.buf = AppendAString(w.buf, text)
	return w.spill()
}

// Mailbox writes a mailbox's name.
func (w *Writer) Mailbox(name string) *Writer {
	w.buf = AppendMailbox(w.buf, name, w.UTF8)
	return w.spill()
}

// Flags writes a list of flags.
func (w *Writer) Flags(f mail.Flags, recent bool) *Writer {
	w.buf = f.Append(w.buf, recent)
	return w.spill()
}

// DateTime writes an internal date.
func (w *Writer) DateTime(d mail.InternalDate) *Writer {
	w.buf = AppendDateTime(w.buf, d)
	return w.spill()
}

// UIDSet writes a set of numbers, which is not empty, as a sequence set.
func (w *Writer) UIDSet(s mail.UIDSet) *Writer {
	w.buf = s.AppendText(w.buf)
	return w.spill()
}

// Condition is what a status response says (RFC 9051 7.1).
type Condition string

// The conditions.
const (
	OK      Condition = "OK"
	NO      Condition = "NO"
	BAD     Condition = "BAD"
	BYE     Condition = "BYE"
	PREAUTH Condition = "PREAUTH"
)

// Status writes a status response: tagged, or untagged if tag is "". code is a
// response code without its brackets, "" for none; it was made by the server and
// is written as it is. text is for people; what of it cannot be sent becomes "?".
func (w *Writer) Status(tag string, c Condition, code, text string) *Writer {
	if tag == "" {
		tag = "*"
	}
	w.Raw(tag).SP().Raw(string(c)).SP()
	if code != "" {
		w.Raw("[").Raw(code).Raw("] ")
	}
	w.buf = appendText(w.buf, text)
	return w.CRLF()
}

// Continue writes a continuation request with a text for people.
func (w *Writer) Continue(text string) *Writer {
	w.Raw("+ ")
	w.buf = appendText(w.buf, text)
	return w.CRLF()
}

// Challenge writes a continuation request with a challenge of an authentication.
func (w *Writer) Challenge(data []byte) *Writer {
	w.Raw("+ ")
	w.buf = base64.StdEncoding.AppendEncode(w.buf, data)
	return w.CRLF()
}

// LiteralError says that a literal could not be written whole after its size had
// been told. Nothing can follow it: the connection is closed.
type LiteralError struct {
	Size    int64 // what was told
	Written int64 // what the source gave
	Err     error // why it gave no more
}

// Error describes the failure.
func (e *LiteralError) Error() string {
	return fmt.Sprintf("literal of %d octets ends after %d: %v", e.Size, e.Written, e.Err)
}

// Unwrap gives the cause.
func (e *LiteralError) Unwrap() error { return e.Err }

// Literal writes a literal whose size octets src gives; it is copied through the
// writer's buffer. A source that gives less, or fails, is a *LiteralError.
func (w *Writer) Literal(size int64, src io.Reader) *Writer {
	w.buf = AppendLiteralHeader(w.buf, size)
	return w.copy(size, src)
}

// Literal8 is Literal for octets among which there may be NUL (RFC 3516).
func (w *Writer) Literal8(size int64, src io.Reader) *Writer {
	w.buf = append(w.buf, '~')
	return w.Literal(size, src)
}

func (w *Writer) copy(size int64, src io.Reader) *Writer {
	empty := 0
	for left := size; left > 0; {
		if w.spill(); w.err != nil {
			return w
		}
		at := len(w.buf)
		room := w.buf[at:min(int64(w.full), int64(at)+left)]
		n, err := src.Read(room)
		w.buf = w.buf[:at+n]
		left -= int64(n)
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
		if left > 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			w.err = &LiteralError{Size: size, Written: size - left, Err: err}
			return w
		}
	}
	return w.spill()
}
