package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

func TestImportMbox(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	w := newWorld(t)
	src := mboxFile(t, manyMbox(n))
	var told []Progress
	result, err := w.im.Import(t.Context(), owner, src, func(p Progress) { told = append(told, p) })
	if err != nil {
		t.Fatal(err)
	}
	if f := result.Folders[0]; f.Messages != n || f.Mailbox != "Old" || f.Broken+f.Refused+f.Present+f.Keywords != 0 || len(f.Notes) > 0 {
		t.Errorf("got %+v", f)
	}
	if last := told[len(told)-1]; last.Messages != n || last.Folder != "Old" || last.Total != -1 || last.Bytes != result.Folders[0].Bytes || len(told) < n/batchMessages {
		t.Errorf("progress ended with %+v after %d times", last, len(told))
	}
	w.wantMany("Old", n)
	w.restart()
	if sum := w.run(src); len(sum.Folders) != 1 || sum.Folders[0].Present != n || sum.Folders[0].Messages != 0 {
		t.Errorf("a second time: %+v", sum)
	}
	w.wantMany("Old", n)

	// More arrived since, and the rest of the file is not what it was.
	src.File = mboxFile(t, "").File
	if result := w.run(src); result.Folders[0].Messages != 0 {
		t.Errorf("an empty file: %+v", result)
	}
}

// A file to which messages were added, and from which some were deleted.
func TestImportChangedMbox(t *testing.T) {
	w := newWorld(t)
	src := mboxFile(t, manyMbox(100))
	w.run(src)
	rest := manyMbox(130)
	rest = rest[strings.Index(rest, "From a@example.org Mon Jan  5 10:00:10"):]
	if err := writeFile(src.File, rest); err != nil {
		t.Fatal(err)
	}
	if f := w.run(src).Folders[0]; f.Messages != 30 || f.Present != 90 {
		t.Errorf("got %+v", f)
	}
	w.wantMany("Old", 130)

	// A mailbox that was deleted is imported anew.
	a := w.open()
	if err := a.DeleteMailbox(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	a.Release()
	if f := w.run(src).Folders[0]; f.Messages != 120 || f.Present != 0 {
		t.Errorf("after the mailbox was deleted: %+v", f)
	}
	// One that was renamed is still the one.
	a = w.open()
	if err := a.RenameMailbox(t.Context(), "Old", "Older"); err != nil {
		t.Fatal(err)
	}
	a.Release()
	if f := w.run(src).Folders[0]; f.Messages != 0 || f.Present != 120 || f.Mailbox != "Older" {
		t.Errorf("after the mailbox was renamed: %+v", f)
	}
}

func TestImportOddMessages(t *testing.T) {
	w := newWorld(t)
	keyword := strings.Repeat("k", 300)
	src := mboxFile(t, from+"no header here\n\nx\n\n"+
		from+"A: 1\nwhat is this\nB: 2\n\n\n"+
		from+"\nx\n\n"+
		from+"\n"+
		from+"A : obsolete\n folded\n\nx\n\n"+
		from+"X-Keywords: good a(b $Forwarded \\Odd "+keyword+" \x80\nA: 1\n\nx\n\n"+
		from+"Big: 1\n\n"+strings.Repeat("x", 1<<20)+"\n\n"+
		"From a@example.org Mon Jan 99 10:00:00 2026\nA: 2\n\nx\n\n")
	f := w.run(src).Folders[0]
	if f.Messages != 7 || f.Broken != 4 || f.Keywords != 4 || f.Refused != 1 || len(f.Skipped) != 1 || !strings.Contains(f.Skipped[0].Reason, "larger than") {
		t.Errorf("got %+v", f)
	}
	got, _ := w.mailbox("Old")
	if got[3].text != "" || got[0].text != "no header here\r\n\r\nx\r\n" || got[5].flags != "($Forwarded good)" {
		t.Errorf("got %+v", got)
	}
	if got[6].date != testNow.Unix() || got[0].date != time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("dates %d, %d", got[0].date, got[6].date)
	}
}

