package clients

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/testenv"
	"postern/test/peer"
)

// Node's imapflow, which much of what is hosted uses: IMAP4rev2, COMPRESS, BINARY, ESEARCH, CONDSTORE and QRESYNC, and a
// second session that works while the first one waits in IDLE. What it does is in imapflow/work.cjs.
func TestImapflow(t *testing.T) {
	node, _ := needProgram(t, "node")
	library := filepath.Dir(filepath.Dir(testenv.Need(t, "imapflow"))) // node_modules/imapflow/package.json
	work := func(t *testing.T, a *account, rev2 bool) string {
		t.Helper()
		a.fill(t, "INBOX", 1, 6)
		options, err := json.Marshal(map[string]any{
			"host": a.host, "port": json.Number(a.port), "secure": true, "disableIMAP4rev2": !rev2,
			"auth": map[string]string{"user": a.name, "pass": a.password}, "tls": map[string]string{"ca": a.server.CertFile},
		})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "account.json")
		write(t, file, string(options))
		said := run(t, []string{"NODE_PATH=" + library}, node, filepath.Join(testenv.ModuleRoot(), "test/clients/imapflow/work.cjs"), file)
		if !strings.HasSuffix(said, "done\n") {
			t.Errorf("it did not come to its end:\n%s", said)
		}
		inbox, kept := a.mailbox(t, "INBOX"), a.mailbox(t, "Archive")
		if len(inbox) != 4 || !inbox["message 2"].has("$Label1") || !inbox["appended"].has("$Mine") || kept["message 4"].text != message(4) {
			t.Errorf("INBOX has %v, Archive %v", inbox, kept)
		}
		return said
	}
	onEach(t, func(t *testing.T, a *account) { work(t, a, false) })
	t.Run("postern in IMAP4rev2", func(t *testing.T) {
		server := peer.Postern(t)
		a := &account{server: server, host: "localhost", port: server.TLS[strings.LastIndexByte(server.TLS, ':')+1:]}
		a.name, a.password = server.NewAccount(t)
		if said := work(t, a, true); !strings.Contains(said, "rev2 true compressed true") {
			t.Errorf("it did not enable IMAP4rev2 and COMPRESS:\n%s", said)
		}
	})
}
