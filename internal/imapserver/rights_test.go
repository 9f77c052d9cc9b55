package imapserver

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/account"
	"postern/internal/mail"
)

// probe is a command with a mailbox in one of its arguments, at %s, or at %u in a URL.
type probe struct {
	command string
	need    mail.Rights // without any one of these it is refused, and with them it is not
	prepare string      // sent before it
	far     bool        // it may say of another account that it is another one
}

// probes has every argument of every command in the table that names a mailbox.
// Whoever adds a command, or such an argument to one, adds it here, or to
// withoutMailbox: TestEveryMailboxArgument fails otherwise.
var probes = map[string][]probe{
	"SELECT":      {{command: "SELECT %s", need: mail.RightRead}, {command: "SELECT %s (CONDSTORE)", need: mail.RightRead}},
	"EXAMINE":     {{command: "EXAMINE %s", need: mail.RightRead}},
	"CREATE":      {{command: "CREATE %s/Sub", need: mail.RightCreate}, {command: "CREATE %s/Sub/Sub/", need: mail.RightCreate}, {command: "CREATE %s/Sub (USE (\\Sent))", far: true}},
	"DELETE":      {{command: "DELETE %s", need: mail.RightDeleteBox}},
	"RENAME":      {{command: "RENAME %s \"Other Users/bob@example.org/New\"", need: mail.RightDeleteBox}, {command: "RENAME \"Other Users/bob@example.org/Open\" %s/Sub", need: mail.RightCreate, far: true}, {command: "RENAME Drafts %s/Sub"}},
	"SUBSCRIBE":   {{command: "SUBSCRIBE %s"}},
	"UNSUBSCRIBE": {{command: "UNSUBSCRIBE %s"}},
	"LIST": {{command: "LIST \"\" %s"}, {command: "LIST %s \"*\""}, {command: "LIST \"\" (%s Sent)"},
		{command: "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %s RETURN (CHILDREN STATUS (MESSAGES) MYRIGHTS METADATA (/private/comment))", prepare: "SUBSCRIBE %s"}},
	"LSUB":   {{command: "LSUB \"\" %s"}, {command: "LSUB %s \"%%\"", prepare: "SUBSCRIBE %s/a/b"}},
	"XLIST":  {{command: "XLIST \"\" %s"}, {command: "XLIST %s \"%%\""}},
	"STATUS": {{command: "STATUS %s (MESSAGES UIDNEXT)", need: mail.RightRead}},
	"APPEND": {{command: "APPEND %s {1+}\r\nx", need: mail.RightInsert}, {command: "APPEND %s CATENATE (TEXT {1+}\r\nx)", need: mail.RightInsert},
		{command: "APPEND INBOX CATENATE (URL \"/%u/;UID=1\")", need: mail.RightRead}},
	"SETACL":      {{command: "SETACL %s carl@example.org lr", need: mail.RightAdminister}, {command: "SETACL %s nobody@example.org lr"}},
	"DELETEACL":   {{command: "DELETEACL %s carl@example.org", need: mail.RightAdminister}},
	"GETACL":      {{command: "GETACL %s", need: mail.RightAdminister}},
	"LISTRIGHTS":  {{command: "LISTRIGHTS %s carl@example.org", need: mail.RightAdminister}},
	"GETMETADATA": {{command: "GETMETADATA %s /private/comment", need: mail.RightRead}, {command: "GETMETADATA (DEPTH infinity) %s (/shared)", need: mail.RightRead}},
	"SETMETADATA": {{command: "SETMETADATA %s (/private/comment \"x\")", need: mail.RightRead}, {command: "SETMETADATA %s (/shared/comment \"x\")", need: mail.RightRead | mail.RightWrite}},
	"ESEARCH": {{command: "ESEARCH IN (mailboxes %s) ALL"}, {command: "ESEARCH IN (mailboxes (Sent %s) personal) RETURN (COUNT) ALL"},
		{command: "ESEARCH IN (subtree %s) RETURN (ALL COUNT) ALL"}, {command: "ESEARCH IN (subtree-one %s) ALL"},
		{command: "ESEARCH IN (subscribed) ALL", prepare: "SUBSCRIBE %s"}},
	"NOTIFY": {{command: "NOTIFY SET (mailboxes %s (MessageNew MessageExpunge))"}, {command: "NOTIFY SET STATUS (mailboxes (%s INBOX) (MessageNew MessageExpunge))"},
		{command: "NOTIFY SET STATUS (subtree %s (MessageNew MessageExpunge MailboxName))"}, {command: "NOTIFY SET STATUS (subscribed (MessageNew MessageExpunge))", prepare: "SUBSCRIBE %s"}},
	"GETQUOTAROOT": {{command: "GETQUOTAROOT %s"}},
	"RESETKEY":     {{command: "RESETKEY %s"}},
	"GENURLAUTH":   {{command: "GENURLAUTH \"imap://ada@example.org@mail.example.org/%u/;UID=1;URLAUTH=anonymous\" INTERNAL"}},
	"URLFETCH":     {{command: "URLFETCH \"imap://ada%40example.org@mail.example.org/%u/;UID=1;URLAUTH=anonymous:internal:0123\""}},
	"REPLACE":      {{command: "REPLACE 1 %s {1+}\r\nx", need: mail.RightInsert, prepare: "SELECT INBOX"}},
	"UID REPLACE":  {{command: "UID REPLACE 1 %s {1+}\r\nx", need: mail.RightInsert, prepare: "SELECT INBOX"}},
	"MYRIGHTS":     {{command: "MYRIGHTS %s"}},
	"COPY":         {{command: "COPY 1 %s", need: mail.RightInsert, prepare: "SELECT INBOX"}},
	"UID COPY":     {{command: "UID COPY 1 %s", need: mail.RightInsert, prepare: "SELECT INBOX"}},
	"MOVE":         {{command: "MOVE 1 %s", need: mail.RightInsert, prepare: "SELECT INBOX"}},
	"UID MOVE":     {{command: "UID MOVE 1 %s", need: mail.RightInsert, prepare: "SELECT INBOX"}},
}

