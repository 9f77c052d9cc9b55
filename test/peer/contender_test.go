package peer_test

import (
	"bytes"
	"testing"

	"postern/internal/testenv"
	"postern/test/peer"
)

// A contender keeps its mail from Stop to Start, and each of its accounts can sign in.
func TestContender(t *testing.T) {
	testenv.NeedPeer(t, "dovecot")
	c, err := peer.NewDovecot("mdbox", true, peer.Race{Users: 2, Connections: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	}()
	trust, err := c.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	const text = "Subject: here\r\n\r\nStill.\r\n"
	for round := range 2 {
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.PID() == 0 {
			t.Error("it runs without a process")
		}
		for _, name := range c.Users {
			client, err := peer.DialIMAP(c.TLS, trust, name, c.Password)
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				if a, err := client.Command("APPEND INBOX", []byte(text)); err != nil || !a.OK() {
					t.Fatal(a, err)
				}
			} else if _, messages, err := client.Messages("INBOX"); err != nil || len(messages) != 1 || !bytes.Equal([]byte(messages[0].Body), []byte(text)) {
				t.Errorf("%s: %v, %v", name, messages, err)
			}
			client.Close()
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}
