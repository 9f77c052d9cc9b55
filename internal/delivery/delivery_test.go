package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// house is an agent over a store in memory, with the accounts and aliases that
// the tests talk of.
type house struct {
	t     *testing.T
	agent *Agent
	pool  *account.Pool
	ids   map[string]mail.AccountID
}

func newHouse(t *testing.T) *house {
	t.Helper()
	st := storetest.Memory()
	now := func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }
	pool := account.NewPool(st, account.Options{Now: now, Every: -1})
	t.Cleanup(func() {
		if err := account.Check(context.Background(), st, func(p account.Problem) { t.Errorf("after the test: %v", p) }); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, pool: pool, ids: map[string]mail.AccountID{}}
	for _, name := range []string{"ann@x.test", "bob@x.test", "team+a@x.test"} {
		id, err := st.Directory().Create(t.Context(), store.Identity{Name: name}, now())
		if err != nil {
			t.Fatal(err)
		}
		h.ids[name] = id.ID
	}
	for alias, names := range map[string][]string{
		"both@x.test": {"ann@x.test", "bob@x.test"}, "@y.test": {"bob@x.test"},
	} {
		var ids []mail.AccountID
		for _, n := range names {
			ids = append(ids, h.ids[n])
		}
		if err := st.Directory().SetAlias(t.Context(), alias, ids); err != nil {
			t.Fatal(err)
		}
	}
	h.agent = New(Options{
		Pool: pool, Directory: directory{st.Directory()}, Notes: notes{new(sync.Mutex), map[string]time.Time{}}, Hostname: "mx.test",
		Rules: auth.Rules{Separator: '+'}, Now: now,
	})
	return h
}

// directory is what the roof makes of the store's.
type directory struct{ store.Directory }

func (d directory) Accounts(ctx context.Context, name string) ([]mail.AccountID, error) {
	t, err := d.Find(ctx, name)
	return t.Accounts, err
}

// notes are kept in memory; their expiry is the shelf's affair.
type notes struct {
	mu   *sync.Mutex
	made map[string]time.Time
}

func (n notes) Leave(_ context.Context, name string, expires time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made[name] = expires
	return nil
}

func (n notes) Take(_ context.Context, name string) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, found := n.made[name]
	delete(n.made, name)
	return found, nil
}

// accept gives the recipients of addresses that are all there.
func (h *house) accept(addresses ...string) (to []Recipient) {
	h.t.Helper()
	for _, a := range addresses {
		r, err := h.agent.Accept(h.t.Context(), a)
		if err != nil {
			h.t.Fatalf("%s: %v", a, err)
		}
		to = append(to, r)
	}
	return to
}