// withoutMailbox are the commands that name none.
var withoutMailbox = []string{
	"UNAUTHENTICATE",
	"CAPABILITY", "NOOP", "LOGOUT", "ID", "STARTTLS", "AUTHENTICATE", "LOGIN", "ENABLE", "NAMESPACE", "IDLE", "COMPRESS", "COMPARATOR", "GETQUOTA", "CANCELUPDATE", "UIDBATCHES", "SETQUOTA",
	"CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "UID EXPUNGE", "SEARCH", "UID SEARCH", "SORT", "UID SORT",
	"THREAD", "UID THREAD", "FETCH", "UID FETCH", "STORE", "UID STORE",
}

// neighbours makes a world in which bob has given ada something, and carl has not.
func neighbours(t *testing.T) (w *world, bob *account.Account) {
	w = newWorld(t, nil)
	w.users.names["carl@example.org"] = 3
	for id, names := range map[mail.AccountID][]string{2: {"Open", "Secret", "Secret/Deep"}, 3: {"Open", "Secret"}} {
		a, err := w.pool.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Release)
		for _, name := range names {
			if _, err := a.CreateMailbox(t.Context(), name, 0); err != nil {
				t.Fatal(err)
			}
		}
		if id == 2 {
			bob = a
			deposit(t, w, a, "Secret")
			deposit(t, w, a, "Secret/Deep")
		}
	}
	grant(t, bob, "Open", mail.AllRights)
	return w, bob
}

