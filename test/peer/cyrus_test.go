package peer_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/test/peer"
)

// Cyrus starts on free ports with TLS; an account can log in with its password only, and has the mailboxes that
// Postern gives a new account.
func TestCyrus(t *testing.T) {
	server := peer.Cyrus(t)
	name, password := server.NewAccount(t)
	conn, err := tls.Dial("tcp", server.TLS, server.TLSConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	ask := func(command string) (lines []string) {
		t.Helper()
		fmt.Fprintf(conn, "a %s\r\n", command)
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				t.Fatalf("%v\n%s", err, server.Log())
			}
			lines = append(lines, line)
			if strings.HasPrefix(line, "a ") {
				return lines
			}
		}
	}
	if answer := ask("LOGIN " + name + " wrong"); !strings.HasPrefix(answer[len(answer)-1], "a NO ") {
		t.Fatalf("LOGIN with a wrong password was answered %q", answer)
	}
	if answer := ask("LOGIN " + name + " " + password); !strings.HasPrefix(answer[len(answer)-1], "a OK ") {
		t.Fatalf("LOGIN was answered %q\n%s", answer, server.Log())
	}
	var names []string
	for _, line := range ask(`LIST "" *`) {
		if strings.HasPrefix(line, "* LIST ") {
			names = append(names, strings.TrimSpace(line[strings.LastIndex(line, `"/" `)+4:]))
		}
	}
	slices.Sort(names)
	if want := []string{"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"}; !slices.Equal(names, want) {
		t.Errorf("a new account has %q, want %q", names, want)
	}
}
