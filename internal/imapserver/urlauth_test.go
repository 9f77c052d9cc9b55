package imapserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store/storetest"
)

const (
	adasURL = "imap://ada%40example.org@mail.example.org/INBOX/;UID=1"
	bob     = "bob%40example.org"
)

// signed has a URL made good.
func (c *client) signed(url string) string {
	c.t.Helper()
	c.send("g GENURLAUTH \"" + url + "\" INTERNAL\r\n")
	line := c.read()
	c.expect("g OK ...")
	full, ok := strings.CutPrefix(line, "* GENURLAUTH \"")
	if !ok {
		c.t.Fatal(line)
	}
	return strings.TrimSuffix(full, `"`)
}

// TestURLAuthAccess has each kind of user fetch by each kind of URL.
func TestURLAuthAccess(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Submitters = []string{"submit@example.org"} })
	w.users.names["submit@example.org"] = 3
	ada := w.login()
	ada.append("INBOX", "", "secret")
	as := func(user string) *client {
		c := w.dial("tls")
		c.ok("LOGIN " + user + " secret")
		return c
	}
	clients := map[string]*client{"ada": ada, "bob": as("bob@example.org"), "submit": as("submit@example.org")}
	for access, may := range map[string]string{
		"anonymous": "ada bob submit", "authuser": "ada bob submit", "user+" + bob: "bob", "USER+" + bob: "bob", "user+nobody": "",
		"user+ada%40example.org": "ada", "submit+" + bob: "submit", "submit+nobody": "submit",
	} {
		url := ada.signed(adasURL + ";URLAUTH=" + access)
		for who, c := range clients {
			want := "NIL"
			if strings.Contains(may, who) {
				want = "{6}\r\nsecret"
			}
			c.ok("URLFETCH \""+url+"\"", `* URLFETCH "`+url+`" `+want)
		}
	}
	// Until its time has come, and not from then on.
	url := ada.signed(adasURL + ";EXPIRE=2026-11-01T13:00:00+00:30;URLAUTH=anonymous") // 12:30 UTC
	clients["bob"].ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" {6}\r\nsecret")
	w.clock.add(30 * time.Minute)
	clients["bob"].ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" NIL")
}

// TestURLAuthForgery tries what somebody may try who does not have the key.
func TestURLAuthForgery(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", "", "secret")
	c.append("Archive", "", "secret too")
	rump := adasURL + ";URLAUTH=anonymous"
	var zero mail.AccessKey
	// Before there is a key, a key of zeros is none.
	forged := rump + ":INTERNAL:" + urlToken(&zero, rump)
	c.ok("URLFETCH \""+forged+"\"", "* URLFETCH \""+forged+"\" NIL")
	url := c.signed(rump)
	c.ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" {6}\r\nsecret")
	token := url[strings.LastIndexByte(url, ':')+1:]
	tries := []string{
		rump + ":INTERNAL:" + token[:64], rump + ":INTERNAL:" + token + "00", rump + ":INTERNAL:" + strings.Repeat("0", len(token)),
		rump + ":X:" + token, rump + ":INTERNAL:00" + token[2:], forged,
		strings.Replace(url, "INBOX", "Archive", 1), strings.Replace(url, "ada", "bob", 1), strings.Replace(url, "anonymous", "authuser", 1),
		strings.Replace(url, "mail.", "", 1), strings.Replace(url, ";UID=1", ";UID=1/;SECTION=TEXT", 1),
	}
	for i := range token {
		other := []byte(token)
		other[i] = "123456789abcdef0"[strings.IndexByte("0123456789abcdef", other[i])]
		tries = append(tries, rump+":INTERNAL:"+string(other))
	}
	for _, url := range tries {
		c.ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" NIL")
	}
	// The digits of a token have no case. A mailbox made anew has another key.
	upper := rump + ":internal:" + strings.ToUpper(token)
	c.ok("URLFETCH \""+upper+"\"", "* URLFETCH \""+upper+"\" {6}\r\nsecret")
	box := strings.Replace(rump, "INBOX", "Box", 1)
	c.ok("CREATE Box", anything)
	c.append("Box", "", "old")
	url = c.signed(box)
	c.ok("RENAME Box Kiste", anything)
	c.ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" NIL")
	c.ok("RENAME Kiste Box", anything)
	c.ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" {3}\r\nold")
	c.ok("DELETE Box", anything)
	c.ok("CREATE Box", anything)
	c.append("Box", "", "new")
	c.ok("URLFETCH \""+url+"\"", "* URLFETCH \""+url+"\" NIL")
	if again := c.signed(box); again == url {
		t.Error("it has the same key")
	}
	if log := w.log.String(); strings.Contains(log, token) {
		t.Error("a token is in the log")
	}
}

// TestURLAuthNotOffered has a server that does not know its name.
func TestURLAuthNotOffered(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Hostname = "" })
	c := w.login()
	if all := c.ok("CAPABILITY", anything); strings.Contains(all, "URLAUTH") {
		t.Error(all)
	}
	for _, command := range []string{"GENURLAUTH x INTERNAL", "URLFETCH x", "RESETKEY"} {
		c.reply(command, "BAD ...")
	}
}

// TestURLAuthLimits asks for more than one command may, and lets the store fail.
func TestURLAuthLimits(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", "", "secret")
	url := c.signed(adasURL + ";URLAUTH=anonymous")
	answer := fmt.Sprintf("* URLFETCH \"%s\" {6}\r\nsecret", url)
	var all []string
	for range 100 {
		all = append(all, answer)
	}
	c.ok("URLFETCH"+strings.Repeat(" \""+url+"\"", 100), all...)
	c.reply("URLFETCH"+strings.Repeat(" \""+url+"\"", 101), "NO [LIMIT] ...")
	c.reply("GENURLAUTH"+strings.Repeat(" \""+adasURL+";URLAUTH=anonymous\" INTERNAL", 101), "NO [LIMIT] ...")
	for _, op := range []storetest.Op{storetest.OpOpen, storetest.OpSummaries, storetest.OpReadAt} {
		w.faults.Fail(op, storetest.Fault{Err: away})
		c.reply("URLFETCH \""+url+"\"", "NO [UNAVAILABLE] ...")
		w.faults.Clear()
	}
	w.faults.Fail(storetest.OpCommit, storetest.Fault{Err: full})
	c.reply("RESETKEY INBOX", "NO [UNAVAILABLE] ...")
	c.ok("URLFETCH \""+url+"\"", answer)
}
