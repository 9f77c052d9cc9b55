package peer_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"postern/test/peer"
)

// Dovecot starts on free ports with TLS, and an account can log in.
func TestDovecot(t *testing.T) {
	server := peer.Dovecot(t)
	name, password := server.NewAccount(t)
	conn, err := tls.Dial("tcp", server.TLS, server.TLSConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "a LOGIN %s %s\r\n", name, password)
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatalf("%v\n%s", err, server.Log())
		}
		if strings.HasPrefix(line, "a ") {
			if !strings.HasPrefix(line, "a OK ") {
				t.Fatalf("LOGIN answered %q\n%s", line, server.Log())
			}
			return
		}
	}
}
