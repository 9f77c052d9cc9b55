package imapserver

import (
	"strings"
	"testing"
)

// limited gives a client of a server that works on so many messages at a time, with five messages in INBOX.
func limited(t *testing.T, messages, save int) *client {
	w := newWorld(t, func(o *Options) { o.Limits.Messages, o.Limits.Save = messages, save })
	c := w.login()
	for range 5 {
		c.append("INBOX", "", sample(1))
	}
	c.ok("SELECT INBOX", anything)
	return c
}

// tagged wants the tagged reply to a command to begin so, and gives what came before.
func (c *client) tagged(command, want string) []string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, want) {
		c.t.Errorf("%s: got %q after %q, want %q", command, tagged, untagged, want)
	}
	return untagged
}

// wantLines wants some lines and no others.
func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMessageLimit goes over the table of RFC 9738 3.2 and 3.3: what a command over the limit does, from the highest UID
// down, and what it says.
func TestMessageLimit(t *testing.T) {
	c := limited(t, 3, 0)
	untagged, _ := c.do("CAPABILITY")
	announces(t, "["+untagged[0]+"]", "SAVELIMIT=0 MESSAGELIMIT", "MESSAGELIMIT=3")

	// FETCH: the top ones, and the code has the lowest UID that was worked on. At the limit nothing is said.
	wantLines(t, c.tagged("UID FETCH 1:* (FLAGS)", "OK [MESSAGELIMIT 3 3] "),
		`* 3 FETCH (UID 3 FLAGS (\Recent))`, `* 4 FETCH (UID 4 FLAGS (\Recent))`, `* 5 FETCH (UID 5 FLAGS (\Recent))`)
	wantLines(t, c.tagged("FETCH 1,2,4,5 (UID)", "OK [MESSAGELIMIT 3 2] "), "* 2 FETCH (UID 2)", "* 4 FETCH (UID 4)", "* 5 FETCH (UID 5)")
	wantLines(t, c.tagged("UID FETCH 1:2,100:200 (UID)", "OK UID FETCH"), "* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)")
	c.tagged("UID FETCH 1:* (UID) (PARTIAL 1:4)", "NO [MESSAGELIMIT 3] ")
	wantLines(t, c.tagged("UID FETCH 1:* (UID) (PARTIAL -1:-3)", "OK UID FETCH"), "* 3 FETCH (UID 3)", "* 4 FETCH (UID 4)", "* 5 FETCH (UID 5)")

	// SEARCH: messages are counted before they are looked at, and a client goes on below.
	wantLines(t, c.tagged("UID SEARCH ALL", "OK [MESSAGELIMIT 3 3] "), "* SEARCH 3 4 5")
	wantLines(t, c.tagged("UID SEARCH UIDBEFORE 3 ALL", "OK UID SEARCH"), "* SEARCH 1 2")
	wantLines(t, c.tagged("UID SEARCH UIDAFTER 3", "OK UID SEARCH"), "* SEARCH 4 5")
	wantLines(t, c.tagged("UID SEARCH UIDBEFORE 1", "OK "), "* SEARCH")
	wantLines(t, c.tagged("UID SEARCH UIDAFTER 4294967295", "OK "), "* SEARCH")
	wantLines(t, c.tagged("UID SEARCH (UID 1:4 SEEN)", "OK [MESSAGELIMIT 3 2] "), "* SEARCH")
	wantLines(t, c.tagged("SEARCH 2:5 UNSEEN", "OK [MESSAGELIMIT 3 3] "), "* SEARCH 3 4 5")
	// An alternative bounds nothing.
	wantLines(t, c.tagged("UID SEARCH OR UID 1 UID 2", "OK [MESSAGELIMIT 3 3] "), "* SEARCH")
	c.tagged("UID SEARCH RETURN (PARTIAL 1:4) ALL", "NO [MESSAGELIMIT 3] ")
	if got := c.tagged("UID SEARCH RETURN (SAVE COUNT) ALL", "OK [MESSAGELIMIT 3 3] "); len(got) != 1 || !strings.HasSuffix(got[0], " UID COUNT 3") {
		t.Errorf("%q", got)
	}
	wantLines(t, c.tagged("UID FETCH $ (UID)", "OK UID FETCH"), "* 3 FETCH (UID 3)", "* 4 FETCH (UID 4)", "* 5 FETCH (UID 5)")

	// STORE; where MODIFIED has the place in the tagged line the code comes before.
	wantLines(t, c.tagged(`UID STORE 1:* +FLAGS.SILENT (\Flagged)`, "OK [MESSAGELIMIT 3 3] "))
	wantLines(t, c.tagged("UID SEARCH UID 1:3 FLAGGED", "OK "), "* SEARCH 3")
	c.ok("ENABLE CONDSTORE", anything)
	got := c.tagged(`UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\Seen)`, "OK [MODIFIED 3:5] ")
	if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "* NO [MESSAGELIMIT 3 3] ") {
		t.Errorf("%q", got)
	}

	// COPY and MULTIAPPEND do all or nothing.
	c.ok("CREATE Other", anything)
	c.tagged("UID COPY 1:* Other", "NO [MESSAGELIMIT 3 3] ")
	c.tagged("UID COPY 1:3 Other", "OK [COPYUID ")
	c.tagged("APPEND Other {2+}\r\na\n {2+}\r\nb\n {2+}\r\nc\n {2+}\r\nd\n", "NO [MESSAGELIMIT 3] ")
	c.ok("STATUS Other (MESSAGES)", `* STATUS "Other" (MESSAGES 3)`)

	// MOVE takes the top ones, and so does UID EXPUNGE, which counts what bears \Deleted. EXPUNGE has no limit.
	got = c.tagged("UID MOVE 1:* Other", "OK [MESSAGELIMIT 3 3] ")
	if len(got) < 2 || !strings.HasPrefix(got[0], "* OK [COPYUID ") || !strings.Contains(got[0], " 3:5 4:6]") {
		t.Errorf("%q", got)
	}
	c.ok("SELECT Other", anything)
	c.tagged(`UID STORE 1:3 +FLAGS.SILENT (\Deleted)`, "OK ")
	c.tagged(`UID STORE 6 +FLAGS.SILENT (\Deleted)`, "OK ")
	c.tagged("UID EXPUNGE 1:*", "OK [MESSAGELIMIT 3 2] ")
	wantLines(t, c.tagged("UID SEARCH ALL", "OK UID SEARCH"), "* SEARCH 1 4 5")
	c.append("Other", "", sample(1))
	c.append("Other", "", sample(1))
	c.tagged(`UID STORE 4:5 +FLAGS.SILENT (\Deleted)`, "OK UID STORE")
	c.tagged(`UID STORE 7:8 +FLAGS.SILENT (\Deleted)`, "OK UID STORE")
	c.tagged("EXPUNGE", "OK EXPUNGE")
	c.ok("STATUS Other (MESSAGES)", `* STATUS "Other" (MESSAGES 0)`)
	c.ok("SELECT INBOX", anything)
	c.append("INBOX", "", sample(1))
	c.append("INBOX", "", sample(1))
	c.tagged("UID SORT (ARRIVAL) UTF-8 ALL", "OK UID SORT")
}

