package netserver

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"

	"postern/internal/observe"
)

// Waiting times of the accept loop when the system has no descriptor or memory
// to spare.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

func (s *Server) acceptLoop(l *listener) {
	pause := time.Duration(0)
	for {
		raw, err := l.ln.Accept()
		if err == nil {
			pause = 0
			s.admit(l, raw)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.count.acceptErrors.Add()
		if errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EINTR) {
			continue // that client went away while it waited: the next may be there
		}
		if pause < maxAcceptPause { // while it lasts, say it at growing distances only
			s.log.Error("cannot accept connections", observe.Listener(l.current().Setting), observe.Error(err))
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			s.displace(s.ledger.oldest())
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		select {
		case <-l.closed:
			return
		case <-time.After(pause):
		}
	}
}

// admit gives an accepted connection its goroutine, or turns it away.
func (s *Server) admit(l *listener, raw net.Conn) {
	spec := l.current()
	c := s.newConn(spec, raw)
	reason := s.register(c)
	if reason == "" {
		go s.serve(c)
		return
	}
	s.count.refused.Of(reason).Add()
	s.log.Debug("connection refused", observe.Listener(spec.Setting), observe.Remote(c.remote), slog.String(observe.KeyReason, reason))
	c.abort()
}

// register finds room for a connection, or says why there is none.
func (s *Server) register(c *Conn) (refused string) {
	if !c.spec.admits(c.remote) {
		return refusedNetwork
	}
	s.mu.Lock()
	if s.drained {
		s.mu.Unlock()
		return refusedDraining
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()

	displaced, refused := s.ledger.enter(c)
	for _, d := range displaced {
		s.displace(d)
	}
	if refused != "" {
		s.forget(c)
		return refused
	}
	s.count.accepted.Add()
	s.count.open.Add(1)
	return ""
}

// forget takes a connection off the books.
func (s *Server) forget(c *Conn) {
	s.ledger.leave(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.drained && len(s.conns) == 0 {
		s.closeEmpty()
	}
}

// closeEmpty says that the last connection is gone. s.mu is held.
func (s *Server) closeEmpty() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// displace closes a connection, which the ledger has already struck off, to make
// room for another one.
func (s *Server) displace(c *Conn) {
	if c == nil {
		return
	}
	s.count.displaced.Add()
	s.log.Debug("connection displaced before login", observe.Session(c.id), observe.Remote(c.remote))
	c.abort()
}
