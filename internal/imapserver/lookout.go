package imapserver

import (
	"context"
	"sync"
	"time"
)

// lookoutAfter is how long a search works before it is looked out for its client.
// Most are over by then. A script that has closed its side of the connection and
// waits for an answer gets it if it comes within that time.
const lookoutAfter = time.Second

// lookout reads from the connection while the session works, to learn whether the
// client has gone. What the client sends meanwhile is kept as what comes in while
// the session waits is; behind it nothing can be seen, and a client that has left
// is found by the next notice (RFC 9585) that cannot be written.
type lookout struct {
	s     *session
	leave context.CancelFunc

	mu      sync.Mutex
	over    bool
	looking chan struct{} // closed when nobody reads any more; nil: nobody has begun
	gone    bool          // the client, or its right to be here
}

// whileClientStays does work, whose context ends when the client leaves or its
// access is revoked.
func (s *session) whileClientStays(ctx context.Context, work func(ctx context.Context) error) error {
	if s.r.Buffered() > 0 {
		return work(ctx) // a pipeline is not left before its end
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := lookout{s: s, leave: cancel}
	timer := time.AfterFunc(s.srv.lookoutAfter, l.look)
	err := work(ctx)
	timer.Stop()
	if !l.end() {
		return err
	}
	if end := s.called(); end != nil {
		return end
	}
	return &ending{reason: endGone}
}

func (l *lookout) look() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.looking = make(chan struct{})
	l.mu.Unlock()
	defer close(l.looking)
	if l.gone = l.s.link.abandoned(time.Now().Add(2 * l.s.srv.limits.Search)); l.gone {
		l.leave()
	}
}

// end has nobody look any more, and says whether the client has gone. What came in
// is put where the session sees that it has arrived.
func (l *lookout) end() bool {
	l.mu.Lock()
	l.over = true
	looking := l.looking
	l.mu.Unlock()
	if looking == nil {
		return false
	}
	link := &l.s.link
	link.raise(workOver)
	<-looking
	link.take(workOver)
	if link.earlyLen > 0 {
		_, _ = l.s.br.Peek(1) // does not wait: it is here
	}
	return l.gone
}
