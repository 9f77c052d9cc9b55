package lmtpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/delivery"
	"postern/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore is a Deliverer that keeps what it gets. Its recipients are those of
// known; what is sent to each is answered with the error there.
type fakeStore struct {
	known map[string]error
	mu    sync.Mutex
	got   []received
}

type received struct {
	mail delivery.Mail
	body string
}

func (f *fakeStore) Accept(_ context.Context, address string) (delivery.Recipient, error) {
	if err, ok := f.known[address]; !ok {
		return delivery.Recipient{}, mail.Errorf(mail.NotFound, "no such recipient")
	} else if mail.KindOf(err) == mail.Canceled && err != nil {
		return delivery.Recipient{}, err
	}
	return delivery.Recipient{Address: address}, nil
}

func (f *fakeStore) Deliver(_ context.Context, m delivery.Mail, body io.Reader, outcome func(int, error)) (delivery.Receipt, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	f.mu.Lock()
	f.got = append(f.got, received{m, string(text)})
	f.mu.Unlock()
	for i, r := range m.To {
		outcome(i, f.known[r.Address])
	}
	return delivery.Receipt{}, nil
}

// talk plays a dialogue over a real socket: lines that begin with "C: " are
// sent with CRLF, lines with "S: " must come back exactly so.
func talk(t *testing.T, f *fakeStore, limits Limits, dialogue string) {
	t.Helper()
	client, drain := start(t, f, limits)
	defer drain()
	play(t, client, dialogue)
}

func start(t *testing.T, f *fakeStore, limits Limits) (client net.Conn, drain func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	srv := New(Options{Hostname: "mx.test", Deliverer: f, Limits: limits})
	draining, served := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		defer conn.Close()
		srv.Serve(context.Background(), conn, "s1", draining)
	}()
	t.Cleanup(func() {
		client.Close()
		<-served
	})
	return client, sync.OnceFunc(func() { close(draining) })
}

func play(t *testing.T, client net.Conn, dialogue string) {
	t.Helper()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(client)
	for i, line := range strings.Split(strings.TrimSpace(dialogue), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line+" ", "C: "):
			line += " "
			text := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(strings.TrimSuffix(line[3:], " "))
			if _, err := io.WriteString(client, text+"\r\n"); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
		case strings.HasPrefix(line, "R: "): // without a line end
			if _, err := io.WriteString(client, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(line[3:])); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
		case line == "closed":
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Fatalf("line %d: got %q, %v, want the end", i+1, rest, err)
			}
		default:
			got, err := r.ReadString('\n')
			if err != nil || got != strings.TrimPrefix(line, "S: ")+"\r\n" {
				t.Fatalf("line %d: got %q, %v\nwant %q", i+1, got, err, line)
			}
		}
	}
}

const hello = `
	S: 220 mx.test LMTP Postern ready
	C: LHLO client.test
	S: 250-mx.test
	S: 250-PIPELINING
	S: 250-8BITMIME
	S: 250-SMTPUTF8
	S: 250-CHUNKING
	S: 250-ENHANCEDSTATUSCODES
	S: 250 SIZE 100
`

func small() Limits { return Limits{Message: 100, Recipients: 100, Bad: 5} }

// TestOutcomePerRecipient is RFC 2033 4.2's own scenario: several recipients,
// one unknown, one over quota, a reply for each accepted one in order.
func TestOutcomePerRecipient(t *testing.T) {
	f := &fakeStore{known: map[string]error{
		"ann@x.test": nil, "bob@x.test": mail.Errorf(mail.OverQuota, "full"), "cat@x.test": fmt.Errorf("boom"),
		"dan@x.test": mail.Errorf(mail.NoSpace, "full"),
	}}
	talk(t, f, small(), hello+`
		C: MAIL FROM:<> BODY=8BITMIME SIZE=30
		C: RCPT TO:<ann@x.test>
		C: RCPT TO:<nobody@x.test>
		C: RCPT TO:<bob@x.test>
		C: RCPT TO:<cat@x.test>
		C: RCPT TO:<dan@x.test>
		C: RCPT TO:<ann@x.test>
		C: DATA
		S: 250 2.1.0 OK
		S: 250 2.1.5 OK
		S: 550 5.1.1 <nobody@x.test> no such recipient here
		S: 250 2.1.5 OK
		S: 250 2.1.5 OK
		S: 250 2.1.5 OK
		S: 250 2.1.5 OK
		S: 354 end with CRLF . CRLF
		C: Subject: x
		C: 
		C: ..a\n.\nb\rc\0
		C: .
		S: 250 2.0.0 <ann@x.test> delivered
		S: 452 4.2.2 <bob@x.test> over quota
		S: 451 4.3.0 <cat@x.test> trouble with the store, try again
		S: 452 4.3.1 <dan@x.test> no room for mail just now
		S: 250 2.0.0 <ann@x.test> delivered
		C: QUIT
		S: 221 2.0.0 bye
		closed
	`)
	if len(f.got) != 1 || f.got[0].body != "Subject: x\r\n\r\n.a\n.\nb\rc\x00\r\n" || f.got[0].mail.From != "" {
		t.Errorf("got %+v", f.got)
	}
}