func TestHeaderCheck(t *testing.T) {
	for text, broken := range map[string]bool{
		"": true, "\r\n": true, "A: 1": false, "A: 1\r\n\r\nbody without: x\r\n": false, "A:\r\n b\r\n\r\n": false,
		" A: 1\r\n\r\n": true, "A\r\n\r\n": true, "A": true, "A \t: 1\r\n\r\n": false, "A B: 1\r\n\r\n": true, ": x\r\n": true,
		"A: 1\nB: 2\n\nx": false, "From x\r\nA: 1\r\n\r\n": true, "\xe4: 1\r\n": true, "A: 1\r\n\rB: 2\r\n": true,
	} {
		var h headerCheck
		for _, c := range []byte(text) {
			if n, err := h.Write([]byte{c}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if h.broken() != broken {
			t.Errorf("%q: broken is %t", text, h.broken())
		}
	}
}

// broken off anywhere and run again, an import has every message once.
func TestImportFaults(t *testing.T) {
	lost := errors.New("lost")
	for _, op := range []storetest.Op{
		storetest.OpCommit, storetest.OpPut, storetest.OpShelfPut, storetest.OpShelfGet, storetest.OpLoad, storetest.OpSave, storetest.OpHeads,
	} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s done %t", op, done), func(t *testing.T) {
				for skip := range 400 {
					if testing.Short() && skip > 6 && skip%5 != 0 || op == storetest.OpPut && skip%67 > 1 {
						continue
					}
					if w := newWorld(t); !w.faultyImport(op, storetest.Fault{Err: faultOf(op, done, lost), Done: done, Skip: skip, Times: 1}) {
						return // the fault was not reached
					}
				}
				t.Error("the import never ends")
			})
		}
	}
}

func faultOf(op storetest.Op, done bool, lost error) error {
	if op == storetest.OpCommit && done {
		return store.ErrUnknown
	}
	return mail.Wrap(lost, mail.Unavailable, "the store is away")
}

// faultyImport imports a maildir with UIDs and an mbox with a fault, ends the
// process, and runs the import again. It reports whether the fault came.
func (w *world) faultyImport(op storetest.Op, fault storetest.Fault) (reached bool) {
	w.t.Helper()
	sources := []Source{uidMaildir(w.t, 150), mboxFile(w.t, manyMbox(150))}
	a := w.open() // its making is not the matter
	a.Release()
	w.faulty.Fail(op, fault)
	calls := w.faulty.Calls(op)
	for _, src := range sources {
		if _, err := w.im.Import(context.Background(), owner, src, nil); err != nil {
			reached = true
		}
	}
	reached = reached || w.faulty.Calls(op)-calls > fault.Skip
	w.restart()
	for _, src := range sources {
		w.run(src)
		if f := w.run(src).Folders[0]; f.Present != 150 {
			w.t.Fatalf("a third time: %+v", f)
		}
	}
	w.wantMany("Old", 150)
	w.wantMany(mail.Inbox, 150)
	got, info := w.mailbox(mail.Inbox)
	if info.Validity != 1_000_000 || info.Counts.UIDNext != 2000 || got[0].uid != 10 || got[149].uid != 10+149*2 {
		w.t.Fatalf("UIDs are not kept: %+v, %d to %d", info, got[0].uid, got[149].uid)
	}
	w.wantNames("Archive", "Drafts", "INBOX", "Junk", "Old", "Sent", "Trash")
	return reached
}

func (w *world) wantNames(want ...string) {
	w.t.Helper()
	a := w.open()
	defer a.Release()
	if got := names(a); !slices.Equal(got, want) {
		w.t.Errorf("mailboxes are %q, want %q", got, want)
	}
}

