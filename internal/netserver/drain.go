package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"postern/internal/observe"
)

// abandonedAfter is how long Shutdown waits for handlers whose connection it
// has closed under them.
const abandonedAfter = 5 * time.Second

// Shutdown stops listening, tells every connection by its Draining channel, and
// waits until all handlers have returned. When ctx ends first it closes what is
// left, cancels the contexts and waits a few seconds more; handlers that still
// have not returned are an error. Handshakes under way are cut at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.drained
	s.drained = true
	if first {
		for _, l := range s.listeners {
			l.close()
		}
		s.listeners = nil
		close(s.draining)
		if len(s.conns) == 0 {
			s.closeEmpty()
		}
	}
	s.mu.Unlock()
	for _, c := range s.ledger.inHandshake() {
		c.abort()
	}
	defer s.loops.Wait()
	defer s.cancel()

	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	left := s.snapshot()
	s.log.Warn("closing connections that did not end by themselves", slog.Int(observe.KeyCount, len(left)))
	for _, c := range left {
		c.abort()
	}
	late := time.NewTimer(abandonedAfter)
	defer late.Stop()
	select {
	case <-s.empty:
		return nil
	case <-late.C:
		return fmt.Errorf("%d connections are still being served", len(s.snapshot()))
	}
}

func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