func TestOrderOfCommands(t *testing.T) {
	f := &fakeStore{known: map[string]error{"ann@x.test": nil}}
	talk(t, f, small(), `
		S: 220 mx.test LMTP Postern ready
		C: MAIL FROM:<a@b.test>
		S: 503 5.5.1 say LHLO first
		C: EHLO x
		S: 500 5.5.1 this is LMTP: say LHLO
		C: LHLO
		S: 501 5.5.4 LHLO wants the name of the client
	`)
	talk(t, f, small(), hello+`
		C: RCPT TO:<ann@x.test>
		S: 503 5.5.1 say MAIL first
		C: DATA
		S: 503 5.5.1 no valid recipient
		C: MAIL FROM:<a@b.test>
		S: 250 2.1.0 OK
		C: MAIL FROM:<a@b.test>
		S: 503 5.5.1 a message is under way: RSET first
		C: DATA
		S: 503 5.5.1 no valid recipient
		C: RSET
		S: 250 2.0.0 OK
		C: noop
		S: 250 2.0.0 OK
		C: VRFY ann
		S: 252 2.5.0 cannot VRFY, but try to deliver
		C: FOO
		S: 500 5.5.1 unknown command
	`)
}

func TestBadCommandsCloseTheConnection(t *testing.T) {
	talk(t, &fakeStore{}, small(), `
		S: 220 mx.test LMTP Postern ready
		C: A
		S: 500 5.5.1 unknown command
		C: B
		S: 500 5.5.1 unknown command
		C: NOOP
		S: 250 2.0.0 OK
		C: A
		S: 500 5.5.1 unknown command
		C: B
		S: 500 5.5.1 unknown command
		C: C
		S: 500 5.5.1 unknown command
		C: D
		S: 500 5.5.1 unknown command
		C: E
		S: 421 4.7.0 too many bad commands
		closed
	`)
	talk(t, &fakeStore{}, small(), `
		S: 220 mx.test LMTP Postern ready
		C: POST / HTTP/1.1
		S: 500 5.5.1 this is LMTP
		closed
	`)
	talk(t, &fakeStore{}, small(), `
		S: 220 mx.test LMTP Postern ready
		C: NOOP `+strings.Repeat("x", 5000)+`
		S: 500 5.5.6 line too long
		closed
	`)
}

func TestTooBig(t *testing.T) {
	f := &fakeStore{known: map[string]error{"ann@x.test": nil, "bob@x.test": nil}}
	const to = `
		C: MAIL FROM:<a@b.test>
		S: 250 2.1.0 OK
		C: RCPT TO:<ann@x.test>
		S: 250 2.1.5 OK
		C: RCPT TO:<bob@x.test>
		S: 250 2.1.5 OK
	`
	long := strings.Repeat("x", 99) // with CRLF 101 octets
	talk(t, f, small(), hello+`
		C: MAIL FROM:<a@b.test> SIZE=101
		S: 552 5.3.4 a message may have 100 octets at most
		C: MAIL FROM:<a@b.test> SIZE=100
		S: 250 2.1.0 OK
		C: RSET
		S: 250 2.0.0 OK
	`+to+`
		C: DATA
		S: 354 end with CRLF . CRLF
		C: `+long+`
		C: RSET
		C: .
		S: 552 5.3.4 <ann@x.test> a message may have 100 octets at most
		S: 552 5.3.4 <bob@x.test> a message may have 100 octets at most
	`+to+`
		C: BDAT 101 LAST
		C: `+long+`
		S: 552 5.3.4 <ann@x.test> a message may have 100 octets at most
		S: 552 5.3.4 <bob@x.test> a message may have 100 octets at most
	`+to+`
		C: BDAT 101
		C: `+long+`
		S: 552 5.3.4 <ann@x.test> a message may have 100 octets at most
		C: BDAT 3 LAST
		C: x
		S: 503 5.5.1 no valid recipient
		C: NOOP
		S: 250 2.0.0 OK
	`)
	if len(f.got) != 0 {
		t.Errorf("kept %+v", f.got)
	}
}