// A fault while the messages of a mailbox apart are moved, because mail came in
// meanwhile.
func TestMergeFaults(t *testing.T) {
	for _, op := range []storetest.Op{storetest.OpCommit, storetest.OpShelfPut} {
		for _, done := range []bool{false, true} {
			skip, reached := 0, true
			for ; reached; skip++ {
				w := newWorld(t)
				other := account.NewPool(w.mem, account.Options{Now: func() time.Time { return testNow }, Every: -1})
				told := 0
				src := uidMaildir(t, 100)
				calls := 0
				_, err := w.im.Import(t.Context(), owner, src, func(Progress) {
					if told++; told == 2 { // of 100 the first 64 are in
						deliverTo(t, other)
						w.faulty.Fail(op, storetest.Fault{Err: faultOf(op, done, errors.New("lost")), Done: done, Skip: skip})
						calls = w.faulty.Calls(op)
					}
				})
				reached = err != nil || w.faulty.Calls(op)-calls > skip
				if err := other.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.restart()
				w.run(src)
				if f := w.run(src).Folders[0]; f.Present != 100 || f.Messages != 0 {
					t.Fatalf("%s %t, %d: a third time: %+v", op, done, skip, f)
				}
				got, info := w.mailbox(mail.Inbox)
				if len(got) != 101 || got[0].text != "Subject: new\r\n\r\n" || got[100].text != manyText(99) || info.Validity == 1_000_000 {
					t.Fatalf("%s %t, %d: %d messages, %+v", op, done, skip, len(got), info)
				}
				w.wantNames("Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash")
			}
			if skip < 4 {
				t.Errorf("%s: only %d faults came", op, skip)
			}
		}
	}
}

