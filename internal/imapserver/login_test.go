package imapserver

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestCapabilities(t *testing.T) {
	w := newWorld(t, nil)
	const before = "* CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR LITERAL- ENABLE ID "

	c := w.dial("starttls")
	c.ok("CAPABILITY", before+"STARTTLS LOGINDISABLED")
	c = w.dial("tls")
	c.ok("CAPABILITY", before+"AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN")

	const after = "CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR BINARY CHILDREN CONDSTORE CREATE-SPECIAL-USE ESEARCH " +
		"INPROGRESS LIST-EXTENDED LIST-METADATA LIST-STATUS METADATA METADATA-SERVER MULTIAPPEND OBJECTID PARTIAL PREVIEW QRESYNC QUOTA QUOTA=RES-MAILBOX QUOTA=RES-MESSAGE QUOTA=RES-STORAGE SAVEDATE SEARCHRES SPECIAL-USE STATUS=SIZE UTF8=ACCEPT ENABLE ID IDLE MOVE NAMESPACE NOTIFY " +
		"CATENATE REPLACE URL-PARTIAL URLAUTH " +
		"UIDPLUS UNSELECT APPENDLIMIT=67108864 ACL RIGHTS=texk LIST-MYRIGHTS " +
		"COMPRESS=DEFLATE UNAUTHENTICATE CONTEXT=SEARCH CONTEXT=SORT UIDBATCHES UIDONLY QUOTASET " +
		"MULTISEARCH SEARCH=FUZZY I18NLEVEL=2 FILTERS " +
		"ESORT SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS WITHIN"
	want := strings.Fields(after)
	tagged := c.ok("LOGIN ada@example.org secret")
	got := strings.Fields(tagged[strings.Index(tagged, "[")+1 : strings.Index(tagged, "]")])
	if missing, extra := difference(want, got); len(missing)+len(extra) > 0 {
		t.Errorf("missing %v, extra %v", missing, extra)
	}
}

func difference(want, got []string) (missing, extra []string) {
	has := map[string]int{}
	for _, g := range got {
		has[g]++
	}
	for _, w := range want {
		if has[w]--; has[w] < 0 {
			missing = append(missing, w)
		}
	}
	for g, n := range has {
		if n > 0 {
			extra = append(extra, g)
		}
	}
	return missing, extra
}

func TestLogin(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ command, want string }{
		{"LOGIN ada@example.org secret", "OK [CAPABILITY ...] signed in"},
		{`login "ada@example.org" "secret"`, "OK ..."},
		{"LOGIN {15+}\r\nada@example.org {6+}\r\nsecret", "OK ..."},
		{"LOGIN ada@example.org wrong", "NO [AUTHENTICATIONFAILED] authentication failed"},
		{"LOGIN eve@example.org secret", "NO [AUTHENTICATIONFAILED] authentication failed"},
		{"LOGIN ada@example.org", "BAD ..."},
		{"LOGIN ada@example.org secret more", "BAD ..."},
		{"AUTHENTICATE PLAIN " + plain("", "ada@example.org", "secret"), "OK [CAPABILITY ...] signed in"},
		{"authenticate plain " + plain("ada@example.org", "ada@example.org", "secret"), "OK ..."},
		{"AUTHENTICATE PLAIN " + plain("bob@example.org", "ada@example.org", "secret"), "NO [AUTHORIZATIONFAILED] ..."},
		{"AUTHENTICATE PLAIN " + plain("", "ada@example.org", "wrong"), "NO [AUTHENTICATIONFAILED] authentication failed"},
		{"AUTHENTICATE PLAIN =", "NO [AUTHENTICATIONFAILED] ..."},
		{"AUTHENTICATE PLAIN ???", "BAD ..."},
		{"AUTHENTICATE CRAM-MD5", "NO [CANNOT] ..."},
	} {
		w.dial("plain").reply(c.command, c.want)
	}
}

func plain(authzid, user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(authzid + "\x00" + user + "\x00" + password))
}

func TestAuthenticateInSteps(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("plain")
	c.send("a AUTHENTICATE PLAIN\r\n")
	c.expect("+ ")
	c.send("*\r\n")
	c.expect("a BAD authentication cancelled")
	c.send("b AUTHENTICATE PLAIN\r\n")
	c.expect("+ ")
	c.send("not base64\r\n")
	c.expect("b BAD ...")
	c.send("c AUTHENTICATE PLAIN\r\n")
	c.expect("+ ")
	c.send(plain("", "ada@example.org", "secret") + "\r\n")
	c.expect("c OK [CAPABILITY ...] signed in")
	c.reply("LOGIN ada@example.org secret", "BAD LOGIN is not possible before a mailbox is selected")
}

func TestTooManyGuesses(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("plain")
	c.reply("LOGIN ada@example.org 1", "NO [AUTHENTICATIONFAILED] ...")
	c.reply("LOGIN ada@example.org 2", "NO [AUTHENTICATIONFAILED] ...")
	c.reply("LOGIN ada@example.org 3", "NO [AUTHENTICATIONFAILED] authentication failed")
	c.gone("* BYE too many failed logins")
}

func TestSessionsOfAnAccount(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Sessions = 2 })
	w.login()
	c := w.login()
	w.dial("plain").reply("LOGIN ada@example.org secret", "NO [LIMIT] ...")
	w.dial("plain").reply("LOGIN bob@example.org secret", "OK ...")
	c.ok("LOGOUT", "* BYE ...")
	c.gone()
	w.login()
}

