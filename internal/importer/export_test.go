package importer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/account"
	"postern/internal/mail"
)

// state is all that an export shall bring to another account.
type state map[string]boxState

type boxState struct {
	validity   mail.UIDValidity
	next       mail.UID
	subscribed bool
	messages   []stored
}

func (w *world) state() state {
	w.t.Helper()
	a := w.open()
	defer a.Release()
	all := state{}
	for _, name := range names(a) {
		messages, info := w.mailbox(name)
		b := boxState{subscribed: info.Subscribed, messages: messages}
		if len(messages) > 0 { // an empty mailbox has no UIDs to keep
			b.validity, b.next = info.Validity, info.Counts.UIDNext
		}
		all[name] = b
	}
	return all
}

func (w *world) exportMaildir(dir string) Result {
	w.t.Helper()
	a := w.open()
	defer a.Release()
	result, err := Export(context.Background(), Mailboxes{Account: a}, func(ctx context.Context, r io.Reader) (Result, error) {
		return SaveMaildir(ctx, r, dir, nil)
	})
	if err != nil {
		w.t.Fatalf("export: %v", err)
	}
	return result
}

// fill makes mailboxes with messages of all kinds.
func (w *world) fill(t *rapid.T) {
	a := w.open()
	defer a.Release()
	name := rapid.StringMatching(`[a-c.&~\\日本]{1,3}(/[a-c.&\\ä ]{1,3}){0,2}`)
	keyword := rapid.SampledFrom([]string{"$Forwarded", "$Junk", "work", "a+b", "$label1"})
	text := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string {
			return "A: b\r\n\r\n" + strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"text", "\r\n", "\n", "\r", "\x00", "From ", ">From "})).Draw(t, "pieces"), "")
		}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 100), func(b []byte) string { return string(b) }),
	)
	for range rapid.IntRange(0, 4).Draw(t, "mailboxes") {
		_, err := a.CreateMailbox(context.Background(), name.Draw(t, "name"), 0)
		if err != nil && mail.KindOf(err) != mail.AlreadyExists && mail.KindOf(err) != mail.Cannot {
			t.Fatal(err)
		}
	}
	for _, name := range names(a) {
		if rapid.Bool().Draw(t, "subscribed") {
			if err := a.Subscribe(context.Background(), name, true); err != nil {
				t.Fatal(err)
			}
		} else if err := a.Subscribe(context.Background(), name, false); err != nil {
			t.Fatal(err)
		}
		box, err := a.Mailbox(name, mail.RightInsert)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 4).Draw(t, "messages") {
			content, err := w.pool.Keep(context.Background(), strings.NewReader(text.Draw(t, "text")))
			if err != nil {
				t.Fatal(err)
			}
			flags := mail.NewFlags(mail.SystemFlags(rapid.IntRange(0, 31).Draw(t, "flags")), rapid.SliceOfN(keyword, 0, 3).Draw(t, "keywords")...)
			date := time.Unix(rapid.Int64Range(-1<<31, 1<<33).Draw(t, "date"), 0).In(time.FixedZone("", 3600))
			msg := account.NewMessage{
				Content: content, Flags: flags, Date: mail.NewInternalDate(date),
				UID: box.Info().Counts.UIDNext + mail.UID(rapid.IntRange(0, 3).Draw(t, "gap")),
			}
			if rapid.Bool().Draw(t, "delivered") {
				msg.Prefix = []byte("Return-Path: <>\r\n")
			}
			if _, err := box.Append(context.Background(), []account.NewMessage{msg}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is exported into a maildir and imported again is what it was: messages
// octet by octet, flags, dates, UIDs, mailboxes and subscriptions.
func TestMaildirRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		w.fill(r)
		want := w.state()
		dir := filepath.Join(t.TempDir(), "export")
		w.exportMaildir(dir)
		to := newWorld(t)
		a := to.open() // its own subscriptions are no matter of the export
		for _, name := range names(a) {
			if err := a.Subscribe(t.Context(), name, false); err != nil {
				r.Fatal(err)
			}
		}
		a.Release()
		if result := to.run(Maildir{Dir: dir, Mailbox: mail.Inbox}); len(result.Sum().Skipped) > 0 {
			r.Fatalf("%+v", result)
		}
		got := to.state()
		for name := range got {
			if !reflect.DeepEqual(got[name], want[name]) {
				r.Errorf("%s came back as %+v, was %+v", name, got[name], want[name])
			}
		}
		if len(got) != len(want) {
			r.Errorf("%d mailboxes came back, were %d", len(got), len(want))
		}
	})
}

