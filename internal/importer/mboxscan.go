package importer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// fromLine is the line before a message. The address may hold spaces in quotes;
// the date is asctime's, with or without a zone.
var fromLine = regexp.MustCompile(`^From (.*?) *(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)((?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2}).*\d{4}.*?)\s*$`)

// maxFromLine bounds what is looked at to tell a From line: longer ones are text.
const maxFromLine = 1024

// mboxSpan is where a message lies in the file.
type mboxSpan struct {
	from       string // its From line
	begin, end int64
	key        string // without regard to fields that programs change
}

// mboxScanner finds where messages begin and end.
type mboxScanner struct {
	file *os.File
	r    *bufio.Reader
	at   int64  // of the next octet of r
	from string // From line already read, of the message that begins at at

	digest hash.Hash
	ends   int  // line ends that are not in the digest yet
	header bool // the line before was of the message's header
	skip   bool // and of a field that is not in the digest
}

func newMboxScanner(file *os.File) *mboxScanner {
	return &mboxScanner{file: file, r: bufio.NewReaderSize(file, 256<<10), digest: sha256.New()}
}

// next gives the next message.
func (s *mboxScanner) next() (mboxSpan, error) {
	if s.from == "" {
		if err := s.first(); err != nil {
			return mboxSpan{}, err
		}
	}
	span := mboxSpan{from: s.from, begin: s.at}
	s.digest.Reset()
	s.header, s.skip, s.ends = true, false, 0
	end, err := s.end()
	if err != nil {
		return mboxSpan{}, err
	}
	span.end = end
	if end > span.begin { // the empty line before the next From line is the file's, not the message's
		span.end = s.withoutBlankLine(span.begin, end)
	}
	// The From line has the date of arrival: two messages that are alike, and
	// came at different times, are two.
	s.digest.Write([]byte("\n" + strings.TrimRight(span.from, "\r\n")))
	span.key = hex.EncodeToString(s.digest.Sum(nil)[:16])
	return span, nil
}

// first finds the file's first From line, behind empty lines at most. An empty
// file has none.
func (s *mboxScanner) first() error {
	for {
		line, err := s.line(false)
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			continue
		}
		if !isFromLine(line) {
			return errors.New("this is no mbox file: it does not begin with a From line")
		}
		s.from = string(line)
		return nil
	}
}

// end reads to the next From line, which it keeps, or to the end of the file.
func (s *mboxScanner) end() (int64, error) {
	blank := false
	for {
		at := s.at
		line, err := s.line(true)
		if errors.Is(err, io.EOF) {
			s.from = ""
			return s.at, nil
		}
		if err != nil {
			return 0, err
		}
		if line[0] == 'F' && isFromLine(line) {
			from := string(line) // good until the next octet is read
			if blank || s.fieldFollows() {
				s.from = from
				return at, nil
			}
			s.noteText([]byte(from))
			line = nil
		}
		blank = isBlank(line)
	}
}

func isBlank(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// line reads a line and takes it into the digest if told to. Of a long line only
// the beginning is given. What is given is good until the next call.
func (s *mboxScanner) line(note bool) ([]byte, error) {
	line, err := s.r.ReadSlice('\n')
	s.at += int64(len(line))
	if note && len(line) > 0 {
		s.noteLine(line, true)
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = nil
		}
		return line, err
	}
	line = bytes.Clone(line[:maxFromLine+1])
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = s.r.ReadSlice('\n')
		s.at += int64(len(more))
		if note {
			s.noteLine(more, false)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
}

// noteLine takes a piece of a line into the digest, unless it may be a From line.
func (s *mboxScanner) noteLine(piece []byte, first bool) {
	if first && piece[0] == 'F' && isFromLine(piece) {
		return // end decides
	}
	if first && s.header {
		switch {
		case isBlank(piece):
			s.header, s.skip = false, false
		case piece[0] != ' ' && piece[0] != '\t':
			s.skip = changingField(piece)
		}
	}
	if !s.skip {
		s.noteText(piece)
	}
}

// noteText takes octets into the digest without CRs, so that a file whose line
// ends were converted is still known, and without line ends at the very end, where
// the last message of a file gets another when one is appended.
func (s *mboxScanner) noteText(text []byte) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\r')
		piece := text
		if i >= 0 {
			piece, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		body := bytes.TrimRight(piece, "\n")
		if len(body) > 0 {
			for ; s.ends > 0; s.ends-- {
				s.digest.Write(lineEnd)
			}
			s.digest.Write(body)
		}
		s.ends += len(piece) - len(body)
	}
}

var lineEnd = []byte{'\n'} // never changed

// changingField reports whether a field is one that mail programs write into mbox
// files and change there.
func changingField(line []byte) bool {
	name, _, found := bytes.Cut(line[:min(len(line), 32)], []byte(":"))
	if !found {
		return false
	}
	switch strings.ToLower(string(name)) {
	case "status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length", "lines":
		return true
	}
	return false
}

// fieldFollows reports whether the next line is a header field.
func (s *mboxScanner) fieldFollows() bool {
	head, _ := s.r.Peek(128) // fewer at the end
	for i, c := range head {
		switch {
		case c == ':':
			return i > 0
		case c <= ' ' || c >= 0x7f:
			return false
		}
	}
	return false
}

// withoutBlankLine leaves out the one empty line that ends a message in the file.
func (s *mboxScanner) withoutBlankLine(begin, end int64) int64 {
	var tail [4]byte
	n := min(end-begin, int64(len(tail)))
	if _, err := s.file.ReadAt(tail[:n], end-n); err != nil {
		return end
	}
	switch t := string(tail[:n]); {
	case strings.HasSuffix(t, "\n\r\n"):
		return end - 2
	case strings.HasSuffix(t, "\n\n"), t == "\n": // alone: the message is empty
		return end - 1
	case t == "\r\n":
		return end - 2
	}
	return end
}

func isFromLine(line []byte) bool {
	return len(line) <= maxFromLine && bytes.HasPrefix(line, []byte("From ")) && fromLine.Match(line)
}

// fromDate reads the date of a From line.
func fromDate(line string, zone *time.Location) time.Time {
	m := fromLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return time.Time{}
	}
	text := strings.Join(strings.Fields(m[2]), " ")
	for _, layout := range []string{
		"Jan 2 15:04:05 2006", "Jan 2 15:04:05 -0700 2006", "Jan 2 15:04:05 2006 -0700",
		"Jan 2 15:04 2006", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05",
		"Jan 2 15:04:05 MST 2006", "Jan 2 15:04:05 2006 MST",
	} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t
		}
	}
	return time.Time{}
}
