package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// HeaderField is one field of a header block.
type HeaderField struct {
	// Name as written, without white space before the colon.
	Name string
	// Raw is what follows the colon, folding and the last line end included,
	// up to MaxField bytes.
	Raw []byte
}

// Value is the field's value unfolded as RFC 5322 2.2.3 says (line ends deleted,
// the white space after them kept), without the white space around it. Nothing
// is decoded.
func (f HeaderField) Value() string {
	if bytes.IndexByte(f.Raw, '\n') < 0 {
		return cleanValue(f.Raw)
	}
	v := make([]byte, 0, len(f.Raw))
	for line := range bytes.Lines(f.Raw) {
		if n := len(line); line[n-1] == '\n' {
			line = bytes.TrimSuffix(line[:n-1], []byte{'\r'})
		}
		v = append(v, line...)
	}
	return cleanValue(v)
}

// HeaderReader reads the fields of a header block one after the other, as they
// stand there. Lines that belong to no field are skipped. It holds one field.
type HeaderReader struct {
	r    *lineReader
	skip bool // the current line belongs to no field
}

// NewHeaderReader returns a reader of the header block that r begins with; it
// ends with an empty line or with r. It may read further than that.
func NewHeaderReader(r io.Reader) *HeaderReader {
	return &HeaderReader{r: newLineReader(r), skip: true}
}

// Next returns the next field, or io.EOF after the last. The field's bytes are
// the caller's.
func (h *HeaderReader) Next() (HeaderField, error) {
	var field HeaderField
	for {
		piece, start, err := h.r.peek()
		if err != nil {
			return h.last(field, err)
		}
		switch {
		case start && isBlankLine(piece):
			h.r.end = true
			return h.last(field, io.EOF)
		case start && !isContinuation(piece):
			if field.Name != "" {
				return field, nil // the next call begins with this line
			}
			name, ok := fieldName(piece)
			if ok {
				field.Name = string(name)
				piece = piece[bytes.IndexByte(piece, ':')+1:]
			}
			h.skip = !ok
		}
		if !h.skip {
			field.Raw = append(field.Raw, piece[:min(len(piece), MaxField-len(field.Raw))]...)
		}
		h.r.next()
	}
}

func (h *HeaderReader) last(field HeaderField, err error) (HeaderField, error) {
	if field.Name != "" && errors.Is(err, io.EOF) {
		return field, nil
	}
	return HeaderField{}, err
}

// FilterHeader copies from the header block in r the fields that have one of the
// names (HEADER.FIELDS), or, if not is set, those that have none of them
// (HEADER.FIELDS.NOT), byte for byte, and then the empty line if there is one
// (RFC 9051 6.4.5.1). Names match without case. Lines that belong to no field
// are in neither. It streams: a field of any length needs a few KiB.
func FilterHeader(w io.Writer, r io.Reader, names []string, not bool) error {
	lines := newLineReader(r)
	copying := false
	for {
		piece, start, err := lines.peek()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		blank := start && isBlankLine(piece)
		switch {
		case blank:
			copying = true
		case start && !isContinuation(piece):
			name, ok := fieldName(piece)
			copying = ok && matchesAny(name, names) != not
		}
		if copying {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		if blank {
			return nil
		}
		lines.next()
	}
}

func matchesAny(name []byte, names []string) bool {
	for _, n := range names {
		if len(n) == len(name) && equalFoldASCII(n, string(name)) {
			return true
		}
	}
	return false
}

// fieldName is the name of the field that a line begins, without white space
// before the colon (RFC 5322 4.5.3). It is not ok if the line begins none: the
// name has to be printable ASCII without spaces (3.6.8).
func fieldName(line []byte) ([]byte, bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, false
	}
	name := bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil, false
		}
	}
	return name, len(name) > 0
}

func isContinuation(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

func isBlankLine(line []byte) bool {
	return line[0] == '\n' || len(line) > 1 && line[0] == '\r' && line[1] == '\n'
}

// lineReader yields lines in pieces that fit its buffer. A field name longer
// than the buffer is told from no other, so that its line is skipped.
type lineReader struct {
	r     *bufio.Reader
	piece []byte
	start bool // piece begins a line
	end   bool
	err   error
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 4096), start: true}
}

// peek returns the current piece, which is never empty, and whether it begins a
// line. It is good until next.
func (l *lineReader) peek() (piece []byte, start bool, err error) {
	if l.end {
		return nil, false, io.EOF
	}
	if l.piece == nil {
		if l.err != nil {
			return nil, false, l.err
		}
		l.piece, l.err = l.r.ReadSlice('\n')
		if errors.Is(l.err, bufio.ErrBufferFull) {
			l.err = nil
		}
		if len(l.piece) == 0 {
			l.piece = nil
			return nil, false, l.err
		}
	}
	return l.piece, l.start, nil
}

// next leaves the current piece.
func (l *lineReader) next() {
	l.start = l.piece[len(l.piece)-1] == '\n'
	l.piece = nil
}
