package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// curl lists, fetches, appends and sends commands of one's own.
func TestCurl(t *testing.T) {
	curl, env := needProgram(t, "curl")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		a.fill(t, "INBOX", 1, 3)
		url := fmt.Sprintf("imaps://%s:%s", a.host, a.port)
		call := func(args ...string) string {
			return run(t, env, curl, append([]string{"--silent", "--show-error", "--cacert", a.server.CertFile,
				"--user", a.name + ":" + a.password}, args...)...)
		}
		if list := call(url + "/"); !strings.Contains(list, "INBOX") || !strings.Contains(list, `\Drafts`) {
			t.Errorf("the list of mailboxes is %q", list)
		}
		if text := call(url + "/INBOX;UID=2"); text != message(2) {
			t.Errorf("message 2 is %q", text)
		}
		if found := call(url+"/INBOX", "--request", "SEARCH SUBJECT \"message 3\""); strings.TrimSpace(found) != "* SEARCH 3" {
			t.Errorf("SEARCH answers %q", found)
		}
		write(t, filepath.Join(dir, "message"), message(4))
		call("--upload-file", filepath.Join(dir, "message"), url+"/INBOX")
		if there := a.mailbox(t, "INBOX"); there["message 4"].text != message(4) {
			t.Errorf("what was uploaded is %q on the server", there["message 4"].text)
		}
	})
}

// openssl s_client is a person at a keyboard.
func TestOpenSSL(t *testing.T) {
	openssl, env := needProgram(t, "openssl")
	onEach(t, func(t *testing.T, a *account) {
		a.fill(t, "INBOX", 1, 1)
		dir := t.TempDir()
		// -ign_eof: the server, having said BYE, ends the conversation.
		write(t, filepath.Join(dir, "said"), fmt.Sprintf("a LOGIN %s %s\r\nb SELECT INBOX\r\nc LOGOUT\r\n", a.name, a.password))
		talk := func(args ...string) string {
			command := fmt.Sprintf("exec %s s_client -quiet -ign_eof -verify_return_error -CAfile %s %s < %s 2>&1",
				openssl, a.server.CertFile, strings.Join(args, " "), filepath.Join(dir, "said"))
			return run(t, env, "/bin/sh", "-c", command)
		}
		for name, said := range map[string]string{
			"TLS":      talk("-connect", a.server.TLS),
			"STARTTLS": talk("-connect", a.server.Plain, "-starttls", "imap"),
		} {
			for _, want := range []string{"a OK ", "* 1 EXISTS", "b OK [READ-WRITE] ", "* BYE ", "c OK "} {
				if !strings.Contains(said, want) {
					t.Errorf("%s: %q is not in\n%s", name, want, said)
				}
			}
		}
	})
}

// imapfilter sorts on the server by a script.
func TestImapfilter(t *testing.T) {
	imapfilter, env := needProgram(t, "imapfilter")
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		n := count(100)
		a.fill(t, "INBOX", 1, n)
		write(t, filepath.Join(dir, "config.lua"), fmt.Sprintf(`
options.timeout = 60
options.create = true
options.certificates = true
options.starttls = false
box = IMAP { server = %q, port = %s, username = %q, password = %q, ssl = 'auto' }
ones = box.INBOX:contain_subject('message 1')
ones:mark_flagged()
ones:move_messages(box['Sorted/Ones'])
seen = box.INBOX:match_body('^Text 2,')
seen:mark_seen()
`, a.host, a.port, a.name, a.password))
		run(t, append(env, "HOME="+dir, "SSL_CERT_FILE="+a.server.CertFile), imapfilter,
			"-c", filepath.Join(dir, "config.lua"), "-t", a.server.CertFile)
		wantOnes := 0
		for k := 1; k <= n; k++ {
			if strings.HasPrefix(fmt.Sprint(k), "1") {
				wantOnes++
			}
		}
		ones, inbox := a.mailbox(t, "Sorted/Ones"), a.mailbox(t, "INBOX")
		if len(ones) != wantOnes || len(inbox) != n-wantOnes {
			t.Errorf("%d messages were sorted and %d stayed, want %d and %d", len(ones), len(inbox), wantOnes, n-wantOnes)
		}
		if m := ones["message 1"]; !m.has(imap.FlagFlagged) || m.text != message(1) {
			t.Errorf("message 1 is %q with %v", m.text, m.flags)
		}
		if !inbox["message 2"].has(imap.FlagSeen) {
			t.Errorf("message 2 has %v", inbox["message 2"].flags)
		}
	})
}

