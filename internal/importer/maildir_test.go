package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
)

// read gives what a source holds, as lines of text.
func read(t testing.TB, src Source) map[string][]string {
	t.Helper()
	folders, err := src.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, f := range folders {
		lines := []string{fmt.Sprintf("validity %d next %d subscribed %t total %d", f.Validity, f.UIDNext, f.Subscribed, f.Total)}
		for msg, err := range f.Messages(t.Context(), func(string) bool { return false }) {
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%s %d %s %q", msg.Key, msg.UID, msg.Flags, readAll(t, msg)))
			if !msg.Date.Equal(testNow.Add(-time.Hour)) {
				t.Errorf("%s has date %s", msg.Key, msg.Date)
			}
		}
		all[f.Name] = lines
	}
	return all
}

func wantFolders(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for name, lines := range want {
		if !slices.Equal(got[name], lines) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got[name], "\n"), strings.Join(lines, "\n"))
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d folders, want %d: %v", len(got), len(want), got)
	}
}

func TestMaildir(t *testing.T) {
	dir := files(t, map[string]string{
		"new/": "", "tmp/3.half": "half",
		"cur/2.b:2,":                    "A: b\n",
		"cur/10.a:2,DFPRST":             "A: a\r\n",
		"cur/3.k:2,Sabz":                "A: k\n",
		"cur/nodate:2,":                 "A: x\n",
		"new/11.n":                      "A: n\n",
		"cur/.hidden":                   "no",
		"dovecot-keywords":              "0 work\n1 $Junk\nnonsense\n30 beyond\n",
		"dovecot-uidlist":               "3 V123 N9 G00\n7 W4 S5 :10.a\n5 :3.k:2,S\n8 :gone\n2 :2.b\n",
		"subscriptions":                 "V\t2\n\nINBOX\nSent\t2024\n",
		".Sent.2024/cur/1.s:2,R":        "A: s\n",
		".Sent.2024/dovecot-uidlist":    "1 77 3\n2 1.s\n",
		".&ZeVnLIqe-.a\\2eb/cur/":       "",
		".&broken/cur/1.x":              "A: x\n",
		".&broken/dovecot-uidlist":      "3 V1 N1\ngarbage\n",
		".twice/cur/1.x":                "A: 1\n",
		".twice/cur/2.x":                "A: 2\n",
		".twice/dovecot-uidlist":        "3 V1 N5\n3 :1.x\n3 :2.x\n",
		"fs/deep/cur/1.f:2,S":           "A: f\n",
		"fs/only a level/x":             "",
		".nomail/tmp/":                  "",
		".Sent.2024/maildirfolder":      "",
		"cur/12.raw,E=raw:2,":           "a\nb\r\n",
		"cur/13.M1P1.h,S=5,W=6:2,S,odd": "A: y\n",
	})
	wantFolders(t, read(t, Maildir{Dir: dir, Mailbox: mail.Inbox}), map[string][]string{
		"INBOX": {
			"validity 123 next 9 subscribed true total 7",
			`2.b 2 () "A: b\r\n"`,
			`3.k 5 (\Seen $Junk work) "A: k\r\n"`,
			`10.a 7 (\Answered \Flagged \Deleted \Seen \Draft $Forwarded) "A: a\r\n"`,
			`nodate 0 () "A: x\r\n"`,
			`11.n 0 () "A: n\r\n"`,
			`12.raw,E=raw 0 () "a\nb\r\n"`,
			`13.M1P1.h,S=5,W=6 0 (\Seen) "A: y\r\n"`,
		},
		"Sent/2024": {"validity 77 next 3 subscribed true total 1", `1.s 2 (\Answered) "A: s\r\n"`},
		"日本語/a.b":   {"validity 0 next 0 subscribed false total 0"},
		"&broken":   {"validity 0 next 0 subscribed false total 1", `1.x 0 () "A: x\r\n"`},
		"twice":     {"validity 0 next 0 subscribed false total 2", `1.x 0 () "A: 1\r\n"`, `2.x 0 () "A: 2\r\n"`},
		"fs/deep":   {"validity 0 next 0 subscribed false total 1", `1.f 0 (\Seen) "A: f\r\n"`},
	})
	below, err := Maildir{Dir: dir, Mailbox: "old"}.Folders(t.Context())
	if err != nil || below[0].Name != "old" || below[1].Name != "old/&broken" || !below[2].Subscribed {
		t.Errorf("below another mailbox: %+v, %v", below, err)
	}
	if _, err := (Maildir{Dir: filepath.Join(dir, "cur")}).Folders(t.Context()); err == nil {
		t.Error("a directory without cur is a maildir")
	}
}