// TestSaveLimit limits COPY and APPEND alone.
func TestSaveLimit(t *testing.T) {
	c := limited(t, 0, 2)
	untagged, _ := c.do("CAPABILITY")
	announces(t, "["+untagged[0]+"]", "MESSAGELIMIT=0 MESSAGELIMIT", "SAVELIMIT=2")
	if got := c.tagged("UID FETCH 1:* (UID)", "OK UID FETCH"); len(got) != 5 {
		t.Errorf("%q", got)
	}
	c.ok("CREATE Other", anything)
	c.tagged("UID COPY 1:3 Other", "NO [MESSAGELIMIT 2 2] ")
	c.tagged("UID COPY 1:2 Other", "OK [COPYUID ")
	c.tagged("APPEND Other {2+}\r\na\n {2+}\r\nb\n {2+}\r\nc\n", "NO [MESSAGELIMIT 2] ")
	c.tagged("UID MOVE 1:* Other", "OK ")
	c.ok("STATUS Other (MESSAGES)", `* STATUS "Other" (MESSAGES 7)`)
}

// TestUIDsBesideNumbers: UIDAFTER and UIDBEFORE work without a limit, too, and want one number.
func TestUIDsBesideNumbers(t *testing.T) {
	c := limited(t, 0, 0)
	wantLines(t, c.tagged("SEARCH UIDAFTER 2 UIDBEFORE 5", "OK "), "* SEARCH 3 4")
	wantLines(t, c.tagged("SEARCH UIDAFTER 0", "OK "), "* SEARCH 1 2 3 4 5")
	for _, bad := range []string{"UIDAFTER", "UIDAFTER x", "UIDBEFORE 1:2", "UIDBEFORE *", "UIDAFTER 4294967296"} {
		c.tagged("SEARCH "+bad, "BAD ")
	}
}