func TestChunks(t *testing.T) {
	f := &fakeStore{known: map[string]error{"ann@x.test": nil}}
	talk(t, f, small(), hello+`
		C: MAIL FROM:<a@b.test>
		C: RCPT TO:<ann@x.test>
		C: BDAT 3
		R: .\r\n
		C: BDAT 0
		C: NOOP
		C: BDAT 4 LAST
		R: .\r\nx
		S: 250 2.1.0 OK
		S: 250 2.1.5 OK
		S: 250 2.0.0 chunk received
		S: 250 2.0.0 chunk received
		S: 250 2.0.0 OK
		S: 250 2.0.0 <ann@x.test> delivered
		C: MAIL FROM:<a@b.test>
		S: 250 2.1.0 OK
		C: RCPT TO:<ann@x.test>
		S: 250 2.1.5 OK
		C: BDAT 2
		R: xy
		S: 250 2.0.0 chunk received
		C: DATA
		S: 503 5.5.1 the message has begun with BDAT
		C: RCPT TO:<ann@x.test>
		S: 503 5.5.1 the content has begun: no more recipients
		C: RSET
		S: 250 2.0.0 OK
		C: BDAT x
		S: 501 5.5.4 BDAT wants a number of octets
		closed
	`)
	if len(f.got) != 1 || f.got[0].body != ".\r\n.\r\nx" {
		t.Errorf("got %+v", f.got)
	}
}

// TestCutAtEveryByte ends the connection after every octet of a dialogue: a
// message is kept when its end has arrived and not before.
func TestCutAtEveryByte(t *testing.T) {
	const dialogue = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@x.test>\r\nDATA\r\na\r\n.\r\n"
	for n := range len(dialogue) + 1 {
		f := &fakeStore{known: map[string]error{"ann@x.test": nil}}
		client, _ := start(t, f, small())
		io.WriteString(client, dialogue[:n])
		client.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, client)
		if want := n == len(dialogue); (len(f.got) == 1) != want {
			t.Errorf("cut at %d: kept %d messages", n, len(f.got))
		}
	}
}

func TestDrain(t *testing.T) {
	f := &fakeStore{known: map[string]error{"ann@x.test": nil}}
	client, drain := start(t, f, small())
	play(t, client, hello)
	drain()
	play(t, client, "S: 421 4.3.2 server is stopping, try again\nclosed")

	client, drain = start(t, f, small()) // a message under way is finished first
	play(t, client, hello+`
		C: MAIL FROM:<>
		C: RCPT TO:<ann@x.test>
		C: DATA
		S: 250 2.1.0 OK
		S: 250 2.1.5 OK
		S: 354 end with CRLF . CRLF
	`)
	drain()
	play(t, client, `
		C: x
		C: .
		S: 250 2.0.0 <ann@x.test> delivered
		S: 421 4.3.2 server is stopping, try again
		closed
	`)
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct{ args, path string }{
		{"TO:<a@b>", "a@b"}, {"to: <a@b>", "a@b"}, {"TO:<@x,@y:a@b>", "a@b"}, {"TO:<>", ""},
		{`TO:<"a>b"@c>`, `"a>b"@c`}, {`TO:<"a\">b"@c>`, `"a\">b"@c`}, {"TO:<ä@b>", "ä@b"},
	} {
		if path, _, err := parsePath(c.args, "TO:"); err != nil || path != c.path {
			t.Errorf("%q: got %q, %v", c.args, path, err)
		}
	}
	for _, args := range []string{
		"", "TO", "TO:", "TO:a@b", "TO:<a@b", "FROM:<a@b>", "TO:<a@b>x", "TO:<@x>", "TO:<a\r@b>", "TO:<a\x00@b>",
		"TO:<\xff@b>", "TO:<" + strings.Repeat("a", 255) + ">", "TO:<a\u2028@b>",
	} {
		if path, _, err := parsePath(args, "TO:"); err == nil {
			t.Errorf("%q: got %q, want an error", args, path)
		}
	}
}

// FuzzConversation: whatever is sent, the conversation ends and every message
// that was kept was wholly sent.
func FuzzConversation(f *testing.F) {
	f.Add([]byte("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@x.test>\r\nDATA\r\na\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@x.test>\r\nBDAT 2\r\nabBDAT 1 LAST\r\ncQUIT\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		store := &fakeStore{known: map[string]error{"ann@x.test": nil}}
		client, server := net.Pipe()
		go func() {
			client.Write(data)
			client.Close()
		}()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			io.Copy(io.Discard, client)
		}()
		New(Options{Hostname: "mx.test", Deliverer: store, Limits: small()}).Serve(t.Context(), server, "s1", nil)
		server.Close()
		<-drained
		for _, m := range store.got {
			if len(m.body) > 100 {
				t.Fatalf("kept %d octets", len(m.body))
			}
		}
	})
}
