package netserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lastWords is how long a connection whose time is up may still take to hear
// why.
const lastWords = 5 * time.Second

// maxChunk is how much one write deadline covers.
const maxChunk = 64 << 10

// wire is the socket as TLS and the handler see it. It adds three things: reads
// end at the connection's time limit (end) whatever later deadline the handler
// asks for; each write, in pieces of 64 KiB, must be taken by the client within
// stall; and it knows whether the client is being waited for.
type wire struct {
	net.Conn
	stall   time.Duration
	stalled func()

	reading atomic.Bool // a Read is under way

	offered     uint16 // best TLS version in the client's hello; see helloWitness
	fingerprint uint64 // stands for the kind of client; 0 without TLS

	mu      sync.Mutex
	end     time.Time // no read beyond this; zero is no limit
	readBy  time.Time // what SetReadDeadline asked for
	writeBy time.Time // what SetWriteDeadline asked for
}

// Read reads from the socket.
func (w *wire) Read(p []byte) (int, error) {
	w.reading.Store(true)
	defer w.reading.Store(false)
	return w.Conn.Read(p)
}

// Write writes p. A client that does not read for the stall time loses the
// connection: half a reply, or half a TLS record, cannot be continued.
func (w *wire) Write(p []byte) (int, error) {
	written := 0
	for {
		n := min(len(p), maxChunk)
		ours, err := w.armWrite()
		if err != nil {
			return written, err
		}
		n, err = w.Conn.Write(p[:n])
		written += n
		if err != nil {
			if ours && errors.Is(err, os.ErrDeadlineExceeded) {
				w.stalled()
				w.Conn.Close()
			}
			return written, err
		}
		if p = p[n:]; len(p) == 0 {
			return written, nil
		}
	}
}

// armWrite sets the deadline of the next piece and tells whether it is the stall
// time rather than one that was asked for.
func (w *wire) armWrite() (ours bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	by := now.Add(w.stall)
	if !w.end.IsZero() {
		latest := now
		if w.end.After(now) {
			latest = w.end
		}
		by = sooner(by, latest.Add(lastWords))
	}
	ours = w.writeBy.IsZero() || by.Before(w.writeBy)
	return ours, w.Conn.SetWriteDeadline(sooner(by, w.writeBy))
}

// limit sets the time at which reads end; zero lifts the limit.
func (w *wire) limit(end time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = end
	return w.Conn.SetReadDeadline(sooner(w.readBy, w.end))
}

// SetDeadline sets both deadlines.
func (w *wire) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// SetReadDeadline sets when reads end, if the connection's own limit is not
// sooner.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readBy = t
	return w.Conn.SetReadDeadline(sooner(w.readBy, w.end))
}

// SetWriteDeadline sets when writes end, those under way included, if the stall
// time is not sooner.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeBy = t
	if t.IsZero() {
		return nil // the next write sets its own
	}
	return w.Conn.SetWriteDeadline(t)
}

// closeWrite tells the client that no more will come.
func (w *wire) closeWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// sooner gives the earlier of two times; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
