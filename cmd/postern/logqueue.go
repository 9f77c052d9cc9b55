package main

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// logQueue stands between the log and where it is written. A pipe that nobody
// reads and a disk that is full must hold up the log and not the mail: lines
// wait here, and when too many do, the newest are dropped, counted, and the
// count is told as soon as there is room.
type logQueue struct {
	out    io.Writer
	count  func(lines uint64)
	report func(lines uint64) // writes a line here

	mu      sync.Mutex
	waiting []byte
	lost    uint64 // lines not told of yet
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

const (
	logQueueBytes = 4 << 20
	logCloseTime  = 2 * time.Second
)

func newLogQueue(out io.Writer, count, report func(lines uint64)) *logQueue {
	q := &logQueue{out: out, count: count, report: report, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.write()
	return q
}

// Write takes a line, or drops it. It never waits for the writing.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting)+len(line) > logQueueBytes {
		q.lose(1)
		return len(line), nil
	}
	q.waiting = append(q.waiting, line...)
	q.nudge()
	return len(line), nil
}

// lose counts lines; q.mu is held.
func (q *logQueue) lose(lines uint64) {
	q.lost += lines
	q.count(lines)
}

func (q *logQueue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
}

// write is the queue's goroutine.
func (q *logQueue) write() {
	defer close(q.done)
	var spare []byte
	for {
		q.mu.Lock()
		batch, lost, closed := q.waiting, q.lost, q.closed
		if len(batch) > 0 {
			q.waiting, spare = spare[:0], nil // each has its array
		}
		q.mu.Unlock()
		if len(batch) == 0 && closed {
			return
		}
		if len(batch) == 0 {
			<-q.wake
			continue
		}
		n, err := q.out.Write(batch)
		switch {
		case err != nil:
			q.mu.Lock()
			q.lose(uint64(bytes.Count(batch[n:], []byte{'\n'})))
			q.mu.Unlock()
		case lost > 0:
			q.mu.Lock()
			q.lost -= lost
			q.mu.Unlock()
			q.report(lost)
		}
		if cap(batch) <= logQueueBytes/16 { // not after a flood
			spare = batch
		}
	}
}

// close writes what waits, unless nobody takes it.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.nudge()
	late := time.NewTimer(logCloseTime)
	defer late.Stop()
	select {
	case <-q.done:
	case <-late.C:
	}
}
