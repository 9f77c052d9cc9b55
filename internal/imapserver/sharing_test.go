package imapserver

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store/storetest"
)

// share gives ada rights on a mailbox of somebody's and makes it if need be.
func (w *world) share(name, mailbox string, rights mail.Rights) *account.Account {
	w.t.Helper()
	w.users.mu.Lock()
	id := w.users.names[name]
	if id == 0 {
		id = mail.AccountID(len(w.users.names) + 1)
		w.users.names[name] = id
	}
	w.users.mu.Unlock()
	a, err := w.pool.Open(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Release)
	if _, err := a.CreateMailbox(w.t.Context(), mailbox, 0); err != nil && mail.KindOf(err) != mail.AlreadyExists {
		w.t.Fatal(err)
	}
	grant(w.t, a, mailbox, rights)
	return a
}

// TestSharedAccounts finds mailboxes of an account nobody signs in to under Shared/,
// and there alone.
func TestSharedAccounts(t *testing.T) {
	w := newWorld(t, nil)
	w.share("team@example.org", "Plans/Roof", mail.RightLookup|mail.RightRead|mail.RightInsert)
	c := w.login()
	c.ok(`LIST "" Shared/*`, `* LIST (\HasNoChildren) "/" "Shared/team@example.org/Plans/Roof"`)
	c.ok(`LIST "" %/%`, `* LIST (\Noselect \HasChildren) "/" "Shared/team@example.org"`)
	c.ok(`LIST "" (Shared% INBO%)`, `* LIST (\HasNoChildren) "/" INBOX`, `* LIST (\Noselect \HasChildren) "/" "Shared"`)
	c.append("Shared/team@example.org/Plans/Roof", "", sample(1))
	c.ok("SELECT Shared/team@example.org/Plans/Roof", anything)
	c.ok("FETCH 1 FLAGS", `* 1 FETCH (FLAGS (\Recent))`)
	c.reply("SELECT \"Other Users/team@example.org/Plans/Roof\"", "NO [NONEXISTENT] ...", "* OK [CLOSED] ...")
	c.reply("SELECT Shared/Team@example.org/Plans/Roof", "NO [NONEXISTENT] ...") // the name has one form
	c.ok("MYRIGHTS Shared/team@example.org/Plans/Roof", `* MYRIGHTS "Shared/team@example.org/Plans/Roof" lri`)
}

// TestOddAccountNames has the separator in an address.
func TestOddAccountNames(t *testing.T) {
	w := newWorld(t, nil)
	w.share("a/b@example.org", "In", mail.AllRights)
	w.share("@odd@example.org", "In", mail.AllRights)
	for _, name := range []string{"a/b@example.org", "@odd@example.org"} {
		w.share(name, "INBOX", mail.RightCreate)
	}
	c := w.login()
	for _, name := range []string{"a/b@example.org", "@odd@example.org"} {
		full := "Other Users/" + name + "/In"
		c.ok(`LIST "" "Other Users/`+name+`/*"`, `* LIST (\HasNoChildren) "/" "`+full+`"`)
		c.ok(`SELECT "`+full+`"`, anything)
		c.ok(`RENAME "` + full + `" "` + full + `2"`)
		c.ok(`DELETE "`+full+`2"`, "* OK [CLOSED] ...")
		c.reply(`SELECT "`+full+`"`, "NO [NONEXISTENT] ...")
	}
	c.reply(`SELECT "Other Users/`+strings.Repeat("x/", 500)+`"`, "NO [NONEXISTENT] ...")
	c.reply(`SELECT "Other Users/`+strings.Repeat("@/", 500)+`"`, "NO [NONEXISTENT] ...")
}

// TestOwnNameLikeANamespace keeps mailboxes that are older than the namespaces.
func TestOwnNameLikeANamespace(t *testing.T) {
	w := newWorld(t, nil)
	own, err := w.pool.Open(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Release)
	for _, name := range []string{"Shared/Old", "Other Users/bob@example.org/Open"} {
		if _, err := own.CreateMailbox(t.Context(), name, 0); err != nil {
			t.Fatal(err)
		}
	}
	w.share("bob@example.org", "Open", mail.AllRights)
	w.share("bob@example.org", "Open/Deep", mail.AllRights)
	c := w.login()
	c.append("Shared/Old", "", sample(1))
	c.ok("STATUS Shared/Old (MESSAGES)", `* STATUS "Shared/Old" (MESSAGES 1)`)
	c.append("\"Other Users/bob@example.org/Open\"", "", sample(1))
	c.ok(`LIST "" "Other Users/*" RETURN (STATUS (MESSAGES))`, `* LIST (\HasChildren) "/" "Other Users/bob@example.org"`,
		`* STATUS "Other Users/bob@example.org" (MESSAGES 0)`,
		`* LIST (\HasNoChildren) "/" "Other Users/bob@example.org/Open"`, `* STATUS "Other Users/bob@example.org/Open" (MESSAGES 1)`,
		`* LIST (\HasNoChildren) "/" "Other Users/bob@example.org/Open/Deep"`, `* STATUS "Other Users/bob@example.org/Open/Deep" (MESSAGES 0)`)
	c.reply("CREATE Shared/New", "NO [NONEXISTENT] ...")
	c.reply("RENAME Shared/Old Shared/New", "NO [CANNOT] ...")
	c.ok("RENAME Shared/Old Old")
	c.ok("DELETE Shared")
	c.reply("CREATE Shared/", "NO [CANNOT] ...")
}

