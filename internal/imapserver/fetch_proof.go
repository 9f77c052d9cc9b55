package imapserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/message"
)

// What is stored may be damaged, and the store finds out while it is read. Once
// the size of a literal has been told nothing but its octets can follow: all that
// is left then is to cut the connection, and a client that comes back and asks
// for the same message again is stuck there for ever. So octets are read before
// their literal begins, as far as that is affordable:
//
//   - What fits into contentRoom is sent from there, which costs no second reading.
//   - What is no longer than provenFirst is read twice.
//   - What is longer is not read first, unless it, or something else of the same
//     message, has broken off before: then the client has lost one connection to
//     it, and gets its NO the second time.
const (
	contentRoom = 64 << 10 // octets of one message, all items together
	provenFirst = 1 << 20  // a few hundred microseconds, where sending takes milliseconds
)

// takeContent gives room for contentRoom octets, giveContent takes it back.
func (s *Server) takeContent() *[]byte     { return s.contents.Get().(*[]byte) }
func (s *Server) giveContent(room *[]byte) { s.contents.Put(room) }

// cut is a range of the message, or what the client wants of it. An error is the
// store's: the octets are not what they were.
func (m *openMessage) cut(at message.Section, item *imapwire.FetchItem) (contentPart, error) {
	if item.Partial {
		at = at.Partial(item.Offset, item.Count)
	}
	part := contentPart{size: at.Length}
	switch {
	case at.Length <= int64(len(m.room)):
		octets := m.room[:at.Length]
		m.room = m.room[at.Length:]
		if _, err := io.ReadFull(at.Reader(m.body), octets); err != nil {
			return contentPart{}, err
		}
		part.open = func() (io.Reader, error) { return bytes.NewReader(octets), nil }
		return part, nil
	case at.Length <= provenFirst || m.suspect:
		if _, err := io.Copy(io.Discard, at.Reader(m.body)); err != nil {
			return contentPart{}, err
		}
	}
	part.open = func() (io.Reader, error) { return at.Reader(m.body), nil }
	return part, nil
}

// suspects are messages that broke off while they were sent.
type suspects struct {
	mu    sync.Mutex
	known map[mail.EmailObject]struct{}
}

// mostSuspects bounds them. A store that has more damage than that needs its
// backup; forgetting costs a client one more connection for each message.
const mostSuspects = 4096

func (s *suspects) add(m mail.EmailObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= mostSuspects {
		s.known = make(map[mail.EmailObject]struct{})
	}
	s.known[m] = struct{}{}
}

func (s *suspects) has(m mail.EmailObject) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.known[m]
	return is
}

// brokeOff remembers a message whose literal could not be written whole because
// of what is stored.
func (f *fetching) brokeOff(m mail.EmailObject) {
	var literal *imapwire.LiteralError
	if errors.As(f.session.w.Err(), &literal) && mail.KindOf(literal.Err) == mail.Corrupt {
		f.session.srv.suspects.add(m)
	}
}

// skip leaves a message out that cannot be read. The command goes on with the
// others and fails in the end, by the first of the reasons.
func (f *fetching) skip(uid mail.UID, err error) {
	if f.skipped++; f.skipped > 1 {
		return
	}
	switch mail.KindOf(err) {
	case mail.Corrupt, mail.NotFound: // that what a summary names is not there is damage as well
		err = mail.Wrap(err, mail.Corrupt, fmt.Sprintf("what is stored of the message with UID %d is damaged", uid))
	}
	f.failed = err
}

// failure is the error of a command that had to leave messages out.
func (f *fetching) failure() error {
	var known *mail.Error
	if f.skipped < 2 || !errors.As(f.failed, &known) {
		return f.failed
	}
	return mail.Wrap(f.failed, known.Kind, fmt.Sprintf("%s, and %d more could not be read", known.Text, f.skipped-1))
}