// deposit puts a message into a mailbox.
func deposit(t testing.TB, w *world, a *account.Account, name string) {
	t.Helper()
	box, err := a.Mailbox(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	content, err := w.pool.Keep(t.Context(), strings.NewReader(sample(1)))
	if err == nil {
		_, err = box.Append(t.Context(), []account.NewMessage{{Content: content, Date: mail.NewInternalDate(w.clock.Now())}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// grant gives ada rights on a mailbox.
func grant(t testing.TB, owner *account.Account, name string, rights mail.Rights) {
	t.Helper()
	box, err := owner.Mailbox(name, 0)
	if err == nil {
		err = box.Grant(t.Context(), 1, false, mail.SetRights, rights)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask sends a probe in a session of its own and gives the answer without what names
// the mailbox.
func (w *world) ask(p probe, name string) string {
	c := w.login()
	defer c.do("LOGOUT")
	with := func(command string) string {
		command = strings.ReplaceAll(command, "%u", strings.ReplaceAll(name, " ", "%20"))
		return strings.ReplaceAll(strings.ReplaceAll(command, "%s", `"`+name+`"`), "%%", "%")
	}
	unquote := regexp.MustCompile(`"([^"]*)"(/[A-Za-z/]+)`) // "x"/Sub is "x/Sub"
	if p.prepare != "" {
		c.do(unquote.ReplaceAllString(with(p.prepare), `"$1$2"`))
	}
	untagged, tagged := c.do(unquote.ReplaceAllString(with(p.command), `"$1$2"`))
	all := append(untagged, tagged)
	for i := range all {
		all[i] = strings.ReplaceAll(strings.ReplaceAll(all[i], name, "NAME"), strings.ReplaceAll(name, " ", "%20"), "NAME")
		all[i] = regexp.MustCompile(`"[^"]*/(Nothere|Secret)`).ReplaceAllString(all[i], `"NAME`)
	}
	slices.Sort(all[:len(untagged)])
	return strings.Join(all, "\n")
}

// TestEveryMailboxArgument asks for mailboxes that may not be looked up in every
// command that names one: the answer is that for one that is not there, octet for
// octet (RFC 4314 6).
func TestEveryMailboxArgument(t *testing.T) {
	for _, sp := range commandTable() {
		if (probes[sp.name] == nil) == !slices.Contains(withoutMailbox, sp.name) {
			t.Errorf("%s: say in rights_test.go with which mailboxes it is to be tried, or that it names none", sp.name)
		}
	}
	w, bob := neighbours(t)
	w.login().append("INBOX", "", sample(1))
	for command, list := range probes {
		for _, p := range list {
			grant(t, bob, "Open", mail.AllRights) // it may have gone
			hidden := w.ask(p, "Other Users/bob@example.org/Secret")
			absent := w.ask(p, "Other Users/bob@example.org/Nothere")
			if hidden != absent {
				t.Errorf("%s: %s\nhidden: %s\nabsent: %s", command, p.command, hidden, absent)
			}
			stranger := w.ask(p, "Other Users/carl@example.org/Secret")
			nobody := w.ask(p, "Other Users/nobody@example.org/Secret")
			shared := w.ask(p, "Shared/carl@example.org/Secret")
			if stranger != nobody || stranger != shared {
				t.Errorf("%s: %s\nstranger: %s\nnobody:   %s\nshared:   %s", command, p.command, stranger, nobody, shared)
			}
			if !p.far && stranger != hidden {
				t.Errorf("%s: %s\nstranger: %s\nhidden:   %s", command, p.command, stranger, hidden)
			}
			if p.need != 0 && !strings.Contains(hidden, "NO [") {
				t.Errorf("%s: %s: %s", command, p.command, hidden)
			}
		}
	}
	for _, info := range bob.Mailboxes() {
		if info.Name == "Secret" && (info.Counts.Messages != 1 || info.Counts.UIDNext != 2 || !info.HasChildren) {
			t.Errorf("something happened to %+v", info)
		}
	}
}

// TestRightsOfCommands gives all rights but one that the command needs, and then
// those it needs alone (RFC 4314 4).
func TestRightsOfCommands(t *testing.T) {
	for command, list := range probes {
		for _, p := range list {
			if p.need == 0 {
				continue
			}
			w, bob := neighbours(t)
			w.login().append("INBOX", "", sample(1))
			grant(t, bob, "INBOX", mail.RightLookup|mail.RightCreate)
			grant(t, bob, "Secret/Deep", 0)
			name := "Secret/Deep"
			if command != "DELETE" && command != "RENAME" {
				name = "Secret"
			}
			full := "Other Users/bob@example.org/" + name
			grant(t, bob, name, mail.AllRights&^p.need)
			if got := w.ask(p, full); !strings.Contains(got, "NO [NOPERM]") && !strings.Contains(got, "NO [BADURL") {
				t.Errorf("%s without %s: %s", p.command, p.need, got)
			}
			grant(t, bob, name, mail.AllRights&^p.need&^mail.RightLookup)
			if got := w.ask(p, full); !strings.Contains(got, "NO [NONEXISTENT]") && !strings.Contains(got, "NO [TRYCREATE]") && !strings.Contains(got, "NO [BADURL") && command != "CREATE" && command != "RENAME" {
				t.Errorf("%s without %s and l: %s", p.command, p.need, got)
			}
			grant(t, bob, name, mail.RightLookup|p.need)
			if got := w.ask(p, full); !strings.Contains("\n"+got, "\nOK") {
				t.Errorf("%s with %s: %s", p.command, p.need, got)
			}
		}
	}
}

// TestOneRoad reads the source: accounts and their mailboxes are reached through
// mailbox.go alone, where rights are looked at.
func TestOneRoad(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 50 {
		t.Fatal(files, err)
	}
	road := regexp.MustCompile(`\.account\.(Mailbox|Mailboxes|CreateMailbox|DeleteMailbox|RenameMailbox|Guest)\(|accounts\.Open\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || file == "mailbox.go" || file == "urlauth.go" || file == "setquota.go" { // URLs are good for others without rights, and limits are set by administrators
			continue
		}
		for _, found := range road.FindAllString(string(text), -1) {
			if file != "login.go" || found != "accounts.Open(" { // one's own account
				t.Errorf("%s: %s: go by (*session).mailbox or place", file, found)
			}
		}
	}
}