func TestExportMaildir(t *testing.T) {
	w := newWorld(t)
	w.run(uidMaildir(t, 2))
	src := mboxFile(t, "From a Mon Jan  5 10:00:00 2026\nX-Keywords: $Forwarded work\nX-Status: AFDT\nStatus: R\n\nx\n\n")
	src.Mailbox = "ä/b.c"
	w.run(src)
	dir := filepath.Join(t.TempDir(), "new", "export")
	result := w.exportMaildir(dir)
	if sum := result.Sum(); sum.Messages != 3 || sum.Keywords != 0 {
		t.Errorf("got %+v", sum)
	}
	var found []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Subject: message 0 CRLF CRLF body 0 CRLF are 30 octets and 3 line ends,
	// those of the mbox 61 and 5.
	ours := `.&AOQ-.b\2ec/cur/1767607200.U1V%d.postern,S=56,W=61:2,DFRSTab`
	a := w.open()
	info, _ := mailboxByName(a, "ä/b.c")
	a.Release()
	for _, want := range []string{
		"cur/1793530800.U10V1000000.postern,S=27,W=30:2,S", "dovecot-uidlist", "subscriptions", ".Sent/maildirfolder",
		fmt.Sprintf(ours, info.Validity), `.&AOQ-.b\2ec/dovecot-keywords`,
	} {
		if !slices.Contains(found, want) {
			t.Errorf("%s is not among\n%s", want, strings.Join(found, "\n"))
		}
	}
	for name, want := range map[string]string{
		"cur/1793530800.U10V1000000.postern,S=27,W=30:2,S": "Subject: message 0\n\nbody 0\n",
		`.&AOQ-.b\2ec/dovecot-keywords`:                    "0 $Forwarded\n1 work\n",
		"subscriptions":                                    "Archive\nDrafts\nINBOX\nJunk\nSent\nTrash\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	list, err := os.ReadFile(filepath.Join(dir, "dovecot-uidlist"))
	if head, lines, _ := strings.Cut(string(list), "\n"); err != nil || !strings.HasPrefix(head, "3 V1000000 N2000 G") ||
		lines != "10 :1793530800.U10V1000000.postern,S=27,W=30\n12 :1793530800.U12V1000000.postern,S=27,W=30\n" {
		t.Errorf("dovecot-uidlist is %q, %v", list, err)
	}

	// A second time there is something in the way.
	a = w.open()
	defer a.Release()
	_, err = Export(t.Context(), Mailboxes{Account: a}, func(ctx context.Context, r io.Reader) (Result, error) {
		return SaveMaildir(ctx, r, dir, nil)
	})
	if mail.KindOf(err) != mail.AlreadyExists {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	for name, save := range map[string]func(string) error{
		"maildir": func(path string) error { _, err := SaveMaildir(t.Context(), &chunks{}, path, nil); return err },
		"mbox": func(path string) error {
			_, err := SaveMbox(t.Context(), &chunks{}, path, MboxOptions{}, nil)
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := save(path); mail.KindOf(err) != mail.Canceled {
			t.Errorf("%s: a stream of nothing: %v", name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("%s: a stream of nothing leaves %v, %v", name, left, err)
		}
	}
	if _, err := (Mailboxes{Account: a, Only: []string{"nobody"}}).Folders(t.Context()); mail.KindOf(err) != mail.NotFound {
		t.Errorf("a mailbox that is not there: %v", err)
	}
}

// An export that breaks off leaves whole files in cur, and is readable.
func TestExportBroken(t *testing.T) {
	w := newWorld(t)
	w.run(uidMaildir(t, 50))
	a := w.open()
	defer a.Release()
	dir := filepath.Join(t.TempDir(), "export")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Export(ctx, Mailboxes{Account: a, Only: []string{mail.Inbox}}, func(ctx context.Context, r io.Reader) (Result, error) {
		return SaveMaildir(ctx, io.MultiReader(io.LimitReader(r, 3000), &chunks{}), dir, nil)
	})
	cancel()
	if mail.KindOf(err) != mail.Canceled {
		t.Errorf("got %v", err)
	}
	folders, err := Maildir{Dir: dir, Mailbox: mail.Inbox}.Folders(t.Context())
	if err != nil || folders[0].Total == 0 || folders[0].Total == 50 || folders[0].Validity != 1_000_000 {
		t.Fatalf("got %+v, %v", folders, err)
	}
	i := 0
	for msg, err := range folders[0].Messages(t.Context(), func(string) bool { return false }) {
		if err != nil || readAll(t, msg) != manyText(i) || msg.UID != mail.UID(10+2*i) {
			t.Errorf("message %d: %+v, %v", i, msg, err)
		}
		i++
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("in tmp: %v, %v", left, err)
	}
}

func exportMbox(t testing.TB, w *world, mailbox string, o MboxOptions) (string, string) {
	t.Helper()
	a := w.open()
	defer a.Release()
	file := filepath.Join(t.TempDir(), "out")
	save := func(ctx context.Context, r io.Reader) (Result, error) { return SaveMbox(ctx, r, file, o, nil) }
	result, err := Export(t.Context(), Mailboxes{Account: a, Only: []string{mailbox}}, save)
	if err != nil || result.Folders[0].Mailbox != file {
		t.Fatal(result, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), Mailboxes{Account: a, Only: []string{mailbox}}, save); mail.KindOf(err) != mail.AlreadyExists {
		t.Errorf("into a file that is there: %v", err)
	}
	return file, string(text)
}

func TestExportMbox(t *testing.T) {
	long := strings.Repeat("x", 64<<10-1)
	texts := []string{
		"A: b\r\n\r\nFrom x\r\n>From y\r\n>>From z\r\n>Fro\r\n", "A: b\r\n\r\n\r\n\r\n", "A: b\r\n", "",
		"A: b\r\n\r\n" + long + "\r\nFrom x\r\n", "A: b\r\n\r\n" + long[:64<<10-10] + "\r\n" + long + "\rx\r\n", "A: b\r\n\r\nFrom a Mon Jan  5 10:00:00 2026\r\nB: c\r\n",
	}
	w := newWorld(t)
	a := w.open()
	box, err := a.Mailbox("Sent", mail.RightInsert)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		c, err := w.pool.Keep(t.Context(), strings.NewReader(text))
		if err == nil {
			flags := mail.NewFlags(mail.SystemFlags(i*5), []string{"work", "$Junk"}[:i%3]...)
			_, err = box.Append(t.Context(), []account.NewMessage{{Content: c, Flags: flags, Date: mail.NewInternalDate(testNow.Add(time.Duration(i) * time.Hour))}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.Release()
	want, _ := w.mailbox("Sent")

	file, text := exportMbox(t, w, "Sent", MboxOptions{Bare: true})
	if head := "From MAILER-DAEMON Sun Nov  1 12:00:00 2026\nA: b\n\n>From x\n>>From y\n>>>From z\n>Fro\n\nFrom MAILER"; !strings.HasPrefix(text, head) {
		t.Errorf("it begins with %.100q", text)
	}
	if strings.Contains(text, "\r\n") {
		t.Error("there are CRLFs in it")
	}
	got, all := mboxTexts(t, Mbox{File: file})
	if !slices.Equal(got, texts) {
		t.Errorf("got %.100q", got)
	}
	for i, m := range all {
		if m.Date.Unix() != want[i].date || !m.Flags.Empty() {
			t.Errorf("message %d: %s, %s", i, m.Date, m.Flags)
		}
	}

	// With flags, twice: the fields of the first time are still there.
	file, _ = exportMbox(t, w, "Sent", MboxOptions{})
	again := newWorld(t)
	again.run(Mbox{File: file, Mailbox: "Sent"})
	a = again.open()
	box, err = a.Mailbox("Sent", mail.RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	s, err := box.Select(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StoreFlags(t.Context(), account.StoreRequest{UIDs: mail.NewUIDSet(6), Op: mail.SetFlags}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	a.Release()
	want[5].flags = "()"
	file, _ = exportMbox(t, again, "Sent", MboxOptions{})
	_, all = mboxTexts(t, Mbox{File: file})
	for i, m := range all {
		if m.Flags.String() != want[i].flags {
			t.Errorf("message %d: flags %s, want %s", i, m.Flags, want[i].flags)
		}
	}
}
