package postfix_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"postern/test/peer"
)

// head is a header that Postfix has nothing to add to.
const head = "From: f@example.net\r\nTo: ann@example.org\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n" +
	"Message-ID: <1@example.net>\r\nSubject: x\r\n\r\n"

// TestOctets sends mail by SMTP through Postfix. What it says to Postern must come back by IMAP, octet for octet, behind
// the trace; and what Postfix itself changes on the way is exactly what docs/postfix.md says.
func TestOctets(t *testing.T) {
	h, tape := byRecorder(t, "")
	read := h.account("ann@example.org")
	same := ""
	cases := []struct{ name, body, becomes string }{
		{"nothing", "", same},
		{"a line", "plain\r\n", same},
		{"a line of 1 MB", strings.Repeat("0123456789abcdef", 1<<16) + "\r\nshort\r\n", same},
		{"NULs", "a\x00b\r\n\x00\r\n", same},
		{"control characters", "a\x1ab\x7f\x08\x0b\r\n", same},
		{"a bare CR", "a\rb\r\n\rc\r\n", same},
		{"a bare CR and a dot before the final dot", "a\r.\r\n", same},
		{"dots where lines begin", ".a\r\n..\r\n.\rb\r\n...\r\n", same},
		{"8-bit text that is no UTF-8", "gr\xfc\xdfe\r\n\xff\xfe\r\n", same},
		{"empty lines at the end", "a\r\n\r\n\r\n", same},
		{"bare LFs", "a\nb\n\r\n", "a\r\nb\r\n\r\n"},            // become line ends
		{"CRs before a line end", "a\r\r\n\r\r\n", "a\r\n\r\n"}, // are taken away
		{"10 MB in base64", attachment(10 << 20), same},
	}
	for _, c := range cases {
		h.submit("f@example.net", []string{"ann@example.org"}, head+c.body)
		h.emptyQueue() // one at a time, so that they come in the order of the cases
	}
	wires, messages := tape.contents(), h.await(read, "INBOX", len(cases))
	if len(wires) != len(cases) {
		t.Fatalf("there were %d messages on the wire, want %d", len(wires), len(cases))
	}
	for i, c := range cases {
		wire := wires[i]
		trace, body := split(t, messages[i].Body)
		if body != wire {
			t.Errorf("%s: on the wire were %d octets, IMAP gives %d: %.200q and %.200q", c.name, len(wire), len(body), wire, body)
		}
		if !strings.HasPrefix(trace, "Return-Path: <f@example.net>\r\nDelivered-To: ann@example.org\r\nReceived: from mail.example.org\r\n") {
			t.Errorf("%s: the trace is %q", c.name, trace)
		}
		want := c.becomes
		if want == same {
			want = c.body
		}
		// Before what was sent stands Postfix's Received field and nothing else.
		received, sent, _ := strings.Cut(wire, "From: f@example.net\r\n")
		if !strings.HasPrefix(received, "Received: from client.example.net ") || strings.Count(received, "\r\n") != 3 {
			t.Errorf("%s: Postfix added %q", c.name, received)
		}
		if sent = "From: f@example.net\r\n" + sent; sent != head+want {
			t.Errorf("%s: of %d octets Postfix made %d: %.200q", c.name, len(head+want), len(sent), sent)
		}
	}
	said := tape.said()
	// Postfix's lmtp client speaks no CHUNKING; it does use PIPELINING, even for the QUIT behind the final dot.
	if strings.Contains(said, "\r\nBDAT") {
		t.Error("Postfix used BDAT: docs/postfix.md says it never does")
	}
	if !slices.ContainsFunc(tape.pieces(), func(p string) bool { return strings.HasSuffix(p, "\r\n.\r\nQUIT\r\n") }) {
		t.Error("Postfix did not send QUIT with the final dot: lmtpserver's receipts were made for that")
	}
	lineEndingInCR(t, h, tape, read)
}

// attachment is a body of about n octets as mail programs send files.
func attachment(n int) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		for range 76 {
			b.WriteByte(digits[random.IntN(64)])
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

// lineEndingInCR: a message that ends in CR CR LF gets to Postern only from a program on Postfix's own machine; an SMTP
// client's CRs are taken away.
func lineEndingInCR(t *testing.T, h *house, tape *recorder, read func(string) []peer.Message) {
	before := len(tape.contents())
	h.postfix.Drop(t, "f@example.net", "ann@example.org", []string{"From: f@example.net", "", "a\rb\r", "\x00", ".", "end\r"})
	message := h.await(read, "INBOX", before+1)[before]
	_, body := split(t, message.Body)
	if wire := tape.contents()[before]; body != wire {
		t.Errorf("on the wire was %q, IMAP gives %q", wire, body)
	}
	if want := "\r\n\r\na\rb\r\r\n\x00\r\n.\r\nend\r\r\n"; !strings.HasSuffix(body, want) {
		t.Errorf("got %q, want it to end in %q", body, want)
	}
}

// TestWithoutOurSettings shows what the settings of docs/postfix.md are for.
func TestWithoutOurSettings(t *testing.T) {
	h, _ := byRecorder(t, "lmtp_line_length_limit = 998\ncleanup_replace_stray_cr_lf = yes\n")
	read := h.account("ann@example.org")
	h.submit("f@example.net", []string{"ann@example.org"}, head+"a\rb\r\n"+strings.Repeat("x", 1000)+"\r\n")
	_, body := split(t, h.await(read, "INBOX", 1)[0].Body)
	if want := "\r\n\r\na b\r\n" + strings.Repeat("x", 998) + "\r\n xx\r\n"; !strings.HasSuffix(body, want) {
		t.Errorf("got %q, want it to end in %q", body, want)
	}
}
