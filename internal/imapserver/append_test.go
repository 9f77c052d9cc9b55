package imapserver

import (
	"fmt"
	"strings"
	"testing"
)

// writing is what commands that bring messages can say.
const writing = "a LOGIN ada@example.org secret\r\nb CREATE Box\r\n" +
	"c APPEND Box {3+}\r\none (\\Seen) {2}\r\ntw \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\n\x00\r\n" +
	"d APPEND Box {3}\r\none {0}\r\n" +
	"e APPEND Box CATENATE (URL /Box/;UID=1 TEXT {2}\r\nxy URL \"/Box/;UID=2/;SECTION=TEXT/;PARTIAL=0.1\") {1+}\r\nz\r\n" +
	"f SELECT Box\r\ng REPLACE 1 Trash {2}\r\nab\r\nh UID REPLACE 2 Box CATENATE (URL ;UID=2 TEXT {1+}\r\nx)\r\n" +
	"i UID FETCH 1:* BODY.PEEK[]\r\n" +
	"y LOGOUT\r\n"

// TestEveryCutOfWriting ends the connection after every octet of it.
func TestEveryCutOfWriting(t *testing.T) {
	w := newServer(t, nil)
	w.cutEverywhere(writing)
	w.closeStore(t.Context())
}

// TestManyTogether brings as many messages in one APPEND as can come, and one
// more. What stands before them is longer than a line may be.
func TestManyTogether(t *testing.T) {
	w := newServer(t, nil)
	before := w.hold("a LOGIN ada@example.org secret\r\n", 0)
	many := func(n int) string {
		return "b APPEND INBOX" + strings.Repeat(" (\\Seen) {1+}\r\nx", n) + "\r\n"
	}
	got := w.hold("a LOGIN ada@example.org secret\r\n"+many(maxTogether)+"c STATUS INBOX (MESSAGES)\r\n", 0)
	want := fmt.Sprintf("* STATUS INBOX (MESSAGES %d)\r\nc OK STATUS completed\r\n", maxTogether)
	if got = strings.TrimPrefix(got, before); !strings.Contains(got, fmt.Sprintf(" 1:%d] appended\r\n", maxTogether)) || !strings.HasSuffix(got, want) {
		t.Errorf("answered %.300q", got)
	}
	got = w.hold("a LOGIN ada@example.org secret\r\n"+many(maxTogether+1)+"c STATUS INBOX (MESSAGES)\r\n", 0)
	if !strings.Contains(got, "\r\nb NO [LIMIT] ") || !strings.HasSuffix(got, want) {
		t.Errorf("answered %.300q", got)
	}
	w.closeStore(t.Context())
}

// TestKeywordsTogether brings more keywords in one APPEND than a mailbox can have.
func TestKeywordsTogether(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	var text strings.Builder
	text.WriteString("APPEND INBOX")
	for i := range 1025 {
		fmt.Fprintf(&text, " (k%d) {1+}\r\nx", i)
	}
	c.reply(text.String(), "NO [LIMIT] a mailbox can have 1024 keywords")
	c.ok("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 0)")
}
