package imapserver

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "anything", true},
		{"K-9 Mail *", "k-9 mail 6.8", true},
		{"K-9 Mail *", "K-9 Mail", false},
		{"*outlook*", "Microsoft Outlook 16", true},
		{"?0000 *", "a0000 CAPABILITY, a0001 LOGIN", true},
		{"?0000 *", "0000 CAPABILITY", false},
		{"a*b*c", "aXbXbXc", true},
		{"a*b*c", "aXbXbX", false},
		{"abc", "abcd", false},
		{"abc*", "abc", true},
		{"a[b-d]\\*", "a[b-d]\\x", true}, // nothing else is special
		{strings.Repeat("*a", 200) + "b", strings.Repeat("a", 2000), false},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.text, got)
		}
	}
}

// TestRules has rules with each condition, alone and together.
func TestRules(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Rules = []Rule{
			{Name: "for Outlook", Clients: []string{"*outlook*"}, Hide: []string{"IMAP4rev2", "APPENDLIMIT"}},
			{Name: "for Ada", Accounts: []string{"ADA@*"}, Hide: []string{"IDLE"}},
			{Accounts: []string{"bob@*"}, Clients: []string{"eM *", "other"}, Announce: []string{"X-TAGS"}},
			{Name: "for TLS", Listeners: []string{"tls"}, Hide: []string{"AUTH=LOGIN"}},
			{Listeners: []string{"127.0.0.1:0"}, First: []string{"t1 NOOP, t2 *"}, Hide: []string{"THREAD"}},
		}
	})
	c := w.dial("tls")
	c.ok("CAPABILITY", "* CAPABILITY IMAP4rev1 IMAP4rev2 ... AUTH=PLAIN")
	c.reply(`ID ("name" "Microsoft Outlook" "version" "16")`, "OK [CAPABILITY IMAP4rev1 SASL-IR ... AUTH=PLAIN] ID completed", `* ID ("name" "Postern")`)
	c.reply(`ID ("name" "Microsoft Outlook" "version" "17")`, "OK ID completed", `* ID ("name" "Postern")`) // nothing new
	c.ok("CAPABILITY", "* CAPABILITY IMAP4rev1 SASL-IR ... AUTH=PLAIN")
	tagged := c.ok("LOGIN ada@example.org secret")
	announces(t, tagged, "IMAP4rev2 APPENDLIMIT=67108864 IDLE X-TAGS", "THREAD=REFS NOTIFY")
	c.ok("ENABLE IMAP4rev2 UTF8=ACCEPT", "* ENABLED UTF8=ACCEPT")

	// Another account on the same connection; the client is still the same.
	announces(t, c.ok("UNAUTHENTICATE"), "IMAP4rev2", "IMAP4rev1")
	announces(t, c.ok("LOGIN bob@example.org secret"), "APPENDLIMIT=67108864 X-TAGS", "IDLE")
	announces(t, c.ok(`ID ("name" "eM" "version" "Client")`, anything), "", "IMAP4rev2 APPENDLIMIT=67108864 IDLE X-TAGS")
	announces(t, c.ok("ID NIL", anything), "X-TAGS", "IDLE")
	c.ok(`ID ("name" "Microsoft Outlook")`, anything)
	c.ok("LOGOUT", anything)
	c.gone()
	if !strings.Contains(w.log.String(), ` rules="for Outlook; for TLS" `) {
		t.Errorf("the log does not name the rule:\n%s", w.log.String())
	}

	c = w.dial("plain")
	c.ok("NOOP")
	tagged = c.ok("LOGIN bob@example.org secret")
	announces(t, tagged, "THREAD=REFS THREAD=REFERENCES X-TAGS", "SORT IDLE")
	c = w.dial("plain")
	c.ok("CAPABILITY", anything)
	announces(t, c.ok("LOGIN bob@example.org secret"), "", "THREAD=REFS")
}