// deliverTo delivers a message as another node does.
func deliverTo(t *testing.T, pool *account.Pool) {
	t.Helper()
	a, err := pool.Open(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	inbox, err := a.Mailbox(mail.Inbox, mail.RightPost)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pool.Keep(context.Background(), strings.NewReader("Subject: new\r\n\r\n"))
	if err == nil {
		_, err = inbox.Append(context.Background(), []account.NewMessage{{Content: c, Date: mail.NewInternalDate(testNow)}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// uidMaildir is a maildir of n messages, those of manyMbox, with UIDs 10, 12, ...
func uidMaildir(t testing.TB, n int) Maildir {
	content := map[string]string{"cur/": "", "new/": "", "tmp/": ""}
	list := "3 V1000000 N2000 G0123456789abcdef0123456789abcdef\n"
	for i := range n {
		base := fmt.Sprintf("%d.M1P1.host,S=%d", 1_700_000_000-i, i) // names in another order than UIDs
		content["cur/"+base+":2,S"] = strings.ReplaceAll(manyText(i), "\r\n", "\n")
		list += fmt.Sprintf("%d W10 :%s\n", 10+2*i, base)
	}
	content["dovecot-uidlist"] = list
	return Maildir{Dir: files(t, content), Mailbox: mail.Inbox}
}

// A crash at any write: what is durable until then is all there is. The appended
// batch with its ledger not yet told is the case that matters.
func TestImportKilled(t *testing.T) {
	for skip := range 60 {
		for _, op := range []storetest.Op{storetest.OpCommit, storetest.OpShelfPut} {
			w := newWorld(t)
			src := uidMaildir(t, 300)
			a := w.open()
			a.Release()
			// The nth write comes through unheard, and none after it.
			w.faulty.Fail(op, storetest.Fault{Err: faultOf(op, true, errors.New("killed")), Done: true, Skip: skip})
			w.faulty.Fail(op, storetest.Fault{Err: mail.Errorf(mail.Unavailable, "dead"), Times: -1})
			_, err := w.im.Import(context.Background(), owner, src, nil)
			w.restart()
			w.run(src)
			w.wantMany(mail.Inbox, 300)
			if err == nil && skip > 0 {
				return
			}
		}
	}
}

// A stream that stops anywhere keeps what came whole, and the next goes on.
func TestTruncatedStream(t *testing.T) {
	src := mboxFile(t, manyMbox(200))
	folders, err := src.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if err := Send(t.Context(), src.Name(), folders, nil, &whole); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	had := 0
	for cut := 0; cut < whole.Len(); cut += 1 + whole.Len()/40 {
		result, err := w.im.Receive(t.Context(), owner, bytes.NewReader(whole.Bytes()[:cut]), nil)
		if mail.KindOf(err) != mail.Canceled {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if cut < 200 {
			continue
		}
		sum := result.Sum()
		if sum.Present != had {
			t.Fatalf("cut at %d: %d were there, want %d", cut, sum.Present, had)
		}
		had += sum.Messages
		w.wantMany("Old", had)
	}
	if had < 150 {
		t.Errorf("%d messages of 200 came with nearly all of the stream", had)
	}
	if result, err := w.im.Receive(t.Context(), owner, bytes.NewReader(whole.Bytes()), nil); err != nil || result.Sum().Present != had {
		t.Errorf("the whole: %+v, %v", result, err)
	}
	w.wantMany("Old", 200)

	for at := 0; at < whole.Len(); at += 97 { // and one that is damaged is noticed
		bad := bytes.Clone(whole.Bytes())
		bad[at] ^= 0x20
		w := &world{t: t, mem: storetest.Memory()}
		w.faulty = storetest.Failing(w.mem)
		w.start()
		if _, err := w.im.Receive(t.Context(), owner, bytes.NewReader(bad), nil); err == nil {
			t.Fatalf("octet %d was changed and nobody noticed", at)
		}
		w.stop()
	}
}

// ctx ends an import between two messages; run again it goes on.
func TestImportCanceled(t *testing.T) {
	w := newWorld(t)
	src := mboxFile(t, manyMbox(500))
	runs := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := w.im.Import(ctx, owner, src, func(p Progress) {
			if p.Messages > 0 && runs < 4 {
				cancel()
			}
		})
		cancel()
		runs++
		if runs > 10 {
			t.Fatal("it does not come forward")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if runs < 4 {
		t.Error("it was not canceled")
	}
	w.wantMany("Old", 500)
}

func TestImportTwiceAtOnce(t *testing.T) {
	w := newWorld(t)
	src := mboxFile(t, manyMbox(3))
	hold, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	done := make(chan error)
	go func() {
		_, err := w.im.Import(context.Background(), owner, src, func(p Progress) {
			if p.Messages == 3 {
				once.Do(func() { close(hold) })
				<-release
			}
		})
		done <- err
	}()
	<-hold
	_, err := w.im.Import(t.Context(), owner, src, nil)
	if mail.KindOf(err) != mail.InUse {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.wantMany("Old", 3)
}

// Mail that is delivered into the mailbox meanwhile takes UIDs, not places.
func TestImportBesideDelivery(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer a.Release()
	src := mboxFile(t, manyMbox(400))
	src.Mailbox = mail.Inbox
	inbox, err := a.Mailbox(mail.Inbox, mail.RightPost)
	if err != nil {
		t.Fatal(err)
	}
	delivered := 0
	deliver := func() {
		c, err := w.pool.Keep(context.Background(), strings.NewReader("Subject: new\r\n\r\n"))
		if err == nil {
			_, err = inbox.Append(context.Background(), []account.NewMessage{{Content: c, Date: mail.NewInternalDate(testNow)}})
		}
		if err != nil {
			t.Error(err)
		}
		delivered++
	}
	w.im.o.Notes = &delivering{w.im.o.Notes, deliver, 0} // between the note and the append, the worst moment
	if f := w.run(src).Folders[0]; f.Messages != 400 {
		t.Errorf("got %+v", f)
	}
	got, _ := w.mailbox(mail.Inbox)
	got = slices.DeleteFunc(got, func(m stored) bool { return strings.HasPrefix(m.text, "Subject: new") })
	if len(got) != 400 || delivered < 7 {
		t.Fatalf("%d messages, %d delivered", len(got), delivered)
	}
	for i, m := range got {
		if m.text != manyText(i) {
			t.Errorf("message %d is %q", i, m.text)
		}
	}
}

// delivering delivers a message behind two of three notes.
type delivering struct {
	Notes
	deliver func()
	puts    int
}

func (d *delivering) Put(ctx context.Context, name string, data []byte) error {
	err := d.Notes.Put(ctx, name, data)
	if d.puts++; d.puts%3 > 0 {
		d.deliver()
	}
	return err
}

func FuzzReceive(f *testing.F) {
	var whole bytes.Buffer
	msg := Message{Key: "k", Flags: mail.NewFlags(mail.Seen, "x"), Date: testNow, UID: 3,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("A: b\r\n\r\n")), nil }}
	folder := Folder{Name: "F", Validity: 9, UIDNext: 10, Subscribed: true, Total: 1,
		Messages: func(context.Context, func(string) bool) iter.Seq2[Message, error] {
			return func(yield func(Message, error) bool) { yield(msg, nil) }
		}}
	if err := Send(context.Background(), "s", []Folder{folder}, nil, &whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		if _, err := w.im.Receive(t.Context(), owner, bytes.NewReader(resum(data)), nil); err != nil && mail.KindOf(err) == mail.Internal {
			t.Errorf("an error of ours: %v", err)
		}
	})
}
