package clients

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/testenv"
)

// Roundcube's IMAP, without the pages around it: lists with STATUS, SORT and THREAD, ESEARCH, and QRESYNC for its cache. What it does is
// in roundcube/work.php.
func TestRoundcube(t *testing.T) {
	php, env := needProgram(t, "php")
	library := filepath.Dir(testenv.Need(t, "roundcube"))
	onEach(t, func(t *testing.T, a *account) {
		a.fill(t, "INBOX", 1, 6)
		connection, err := json.Marshal(map[string]string{
			"host": a.host, "port": a.port, "user": a.name, "password": a.password, "ca": a.server.CertFile,
		})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "account.json")
		write(t, file, string(connection))
		said := run(t, env, php, filepath.Join(testenv.ModuleRoot(), "test/clients/roundcube/work.php"), library, file)
		if !strings.HasSuffix(said, "done\n") {
			t.Errorf("it did not come to its end:\n%s", said)
		}
		inbox, archive := a.mailbox(t, "INBOX"), a.mailbox(t, "Archive")
		if len(inbox) != 4 || !inbox["message 2"].has("$LABEL1") || archive["message 4"].text != message(4) {
			t.Errorf("INBOX has %v, Archive %v", inbox, archive)
		}
	})
}
