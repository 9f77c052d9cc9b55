package peer_test

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postern/test/peer"
)

// Postfix takes a message by SMTP and hands it on by LMTP.
func TestPostfix(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	handed := make(chan string, 1)
	go takeLMTP(listener, handed)

	postfix := peer.NewPostfix(t)
	postfix.Start(t, "virtual_mailbox_domains = example.org\nvirtual_mailbox_maps = static:all\nvirtual_transport = lmtp:inet:"+
		listener.Addr().String())
	conn, err := textproto.Dial("tcp", postfix.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, exchange := range []struct {
		say  string
		code int
	}{
		{"", 220}, {"EHLO localhost", 250}, {"MAIL FROM:<a@example.net>", 250}, {"RCPT TO:<b@example.org>", 250},
		{"DATA", 354}, {"Subject: through\r\n\r\nand through\r\n.", 250}, {"QUIT", 221},
	} {
		if exchange.say != "" {
			if err := conn.PrintfLine("%s", exchange.say); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := conn.ReadResponse(exchange.code); err != nil {
			t.Fatalf("%q: %v\n%s", exchange.say, err, postfix.Log())
		}
	}
	select {
	case text := <-handed:
		if !strings.Contains(text, "Subject: through\r\n") || !strings.HasSuffix(text, "\r\n\r\nand through\r\n") {
			t.Errorf("handed on was %q", text)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing was handed on\n%s", postfix.Log())
	}
}

// takeLMTP takes one message by LMTP, as simply as can be.
func takeLMTP(listener net.Listener, handed chan<- string) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "220 test LMTP\r\n")
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "DATA":
			fmt.Fprintf(conn, "354 go on\r\n")
			var text strings.Builder
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			handed <- text.String()
			fmt.Fprintf(conn, "250 2.0.0 taken\r\n")
		case "QUIT":
			fmt.Fprintf(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprintf(conn, "250 ok\r\n")
		}
	}
}