// TestPrivacy checks that before TLS no password is asked for: a literal that
// waits is not invited.
func TestPrivacy(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("starttls")
	for _, command := range []string{
		"LOGIN ada@example.org secret", "LOGIN {15}", "LOGIN {15+}\r\nada@example.org {6+}\r\nsecret",
		"AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN " + plain("", "ada@example.org", "secret"),
	} {
		c.reply(command, "NO [PRIVACYREQUIRED] no password before TLS is active")
	}
}

func TestStartTLS(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("starttls")
	c.ok(`ID ("name" "x")`, anything)
	c.ok("STARTTLS")
	secure := tls.Client(c.conn, w.roots)
	c.conn = secure
	c.r.Reset(secure)
	c.ok("CAPABILITY", "* CAPABILITY ... ID AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN")
	c.reply("STARTTLS", "BAD TLS is active already")
	c.ok("LOGIN ada@example.org secret")
	c.reply("STARTTLS", "BAD ...")
	w.dial("tls").reply("STARTTLS", "BAD TLS is active already")
	w.dial("plain").reply("STARTTLS", "BAD there is no TLS here")
}

// TestStartTLSInjection sends more behind STARTTLS than belongs there
// (CVE-2021-33515).
func TestStartTLSInjection(t *testing.T) {
	w := newWorld(t, nil)
	for _, text := range []string{"a STARTTLS\r\nb NOOP\r\n", "a STARTTLS\r\nb", "a STARTTLS\n\x16", "a STARTTLS\r\n\r\n"} {
		c := w.dial("starttls")
		c.send(text)
		c.gone("* BYE nothing may follow STARTTLS before TLS is active")
	}
}

// TestStartTLSSplit sends the same in two pieces, cut everywhere. What follows the
// command may then come in after the reply, as the first octets of a handshake
// that they break. Either way it is never obeyed.
func TestStartTLSSplit(t *testing.T) {
	w := newWorld(t, nil)
	const text = "a STARTTLS\r\nb NOOP\r\nc NOOP\r\n"
	for cut := 1; cut < len(text); cut++ {
		c := w.dial("starttls")
		c.send(text[:cut])
		if command := len("a STARTTLS\r\n"); cut == command {
			c.expect("a OK begin TLS now") // so that the rest is late for certain
		}
		_, _ = io.WriteString(c.conn, text[cut:]) // it may be closed by now
		answers, err := io.ReadAll(c.r)           // to the connection's end
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if bytes.Contains(answers, []byte("b ")) || bytes.Contains(answers, []byte("c ")) {
			t.Errorf("cut at %d: %q", cut, answers)
		}
	}
}

func TestBadCommands(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial("plain")
	c.reply("FROB", "BAD unknown command")
	c.reply("SELECT INBOX", "BAD SELECT is not possible before login")
	c.reply("NOOP more", "BAD expected the end of the line after NOOP, found a space at ...")
	c.gone("* BYE too many bad commands")

	c = w.dial("plain")
	c.send("\r\n")
	c.expect("* BAD expected a tag, found the end of the line at 0")
	c.ok("NOOP")

	c = w.login()
	for range 9 {
		c.reply("FROB", "BAD unknown command")
	}
	c.ok("NOOP")
	for range 9 {
		c.reply("UID FROB", "BAD unknown command")
	}
	c.ok("NOOP")
	c.reply("FROB", "BAD ...") // the 19th
	c.reply("FROB", "BAD ...")
	c.gone("* BYE too many bad commands")

	c = w.login()
	for range 10 {
		c.reply("FROB", "BAD unknown command")
	}
	c.gone("* BYE too many bad commands")
}

// TestOtherProtocols speaks HTTP, SMTP and TLS to the port (ALPACA).
func TestOtherProtocols(t *testing.T) {
	w := newWorld(t, nil)
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /a1 HTTP/1.1\r\n\r\na1 NOOP\r\n", "EHLO example.org\r\n",
		"\x16\x03\x01\x02\x00\x01\x00", "\x00\x00\x00",
	} {
		c := w.dial("plain")
		c.send(text)
		c.gone("* BYE this is an IMAP server")
	}
}

func TestLinesAndLiteralsBeforeLogin(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ text, want string }{
		{"a LOGIN {2147483647}\r\n", "a NO [TOOBIG] ..."},
		{"a LOGIN {4294967296}\r\n", "a NO [TOOBIG] ..."},
		{"a LOGIN {18446744073709551616}\r\n", "a BAD ..."},
		{"a LOGIN {-1}\r\n", "a BAD ..."},
		{"a LOGIN {}\r\n", "a BAD ..."},
		{"a LOGIN ((((", ""},
		{"a NOOP" + strings.Repeat(" ", 9000), "a BAD ..."},
	} {
		client := w.dial("plain")
		client.send(c.text)
		if c.want != "" {
			client.expect(c.want)
		}
	}
	c := w.dial("plain")
	c.send("a LOGIN {2147483647+}\r\nlots of data")
	c.expect("a NO [TOOBIG] ...")
	c.gone("* BYE [TOOBIG] literal too big")
	c = w.dial("plain")
	c.send("a LOGIN " + strings.Repeat("x", 9000))
	c.gone("* BYE [TOOBIG] command line too long")
}

func TestRevoke(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	idle := w.selected()
	idle.send("i IDLE\r\n")
	idle.expect("+ idling")
	bob := w.dial("plain")
	bob.ok("LOGIN bob@example.org secret")
	w.server.Revoke(1)
	c.gone("* BYE your access has changed, sign in again")
	idle.gone("* BYE your access has changed, sign in again")
	bob.ok("NOOP")
}
