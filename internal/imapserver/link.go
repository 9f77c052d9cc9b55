package imapserver

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"postern/internal/observe"
)

// signal is a reason to look up from waiting. Signals carry no data: whoever
// looks up asks for what there is.
type signal uint32

const (
	mailboxChanged  signal = 1 << iota // ask the selection for the Delta
	serverDraining                     // say goodbye
	sessionRevoked                     // the account is closed to this session
	workOver                           // nobody need look out for the client any more
	metadataChanged                    // metadata may have: tellMetadata
	accountChanged                     // its mailboxes may have: tellOthers
	mailboxClosed                      // the selected mailbox may be: its owner took the right to read away
)

// longAgo, as a read deadline, interrupts a read that waits.
var longAgo = time.Unix(1, 0)

// link is the connection as a session uses it: it knows how long the client may
// take to send what is being read, counts octets, and can wait for the client
// and for signals at once with one goroutine and no buffer.
//
// Before it waits, the connection gives back the buffers of TLS.
//
// Waiting works by the read deadline. raise sets a bit and, if the session waits
// for it, moves the deadline into the past, so that the read returns. A read
// that was interrupted late, when the session had stopped waiting, is taken up
// again (Read). crypto/tls keeps a connection usable after a read timed out.
type link struct {
	conn  Conn
	layer *compression // over conn, once the client has asked for it
	trace *observe.Transcript
	open  bool // the client has signed in: nothing it sends now is a password

	readBy time.Time // what is being read must have come in by then
	paced  pace

	// What came in while the session waited. It has room for a usual pipeline,
	// so that the commands in it are seen to have arrived together.
	early    [512]byte
	earlyLen int

	signals    atomic.Uint32 // raised and not yet taken
	interest   atomic.Uint32 // what the session waits for, 0 while it does not
	interrupts atomic.Uint32 // deadlines moved by raise
	seen       uint32        // interrupts that the reader knows of
	strays     int           // early timeouts in a row that raise has not explained

	writeErr          error // of the first Write that failed
	bytesIn, bytesOut uint64
}

// pace makes the time for a message's data depend on how much of it comes.
type pace struct {
	quota  int64 // octets that must come in every window; 0: not paced
	window time.Duration
	got    int64
}

// raise sets a signal and wakes the session if it waits for it. It may be called
// from any goroutine at any time, does not block and holds no lock.
func (l *link) raise(s signal) {
	l.signals.Or(uint32(s))
	if l.interest.Load()&uint32(s) != 0 {
		l.interrupts.Add(1)
		_ = l.conn.SetReadDeadline(longAgo) // fails only on a closed connection
	}
}

// take clears signals and reports whether any of them was raised.
func (l *link) take(s signal) bool {
	return l.signals.And(^uint32(s))&uint32(s) != 0
}

// raised reports whether any of the signals is up.
func (l *link) raised(s signal) bool { return l.signals.Load()&uint32(s) != 0 }

// errWoken says that await ended because of a signal.
var errWoken = errors.New("imapserver: woken by a signal")

// await waits until the client has sent something (nil), one of the signals is up
// (errWoken), or the time has come (os.ErrDeadlineExceeded). Other errors are
// those of the connection. Nothing must be buffered above the link.
func (l *link) await(until time.Time, wanted signal) error {
	if l.earlyLen > 0 {
		return nil
	}
	l.conn.Rest()
	l.interest.Store(uint32(wanted))
	defer l.interest.Store(0)
	for {
		l.seen = l.interrupts.Load()
		if err := l.conn.SetReadDeadline(until); err != nil {
			return err
		}
		if l.raised(wanted) {
			return errWoken
		}
		n, err := l.receive(l.early[:])
		if n > 0 {
			l.earlyLen, l.strays = n, 0
			return nil
		}
		if !l.interrupted(err, until) {
			return err
		}
	}
}

// abandoned waits until the client has sent something, or workOver is raised, and
// then says no; it says yes when the connection fails first, or the session has
// been revoked.
func (l *link) abandoned(until time.Time) bool {
	err := l.await(until, sessionRevoked|workOver)
	switch {
	case err == nil, isTimeout(err):
		return false
	case errors.Is(err, errWoken):
		return l.raised(sessionRevoked)
	}
	return true
}

// maxStrays is how often a read is taken up again that ended before its time
// without a raise to explain it. One can be a raise that was counted before the
// deadline was set and came after it; more are somebody else's deadline.
const maxStrays = 2

// interrupted reports whether a read that was to last until then failed only
// because raise moved its deadline.
func (l *link) interrupted(err error, until time.Time) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if now := l.interrupts.Load(); now != l.seen {
		l.seen, l.strays = now, 0
		return true
	}
	l.strays++
	return l.strays <= maxStrays && time.Now().Before(until)
}

// within gives the client until then to send what is read next.
func (l *link) within(by time.Time) error {
	l.paced = pace{}
	return l.readUntil(by)
}

// atRate asks for the data of a message at no less than rate octets a second,
// averaged over window, until within is called.
func (l *link) atRate(rate int64, window time.Duration) error {
	l.paced = pace{quota: rate * int64(window/time.Second), window: window}
	return l.readUntil(time.Now().Add(window))
}

func (l *link) readUntil(t time.Time) error {
	l.readBy = t
	l.seen = l.interrupts.Load()
	return l.conn.SetReadDeadline(t)
}

// Read reads what the client sends, first what came in while the session waited.
func (l *link) Read(p []byte) (int, error) {
	if l.earlyLen > 0 {
		n := copy(p, l.early[:l.earlyLen])
		l.earlyLen = copy(l.early[:], l.early[n:l.earlyLen])
		return l.arrived(p[:n], nil)
	}
	for {
		n, err := l.receive(p)
		if n > 0 {
			l.strays = 0
			return l.arrived(p[:n], nil)
		}
		if !l.interrupted(err, l.readBy) {
			return 0, err
		}
		if err := l.conn.SetReadDeadline(l.readBy); err != nil {
			return 0, err
		}
	}
}

func (l *link) arrived(p []byte, err error) (int, error) {
	l.bytesIn += uint64(len(p))
	if l.open {
		l.trace.Client(p)
	}
	if l.paced.quota > 0 {
		if l.paced.got += int64(len(p)); l.paced.got >= l.paced.quota {
			l.paced.got = 0
			if err := l.readUntil(time.Now().Add(l.paced.window)); err != nil {
				return len(p), err
			}
		}
	}
	return len(p), err
}

// Write sends p. The listener bounds how long the client may take to read it.
func (l *link) Write(p []byte) (int, error) {
	n, err := l.transmit(p)
	l.bytesOut += uint64(n)
	l.trace.Server(p[:n])
	if err != nil && l.writeErr == nil {
		l.writeErr = err
	}
	return n, err
}
