package imapserver

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/store/storetest"
)

// opened gives how many bodies a command has the server open.
func (c *client) opened(w *world, command string, want ...string) int {
	c.t.Helper()
	before := w.faults.Calls(storetest.OpOpen)
	c.ok(command, want...)
	return w.faults.Calls(storetest.OpOpen) - before
}

// TestSearchByIndex searches mail that is in the index, and such as is not yet: what is found is
// what RFC 9051 6.4.4 says, and as few messages are opened as can be.
func TestSearchByIndex(t *testing.T) {
	w := newWorld(t, nil)
	c := w.selected()
	send := func(subject, text string) {
		t.Helper()
		c.append("INBOX", "", fmt.Sprintf("From: Ann <ann@example.org>\r\nSubject: %s\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>%s</p>\r\n", subject, text))
	}
	texts := []string{
		1: "a red apple", 2: "an apple, red", 3: "coloured applesauce", 4: "微風迎客", 5: "迎風", 6: "🙂", 7: "un été", 8: "UN E\u0301TE\u0301",
		9: "go to x", 10: strings.Repeat("long", 30) + "needle" + strings.Repeat("run", 30),
	}
	for i, text := range texts[1:] {
		send(fmt.Sprintf("number%d", i+1), text)
	}
	if _, err := w.index.Rebuild(t.Context(), 1, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	send("number11", "another red apple") // not in the index
	c.ok("NOOP", anything)
	c.ok("SEARCH BODY warm", "* SEARCH") // opens the segment
	for _, tt := range []struct {
		key, want string
		opened    int // the last message, and candidates
	}{
		{"BODY apple", " 1 2 3 11", 1},
		{"BODY PPLE", " 1 2 3 11", 1},
		{"BODY nowhere", "", 1},
		// Three have a word that ends in "red" and one that begins with "apple", two have
		// "apple" at the end of a word and "red" at the beginning of one.
		{`BODY "red apple"`, " 1 3 11", 4},
		{`BODY "apple, red"`, " 2", 3},
		{"NOT BODY apple", " 4 5 6 7 8 9 10", 1},
		{"BODY {6+}\r\n微風", " 4", 1},
		{"BODY {3+}\r\n風", " 4 5", 1},
		{"BODY {4+}\r\n🙂", " 6", 1},
		{"BODY {5+}\r\nÉTÉ", " 7 8", 1},
		{"BODY go", " 9", 1},
		{"BODY <p", " 1 2 3 4 5 6 7 8 9 10 11", 11}, // markup is text, and the sign has to be looked for
		{"BODY needle", " 10", 2},
		{"SUBJECT NUMBER1", " 1 10 11", 0},
		{"SUBJECT umber2", " 2", 0},
		{"FROM ann", " 1 2 3 4 5 6 7 8 9 10 11", 0},
		{"FROM nobody", "", 0},
		{"TEXT number3", " 3", 1},
		{"OR SUBJECT number5 BODY apple", " 1 2 3 5 11", 1},
		{"1:4 BODY apple", " 1 2 3", 0},
		{"FUZZY BODY aple", " 1 2 11", 11},
	} {
		if n := c.opened(w, "SEARCH CHARSET UTF-8 "+tt.key, "* SEARCH"+tt.want); n != tt.opened {
			t.Errorf("%s opens %d bodies, want %d", tt.key, n, tt.opened)
		}
	}
	// Compared by octets, case and the way accents are written count.
	c.ok(`COMPARATOR i;octet`, anything)
	c.ok("SEARCH CHARSET UTF-8 BODY RED", "* SEARCH")
	c.ok("SEARCH CHARSET UTF-8 BODY red", "* SEARCH 1 2 3 11")
	c.ok("SEARCH CHARSET UTF-8 BODY {5+}\r\nété", "* SEARCH 7")
	c.ok("COMPARATOR i;ascii-casemap", anything)
	c.ok("SEARCH CHARSET UTF-8 BODY RED", "* SEARCH 1 2 3 11")
	c.ok("SEARCH CHARSET UTF-8 BODY {5+}\r\nÉTÉ", "* SEARCH")
	// A message that is gone from the mailbox, and a copy of one.
	c.ok(`COMPARATOR default`, anything)
	c.ok("CREATE Box")
	c.ok("COPY 1 Box")
	c.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE", anything)
	c.ok("SEARCH BODY apple", "* SEARCH 1 2 10")
	c.ok("SELECT Box", anything)
	if n := c.opened(w, "SEARCH BODY apple", "* SEARCH 1"); n != 0 {
		t.Errorf("%d bodies were opened for a copy of what is in the index", n)
	}
}

// TestSearchWhileMailArrives searches while another session appends and the index is built and merged: at
// every moment each message the client was told of is found, and no other.
func TestSearchWhileMailArrives(t *testing.T) {
	w := newWorld(t, nil)
	w.keepIndex()
	c := w.selected()
	sender := w.login()
	const all = 150
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range all {
			sender.append("INBOX", "", fmt.Sprintf("Subject: s\r\n\r\ncommon number%dx\r\n", i+1))
		}
	}()
	exists := 0
	// do gives the first untagged response, and notes what is told of new mail.
	do := func(command string) string {
		t.Helper()
		untagged, _ := c.do(command)
		for _, line := range untagged {
			var n int
			if _, err := fmt.Sscanf(line, "* %d EXISTS", &n); err == nil {
				exists = n
			}
		}
		return append(untagged, "")[0]
	}
	for last := false; !last; {
		select {
		case <-sent:
			last = true // once more, with everything there
		default:
		}
		do("NOOP")
		newest := exists
		var want strings.Builder
		want.WriteString("* SEARCH")
		for i := range newest {
			fmt.Fprintf(&want, " %d", i+1)
		}
		if got := do("SEARCH BODY ommo"); got != want.String() {
			t.Fatalf("of %d messages: %q", newest, got)
		}
		if got := do(fmt.Sprintf("SEARCH BODY number%dx", newest)); newest > 0 && got != fmt.Sprintf("* SEARCH %d", newest) {
			t.Fatalf("message %d: %q", newest, got)
		}
	}
	if exists != all {
		t.Errorf("%d messages are there", exists)
	}
}