// announces checks the list in a tagged line.
func announces(t *testing.T, tagged, without, with string) {
	t.Helper()
	_, code, _ := strings.Cut(tagged, "[")
	code, _, _ = strings.Cut(code, "]")
	list := strings.Fields(code)
	for _, name := range strings.Fields(without) {
		if slices.Contains(list, name) {
			t.Errorf("%s is in %q", name, tagged)
		}
	}
	for _, name := range strings.Fields(with) {
		if !slices.Contains(list, name) {
			t.Errorf("%s is not in %q", name, tagged)
		}
	}
}

// TestRuleForHello: what the log says of a client's hello hides something from the
// greeting of the next one of its kind. Before STARTTLS nobody knows it.
func TestRuleForHello(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("tls")
	c.ok("NOOP")
	c.ok("LOGOUT", anything)
	c.gone() // the line was written before
	said := regexp.MustCompile(`first="?t1 NOOP, t2 LOGOUT"? hello=([0-9a-f]{16})`).FindStringSubmatch(w.log.String())
	if said == nil {
		t.Fatalf("the log says nothing of the client:\n%s", w.log.String())
	}
	hello, err := strconv.ParseUint(said[1], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(o *Options) {
		o.Rules = []Rule{{TLS: []uint64{1, hello}, Hide: []string{"AUTH=SCRAM-SHA-256-PLUS", "ENABLE"}}}
	})
	w.dial("starttls").ok("CAPABILITY", "* CAPABILITY ... ENABLE ...")
	untagged, _ := w.dial("tls").do("CAPABILITY")
	announces(t, "["+untagged[0]+"]", "AUTH=SCRAM-SHA-256-PLUS ENABLE", "AUTH=SCRAM-SHA-256")
}

func TestQuietIdle(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Limits.Still, o.Limits.StillQuiet = time.Millisecond, time.Hour
		o.Rules = KnownClients()
	})
	idle := func(name string) *client {
		c := w.selected()
		c.ok(`ID ("name" "`+name+`" "version" "8.0")`, anything)
		c.send("i IDLE\r\n")
		c.expect("+ idling")
		return c
	}
	phone, desk := idle("Thunderbird for Android"), idle("Thunderbird")
	for range 5 {
		desk.expect("* OK Still here")
	}
	w.login().append("INBOX", "", sample(1))
	phone.expect("* 1 EXISTS") // and nothing before it
}

func TestDelayNewMail(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Rules = []Rule{{Clients: []string{"Express *"}, Behavior: DelayNewMail}} })
	c := w.selected()
	c.ok(`ID ("name" "Express" "version" "6")`, anything)
	other := w.selected()
	other.append("INBOX", "", sample(1))
	c.ok("STATUS Sent (MESSAGES)", "* STATUS \"Sent\" (MESSAGES 0)")
	c.ok("UID FETCH 1:* FLAGS")
	c.ok("NOOP", "* 1 EXISTS", "* 0 RECENT")
	c.ok("FETCH 1 UID", "* 1 FETCH (UID 1)")
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	other.append("INBOX", "", sample(2))
	c.expect("* 2 EXISTS")
}

// TestKnownClients: each says whom it is for, what it does, and where that is known
// from; and docs/clients.md tells administrators.
func TestKnownClients(t *testing.T) {
	doc, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range KnownClients() {
		if r.Name == "" || r.Source == "" || len(r.Clients)+len(r.First)+len(r.TLS) == 0 || len(r.Hide)+len(r.Announce) == 0 && r.Behavior == 0 {
			t.Errorf("%+v", r)
		}
		for _, client := range r.Clients {
			if name := strings.Trim(client, "* "); !strings.Contains(string(doc), name) {
				t.Errorf("docs/clients.md does not have %s", name)
			}
		}
		for _, name := range r.Hide {
			if !slices.Contains(Capabilities(), name) {
				t.Errorf("%s: there is no %s", r.Name, name)
			}
		}
	}
}
