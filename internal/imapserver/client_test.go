package imapserver

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"postern/internal/testenv"
)

// TestGoIMAPClient lets go-imap's client do an evening's work, under IMAP4rev1
// and IMAP4rev2. It reads replies with a parser of its own and fails on what it
// does not understand.
func TestGoIMAPClient(t *testing.T) {
	for _, rev2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("rev2=%v", rev2), func(t *testing.T) {
			w := newWorld(t, nil)
			news := make(chan uint32, 100)
			c, err := imapclient.DialTLS(w.net.Addrs("tls")[0].String(), &imapclient.Options{
				TLSConfig: w.roots,
				UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
					if d.NumMessages != nil {
						news <- *d.NumMessages
					}
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(c.Login("ada@example.org", "secret").Wait())
			if rev2 {
				_, err := c.Enable(imap.CapIMAP4rev2).Wait()
				must(err)
			}
			must(c.Create("Reisepläne/2026", nil).Wait())
			boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
			must(err)
			if !slices.ContainsFunc(boxes, func(b *imap.ListData) bool { return b.Mailbox == "Reisepläne/2026" }) {
				t.Errorf("mailboxes: %+v", boxes)
			}
			for i := range 10 {
				a := c.Append("Reisepläne/2026", int64(len(sample(i))), &imap.AppendOptions{Flags: []imap.Flag{"$Work"}})
				_, err := io.WriteString(a, sample(i))
				must(err)
				must(a.Close())
				data, err := a.Wait()
				must(err)
				if data.UID != imap.UID(i+1) {
					t.Fatalf("APPENDUID %+v", data)
				}
			}
			sel, err := c.Select("Reisepläne/2026", nil).Wait()
			must(err)
			if sel.NumMessages != 10 || sel.UIDNext != 11 {
				t.Errorf("selected: %+v", sel)
			}
			found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "message 7"}}}, nil).Wait()
			must(err)
			if uids := found.AllUIDs(); len(uids) != 1 || uids[0] != 8 {
				t.Errorf("found %v", uids)
			}
			section := &imap.FetchItemBodySection{}
			messages, err := c.Fetch(imap.UIDSetNum(8), &imap.FetchOptions{Envelope: true, Flags: true, UID: true, RFC822Size: true,
				BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
			must(err)
			if len(messages) != 1 || string(messages[0].FindBodySection(section)) != sample(7) || messages[0].Envelope.Subject != "message 7" ||
				messages[0].BodyStructure.MediaType() != "text/plain" || !slices.Contains(messages[0].Flags, imap.FlagSeen) {
				t.Errorf("fetched %+v", messages)
			}
			must(c.Store(imap.UIDSetNum(1, 2, 3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
			expunged, err := c.UIDExpunge(imap.UIDSetNum(1, 2)).Collect()
			must(err)
			if len(expunged) != 2 {
				t.Errorf("expunged %v", expunged)
			}
			moved, err := c.Move(imap.UIDSetNum(9, 10), "Archive").Wait()
			must(err)
			if got := fmt.Sprint(moved.SourceUIDs, moved.DestUIDs); got != "9:10 1:2" {
				t.Errorf("moved %s", got)
			}
			idle, err := c.Idle()
			must(err)
			for len(news) > 0 {
				<-news
			}
			other := w.login()
			other.append(`Reisepl&AOQ-ne/2026`, "", sample(11))
			if n := <-news; n != 7 {
				t.Errorf("%d messages", n)
			}
			must(idle.Close())
			must(idle.Wait())
			must(c.Unselect().Wait())
			must(c.Rename("Reisepläne", "Pläne", nil).Wait())
			status, err := c.Status("Pläne/2026", &imap.StatusOptions{NumMessages: true, Size: true}).Wait()
			must(err)
			if *status.NumMessages != 7 {
				t.Errorf("status %+v", status)
			}
			must(c.Logout().Wait())
		})
	}
}

// imaplib is what Python's imaplib is asked to do; it raises on what it does not
// understand.
const imaplib = `
import imaplib, ssl, sys, time
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
m = imaplib.IMAP4_SSL("127.0.0.1", int(sys.argv[1]), ssl_context=ctx)
def ok(r):
    assert r[0] == "OK", r
    return r[1]
ok(m.login("ada@example.org", "secret"))
ok(m.create("Box")); ok(m.subscribe("Box"))
assert any(b'"Box"' in l for l in ok(m.list())), m.list()
assert any(b'"Box"' in l for l in ok(m.lsub())), m.lsub()
for i in range(5):
    ok(m.append("Box", "(\\Flagged)", imaplib.Time2Internaldate(time.time()), b"Subject: no %d\r\n\r\nText\r\n" % i))
assert ok(m.select("Box")) == [b"5"]
assert ok(m.search(None, "SUBJECT", '"no 3"')) == [b"4"]
assert ok(m.uid("SEARCH", "FLAGGED")) == [b"1 2 3 4 5"]
typ, data = m.fetch("2", "(FLAGS BODY[])")
assert data[0][1] == b"Subject: no 1\r\n\r\nText\r\n", data
typ, data = m.fetch("1:*", "(UID ENVELOPE BODYSTRUCTURE)")
assert len(data) == 5, data
ok(m.store("2:3", "+FLAGS", "(\\Deleted)"))
assert ok(m.expunge()) == [b"3", b"2"], "expunge"
ok(m.copy("1", "INBOX")); ok(m.uid("MOVE", "4", "Trash"))
assert ok(m.status("Box", "(MESSAGES UIDNEXT)")) == [b'"Box" (MESSAGES 2 UIDNEXT 6)'], m.status("Box", "(MESSAGES UIDNEXT)")
ok(m.noop()); ok(m.check()); ok(m.close()); ok(m.rename("Box", "Kiste")); ok(m.delete("Kiste"))
ok(m.enable("UTF8=ACCEPT"))
m.logout()
print("done")
`

func TestImaplib(t *testing.T) {
	python := testenv.Need(t, "python3")
	w := newWorld(t, nil)
	_, port, _ := strings.Cut(w.net.Addrs("tls")[0].String(), ":")
	out, err := exec.CommandContext(t.Context(), python, "-c", imaplib, port).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "done" {
		t.Fatalf("%v\n%s", err, out)
	}
}
