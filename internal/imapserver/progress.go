package imapserver

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/account"
	"postern/internal/imapwire"
)

// progress tells a client that waits for a long command that it is still being
// worked on (RFC 9585), which also keeps the connection from being taken for a
// dead one. Notices go out only from within patiently: there the command works and
// writes nothing itself, so that a notice always stands between two responses.
type progress struct {
	// done of goal messages have been worked on in this phase of the command; goal
	// is 0 where there is nothing to count.
	done, goal atomic.Uint64
}

// begin begins a phase that works on so many messages.
func (p *progress) begin(messages int) {
	p.done.Store(0)
	p.goal.Store(uint64(messages))
}

// add counts messages that have been worked on.
func (p *progress) add(messages int) { p.done.Add(uint64(messages)) }

// patiently does work in which the session writes nothing, and gives what it
// gives. If it takes long, the client is told so at every interval of
// Limits.Progress, the first of which begins now. A client that cannot be told any
// more ends the work's context.
func patiently[T any](ctx context.Context, s *session, work func(ctx context.Context) (T, error)) (T, error) {
	every := s.srv.limits.Progress
	if every < 0 {
		return work(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := notices{s: s, every: every, giveUp: cancel}
	n.mu.Lock()
	n.timer = time.AfterFunc(every, n.write)
	n.mu.Unlock()
	defer n.end()
	return work(ctx)
}

// notices are those of one stretch of work. They are written by a goroutine of
// their own, while the session's is at work.
type notices struct {
	s      *session
	every  time.Duration
	giveUp context.CancelFunc

	mu    sync.Mutex // held while a notice is written
	timer *time.Timer
	over  bool
}

func (n *notices) write() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	s := n.s
	s.w.Status("", imapwire.OK, s.progressCode(), "still working on it")
	if err := s.flush(); err != nil {
		n.over = true
		n.giveUp()
		return
	}
	n.timer.Reset(n.every)
}

// end waits for a notice that is being written and lets none follow it.
func (n *notices) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	n.timer.Stop()
}

// progressCode is the response code INPROGRESS. A tag that would end the code early
// is left out, as the RFC wants; nothing known at all is said by saying nothing.
// The goal is never said to be reached: the tagged reply says that.
func (s *session) progressCode() string {
	tag := "NIL"
	if s.cmd.tag != "" && !strings.ContainsAny(s.cmd.tag, `]"\`) {
		tag = `"` + s.cmd.tag + `"`
	}
	goal := s.progress.goal.Load()
	if goal > 0 {
		done := min(s.progress.done.Load(), goal-1)
		return fmt.Sprintf("INPROGRESS (%s %s %s)", tag, strconv.FormatUint(done, 10), strconv.FormatUint(goal, 10))
	}
	if tag == "NIL" {
		return "INPROGRESS"
	}
	return "INPROGRESS (" + tag + " NIL NIL)"
}

// storeFlags is StoreFlags of the selected mailbox, patiently.
func (s *session) storeFlags(req account.StoreRequest) (account.StoreResult, error) {
	return patiently(s.ctx, s, func(ctx context.Context) (account.StoreResult, error) {
		return s.box.sel.StoreFlags(ctx, req)
	})
}

// without is the result of work that gives nothing but an error.
type without = struct{}
