package imapserver

import (
	"context"
	"slices"
	"strings"
	"testing"

	"postern/internal/auth"
)

// readers is an Authenticator after whose login one may only read.
type readers struct{ Authenticator }

func (r readers) Login(ctx context.Context, peer auth.Peer, user, password string) (auth.Identity, error) {
	id, err := r.Authenticator.Login(ctx, peer, user, password)
	id.App, id.ReadOnly = 7, strings.HasPrefix(user, "ada")
	return id, err
}

// TestReadOnlySession: everything can be read and nothing changed, by any command
// there is.
func TestReadOnlySession(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Auth = readers{o.Auth} })
	owner := w.dial("plain")
	owner.ok("AUTHENTICATE PLAIN " + plain("", "ada@example.org", "secret")) // not by Login: as its owner
	owner.append("INBOX", "", "Subject: one\r\n\r\ntext\r\n")
	owner.append("INBOX", "", "Subject: two\r\n\r\ntext\r\n")

	c := w.login()
	untagged, tagged := c.do("SELECT INBOX")
	if !strings.Contains(tagged, "OK [READ-ONLY]") || len(untagged) == 0 {
		t.Errorf("SELECT: %q", tagged)
	}
	c.ok("FETCH 1 BODY[TEXT]", "* 1 FETCH (BODY[TEXT] ...") // and no \\Seen
	c.ok("FETCH 1 FLAGS", "* 1 FETCH (FLAGS (\\Recent))")   // nobody has selected it yet
	c.ok("UID SEARCH SUBJECT two", "* SEARCH 2")
	for _, sp := range w.server.table {
		if harmless[sp.name] || sp.states&loggedIn == 0 {
			continue
		}
		if _, tagged := c.do(sp.name + " anything"); !strings.HasPrefix(tagged, "NO [NOPERM]") {
			t.Errorf("%s: %q", sp.name, tagged)
		}
	}
	c.ok("CLOSE")
	owner.ok("STATUS INBOX (MESSAGES UNSEEN)", "* STATUS INBOX (MESSAGES 2 UNSEEN 2)")

	// The app password is taken back: its sessions end, others go on.
	bob := w.dial("plain")
	bob.ok("LOGIN bob@example.org secret")
	w.server.RevokeApp(1, 8)
	c.ok("NOOP")
	w.server.RevokeApp(1, 7)
	c.gone("* BYE ...")
	owner.ok("NOOP")
	bob.ok("NOOP")
}

// TestReadOnlyKnowsEveryCommand: whoever adds a command decides whether it changes
// anything. GENURLAUTH gives others a way in, ACL's questions are for those who may
// change the answer.
func TestReadOnlyKnowsEveryCommand(t *testing.T) {
	changes := strings.Fields("SETQUOTA CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE APPEND SETMETADATA EXPUNGE UID-EXPUNGE STORE UID-STORE COPY UID-COPY " +
		"MOVE UID-MOVE REPLACE UID-REPLACE GENURLAUTH RESETKEY SETACL DELETEACL GETACL LISTRIGHTS STARTTLS AUTHENTICATE LOGIN")
	for _, sp := range commandTable() {
		if harmless[sp.name] == slices.Contains(changes, strings.ReplaceAll(sp.name, " ", "-")) {
			t.Errorf("%s: does it change anything? It belongs into one list, of readonly.go or of this test", sp.name)
		}
	}
}
