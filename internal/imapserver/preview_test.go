package imapserver

import (
	"strings"
	"testing"

	"postern/internal/store/storetest"
)

// TestPreviewNotAtHand asks for the preview of a message for which none could be
// made when it came in: its text stands so far behind its beginning that the body
// had to be opened, and that failed.
func TestPreviewNotAtHand(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	far := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\n" +
		strings.Repeat("0123456789\r\n", 10_000) + "--b\r\n\r\nat the end\r\n--b--\r\n"
	w.faults.Fail(storetest.OpOpen, storetest.Fault{Err: away})
	c.append("INBOX", "", far)
	c.append("INBOX", "", far) // this one can be opened
	c.append("INBOX", "", "\r\nnear\r\n")
	c.ok("SELECT INBOX", anything)
	opened := w.faults.Calls(storetest.OpOpen)
	c.ok("FETCH 1:3 PREVIEW (LAZY)", "* 1 FETCH (PREVIEW NIL)", `* 2 FETCH (PREVIEW "at the end")`, `* 3 FETCH (PREVIEW "near")`)
	if n := w.faults.Calls(storetest.OpOpen) - opened; n != 0 {
		t.Errorf("PREVIEW (LAZY) opened %d bodies", n)
	}
	c.ok("FETCH 1:3 (PREVIEW UID)", `* 1 FETCH (UID 1 PREVIEW "at the end")`, `* 2 FETCH (UID 2 PREVIEW "at the end")`, `* 3 FETCH (UID 3 PREVIEW "near")`)
	if n := w.faults.Calls(storetest.OpOpen) - opened; n != 1 {
		t.Errorf("PREVIEW opened %d bodies, want the first alone", n)
	}
	c.ok("FETCH 1 (PREVIEW BODY.PEEK[1.MIME] ENVELOPE)", `* 1 FETCH (PREVIEW "at the end" BODY[1.MIME] {27}...`)

	w.faults.Fail(storetest.OpOpen, storetest.Fault{Err: away})
	c.reply("FETCH 1:2 PREVIEW", "NO [UNAVAILABLE] ...", `* 2 FETCH (PREVIEW "at the end")`)
}
