package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postern/cmd/postern/config"
	"postern/internal/observe"
)

// record runs a server through a session of each kind and gives its log.
func record(t *testing.T, format string) string {
	t.Helper()
	s := newSite(t)
	s.write(t, "[log]\nlevel = \"debug\"\nformat = \""+format+"\"\n")
	r := start(t, command("--config", s.config, "serve"))
	r.await(t, r.log, "Postern serves")
	s.account(t, "ada@example.org")
	s.run(t, secretWord+"-2\n", "account", "passwd", "ada@example.org")
	s.run(t, secretWord+"\n", "account", "passwd", "ada@example.org")
	signIn(t, s.imaps, "ada@example.org").do("LOGOUT", "OK")
	c := dial(t, s.imaps, false)
	c.do("LOGIN \"eve \x1b[31m level=ERROR\" "+secretWord, "NO")
	c.do("AUTHENTICATE PLAIN AGFkYUBleGFtcGxlLm9yZwBWZWx2ZXQtVGh1bmRlci00MTc=", "OK") // ada's, in base64
	c.do("ID (\"name\" \"evil\x1b[31m\")", "OK")
	c.do("LOGOUT", "OK")
	deliver(t, s.lmtp, "ada@example.org")
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	log := r.log.String()
	for _, secret := range []string{secretWord, "AGFkYUBleGFtcGxlLm9yZwBWZWx2ZXQtVGh1bmRlci00MTc=", "\x1b"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
	if n := strings.Count(log, "session ended"); n != 3 {
		t.Errorf("%d sessions ended in the log, want 3:\n%s", n, log)
	}
	return log
}

func TestLogText(t *testing.T) {
	shape := regexp.MustCompile(`^time=\S+ level=(DEBUG|INFO|WARN|ERROR) msg=`)
	for line := range strings.Lines(record(t, "auto")) {
		if !shape.MatchString(line) {
			t.Errorf("a line of another shape: %q", line)
		}
	}
}

func TestLogJSON(t *testing.T) {
	for line := range strings.Lines(record(t, "json")) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["time"] == nil || fields["level"] == nil || fields["msg"] == nil {
			t.Errorf("%v in %q", err, line)
		}
	}
}

func TestLogInTheJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	b := openLog(f, config.Log{Format: "auto", Level: "info"}, observe.NewRegistry())
	b.Debug("not told")
	b.Info("one", "a", 1)
	b.With("b", 2).WithGroup("g").Warn("two", "time", 3)
	b.setLevel("debug")
	b.Debug("three")
	b.Error("four")
	b.close()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	// The numbers are syslog's: warning 4, error 3, info 6, debug 7 (sd-daemon(3)).
	if want := "<6>msg=one a=1\n<4>msg=two b=2 g.time=3\n<7>msg=three\n<3>msg=four\n"; string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	t.Setenv("JOURNAL_STREAM", "1:1") // inherited, and not about this stream
	if isJournal(f, os.Getenv("JOURNAL_STREAM")) {
		t.Error("another stream is taken for the journal")
	}
}

// sink is where a log goes that can be blocked, and can fail.
type sink struct {
	bytes.Buffer
	gate chan struct{} // nil is open
	busy chan struct{}
	fail bool
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		select {
		case s.busy <- struct{}{}:
		default:
		}
		<-s.gate
	}
	if s.fail {
		return 0, errors.New("no room")
	}
	return s.Buffer.Write(p)
}

// Nobody reads the log: whoever writes it goes on, and what is lost is counted
// and told.
func TestLogThatBlocks(t *testing.T) {
	s := &sink{gate: make(chan struct{}), busy: make(chan struct{}, 1)}
	var counted atomic.Uint64
	var q *logQueue
	q = newLogQueue(s, func(n uint64) { counted.Add(n) }, func(n uint64) { fmt.Fprintf(q, "lost %d\n", n) })
	write := func(line string) {
		if _, err := io.WriteString(q, line); err != nil {
			t.Error(err)
		}
	}
	write("first\n")
	receive(t, s.busy) // it hangs on that
	line := strings.Repeat("x", 1023) + "\n"
	for range logQueueBytes / len(line) {
		write(line)
	}
	if counted.Load() != 0 {
		t.Errorf("%d lines were dropped with room left", counted.Load())
	}
	write(line)
	write("too many\n")
	if counted.Load() != 2 {
		t.Errorf("%d lines were dropped, want 2", counted.Load())
	}
	close(s.gate)
	q.close()
	text := s.String()
	if !strings.Contains(text, "\nlost 2\n") {
		t.Error("what was lost is not told")
	}
	if !strings.HasPrefix(text, "first\nxxx") || strings.Contains(text, "too many") || strings.Count(text, "\n") < 1+logQueueBytes/len(line) {
		t.Errorf("%d octets were written", len(text))
	}
}

func TestLogThatFails(t *testing.T) {
	s := &sink{fail: true}
	metrics := observe.NewRegistry()
	b := openLog(s, config.Log{Format: "text", Level: "info"}, metrics)
	b.Info("one")
	b.Info("two")
	b.close()
	families, err := metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got := families[0].Metric[0].GetCounter().GetValue(); got != 2 {
		t.Errorf("%v lines are counted as lost, want 2", got)
	}

	s = &sink{}
	b = openLog(s, config.Log{Format: "text", Level: "info"}, metrics)
	b.queue.mu.Lock()
	b.queue.lost = 7
	b.queue.mu.Unlock()
	b.Info("there is room again")
	b.close()
	if text := s.String(); !strings.Contains(text, "there is room again") {
		t.Errorf("got %s", text)
	}
}

// The same with a whole server, whose standard error is a pipe that nobody
// reads.
func TestServerWhoseLogBlocks(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.write(t, "[log]\nlevel = \"debug\"\n")
	cmd := command("--config", s.config, "serve")
	notified := underSystemd(t, cmd, "")
	r := start(t, cmd, writer)
	writer.Close()
	if got := notified(); got != "READY=1" {
		t.Fatalf("systemd is told %q", got)
	}
	s.account(t, "ada@example.org")
	for range 30 { // of at least 200 octets each in the log
		signIn(t, s.imaps, "ada@example.org").do("LOGOUT", "OK")
	}
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A server does not leave itself lying about: no core, and nothing to be looked at but
// by the administrator.
func TestNothingIsExposed(t *testing.T) {
	s := newSite(t)
	r := s.serve(t)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", r.cmd.Process.Pid))
	if err != nil || !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core dumps are on: %v\n%s", err, limits)
	}
	// It has a page for profilers; whoever may open it is the administrator.
	info, err := os.Stat(filepath.Join(s.data, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the control socket: %v, %v", info, err)
	}
}
