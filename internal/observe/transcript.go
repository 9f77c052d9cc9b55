package observe

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Transcripts decides which sessions have their protocol written down, and
// writes it. It is off until Select names somebody, and can be switched while
// the server runs. The nil *Transcripts is off for ever.
type Transcripts struct {
	now func() time.Time
	log *slog.Logger

	mu        sync.Mutex
	out       io.Writer
	remotes   []netip.Prefix
	users     []string
	brokenOut bool
}

// NewTranscripts gives a switch that is off. Lines go to out, each in one Write;
// what is wrong with out is said to log once. now tells the time.
func NewTranscripts(out io.Writer, log *slog.Logger, now func() time.Time) *Transcripts {
	return &Transcripts{out: out, log: log, now: now}
}

// Select turns transcripts on for clients from these networks and for these
// users (canonical addresses), and off for everybody else. It holds for
// sessions that ask from now on; one that is being written down goes on.
func (t *Transcripts) Select(remotes []netip.Prefix, users []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remotes, t.users = slices.Clone(remotes), slices.Clone(users)
}

// Open gives the transcript of a session, or nil when it is not to be written
// down. It is asked once when the connection begins, with no user, and once
// more after login.
func (t *Transcripts) Open(session string, remote netip.Addr, user string) *Transcript {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	remote = remote.Unmap()
	byNet := slices.ContainsFunc(t.remotes, func(p netip.Prefix) bool { return p.Contains(remote) })
	if !byNet && (user == "" || !slices.Contains(t.users, user)) {
		return nil
	}
	return &Transcript{set: t, session: session}
}

// Transcript is the protocol of one session as it was spoken. All its methods
// do nothing on a nil *Transcript, which is what nearly every session has.
type Transcript struct {
	set     *Transcripts
	session string
}

// On reports whether anything will be written, for callers who would otherwise
// prepare in vain.
func (t *Transcript) On() bool { return t != nil }

// Secret marks bytes Start to End (not included) of a line as a password, token
// or SASL response. They are replaced by "[secret]", whatever their length.
type Secret struct{ Start, End int }

// Client writes down a line, or a piece, that the client sent. Marks that do not
// fit the line hide all of it: a mistake must not show a password.
func (t *Transcript) Client(line []byte, secrets ...Secret) { t.write("C", line, secrets) }

// Server writes down what the server sent.
func (t *Transcript) Server(line []byte, secrets ...Secret) { t.write("S", line, secrets) }

// Note writes down what happened beside the protocol ("TLS started", "140 bytes
// of message data").
func (t *Transcript) Note(format string, args ...any) {
	if t != nil {
		t.write("-", []byte(fmt.Sprintf(format, args...)), nil)
	}
}

// maxTranscriptLine bounds what is written down of one line; message data is
// summed up by Note instead.
const maxTranscriptLine = 4096

const hidden = "[secret]"

func (t *Transcript) write(who string, line []byte, secrets []Secret) {
	if t == nil {
		return
	}
	var b strings.Builder
	escape(&b, strings.TrimRight(hide(line, secrets), "\r\n"), maxTranscriptLine, false)
	if len(line) > maxTranscriptLine {
		fmt.Fprintf(&b, " (%d bytes)", len(line))
	}
	t.set.line(t.session, who, b.String())
}

func (t *Transcripts) line(session, who, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := fmt.Fprintf(t.out, "%s %s %s: %s\n", t.now().UTC().Format("2006-01-02T15:04:05.000Z"), session, who, text)
	if err != nil && !t.brokenOut {
		t.log.Warn("transcript cannot be written", Error(err))
	}
	t.brokenOut = err != nil
}

// hide replaces the marked spans. Spans must lie within the line, in order and
// apart from each other.
func hide(line []byte, secrets []Secret) string {
	if len(secrets) == 0 {
		return string(line)
	}
	var b strings.Builder
	at := 0
	for _, s := range secrets {
		if s.Start < at || s.End < s.Start || s.End > len(line) {
			return hidden
		}
		b.Write(line[at:s.Start])
		b.WriteString(hidden)
		at = s.End
	}
	b.Write(line[at:])
	return b.String()
}
