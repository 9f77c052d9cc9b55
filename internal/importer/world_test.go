package importer

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/account/accounttest"
	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// notes are a shelf as the importer asks for it.
type notes struct{ store.Shelf }

func (n notes) Get(ctx context.Context, name string) ([]byte, error) {
	v, err := n.Shelf.Get(ctx, name)
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return nil, nil
	}
	return v.Data, err
}

func (n notes) Put(ctx context.Context, name string, data []byte) error {
	if len(name) > 200 || len(data) > 64<<10 {
		return fmt.Errorf("a note %q of %d octets is against the promise", name, len(data))
	}
	_, err := n.Shelf.Put(ctx, name, data, store.AnyVersion, time.Time{})
	return err
}

const owner mail.AccountID = 7

var testNow = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is an importer over a store that can fail.
type world struct {
	t      testing.TB
	mem    *storetest.Mem
	faulty *storetest.Faulty
	pool   *account.Pool
	im     *Importer
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, mem: storetest.Memory()}
	w.mem.SetNow(func() time.Time { return testNow })
	w.faulty = storetest.Failing(w.mem)
	w.start()
	t.Cleanup(func() {
		w.stop()
		accounttest.Check(t, w.mem)
	})
	return w
}

func (w *world) start() {
	now := func() time.Time { return testNow }
	w.pool = account.NewPool(w.faulty, account.Options{Now: now, Every: -1, Limits: account.Limits{MessageSize: 1 << 20}})
	w.im = New(Options{Pool: w.pool, Notes: notes{w.faulty.Shelf()}, Now: now})
}

func (w *world) stop() {
	if err := w.pool.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

// restart is what ending the process and starting it again does.
func (w *world) restart() {
	w.stop()
	w.faulty.Clear()
	w.start()
}

// run imports and wants no error.
func (w *world) run(src Source) Result {
	w.t.Helper()
	result, err := w.im.Import(context.Background(), owner, src, nil)
	if err != nil {
		w.t.Fatalf("import: %v", err)
	}
	return result
}

func (w *world) open() *account.Account {
	w.t.Helper()
	a, err := w.pool.Open(context.Background(), owner)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// stored is a message as the account has it.
type stored struct {
	uid   mail.UID
	flags string
	date  int64
	text  string
}

// mailbox gives a mailbox's messages.
func (w *world) mailbox(name string) ([]stored, account.Info) {
	w.t.Helper()
	a := w.open()
	defer a.Release()
	info, found := mailboxByName(a, name)
	if !found {
		w.t.Fatalf("there is no mailbox %q among %v", name, names(a))
	}
	folders, err := Mailboxes{Account: a, Only: []string{name}}.Folders(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	var all []stored
	for msg, err := range folders[0].Messages(context.Background(), func(string) bool { return false }) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, stored{msg.UID, msg.Flags.String(), msg.Date.Unix(), readAll(w.t, msg)})
	}
	return all, info
}

func names(a *account.Account) []string {
	var names []string
	for _, info := range a.Mailboxes() {
		names = append(names, info.Name)
	}
	return names
}

func readAll(t testing.TB, msg Message) string {
	t.Helper()
	r, err := msg.Open()
	if err != nil {
		t.Fatalf("%s: %v", msg.Key, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", msg.Key, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files writes files below a new directory: paths ending in "/" are directories.
func files(t testing.TB, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(content)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		parent := path
		if !strings.HasSuffix(name, "/") {
			parent = filepath.Dir(path)
		}
		if err := os.MkdirAll(parent, 0o700); err != nil {
			t.Fatal(err)
		}
		if parent == path {
			continue
		}
		if err := os.WriteFile(path, []byte(content[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, testNow, testNow.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mboxFile(t testing.TB, text string) Mbox {
	t.Helper()
	return Mbox{File: filepath.Join(files(t, map[string]string{"mbox": text}), "mbox"), Mailbox: "Old"}
}

// manyMbox is an mbox of n messages.
func manyMbox(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "From a@example.org Mon Jan  5 10:%02d:%02d 2026\nSubject: message %d\n\nbody %d\n\n", i/60%60, i%60, i, i)
	}
	return b.String()
}

func manyText(i int) string { return fmt.Sprintf("Subject: message %d\r\n\r\nbody %d\r\n", i, i) }

// wantMany fails unless the mailbox has exactly manyMbox's messages, in order.
func (w *world) wantMany(name string, n int) {
	w.t.Helper()
	got, _ := w.mailbox(name)
	if len(got) != n {
		w.t.Fatalf("%s has %d messages, want %d", name, len(got), n)
	}
	for i, m := range got {
		if m.text != manyText(i) {
			w.t.Fatalf("message %d of %s is %q", i, name, m.text)
		}
	}
}
