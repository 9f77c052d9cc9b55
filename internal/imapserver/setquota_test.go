package imapserver

import (
	"context"
	"strings"
	"testing"

	"postern/internal/mail"
)

// TestSetQuota: who is no administrator of quotas is not told of SETQUOTA, may not use it on any root, and learns of no
// other root; what is set is told to whoever keeps a record.
func TestSetQuota(t *testing.T) {
	var told []QuotaChange
	w := newWorld(t, func(o *Options) {
		o.SetsQuota = func(user string) bool { return user == "bob@example.org" }
		o.QuotaSet = func(_ context.Context, q QuotaChange) { told = append(told, q) }
	})
	w.share("bob@example.org", "INBOX", 0)
	ada, bob := w.login(), w.dial("tls")
	bob.ok("LOGIN bob@example.org secret", anything)
	untagged, _ := ada.do("CAPABILITY")
	announces(t, "["+untagged[0]+"]", "QUOTASET", "QUOTA")
	untagged, _ = bob.do("CAPABILITY")
	announces(t, "["+untagged[0]+"]", "", "QUOTASET QUOTA")
	ada.tagged("SETQUOTA ada@example.org (MESSAGE 5)", "BAD unknown command")
	ada.tagged("SETQUOTA bob@example.org (MESSAGE 5)", "BAD unknown command")
	ada.tagged("GETQUOTA bob@example.org", "NO [NONEXISTENT] ")
	bob.ok("SETQUOTA ADA@example.org (MESSAGE 5 STORAGE 7)", "* QUOTA ada@example.org (STORAGE 0 7 MESSAGE 0 5)")
	ada.ok("GETQUOTA ada@example.org", "* QUOTA ada@example.org (STORAGE 0 7 MESSAGE 0 5)")
	if len(told) != 1 || told[0].User != "bob@example.org" || told[0].Root != "ada@example.org" || told[0].Limits != "MESSAGE 5 STORAGE 7" || told[0].Session == "" {
		t.Errorf("%+v", told)
	}
	a, err := w.pool.Open(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	unlimited := mail.QuotaLimit{Given: true, Most: mail.Unlimited}
	want := mail.OwnQuota{Octets: mail.QuotaLimit{Given: true, Most: 7 << 10}, Messages: mail.QuotaLimit{Given: true, Most: 5}, Mailboxes: unlimited}
	if got := a.OwnQuota(); got != want {
		t.Errorf("kept %+v, want %+v", got, want)
	}
	if !strings.Contains(bob.ok("UNAUTHENTICATE", anything), "OK") {
		t.Error("UNAUTHENTICATE")
	}
	bob.ok("LOGIN ada@example.org secret", anything)
	bob.tagged("SETQUOTA ada@example.org ()", "BAD unknown command")
}
