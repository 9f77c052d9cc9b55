// Package postfix_test has mail go through a real Postfix into Postern: what docs/postfix.md says is what these tests
// run.
package postfix_test

import (
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
	"postern/test/peer"
)

// documented returns the settings that docs/postfix.md shows under a name.
func documented(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(), "docs", "postfix.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- tested: "+name+" -->\n```\n")
	settings, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatalf("docs/postfix.md has no settings called %q", name)
	}
	return settings
}

// documentedTransport is what the settings of docs/postfix.md deliver to.
const documentedTransport = "lmtp:unix:private/postern-lmtp"

// house is a Postern and a Postfix that delivers to it.
type house struct {
	t       *testing.T
	postern *peer.Node
	postfix *peer.Postfix
}

// bySocket is the way of docs/postfix.md: a Unix socket in the queue directory, for a chrooted lmtp client.
func bySocket(t *testing.T, more string) *house {
	t.Helper()
	postfix := peer.NewPostfix(t)
	listener := fmt.Sprintf("[[listen.lmtp]]\naddress = %q\nowner = \"%d\"\ngroup = \"%[2]d\"\nmode = \"0600\"\n",
		"unix:"+postfix.Socket("postern-lmtp"), peer.PostfixUser)
	postern := peer.NewNode(t, filepath.Join(t.TempDir(), "data"), listener)
	postern.Start(t)
	postfix.Start(t, documented(t, "main.cf")+more)
	return &house{t, postern, postfix}
}

// byRecorder has Postfix deliver by TCP, through something that keeps what it says.
func byRecorder(t *testing.T, more string) (*house, *recorder) {
	t.Helper()
	postfix := peer.NewPostfix(t)
	postern := peer.NewNode(t, filepath.Join(t.TempDir(), "data"), "")
	postern.Start(t)
	tape := record(t, postern.LMTP)
	settings := documented(t, "main.cf")
	if !strings.Contains(settings, documentedTransport) {
		t.Fatalf("docs/postfix.md delivers elsewhere than to %s", documentedTransport)
	}
	postfix.Start(t, strings.Replace(settings, documentedTransport, "lmtp:inet:"+tape.address(), 1)+more)
	return &house{t, postern, postfix}, tape
}

// submit sends a message by SMTP: dots are stuffed, the content is otherwise as it is and must end in CRLF. It returns
// the replies to each RCPT and fails the test if the message itself is refused.
func (h *house) submit(from string, to []string, content string, parameters ...string) (replies []int) {
	h.t.Helper()
	conn, err := textproto.Dial("tcp", h.postfix.SMTP)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	say := func(line string) int {
		h.t.Helper()
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				h.t.Fatal(err)
			}
		}
		code, _, err := conn.ReadResponse(0)
		if err != nil && code == 0 {
			h.t.Fatalf("%.100q: %v\n%s", line, err, h.postfix.Log())
		}
		return code
	}
	want := func(code int, line string) {
		h.t.Helper()
		if got := say(line); got != code {
			h.t.Fatalf("%.100q was answered %d, not %d\n%s", line, got, code, h.postfix.Log())
		}
	}
	want(220, "")
	want(250, "EHLO client.example.net")
	want(250, strings.Join(append([]string{"MAIL FROM:<" + from + ">"}, parameters...), " "))
	for _, address := range to {
		replies = append(replies, say("RCPT TO:<"+address+">"))
	}
	want(354, "DATA")
	stuffed := strings.ReplaceAll("\r\n"+content, "\r\n.", "\r\n..")[2:]
	if _, err := conn.W.WriteString(stuffed); err != nil {
		h.t.Fatal(err)
	}
	want(250, ".")
	want(221, "QUIT")
	return replies
}

// account makes an account and returns a function that reads one of its mailboxes.
func (h *house) account(name string) (read func(mailbox string) []peer.Message) {
	h.t.Helper()
	password := h.postern.AddAccount(h.t, name)
	return func(mailbox string) []peer.Message {
		h.t.Helper()
		client, err := peer.DialIMAP(h.postern.TLS, h.postern.TLSConfig(h.t), name, password)
		if err != nil {
			h.t.Fatal(err)
		}
		defer client.Close()
		_, messages, err := client.Messages(mailbox)
		if err != nil {
			h.t.Fatal(err)
		}
		return messages
	}
}

// patience is how long mail may take on its way on a busy machine; nothing is measured by it.
const patience = 60 * time.Second

// await waits until there are n messages.
func (h *house) await(read func(string) []peer.Message, mailbox string, n int) []peer.Message {
	h.t.Helper()
	var messages []peer.Message
	h.until(fmt.Sprintf("%d messages in %s", n, mailbox), func() bool {
		messages = read(mailbox)
		return len(messages) >= n
	})
	if len(messages) != n {
		h.t.Fatalf("%s has %d messages, want %d", mailbox, len(messages), n)
	}
	return messages
}

// emptyQueue waits until Postfix has handed everything on.
func (h *house) emptyQueue() {
	h.t.Helper()
	h.until("an empty queue", func() bool { return len(h.postfix.Queued(h.t)) == 0 })
}

// until asks again and again until it is so.
func (h *house) until(what string, so func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("waited in vain for %s\n%s", what, h.postfix.Log())
		}
		time.Sleep(20 * time.Millisecond) // before asking again
	}
}

// split takes the header that Postern put before a message away. It is three fields, in this order, each beginning a
// line of its own; RFC 5321 4.4.
func split(t *testing.T, body string) (trace, message string) {
	t.Helper()
	rest := body
	for _, field := range []string{"Return-Path: ", "Delivered-To: ", "Received: "} {
		if !strings.HasPrefix(rest, field) {
			t.Fatalf("expected %q at %.80q", field, rest)
		}
		for {
			line, after, found := strings.Cut(rest, "\r\n")
			if !found {
				t.Fatalf("the trace has no end: %.200q", line)
			}
			rest = after
			if !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t") {
				break
			}
		}
	}
	return body[:len(body)-len(rest)], rest
}