// neomutt opens the mailbox, reads a message, flags, deletes and saves some, and leaves.
func TestNeomutt(t *testing.T) { readerAtWork(t, "neomutt") }

// mutt, too. Debian's picks SCRAM-SHA-256-PLUS with GNU SASL, finds that it cannot bind to TLS, and goes on with LOGIN by itself
// (docs/clients.md).
func TestMutt(t *testing.T) { readerAtWork(t, "mutt") }

func readerAtWork(t *testing.T, program string) {
	path, env := needProgram(t, program)
	if _, err := os.Stat("/usr/bin/script"); err != nil {
		t.Fatal("script(1) of bsdutils, which every Debian has, gives it its terminal: ", err)
	}
	onEach(t, func(t *testing.T, a *account) {
		dir := t.TempDir()
		a.fill(t, "INBOX", 1, 12)
		write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`
set imap_user = %q
set imap_pass = %q
set folder = "imaps://%[3]s:%[4]s/"
set spoolfile = "imaps://%[3]s:%[4]s/INBOX"
set ssl_starttls = no
set certificate_file = %[5]q
set ssl_usesystemcerts = no
set header_cache = %[6]q
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set mbox = ""
set move = no
set sort = mailbox-order
set wait_key = no
set tmpdir = %[6]q
set pager = builtin
set beep = no
set sleep_time = 0
`, a.name, a.password, a.host, a.port, a.server.CertFile, dir))
		// Read the first; flag the second; delete the third; copy and delete the fourth into Archive; write and leave.
		keys := "<first-entry><display-message><exit>" +
			"<jump>2<enter><flag-message>" +
			"<jump>3<enter><delete-message>" +
			"<jump>4<enter><save-message><kill-line>=Archive<enter>" +
			"<sync-mailbox><quit>"
		command := fmt.Sprintf("%s -F %s -e 'push %q'", path, filepath.Join(dir, "rc"), keys)
		run(t, append(env, "HOME="+dir, "TERM=xterm"), "/usr/bin/script", "-qec", command, "/dev/null")

		inbox, archive := a.mailbox(t, "INBOX"), a.mailbox(t, "Archive")
		if len(inbox) != 10 || len(archive) != 1 || archive["message 4"].text != message(4) {
			t.Errorf("INBOX has %d messages, want 10; Archive has %v", len(inbox), archive)
		}
		if !inbox["message 1"].has(imap.FlagSeen) || !inbox["message 2"].has(imap.FlagFlagged) {
			t.Errorf("message 1 has %v, message 2 has %v", inbox["message 1"].flags, inbox["message 2"].flags)
		}
	})
}

// Python's imaplib, as in a thousand scripts.
func TestImaplib(t *testing.T) {
	python, env := needProgram(t, "python3")
	onEach(t, func(t *testing.T, a *account) {
		a.fill(t, "INBOX", 1, 5)
		script := filepath.Join(t.TempDir(), "work.py")
		write(t, script, imaplibScript)
		run(t, append(env, "PATH=/usr/bin:/bin"), python, script, a.host, a.port, a.name, a.password, a.server.CertFile)
		inbox, kept := a.mailbox(t, "INBOX"), a.mailbox(t, "Kept")
		if len(inbox) != 4 || !inbox["message 1"].has(imap.FlagSeen) || !inbox["message 1"].has("$Mark") {
			t.Errorf("INBOX has %d messages, the first with %v", len(inbox), inbox["message 1"].flags)
		}
		if len(kept) != 1 || kept["message 3"].text != message(3) {
			t.Errorf("Kept has %v", kept)
		}
	})
}