// deliver delivers to the addresses and gives the outcomes.
func (h *house) deliver(body string, addresses ...string) (Receipt, []error) {
	h.t.Helper()
	m := Mail{From: "from@z.test", To: h.accept(addresses...), Client: "client.test", ID: "s1.1"}
	var outcomes []error
	receipt, err := h.agent.Deliver(h.t.Context(), m, strings.NewReader(body), func(i int, err error) {
		if i != len(outcomes) {
			h.t.Errorf("outcome %d came as number %d", i, len(outcomes))
		}
		outcomes = append(outcomes, err)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return receipt, outcomes
}

// texts gives what is in a mailbox, message by message.
func (h *house) texts(name, mailbox string) (all []string) {
	h.t.Helper()
	acct, err := h.pool.Open(h.t.Context(), h.ids[name])
	if err != nil {
		h.t.Fatal(err)
	}
	defer acct.Release()
	box, err := acct.Mailbox(mailbox, mail.RightRead)
	if err != nil {
		h.t.Fatal(err)
	}
	sel, err := box.Select(h.t.Context(), false)
	if err != nil {
		h.t.Fatal(err)
	}
	defer sel.Close()
	rows, _ := sel.Rows(make([]account.Row, 0, 100), sel.Start().UIDs)
	err = sel.Summaries(h.t.Context(), rows, func(i int, s *account.Summary) error {
		body, err := sel.Body(h.t.Context(), s)
		if err != nil {
			return err
		}
		defer body.Close()
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if int64(rows[i].Size) != body.Size() {
			h.t.Errorf("the row says %d octets, the body has %d", rows[i].Size, body.Size())
		}
		all = append(all, string(text))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

const body = "Subject: x\r\n\r\n.a\nb\r\x00\r\n"

func TestTraceIsPutBeforeTheMessage(t *testing.T) {
	h := newHouse(t)
	_, outcomes := h.deliver(body, "ANN@X.test")
	if len(outcomes) != 1 || outcomes[0] != nil {
		t.Fatalf("got %v", outcomes)
	}
	want := "Return-Path: <from@z.test>\r\nDelivered-To: ANN@X.test\r\n" +
		"Received: from client.test\r\n\tby mx.test with LMTP id s1.1\r\n\tfor <ANN@X.test>; Mon, 23 Nov 2026 12:00:00 +0000\r\n" + body
	if got := h.texts("ann@x.test", "INBOX"); len(got) != 1 || got[0] != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestWhoAnAddressIs(t *testing.T) {
	h := newHouse(t)
	acct, err := h.pool.Open(t.Context(), h.ids["ann@x.test"])
	if err != nil {
		t.Fatal(err)
	}
	defer acct.Release()
	if _, err := acct.CreateMailbox(t.Context(), "Lists/Go", 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ address, account, mailbox string }{
		{"ann@x.test", "ann@x.test", "INBOX"},
		{"ann+Lists/Go@x.test", "ann@x.test", "Lists/Go"},
		{"ann+nothing@x.test", "ann@x.test", "INBOX"},
		{"team+a@x.test", "team+a@x.test", "INBOX"}, // its own name has the separator
		{"anybody@y.test", "bob@x.test", "INBOX"},
		{`"odd name"@y.test`, "bob@x.test", "INBOX"}, // a catch-all catches names we have no account for
	} {
		before := len(h.texts(c.account, c.mailbox))
		if _, outcomes := h.deliver(body, c.address); outcomes[0] != nil {
			t.Errorf("%s: %v", c.address, outcomes[0])
		}
		if got := len(h.texts(c.account, c.mailbox)); got != before+1 {
			t.Errorf("%s: %s of %s has %d messages, had %d", c.address, c.mailbox, c.account, got, before)
		}
	}
	for _, address := range []string{"nobody@x.test", "ann@z.test", "ann", "", "@x.test", "ann@", "a b@x.test"} {
		if _, err := h.agent.Accept(t.Context(), address); mail.KindOf(err) != mail.NotFound {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestEachRecipientGetsItOnceForEachTimeItIsNamed(t *testing.T) {
	h := newHouse(t)
	h.deliver(body, "both@x.test", "ann@x.test", "ann@x.test")
	if a, b := len(h.texts("ann@x.test", "INBOX")), len(h.texts("bob@x.test", "INBOX")); a != 3 || b != 1 {
		t.Errorf("ann has %d, bob %d", a, b)
	}
}

// TestFullAccount: of several recipients the one whose account is full does not get
// the message, and is told so; it comes when there is room.
func TestFullAccount(t *testing.T) {
	h := newHouse(t)
	acct, err := h.pool.Open(t.Context(), h.ids["bob@x.test"])
	if err != nil {
		t.Fatal(err)
	}
	defer acct.Release()
	limit := func(n uint64) {
		t.Helper()
		if err := acct.SetQuota(t.Context(), mail.OwnQuota{Messages: mail.QuotaLimit{Given: true, Most: n}}); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	if _, outcomes := h.deliver(body, "bob@x.test", "bob@x.test"); (outcomes[0] == nil) == (outcomes[1] == nil) || mail.KindOf(errors.Join(outcomes...)) != mail.OverQuota {
		t.Errorf("outcomes %v", outcomes)
	}
	if _, outcomes := h.deliver(body, "bob@x.test", "ann@x.test"); mail.KindOf(outcomes[0]) != mail.OverQuota || outcomes[1] != nil {
		t.Errorf("outcomes %v", outcomes)
	}
	limit(2)
	if _, outcomes := h.deliver(body, "bob@x.test"); outcomes[0] != nil {
		t.Errorf("outcomes %v", outcomes)
	}
	if a, b := len(h.texts("ann@x.test", "INBOX")), len(h.texts("bob@x.test", "INBOX")); a != 1 || b != 2 {
		t.Errorf("ann has %d, bob %d", a, b)
	}
}

// TestRepeatOfAnUnsureDelivery is the promise about replies that may be lost:
// the byte-equal repeat is not stored again, once, and nothing else is affected.
func TestRepeatOfAnUnsureDelivery(t *testing.T) {
	h := newHouse(t)
	count := func() string {
		return fmt.Sprint(len(h.texts("ann@x.test", "INBOX")), len(h.texts("bob@x.test", "INBOX")))
	}
	receipt, _ := h.deliver(body, "ann@x.test", "ann@x.test", "bob@x.test")
	if err := receipt.Lost(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, body string
		to         []string
		want       string
	}{
		{"another message", body + "more", []string{"ann@x.test"}, "3 1"},
		{"the repeat", body, []string{"ann@x.test", "ann@x.test", "bob@x.test"}, "3 1"},
		{"the same again", body, []string{"ann@x.test", "ann@x.test", "bob@x.test"}, "5 2"},
	} {
		_, outcomes := h.deliver(step.body, step.to...)
		if err := errors.Join(outcomes...); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := count(); got != step.want {
			t.Errorf("%s: ann and bob have %s messages, want %s", step.name, got, step.want)
		}
	}
}

// TestMailboxDeletedMeanwhile deletes and makes the mailbox of a detail while mail
// comes for it: all of it arrives, there or in INBOX, and none is refused.
func TestMailboxDeletedMeanwhile(t *testing.T) {
	h := newHouse(t)
	acct, err := h.pool.Open(t.Context(), h.ids["ann@x.test"])
	if err != nil {
		t.Fatal(err)
	}
	defer acct.Release()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := acct.CreateMailbox(t.Context(), "Now", 0); err != nil {
				t.Error(err)
			}
			if err := acct.DeleteMailbox(t.Context(), "Now"); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 300 {
		if _, outcomes := h.deliver(body, "ann+Now@x.test"); outcomes[0] != nil {
			t.Error(outcomes[0])
		}
	}
	close(stop)
	<-stopped
}

// failingReader gives some octets and then fails.
type failingReader struct{ r io.Reader }

func (f failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = errLost
	}
	return n, err
}

var errLost = errors.New("connection lost")

func TestNothingIsKeptOfHalfAMessage(t *testing.T) {
	h := newHouse(t)
	m := Mail{To: h.accept("ann@x.test")}
	_, err := h.agent.Deliver(t.Context(), m, failingReader{strings.NewReader(body)}, func(int, error) {
		t.Error("an outcome for half a message")
	})
	if !errors.Is(err, errLost) {
		t.Errorf("got %v", err)
	}
	if got := h.texts("ann@x.test", "INBOX"); len(got) != 0 {
		t.Errorf("kept %q", got)
	}
}
