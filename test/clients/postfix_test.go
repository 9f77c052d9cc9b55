package clients

import (
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postern/test/peer"
)

// Mail goes through Postfix into LMTP and comes out of IMAP byte for byte, whatever is in it.
func TestPostfix(t *testing.T) {
	onEach(t, func(t *testing.T, a *account) {
		postfix := peer.StartPostfix(t, a.server.LMTP)
		bodies := map[string]string{
			"plain":     "one\r\ntwo\r\n",
			"dots":      ".\r\n..\r\n.three\r\n",
			"long line": strings.Repeat("x", 1<<20) + "\r\nend\r\n",
			"nul":       "a\x00b\r\n\x00\r\n",
			// Not at a line's end: there Postfix's SMTP server drops it before we see it (a lenient reading of CRLF).
			"bare CR":    "first\rstill first\r\n\rlast\r.\r\n",
			"eight bits": "caf\xc3\xa9 \xff\xfe\r\n",
		}
		if a.server.Name == "dovecot" {
			// It turns a NUL into U+0080 (its LMTP takes none), which is no matter of ours.
			delete(bodies, "nul")
		}
		for subject, body := range bodies {
			sendMail(t, postfix, a.name, "Subject: "+subject+"\r\n\r\n"+body)
		}
		arrived := awaitMail(t, a, len(bodies), postfix)
		for subject, body := range bodies {
			_, got, _ := strings.Cut(arrived[subject].text, "\r\n\r\n")
			if got != body {
				t.Errorf("%s: %d octets became %d: %.80q", subject, len(body), len(got), got)
			}
			for _, field := range []string{"Return-Path: <sender@example.net>\r\n", "Delivered-To: " + a.name + "\r\n", "Received: "} {
				if !strings.Contains(arrived[subject].text, field) {
					t.Errorf("%s: there is no %q in %.600q", subject, field, arrived[subject].text)
				}
			}
		}
	})
}

// sendMail gives Postfix a message by SMTP.
func sendMail(t *testing.T, postfix *peer.Postfix, to, text string) {
	t.Helper()
	conn, err := textproto.Dial("tcp", postfix.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stuffed := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:]
	for _, exchange := range []struct {
		say  string
		code int
	}{
		{"", 220}, {"EHLO localhost\r\n", 250}, {"MAIL FROM:<sender@example.net> BODY=8BITMIME\r\n", 250},
		{"RCPT TO:<" + to + ">\r\n", 250}, {"DATA\r\n", 354}, {stuffed + ".\r\n", 250}, {"QUIT\r\n", 221},
	} {
		if _, err := conn.W.WriteString(exchange.say); err != nil {
			t.Fatal(err)
		}
		if err := conn.W.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.ReadResponse(exchange.code); err != nil {
			t.Fatalf("%.60q: %v\n%s", exchange.say, err, postfix.Log())
		}
	}
}

// awaitMail looks into INBOX until n messages are there.
func awaitMail(t *testing.T, a *account, n int, postfix *peer.Postfix) map[string]held {
	t.Helper()
	for deadline := time.Now().Add(clientPatience); ; time.Sleep(100 * time.Millisecond) { // Postfix has no way to tell
		if arrived := a.mailbox(t, "INBOX"); len(arrived) >= n {
			return arrived
		} else if time.Now().After(deadline) {
			t.Fatalf("%d messages arrived of %d\n%s", len(arrived), n, postfix.Log())
		}
	}
}
