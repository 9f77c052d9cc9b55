package imapserver

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// TestScram signs in over TLS with and without a binding, which must be that of
// this connection.
func TestScram(t *testing.T) {
	for _, test := range []struct {
		mechanism string
		spoil     bool
		answer    string
	}{
		{"SCRAM-SHA-256", false, "OK [CAPABILITY ...] signed in"},
		{"SCRAM-SHA-256-PLUS", false, "OK [CAPABILITY ...] signed in"},
		{"SCRAM-SHA-256-PLUS", true, "NO [AUTHENTICATIONFAILED] authentication failed"},
	} {
		w := newWorld(t, nil)
		c := w.dial("tls")
		client, err := scram.SHA256.NewClient("ada@example.org", "secret", "")
		if err != nil {
			t.Fatal(err)
		}
		conv := client.NewConversation()
		if strings.HasSuffix(test.mechanism, "-PLUS") {
			state := c.conn.(*tls.Conn).ConnectionState()
			data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
			if err != nil {
				t.Fatal(err)
			}
			if test.spoil {
				data[0]++
			}
			conv = client.NewConversationWithChannelBinding(scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: data})
		}
		first, err := conv.Step("")
		if err != nil {
			t.Fatal(err)
		}
		c.send("a AUTHENTICATE " + test.mechanism + " " + base64.StdEncoding.EncodeToString([]byte(first)) + "\r\n")
		for !conv.Done() {
			line := c.read()
			challenge, ok := strings.CutPrefix(line, "+ ")
			if !ok {
				if want := "a " + test.answer; test.spoil && line == want {
					break
				}
				t.Fatalf("%s: %s", test.mechanism, line)
			}
			server, err := base64.StdEncoding.DecodeString(challenge)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := conv.Step(string(server))
			if err != nil {
				t.Fatal(err)
			}
			c.send(base64.StdEncoding.EncodeToString([]byte(answer)) + "\r\n")
		}
		if !test.spoil {
			c.expect("a " + test.answer)
			c.ok("SELECT INBOX", anything)
		}
	}
}
