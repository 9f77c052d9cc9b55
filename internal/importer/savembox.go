package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"postern/internal/mail"
)

// MboxOptions say how SaveMbox writes.
type MboxOptions struct {
	// Bare leaves flags and keywords out. Otherwise they stand in the fields
	// Status, X-Status and X-Keywords, which every message gets at its beginning:
	// without them an mbox has no room for flags.
	Bare bool
}

// SaveMbox writes the one folder that comes out of a stream into a new file, as
// mboxrd with LF line ends: a line "From " with the internal date in UTC (RFC 4155)
// before each message, an empty line after it, and lines "From ", ">From " of the
// message quoted by one ">". A message that does not end its last line gets a line
// end. The file has another name, ending in ".part", until it is complete.
func SaveMbox(ctx context.Context, r io.Reader, file string, o MboxOptions, progress func(Progress)) (_ Result, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = mail.Errorf(mail.AlreadyExists, "%s is there already: an export goes into a new file", file)
		}
		return Result{}, err
	}
	part := file + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return Result{}, err
	}
	s := &mboxSink{w: bufio.NewWriterSize(f, 256<<10), file: file, o: o, progress: progress}
	err = drain(ctx, r, s)
	err = errors.Join(err, s.w.Flush())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		if len(s.result.Folders) == 0 { // nothing came
			err = errors.Join(err, os.Remove(part))
		}
		return s.result, err
	}
	return s.result, os.Rename(part, file)
}

// mboxSink writes an mbox file.
type mboxSink struct {
	w        *bufio.Writer
	file     string
	o        MboxOptions
	progress func(Progress)
	result   Result
	told     Progress
}

func (s *mboxSink) last() *FolderResult { return &s.result.Folders[len(s.result.Folders)-1] }

func (s *mboxSink) tell() {
	if s.progress != nil {
		s.progress(s.told)
	}
}

func (s *mboxSink) begin(h hello) error {
	s.told.Total = h.Total
	return nil
}

func (s *mboxSink) folder(_ context.Context, f folderHead) error {
	if len(s.result.Folders) > 0 {
		return mail.Errorf(mail.Invalid, "an mbox file holds one mailbox: export them one by one, or into a maildir")
	}
	s.result.Folders = []FolderResult{{Name: f.Name, Mailbox: s.file}}
	s.told.Folder, s.told.Mailbox = f.Name, s.file
	s.tell()
	return nil
}

func (s *mboxSink) refused(m messageHead, reason string) {
	s.last().skip(m.Key, reason)
	s.told.Messages++
}

func (s *mboxSink) folderEnd(context.Context, folderEnd) error {
	s.tell()
	return nil
}

func (s *mboxSink) message(_ context.Context, m messageHead, body io.Reader) error {
	date := time.Unix(0, 0)
	if m.Date != nil {
		date = mail.InternalDate(*m.Date).Time()
	}
	fmt.Fprintf(s.w, "From MAILER-DAEMON %s\n", date.UTC().Format(time.ANSIC))
	if !s.o.Bare {
		status := "O"
		if m.System&mail.Seen != 0 {
			status = "RO"
		}
		fmt.Fprintf(s.w, "Status: %s\nX-Status: %s\nX-Keywords: %s\n", status, xStatus(m.System), strings.Join(m.Keywords, " "))
	}
	counted := &countingReader{r: body}
	// What came of a message whose reading fails stays in the file: it cannot be
	// taken back, and is better than nothing.
	ended, err := quoteFrom(s.w, counted)
	if !ended {
		s.w.WriteByte('\n')
	}
	if _, werr := s.w.WriteString("\n"); err == nil {
		err = werr // a writer's error sticks
	}
	if err != nil {
		return err
	}
	s.last().Messages++
	s.last().Bytes += counted.n
	s.told.Messages++
	s.told.Bytes += counted.n
	if s.told.Messages%batchMessages == 0 {
		s.tell()
	}
	return nil
}

// xStatus gives the letters that X-Status has.
func xStatus(f mail.SystemFlags) string {
	var l []byte
	for _, x := range []struct {
		flag   mail.SystemFlags
		letter byte
	}{{mail.Answered, 'A'}, {mail.Deleted, 'D'}, {mail.Flagged, 'F'}, {mail.Draft, 'T'}} {
		if f&x.flag != 0 {
			l = append(l, x.letter)
		}
	}
	return string(l)
}

// quoteFrom copies a message with LF line ends and quotes From lines. ended says
// whether its last line is ended.
func quoteFrom(w *bufio.Writer, body io.Reader) (ended bool, err error) {
	r := bufio.NewReaderSize(body, 64<<10)
	ended = true
	for {
		if ended {
			head, _ := r.Peek(maxQuotes)
			if bytes.HasPrefix(head, []byte("From ")) || quotedFrom(head) {
				w.WriteByte('>')
			}
		}
		line, err := r.ReadSlice('\n')
		if n := len(line); n > 0 {
			ended = line[n-1] == '\n'
			switch {
			case ended && n > 1 && line[n-2] == '\r':
				w.Write(line[:n-2])
				w.WriteByte('\n')
			case !ended && line[n-1] == '\r' && errors.Is(err, bufio.ErrBufferFull):
				// The LF that belongs to it may come in the next piece.
				w.Write(line[:n-1])
				if next, _ := r.Peek(1); len(next) == 0 || next[0] != '\n' {
					w.WriteByte('\r')
				}
			default:
				w.Write(line)
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return ended, nil
		case err != nil:
			return ended, err
		}
	}
}
