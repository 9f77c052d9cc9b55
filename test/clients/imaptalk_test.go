package clients

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"postern/internal/testenv"
)

// Perl's Mail::IMAPTalk, with which those who write Cyrus test it: METADATA and the like aside, what any program does, two
// sessions and IDLE, through COMPRESS on ours. What it does is in imaptalk/work.pl.
func TestIMAPTalk(t *testing.T) {
	testenv.Need(t, "imaptalk")
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
		args := []string{filepath.Join(testenv.ModuleRoot(), "test/clients/imaptalk/work.pl"), file}
		if a.server.Name == "postern" { // Debian's configuration of Dovecot has none
			args = append(args, "compress")
		}
		run(t, nil, "/usr/bin/perl", args...)
		inbox, archive := a.mailbox(t, "INBOX"), a.mailbox(t, "Archive")
		if len(inbox) != 5 || !inbox["message 2"].has("$Label1") || !inbox["appended"].has("$Mine") || archive["message 4"].text != message(4) {
			t.Errorf("INBOX has %v, Archive %v", inbox, archive)
		}
	})
}
