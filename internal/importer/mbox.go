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
	"strings"
	"time"

	"postern/internal/mail"
	"postern/internal/message"
)

// Mbox is one mbox file, which becomes one mailbox. Messages begin at a line
// "From " and an address and a date, at the file's start, after an empty line, or
// where a header field follows. Lines ">From ", ">>From " lose one ">": that is
// how mboxrd quotes, and mboxo, which quotes without saying, comes out right
// wherever it quoted. Length headers are not believed: files in which they are
// wrong are more common than files in which they are needed.
//
// Flags come from the first Status, X-Status and X-Keywords fields (as Dovecot,
// mutt, pine and UW-IMAP write them); the fields stay in the message. Its key is
// a digest of the message without such fields, so that a file in which flags
// were set or from which messages were deleted is still known message by message.
type Mbox struct {
	File    string
	Mailbox string         // to import into
	Zone    *time.Location // of the dates in From lines that say none; nil: UTC (RFC 4155)
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
func (m Mbox) Folders(context.Context) ([]Folder, error) {
	info, err := os.Stat(m.File)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", m.File)
	}
	return []Folder{{Name: m.Mailbox, Total: -1, Messages: m.messages}}, nil
}

// messages walks the file once.
func (m Mbox) messages(ctx context.Context, known func(string) bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		file, err := os.Open(m.File)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer file.Close()
		s, reader := newMboxScanner(file), newMboxReader(file)
		times := map[string]int{} // how often a key came: a file may hold a message twice
		for ctx.Err() == nil {
			span, err := s.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Message{}, fmt.Errorf("%s: %w", m.File, err))
				return
			}
			times[span.key]++
			if n := times[span.key]; n > 1 {
				span.key = fmt.Sprintf("%s.%d", span.key, n)
			}
			msg, isMail, err := m.message(reader, span, known)
			if err != nil {
				yield(Message{}, err)
				return
			}
			if isMail && !yield(msg, nil) {
				return
			}
		}
		yield(Message{}, ctx.Err())
	}
}

// mboxReader reads messages, one at a time.
type mboxReader struct {
	file io.ReaderAt
	from *fromReader
	crlf *crlfReader
}

func newMboxReader(file io.ReaderAt) *mboxReader {
	from := newFromReader(nil)
	return &mboxReader{file, from, newCRLFReader(from)}
}

func (r *mboxReader) message(span mboxSpan) io.Reader {
	r.from.reset(io.NewSectionReader(r.file, span.begin, span.end-span.begin))
	r.crlf.reset(r.from)
	return r.crlf
}

// message makes a message of a span. It is none if pine and UW-IMAP keep their
// own affairs in it.
func (m Mbox) message(r *mboxReader, span mboxSpan, known func(string) bool) (_ Message, isMail bool, err error) {
	msg := Message{Key: span.key}
	if known(span.key) {
		return msg, true, nil
	}
	zone := m.Zone
	if zone == nil {
		zone = time.UTC
	}
	msg.Date = fromDate(span.from, zone)
	internal, err := readMboxFields(r.message(span), &msg)
	msg.Open = func() (io.ReadCloser, error) { return io.NopCloser(r.message(span)), nil }
	return msg, !internal, err
}

// readMboxFields reads the fields that say a message's flags, and its date if
// that is not known. internal says that the message is the one in which pine and
// UW-IMAP keep the folder's UIDs, and no mail.
func readMboxFields(r io.Reader, m *Message) (internal bool, err error) {
	header := message.NewHeaderReader(r)
	seen := map[string]bool{}
	for {
		field, err := header.Next()
		if errors.Is(err, io.EOF) {
			return seen["x-imap"], nil
		}
		if err != nil {
			return false, err
		}
		name, value := strings.ToLower(field.Name), strings.TrimSpace(field.Value())
		if seen[name] {
			continue // the first counts: an export puts its own before older ones
		}
		switch name {
		case "status", "x-status":
			m.Flags = m.Flags.Add(mail.NewFlags(statusFlags(value)))
		case "x-keywords":
			m.Flags = m.Flags.Add(mail.NewFlags(0, strings.Fields(value)...))
		case "date":
			if t, ok := message.ParseDate(value); ok && m.Date.IsZero() {
				m.Date = t
			}
		case "x-imap":
		default:
			continue
		}
		seen[name] = true
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

// fromReader takes one ">" from lines that begin with ">" and then, after any
// number of ">", "From ".
type fromReader struct {
	r     *bufio.Reader
	start bool
}

func newFromReader(r io.Reader) *fromReader {
	return &fromReader{bufio.NewReaderSize(r, 32<<10), true}
}

// reset begins anew with another reader.
func (f *fromReader) reset(r io.Reader) {
	f.r.Reset(r)
	f.start = true
}

// Read gives octets without the quoting.
func (f *fromReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if f.start {
			if head, _ := f.r.Peek(1); len(head) > 0 && head[0] == '>' {
				head, _ = f.r.Peek(maxQuotes) // shorter at the end
				if quotedFrom(head) {
					_, _ = f.r.Discard(1) // what was peeked at can be discarded
				}
			}
			f.start = false
		}
		if f.r.Buffered() == 0 {
			if n > 0 {
				return n, nil
			}
			if _, err := f.r.Peek(1); err != nil {
				return 0, err
			}
		}
		have, _ := f.r.Peek(min(len(p)-n, f.r.Buffered())) // buffered: no error
		have = upTo(have, &f.start)
		n += copy(p[n:], have)
		_, _ = f.r.Discard(len(have))
	}
	return n, nil
}

// upTo cuts have behind the first line end that ">" follows, or may follow: lines
// that begin otherwise go through many at a time.
func upTo(have []byte, start *bool) []byte {
	i := bytes.Index(have, []byte("\n>"))
	if i < 0 {
		*start = len(have) > 0 && have[len(have)-1] == '\n'
		return have
	}
	*start = true
	return have[:i+1]
}

// maxQuotes bounds how many ">" are looked past.
const maxQuotes = 256

func quotedFrom(head []byte) bool {
	rest := head
	for len(rest) > 0 && rest[0] == '>' {
		rest = rest[1:]
	}
	return len(rest) < len(head) && strings.HasPrefix(string(rest[:min(len(rest), 5)]), "From ")
}
