package imapserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/internal/imapwire"
	"postern/internal/store/storetest"
)

// TestProgress holds the store up under commands until the client has been told
// that they are being worked on (RFC 9585), and lets it go on only then.
func TestProgress(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Progress, o.ACLAnyone = time.Millisecond, true })
	c := w.login()
	c.fill(3)
	c.ok("SELECT INBOX", anything)

	for _, test := range []struct {
		command string
		op      storetest.Op
		skip    int
		want    string // what is said of progress
		then    string // a line that follows
		tagged  string
	}{
		// Texts are looked at one message after the other: one is done.
		{"SEARCH TEXT nowhere", storetest.OpOpen, 1, "1 3", "* SEARCH", "OK "},
		{"UID SEARCH RETURN (COUNT) TEXT nowhere", storetest.OpOpen, 2, "2 3", "* ESEARCH ", "OK "},
		{"SORT (SUBJECT) UTF-8 ALL", storetest.OpSummaries, 0, "0 3", "* SORT ", "OK "},
		{"THREAD REFERENCES UTF-8 TEXT nowhere", storetest.OpOpen, 0, "0 3", "* THREAD", "OK "},
		{"FETCH 1:3 (UID ENVELOPE)", storetest.OpSummaries, 0, "NIL NIL", "* 1 FETCH ", "OK "},
		{`STORE 1:3 +FLAGS (\Flagged)`, storetest.OpCommit, 0, "NIL NIL", "* 1 FETCH ", "OK "},
		{`UID STORE 1 +FLAGS.SILENT (\Deleted)`, storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"COPY 1:3 Archive", storetest.OpCommit, 0, "NIL NIL", "", "OK [COPYUID "},
		{"MOVE 2 Archive", storetest.OpCommit, 0, "NIL NIL", "* OK [COPYUID ", "OK "},
		{"EXPUNGE", storetest.OpCommit, 0, "NIL NIL", "* 1 EXPUNGE", "OK "},
		{"CREATE Attic", storetest.OpCommit, 0, "NIL NIL", "", "OK [MAILBOXID "},
		{"SUBSCRIBE Attic", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"UNSUBSCRIBE Attic", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"SETACL Attic anyone lr", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"DELETEACL Attic anyone", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{`SETMETADATA Attic (/private/comment "old")`, storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{`SETMETADATA "" (/private/comment "mine")`, storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"RENAME Archive Cellar", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"DELETE Cellar", storetest.OpCommit, 0, "NIL NIL", "", "OK "},
		{"APPEND INBOX {5+}\r\nhello", storetest.OpCommit, 0, "NIL NIL", "* 2 EXISTS", "OK [APPENDUID "},
	} {
		t.Run(test.command, func(t *testing.T) {
			c.t = t
			// The RFC's own example has a tag like this one; the other would end the
			// response code early, and MUST NOT be in it.
			for _, tag := range []string{"q7", "a]1"} {
				if tag != "q7" && test.op == storetest.OpCommit {
					continue // it is done already
				}
				block := storetest.NewBlock()
				w.faults.Fail(test.op, storetest.Fault{Block: block, Skip: test.skip, Times: -1})
				c.send(tag + " " + test.command + "\r\n")
				want := fmt.Sprintf(`* OK [INPROGRESS (%q %s)] `, tag, test.want)
				switch {
				case tag != "q7" && test.want == "NIL NIL":
					want = "* OK [INPROGRESS] "
				case tag != "q7":
					want = fmt.Sprintf(`* OK [INPROGRESS (NIL %s)] `, test.want)
				}
				// On a slow machine there are notices before the block is reached. Those
				// that come while it holds are all alike.
				var notice string
				for range 10_000 {
					if notice = c.read(); strings.HasPrefix(notice, want) || !strings.HasPrefix(notice, "* OK [INPROGRESS") {
						break
					}
				}
				block.Release()
				w.faults.Clear()
				untagged, tagged := c.until(tag)
				if !strings.HasPrefix(notice, want) {
					t.Errorf("got %q, want %q", notice, want)
				}
				found := test.then == ""
				for _, line := range untagged {
					found = found || strings.HasPrefix(line, test.then)
				}
				if !found || !strings.HasPrefix(tagged, test.tagged) {
					t.Errorf("then came %q, %q", untagged, tagged)
				}
			}
		})
	}
}

// TestNoProgress has notices turned off: none comes, however long it takes.
func TestNoProgress(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Progress = -1 })
	c := w.login()
	c.fill(1)
	c.ok("SELECT INBOX", anything)
	block := storetest.NewBlock()
	w.faults.Fail(storetest.OpOpen, storetest.Fault{Block: block})
	c.send("a SEARCH TEXT nowhere\r\n")
	<-block.Arrived()
	block.Release()
	if line := c.read(); line != "* SEARCH" {
		t.Errorf("got %q", line)
	}
	c.until("a")
}

// TestProgressCode is the grammar of RFC 9585: the goal is never reached.
func TestProgressCode(t *testing.T) {
	for _, test := range []struct {
		tag        string
		done, goal int
		want       string
	}{
		{"q7", 20311, 88000, `INPROGRESS ("q7" 20311 88000)`},
		{"q7", 88000, 88000, `INPROGRESS ("q7" 87999 88000)`},
		{"q7", 5, 3, `INPROGRESS ("q7" 2 3)`},
		{"q7", 1, 1, `INPROGRESS ("q7" 0 1)`},
		{"q7", 0, 0, `INPROGRESS ("q7" NIL NIL)`},
		{"a]1", 3, 9, `INPROGRESS (NIL 3 9)`},
		{"a]1", 0, 0, `INPROGRESS`},
	} {
		s := &session{cmd: command{tag: test.tag}}
		s.progress.begin(test.goal)
		s.progress.add(test.done)
		if got := s.progressCode(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

// broken is a connection that its client has left.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestProgressUnread has a client leave: the first notice that cannot be written
// ends the work, which here would last for ever.
func TestProgressUnread(t *testing.T) {
	s := &session{srv: &Server{limits: Limits{Progress: time.Nanosecond}}, w: imapwire.NewWriter(broken{}, nil)}
	_, err := patiently(t.Context(), s, func(ctx context.Context) (without, error) {
		<-ctx.Done()
		return without{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the work ended with %v", err)
	}
}