const imaplibScript = `
import imaplib, ssl, sys
host, port, user, password, cert = sys.argv[1:]
context = ssl.create_default_context(cafile=cert)
with imaplib.IMAP4_SSL(host, int(port), ssl_context=context) as m:
    assert m.login(user, password)[0] == 'OK'
    assert m.create('Kept')[0] == 'OK'
    assert m.select('INBOX') == ('OK', [b'5'])
    ok, data = m.search(None, 'SUBJECT', '"message 3"')
    assert (ok, data) == ('OK', [b'3']), data
    ok, data = m.fetch('3', '(UID RFC822.SIZE BODY.PEEK[])')
    assert ok == 'OK' and b'Subject: message 3\r\n' in data[0][1], data
    assert m.copy('3', 'Kept')[0] == 'OK'
    assert m.store('1', '+FLAGS', r'(\Seen $Mark)')[0] == 'OK'
    assert m.store('3', '+FLAGS', r'(\Deleted)')[0] == 'OK'
    ok, data = m.expunge()
    assert (ok, data) == ('OK', [b'3']), data
    ok, data = m.append('INBOX', None, None, b'Subject: appended\r\n\r\nx\r\n')
    assert ok == 'OK', data
    assert m.noop()[0] == 'OK'
    ok, data = m.uid('SEARCH', 'SUBJECT', 'appended')
    assert (ok, data) == ('OK', [b'6']), data
    assert m.uid('STORE', '6', '+FLAGS.SILENT', r'(\Deleted)')[0] == 'OK'
    assert m.close()[0] == 'OK'
    ok, data = m.status('INBOX', '(MESSAGES UIDNEXT)')
    assert ok == 'OK' and b'MESSAGES 4' in data[0] and b'UIDNEXT 7' in data[0], data
`

// go-imap's client idles in one session and hears what another does.
func TestGoIMAP(t *testing.T) {
	onEach(t, func(t *testing.T, a *account) {
		a.fill(t, "INBOX", 1, 2)
		exists, expunged := make(chan uint32, 10), make(chan uint32, 10)
		watcher, err := imapclient.DialTLS(a.server.TLS, &imapclient.Options{
			TLSConfig: a.server.TLSConfig(t),
			UnilateralDataHandler: &imapclient.UnilateralDataHandler{
				Expunge: func(number uint32) { expunged <- number },
				Mailbox: func(data *imapclient.UnilateralDataMailbox) {
					if data.NumMessages != nil {
						exists <- *data.NumMessages
					}
				},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer hangUp(t, watcher)
		if err := watcher.Login(a.name, a.password).Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := watcher.Select("INBOX", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		idle, err := watcher.Idle()
		if err != nil {
			t.Fatal(err)
		}
		a.fill(t, "INBOX", 3, 3)
		hear(t, exists, 3, "EXISTS")

		other := a.dial(t)
		defer hangUp(t, other)
		if _, err := other.Select("INBOX", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Move(imap.UIDSetNum(2), "Archive").Wait(); err != nil {
			t.Fatal(err)
		}
		hear(t, expunged, 2, "EXPUNGE")
		if err := idle.Close(); err != nil {
			t.Fatal(err)
		}
		if err := idle.Wait(); err != nil {
			t.Fatal(err)
		}
		if archive := a.mailbox(t, "Archive"); archive["message 2"].text != message(2) {
			t.Errorf("Archive has %v", archive)
		}
	})
}

// hear waits until a number is told, passing over others before it.
func hear(t *testing.T, told <-chan uint32, want uint32, what string) {
	t.Helper()
	patience := time.After(clientPatience)
	for {
		select {
		case got := <-told:
			if got == want {
				return
			}
		case <-patience:
			t.Fatalf("%d %s was not told", want, what)
		}
	}
}
