package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"postern/internal/mail"
	"postern/internal/message"
)

// Mbox is one mbox file, which becomes one mailbox. Messages begin at a line
// "From " and an address and a date, at the file's start or after an empty line.
// Lines ">From ", ">>From " lose one ">": that is how mboxrd quotes, and mboxo,
// which quotes without saying, comes out right wherever it quoted. Length
// headers are not believed: files in which they are wrong are more common than
// files in which they are needed.
//
// Flags come from the Status, X-Status and X-Keywords fields (as Dovecot, mutt,
// pine and UW-IMAP write them); the fields stay in the message.
type Mbox struct {
	File    string
	Mailbox string // to import into
}

var _ Source = Mbox{}

// Name names the file.
func (m Mbox) Name() string {
	file, err := filepath.Abs(m.File)
	if err != nil {
		file = m.File
	}
	return "mbox " + file
}

// Folders gives the one folder.
func (m Mbox) Folders() ([]Folder, error) {
	if _, err := os.Stat(m.File); err != nil {
		return nil, err
	}
	return []Folder{{Name: m.Mailbox, Total: -1, Messages: m.messages}}, nil
}

// fromLine is the line before a message. The address may hold spaces in quotes;
// the date is asctime's, with or without a zone.
var fromLine = regexp.MustCompile(`^From (.*?) *(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)((?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2}).*\d{4}.*?)\s*$`)

// maxFromLine bounds what is looked at to tell a From line: longer ones are text.
const maxFromLine = 1024

// messages walks the file once. A message's key is the octet its From line
// begins at.
func (m Mbox) messages(ctx context.Context, after string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		file, err := os.Open(m.File)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer file.Close()
		start := int64(0)
		if after != "" {
			if start, err = strconv.ParseInt(after, 10, 64); err != nil {
				yield(Message{}, fmt.Errorf("mbox: %q is no place in a file", after))
				return
			}
		}
		s := mboxScanner{file: file, at: start, r: bufio.NewReaderSize(io.NewSectionReader(file, start, 1<<62), 64<<10)}
		skip := after != ""
		for ctx.Err() == nil {
			msg, err := s.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Message{}, fmt.Errorf("%s: %w", m.File, err))
				return
			}
			if skip { // the one that was imported last
				skip = false
				continue
			}
			if !yield(msg, nil) {
				return
			}
		}
		yield(Message{}, ctx.Err())
	}
}

// mboxScanner finds where messages begin and end.
type mboxScanner struct {
	file  *os.File
	r     *bufio.Reader
	at    int64  // of the next octet of r
	from  string // From line already read, of the message that begins at begin
	begin int64
}

// next gives the next message.
func (s *mboxScanner) next() (Message, error) {
	if s.from == "" {
		if err := s.first(); err != nil {
			return Message{}, err
		}
	}
	begin, from, body := s.begin, s.from, s.at
	end, err := s.end()
	if err != nil {
		return Message{}, err
	}
	if end > body { // the empty line before the next From line is the file's, not the message's
		end = s.withoutBlankLine(body, end)
	}
	msg := Message{Key: strconv.FormatInt(begin, 10), Date: fromDate(from)}
	section := func() io.Reader { return io.NewSectionReader(s.file, body, end-body) }
	if err := s.flags(section(), &msg); err != nil {
		return Message{}, err
	}
	name := s.file.Name()
	msg.Open = func() (io.ReadCloser, error) {
		f, err := os.Open(name) // the scanner may be gone when this is called
		if err != nil {
			return nil, err
		}
		return fileReader{newCRLFReader(newFromReader(io.NewSectionReader(f, body, end-body))), f}, nil
	}
	return msg, nil
}

// first finds the file's first From line; what stands before it is no mail. An
// empty file has none.
func (s *mboxScanner) first() error {
	line, at, err := s.line()
	if err != nil {
		return err
	}
	for len(bytes.TrimRight(line, "\r\n")) == 0 {
		if line, at, err = s.line(); err != nil {
			return err
		}
	}
	if !isFromLine(line) {
		return errors.New("this is no mbox file: it does not begin with a From line")
	}
	s.from, s.begin = string(line), at
	return nil
}

// end reads to the next From line, which it keeps, or to the end of the file.
func (s *mboxScanner) end() (int64, error) {
	blank := false
	for {
		line, at, err := s.line()
		if errors.Is(err, io.EOF) {
			s.from = ""
			return s.at, nil
		}
		if err != nil {
			return 0, err
		}
		if blank && isFromLine(line) {
			s.from, s.begin = string(line), at
			return at, nil
		}
		blank = len(line) == 1 || len(line) == 2 && line[0] == '\r'
	}
}

