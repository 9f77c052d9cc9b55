package importer

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/internal/mail"
	"postern/internal/testenv"
)

// dovecotMailUser is the number of "vmail" in the root directory Dovecot runs in.
const dovecotMailUser = 64105

// doveadm is Debian's Dovecot at work on a maildir, without a server.
type doveadm struct {
	t       *testing.T
	root    string
	inside  string // the directory as Dovecot sees it
	maildir string // as we do
}

func newDoveadm(t *testing.T) *doveadm {
	root := testenv.NeedPeer(t, "dovecot")
	dir, err := os.MkdirTemp(root, "importer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d := &doveadm{t: t, root: root, inside: "/" + filepath.Base(dir), maildir: filepath.Join(dir, "mail")}
	config := fmt.Sprintf("log_path = /dev/stderr\nbase_dir = %[1]s/run\nstate_dir = %[1]s/state\nmail_location = maildir:%[1]s/mail\n"+
		"mail_uid = %[2]d\nmail_gid = %[2]d\nfirst_valid_uid = 1\ndefault_vsz_limit = 0\nnamespace inbox {\n  inbox = yes\n  separator = /\n}\n",
		d.inside, dovecotMailUser)
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// own gives Dovecot's user everything in the directory.
func (d *doveadm) own() {
	d.t.Helper()
	err := filepath.WalkDir(filepath.Dir(d.maildir), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, dovecotMailUser, dovecotMailUser)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *doveadm) run(input string, args ...string) string {
	d.t.Helper()
	d.own()
	cmd := exec.Command("/usr/bin/doveadm", append([]string{"-c", d.inside + "/dovecot.conf"}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + d.inside, "USER=somebody",
		"LD_LIBRARY_PATH=/usr/lib/dovecot:/usr/lib/" + testenv.Multiarch() + ":/lib/" + testenv.Multiarch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: d.root, Credential: &syscall.Credential{Uid: dovecotMailUser, Gid: dovecotMailUser}}
	cmd.Stdin = strings.NewReader(input)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		d.t.Fatalf("doveadm %q: %v\n%s", args, err, log.String())
	}
	return out.String()
}

// A maildir that Dovecot wrote comes in with everything Dovecot knows of it.
func TestImportFromDovecot(t *testing.T) {
	d := newDoveadm(t)
	if err := os.Mkdir(d.maildir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		d.run(strings.ReplaceAll(manyText(i), "\r\n", "\n"), "save", "-m", "INBOX")
	}
	d.run("", "mailbox", "create", "-s", "日本語/x")
	d.run("Subject: two\n\nbody\n", "save", "-m", "日本語/x")
	d.run("", "flags", "add", `\Seen $Forwarded work`, "mailbox", "INBOX", "uid", "2")
	d.run("", "flags", "add", `\Answered \Draft \Flagged \Deleted`, "mailbox", "INBOX", "uid", "3")
	d.run("", "expunge", "mailbox", "INBOX", "uid", "1")
	dates := d.run("", "-f", "flow", "fetch", "date.received.unixtime", "mailbox", "INBOX")
	status := strings.Fields(d.run("", "-f", "flow", "mailbox", "status", "uidvalidity uidnext", "INBOX"))

	w := newWorld(t)
	result := w.run(Maildir{Dir: d.maildir, Mailbox: mail.Inbox})
	for _, f := range result.Folders {
		if f.UIDs != UIDsKept || f.Refused+f.Broken+f.Keywords > 0 || len(f.Notes) > 0 {
			t.Errorf("got %+v", f)
		}
	}
	got, info := w.mailbox(mail.Inbox)
	want := []string{`2 (\Seen $Forwarded work) message 1`, `3 (\Answered \Flagged \Deleted \Draft) message 2`, "4 () message 3"}
	for i, m := range got {
		if !strings.Contains(dates, fmt.Sprintf("unixtime=%d\n", m.date)) {
			t.Errorf("date %d is not among Dovecot's: %q", m.date, dates)
		}
		_, subject, _ := strings.Cut(strings.SplitN(m.text, "\r\n", 2)[0], ": ")
		if line := fmt.Sprintf("%d %s %s", m.uid, m.flags, subject); i >= len(want) || line != want[i] {
			t.Errorf("got %q", line)
		}
	}
	says := fmt.Sprintf("INBOX uidnext=%d uidvalidity=%d", info.Counts.UIDNext, info.Validity)
	if strings.Join(status, " ") != says {
		t.Errorf("Dovecot says %q, we have %q", strings.Join(status, " "), says)
	}
	if deep, info := w.mailbox("日本語/x"); len(deep) != 1 || !info.Subscribed {
		t.Errorf("got %+v, %+v", deep, info)
	}
}

// Dovecot reads a maildir that we wrote, with the UIDs, flags and dates it should
// have.
func TestDovecotReadsExport(t *testing.T) {
	d := newDoveadm(t)
	w := newWorld(t)
	w.run(uidMaildir(t, 3))
	src := mboxFile(t, from+"X-Keywords: $Forwarded work\nX-Status: AFDT\nStatus: R\n\nx\n\n")
	src.Mailbox = "日本語/x"
	w.run(src)
	w.exportMaildir(d.maildir)

	got := d.run("", "-f", "tab", "fetch", "mailbox uid flags date.received.unixtime size.virtual hdr.subject", "all")
	for _, want := range []string{
		"INBOX\t10\t\\Seen\t1793530800\t30\tmessage 0\n",
		"INBOX\t14\t\\Seen\t1793530800\t30\tmessage 2\n",
		"日本語/x\t1\t\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded work\t1767607200\t61\t\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in what Dovecot says:\n%s", want, got)
		}
	}
	if status := d.run("", "-f", "flow", "mailbox", "status", "uidvalidity uidnext", "INBOX"); strings.TrimSpace(status) != "INBOX uidnext=2000 uidvalidity=1000000" {
		t.Errorf("Dovecot says %q", status)
	}
	if list := d.run("", "mailbox", "list", "-s"); !strings.Contains(list, "Drafts") {
		t.Errorf("subscribed are %q", list)
	}
}
