package imapserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/test/dialogue"
)

// TestDialogues plays the dialogues of test/dialogues/imap over a store in
// memory.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("../../test/dialogues/imap/*.dialogue")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	w := newWorld(t, func(o *Options) {
		o.Rules = KnownClients()
		withTokens(o)
	})
	w.keepIndex()
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".dialogue"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := dialogue.Parse(path, text)
			if err != nil {
				t.Fatal(err)
			}
			err = dialogue.Play(t.Context(), d, dialogue.Target{
				Server: "postern", Plain: w.net.Addrs("starttls")[0].String(), TLS: w.net.Addrs("tls")[0].String(),
				TLSConfig:  w.roots,
				NewAccount: func() (string, string) { return w.users.add(), "secret" },
				SetQuota:   w.setQuota,

				NewAdministrator: func() (string, string) { return w.users.addIn("admin.example"), "secret" },
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