// line reads a line. Of a long one only the beginning is given.
func (s *mboxScanner) line() (line []byte, at int64, err error) {
	at = s.at
	line, err = s.r.ReadSlice('\n')
	s.at += int64(len(line))
	if !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = nil
		}
		return line, at, err
	}
	line = bytes.Clone(line[:maxFromLine+1])
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = s.r.ReadSlice('\n')
		s.at += int64(len(more))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, at, err
}

// withoutBlankLine leaves out the one empty line that ends a message in the file.
func (s *mboxScanner) withoutBlankLine(begin, end int64) int64 {
	var tail [4]byte
	n := min(end-begin, int64(len(tail)))
	if _, err := s.file.ReadAt(tail[:n], end-n); err != nil {
		return end
	}
	switch t := string(tail[:n]); {
	case strings.HasSuffix(t, "\r\n\r\n"):
		return end - 2
	case strings.HasSuffix(t, "\n\n"):
		return end - 1
	}
	return end
}

func isFromLine(line []byte) bool {
	return len(line) <= maxFromLine && bytes.HasPrefix(line, []byte("From ")) && fromLine.Match(line)
}

// fromDate reads the date of a From line, which is in local time unless it says
// its zone.
func fromDate(line string) time.Time {
	m := fromLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return time.Time{}
	}
	text := strings.Join(strings.Fields(m[2]), " ")
	for _, layout := range []string{
		"Jan 2 15:04:05 2006", "Jan 2 15:04:05 -0700 2006", "Jan 2 15:04:05 MST 2006", "Jan 2 15:04:05 2006 -0700",
		"Jan 2 15:04 2006", "2 Jan 2006 15:04:05 -0700",
	} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

// flags reads the fields that say a message's flags.
func (s *mboxScanner) flags(r io.Reader, m *Message) error {
	header := message.NewHeaderReader(newCRLFReader(r))
	for {
		field, err := header.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		value := strings.TrimSpace(field.Value())
		switch strings.ToLower(string(field.Name)) {
		case "status", "x-status":
			m.Flags = m.Flags.Add(mail.NewFlags(statusFlags(value)))
		case "x-keywords":
			m.Flags = m.Flags.Add(mail.NewFlags(0, strings.Fields(value)...))
		case "date":
			if m.Date.IsZero() {
				if t, ok := message.ParseDate(value); ok {
					m.Date = t
				}
			}
		}
	}
}

// statusFlags reads the letters of Status and X-Status.
func statusFlags(letters string) (f mail.SystemFlags) {
	for _, c := range letters {
		switch c {
		case 'R':
			f |= mail.Seen
		case 'A':
			f |= mail.Answered
		case 'F':
			f |= mail.Flagged
		case 'D':
			f |= mail.Deleted
		case 'T':
			f |= mail.Draft
		}
	}
	return f
}

// fileReader reads from r and closes a file.
type fileReader struct {
	io.Reader
	io.Closer
}

// fromReader takes one ">" from lines that begin with ">" and then, after any
// number of ">", "From ".
type fromReader struct {
	r     *bufio.Reader
	start bool
}

func newFromReader(r io.Reader) *fromReader {
	return &fromReader{bufio.NewReaderSize(r, 32<<10), true}
}

// Read gives octets without the quoting.
func (f *fromReader) Read(p []byte) (int, error) {
	if f.start {
		f.start = false
		if head, _ := f.r.Peek(maxQuotes); quotedFrom(head) {
			f.r.Discard(1) // what was peeked at can be discarded
		}
	}
	if f.r.Buffered() == 0 {
		if _, err := f.r.Peek(1); err != nil {
			return 0, err
		}
	}
	have, err := f.r.Peek(min(len(p), f.r.Buffered()))
	if err != nil {
		return 0, err
	}
	if i := bytes.IndexByte(have, '\n'); i >= 0 {
		have, f.start = have[:i+1], true
	}
	n := copy(p, have)
	f.r.Discard(n) // the same
	return n, nil
}

// maxQuotes bounds how many ">" are looked past.
const maxQuotes = 256

func quotedFrom(head []byte) bool {
	rest := bytes.TrimLeft(head, ">")
	return len(rest) < len(head) && bytes.HasPrefix(rest, []byte("From "))
}