// TestAnyone shares with everybody where that is allowed.
func TestAnyone(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ACLAnyone = true })
	bob := w.dial("plain")
	bob.ok("LOGIN bob@example.org secret")
	bob.ok("CREATE News")
	bob.ok("SETACL News ANYONE lr")
	bob.ok("GETACL News", `* ACL "News" bob@example.org lrswipkxtecda anyone lr`)
	c := w.login()
	c.ok(`LIST "" "Other Users/*"`, `* LIST (\HasNoChildren) "/" "Other Users/bob@example.org/News"`)
	c.ok(`EXAMINE "Other Users/bob@example.org/News"`, anything)
	bob.ok("SETACL News -ada@example.org r")
	c.gone("* BYE the selected mailbox is not there any more")
}

// TestRevokedWithinASecond takes the right to read away while a session does
// something, and while it does nothing.
func TestRevokedWithinASecond(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.share("bob@example.org", "Open", mail.AllRights)
	filler := w.login()
	for range 40 {
		filler.append(`"Other Users/bob@example.org/Open"`, "", sample(1))
	}
	idle, waiting, fetching := w.login(), w.login(), w.login()
	for _, c := range []*client{idle, waiting, fetching} {
		c.ok(`SELECT "Other Users/bob@example.org/Open"`, anything)
	}
	idle.send("i IDLE\r\n")
	idle.expect("+ idling")
	hold := storetest.NewBlock()
	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Block: hold})
	fetching.send("f FETCH 1:* BODY.PEEK[]\r\n")
	<-hold.Arrived()
	begun := time.Now()
	grant(t, bob, "Open", mail.RightLookup)
	idle.gone("* BYE the selected mailbox is not there any more")
	waiting.gone("* BYE the selected mailbox is not there any more")
	hold.Release()
	untagged, _ := fetching.until("f")
	if len(untagged) > contentChunk+1 {
		t.Errorf("%d messages were fetched", len(untagged))
	}
	fetching.gone("* BYE the selected mailbox is not there any more")
	if took := time.Since(begun); took > time.Second {
		t.Logf("it took %v", took)
	}
	c := w.login()
	c.reply(`SELECT "Other Users/bob@example.org/Open"`, "NO [NOPERM] ...")
}

// TestSeenWithoutTheRight takes the right s away while a FETCH is about to set \Seen.
func TestSeenWithoutTheRight(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.share("bob@example.org", "Open", mail.AllRights)
	c := w.login()
	c.append(`"Other Users/bob@example.org/Open"`, "", sample(1))
	c.ok(`SELECT "Other Users/bob@example.org/Open"`, anything)
	hold := storetest.NewBlock()
	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Block: hold})
	c.send("f FETCH 1 BODY[TEXT]<0.1>\r\n")
	<-hold.Arrived()
	grant(t, bob, "Open", mail.RightLookup|mail.RightRead)
	hold.Release()
	untagged, tagged := c.until("f")
	last := ""
	for _, line := range untagged {
		if m := regexp.MustCompile(`FLAGS \(([^)]*)\)\)?`).FindString(line); strings.Contains(line, "FETCH") {
			last = m
		}
	}
	if !strings.HasPrefix(tagged, "OK") || strings.Contains(last, "Seen") {
		t.Errorf("%q, %s", untagged, tagged)
	}
}

// TestHeldAccounts checks that accounts of others are given back.
func TestHeldAccounts(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		w.share(fmt.Sprintf("host%d@example.org", i), "Open", mail.AllRights)
	}
	c := w.login()
	c.ok(`LIST "" "Other Users/*" RETURN (STATUS (MESSAGES))`, anything)
	c.ok(`SELECT "Other Users/host1@example.org/Open"`, anything)
	c.ok(`SELECT "Other Users/host2@example.org/Open"`, anything)
	c.ok(`STATUS "Other Users/host2@example.org/Open" (MESSAGES)`, anything)
	c.append(`"Other Users/host2@example.org/Open"`, "", sample(1))
	hold := storetest.NewBlock() // the session's goroutine stands still while it is looked at
	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Block: hold})
	c.send("f FETCH 1 ENVELOPE\r\n")
	<-hold.Arrived()
	sess := w.onlySession(t)
	if len(sess.held) != 0 || sess.box.host == nil {
		t.Errorf("held: %v, selected: %v", sess.held, sess.box.host)
	}
	hold.Release()
	c.until("f")
	c.ok("UNSELECT")
	c.ok("LOGOUT", anything)
}

// onlySession gives the one session there is.
func (w *world) onlySession(t *testing.T) *session {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for s := range w.server.sessions {
		return s
	}
	t.Fatal("there is no session")
	return nil
}

// TestDirectoryFails has the directory fail: nobody is told that a mailbox is gone.
func TestDirectoryFails(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.People = failingPeople{} })
	c := w.login()
	c.reply(`SELECT "Other Users/bob@example.org/Open"`, "NO [UNAVAILABLE] ...")
	c.reply("SETACL INBOX bob@example.org lr", "NO [UNAVAILABLE] ...")
	c.reply("GETACL INBOX", "NO [UNAVAILABLE] ...")
	c.ok(`LIST "" INBOX`, anything)
}

type failingPeople struct{}

func (failingPeople) Named(context.Context, string) (Person, error) {
	return Person{}, mail.Errorf(mail.Unavailable, "the directory is away")
}

func (failingPeople) Person(context.Context, mail.AccountID) (Person, error) {
	return Person{}, mail.Errorf(mail.Unavailable, "the directory is away")
}