func TestSubscriptions(t *testing.T) {
	for content, want := range map[string][]string{
		"Sent.2024\nINBOX\n&ZeVnLIqe-\n": {"Sent/2024", "INBOX", "日本語"},
		"Sent/v1.2\n":                    {"Sent/v1.2"},
		"V\t2\n\nSent\tv1.2\n日本語\n":      {"Sent/v1.2", "日本語"},
	} {
		got, err := readSubscriptions(files(t, map[string]string{"subscriptions": content, "courierimapsubscribed": "INBOX\nINBOX.Drafts.x\n"}))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(want, "Drafts/x", "INBOX") {
			if !got[name] {
				t.Errorf("%q: %s is not in %v", content, name, got)
			}
		}
	}
}

// A file whose flags change, or that is moved from new to cur, is still found;
// a link is not followed.
func TestMaildirMoves(t *testing.T) {
	dir := files(t, map[string]string{"cur/1.a:2,": "A: a\n", "new/2.b": "A: b\n", "cur/3.c:2,": "A: c\n", "secret": "S: x\n"})
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "cur", "4.link")); err != nil {
		t.Fatal(err)
	}
	folders, err := Maildir{Dir: dir, Mailbox: mail.Inbox}.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for msg, err := range folders[0].Messages(t.Context(), func(string) bool { return false }) {
		if err != nil {
			t.Fatal(err)
		}
		if msg.Key == "1.a" {
			rename(t, dir, "cur/1.a:2,", "cur/1.a:2,S")
			rename(t, dir, "new/2.b", "cur/2.b:2,RS")
			if err := os.Remove(filepath.Join(dir, "cur/3.c:2,")); err != nil {
				t.Fatal(err)
			}
		}
		r, err := msg.Open()
		if err != nil {
			got = append(got, msg.Key+" error")
			continue
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got = append(got, msg.Key+" "+msg.Flags.String()+" "+readAll(t, msg))
	}
	want := []string{"1.a () A: a\r\n", `2.b (\Answered \Seen) A: b` + "\r\n", "3.c error", "4.link error"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func rename(t *testing.T, dir, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}

func TestImportMaildir(t *testing.T) {
	w := newWorld(t)
	src := uidMaildir(t, 150)
	extra := map[string]string{
		".Sent/cur/1.s:2,S": "A: s\n", ".Sent/dovecot-uidlist": "3 V500 N7\n4 :1.s\n",
		".New.Deep/cur/1.d:2,F": "A: d\n", ".Empty/cur/": "", "subscriptions": "INBOX\nNew.Deep\nEmpty\n",
		".Odd..x\x01/cur/1.o": "A: o\n", ".Empty/dovecot-uidlist": "3 V501 N7\n",
	}
	copyInto(t, src.Dir, extra)
	result := w.run(src)
	kept := map[string]UIDs{}
	for _, f := range result.Folders {
		kept[f.Mailbox] = f.UIDs
	}
	want := map[string]UIDs{"INBOX": UIDsKept, "Sent": UIDsKept, "New/Deep": UIDsUnknown, "Empty": UIDsUnknown, "Odd/x_": UIDsUnknown}
	if fmt.Sprint(kept) != fmt.Sprint(want) {
		t.Errorf("UIDs: %v, want %v", kept, want)
	}
	if sum := result.Sum(); sum.Messages != 153 || sum.Refused+sum.Present+sum.Broken != 0 {
		t.Errorf("got %+v", sum)
	}
	sent, info := w.mailbox("Sent")
	if info.Validity != 500 || info.Counts.UIDNext != 7 || info.Use != mail.UseSent || sent[0].uid != 4 || sent[0].flags != `(\Seen)` || sent[0].date != testNow.Add(-time.Hour).Unix() {
		t.Errorf("Sent: %+v, %+v", info, sent)
	}
	if _, info := w.mailbox("New/Deep"); !info.Subscribed {
		t.Error("New/Deep is not subscribed")
	}
	w.wantMany(mail.Inbox, 150)

	// The source goes on: what is new comes with its UID.
	copyInto(t, src.Dir, map[string]string{
		"cur/1800000000.z:2,": "A: z\n", "dovecot-uidlist": "3 V1000000 N2001\n2000 :1800000000.z\n",
		".Empty/cur/1.e:2,": "A: e\n", ".Empty/dovecot-uidlist": "3 V501 N9\n8 :1.e\n",
	})
	if sum := func() FolderResult { r := w.run(src); return r.Sum() }(); sum.Messages != 2 || sum.Present != 153 {
		t.Errorf("a second time: %+v", sum)
	}
	if empty, info := w.mailbox("Empty"); info.Validity != 501 || info.Counts.UIDNext != 9 || len(empty) != 1 || empty[0].uid != 8 || !info.Subscribed {
		t.Errorf("Empty: %+v, %+v", empty, info)
	}
	inbox, info := w.mailbox(mail.Inbox)
	if last := inbox[len(inbox)-1]; last.uid != 2000 || info.Validity != 1_000_000 {
		t.Errorf("the last: %+v, %+v", last, info)
	}
}

func copyInto(t testing.TB, dir string, content map[string]string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(files(t, content))); err != nil {
		for name, text := range content { // CopyFS does not write over
			path := filepath.Join(dir, name)
			if strings.HasSuffix(name, "/") {
				err = os.MkdirAll(path, 0o700)
			} else if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				err = os.WriteFile(path, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name := range content {
		if err := os.Chtimes(filepath.Join(dir, name), testNow, testNow.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
}

// What becomes of UIDs when the mailbox is not what it would have to be.
func TestImportUIDs(t *testing.T) {
	appendOne := func(w *world, name string) {
		t.Helper()
		a := w.open()
		defer a.Release()
		box, err := a.Mailbox(name, mail.RightInsert)
		if err != nil {
			t.Fatal(err)
		}
		c, err := w.pool.Keep(t.Context(), strings.NewReader("Subject: own\r\n\r\n"))
		if err == nil {
			_, err = box.Append(t.Context(), []account.NewMessage{{Content: c, Date: mail.NewInternalDate(testNow)}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wantNew := func(w *world, r Result, why string) {
		t.Helper()
		if f := r.Folders[0]; f.UIDs != UIDsNew || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], why) {
			t.Errorf("got %+v, want new UIDs because of %q", f, why)
		}
		w.wantNames("Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash")
	}

	w := newWorld(t) // a message is there
	appendOne(w, mail.Inbox)
	wantNew(w, w.run(uidMaildir(t, 100)), "the mailbox has, or had, messages")
	if got, info := w.mailbox(mail.Inbox); len(got) != 101 || info.Validity == 1_000_000 || got[100].text != manyText(99) {
		t.Errorf("got %d messages, %+v", len(got), info)
	}

	w = newWorld(t) // a message comes while the import runs
	told := 0
	result, err := w.im.Import(t.Context(), owner, uidMaildir(t, 100), func(p Progress) {
		if told++; told == 2 {
			appendOne(w, mail.Inbox)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	wantNew(w, result, "the mailbox has, or had, messages")
	if got, info := w.mailbox(mail.Inbox); len(got) != 101 || info.Validity == 1_000_000 || got[0].text != "Subject: own\r\n\r\n" || got[100].text != manyText(99) || got[100].flags != `(\Seen)` {
		t.Errorf("got %d messages, %+v", len(got), info)
	}

	w = newWorld(t) // the mailbox was there before, with these UIDs, and may have had others since
	a := w.open()
	if err := a.DeleteMailbox(t.Context(), "Sent"); err != nil {
		t.Fatal(err)
	}
	src := uidMaildir(t, 3)
	src.Mailbox = "Sent"
	if f := w.run(src).Folders[0]; f.UIDs != UIDsKept {
		t.Errorf("got %+v", f)
	}
	if err := a.DeleteMailbox(t.Context(), "Sent"); err != nil {
		t.Fatal(err)
	}
	a.Release()
	wantNew(w, w.run(src), "had this UIDVALIDITY before")

	w = newWorld(t) // numbers that leave none
	src = uidMaildir(t, 3)
	copyInto(t, src.Dir, map[string]string{"dovecot-uidlist": "3 V4294967295 N5\n1 :1700000000.M1P1.host,S=0\n"})
	wantNew(w, w.run(src), "so high")

	w = newWorld(t) // the same, the second time round
	src = uidMaildir(t, 3)
	w.run(src)
	copyInto(t, src.Dir, map[string]string{"cur/1800000000.z:2,": "A: z\n", "dovecot-uidlist": "3 V7 N5\n4 :1800000000.z\n"})
	wantNew(w, w.run(src), "UIDVALIDITY changed")
	if got, info := w.mailbox(mail.Inbox); got[3].uid != 2000 || info.Validity != 1_000_000 {
		t.Errorf("got %+v, %+v", got[3], info)
	}
}

// A store that was restored from a backup has new UIDVALIDITYs.
func TestImportRenumbered(t *testing.T) {
	w := newWorld(t)
	src := uidMaildir(t, 3)
	w.run(src)
	w.restart()
	if _, err := w.pool.Renumber(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	copyInto(t, src.Dir, map[string]string{"cur/1800000000.z:2,": "A: z\n"})
	f := w.run(src).Folders[0]
	if f.UIDs != UIDsNew || f.Messages != 1 || f.Present != 3 || len(f.Notes) == 0 || !strings.Contains(f.Notes[0], "another UIDVALIDITY") {
		t.Errorf("got %+v", f)
	}
}

func FuzzUIDList(f *testing.F) {
	f.Add([]byte("3 V1 N2 G00\n1 W2 :a\n"))
	f.Add([]byte("1 77 3\n2 1.s\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readUIDList(filepath.Join(files(t, map[string]string{"list": string(data)}), "list"))
		if err != nil {
			return
		}
		for base, uid := range list.uids {
			if base == "" || uid == 0 || uid >= list.next {
				t.Errorf("%q has UID %d, UIDNEXT is %d", base, uid, list.next)
			}
		}
	})
}
