package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/search"
	"postern/internal/search/terms"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// owner is the account the tests use.
const owner mail.AccountID = 7

// failer is a test, or a property of one.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// breaking is a store some of whose bodies come out otherwise than they were put in.
type breaking struct {
	store.Store
	mu     sync.Mutex
	broken map[mail.BodyRef]bool
}

func (b *breaking) Bodies() store.Bodies { return breakingBodies{b.Store.Bodies(), b} }

type breakingBodies struct {
	store.Bodies
	b *breaking
}

func (b breakingBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	body, err := b.Bodies.Open(ctx, ref)
	b.b.mu.Lock()
	defer b.b.mu.Unlock()
	if err == nil && b.b.broken[ref] {
		return brokenBody{body}, nil
	}
	return body, err
}

// brokenBody has its first terms changed.
type brokenBody struct{ store.Body }

func (b brokenBody) ReadAt(p []byte, at int64) (int, error) {
	n, err := b.Body.ReadAt(p, at)
	for i := range p[:n] {
		if off := at + int64(i); off >= 8 && off < b.Size()/2 {
			p[i] ^= 0x40
		}
	}
	return n, err
}

// world is a store with one account and its index.
type world struct {
	mem   *storetest.Mem
	store *breaking
	now   time.Time
	pool  *account.Pool
	index *Index
	a     *account.Account
}

func newWorld(t failer) *world {
	w := &world{mem: storetest.Memory(), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	w.mem.SetNow(func() time.Time { return w.now })
	w.store = &breaking{Store: w.mem, broken: map[mail.BodyRef]bool{}}
	w.start(t)
	return w
}

func (w *world) start(t failer) {
	t.Helper()
	w.pool = account.NewPool(w.store, account.Options{Now: func() time.Time { return w.now }, Every: -1})
	w.index = New(Options{Pool: w.pool, Share: 1, Least: 1, Memory: 1 << 20})
	var err error
	if w.a, err = w.pool.Open(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
}

// stop ends it as the process does.
func (w *world) stop(t failer) {
	t.Helper()
	w.a.Release()
	if err := w.pool.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := w.index.Close(); err != nil {
		t.Fatal(err)
	}
}

// end stops it and goes over the store: what belongs to no index and no message is gone.
func (w *world) end(t failer) {
	t.Helper()
	w.stop(t)
	err := account.Check(context.Background(), w.mem, func(p account.Problem) { t.Fatalf("check: %s", p) })
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) box(t failer, name string) *account.Selection {
	t.Helper()
	m, err := w.a.Mailbox(name, mail.RightRead)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Select(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// add appends messages to INBOX.
func (w *world) add(t failer, raws ...string) {
	t.Helper()
	m, err := w.a.Mailbox(mail.Inbox, mail.AllRights)
	if err != nil {
		t.Fatal(err)
	}
	var msgs []account.NewMessage
	for _, raw := range raws {
		c, err := w.pool.Keep(t.Context(), strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, account.NewMessage{Content: c, Date: mail.NewInternalDate(w.now), Prefix: []byte("X-Prefix: before\r\n")})
	}
	if _, err := m.Append(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}

func (w *world) step(t failer) bool {
	t.Helper()
	more, err := w.index.step(t.Context(), w.a, 1, newPace(1), func(int) {})
	if errors.Is(err, terms.ErrDamaged) { // and noted
		w.index.replaceBad(t.Context())
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return more
}

func (w *world) finish(t failer) {
	t.Helper()
	for w.step(t) {
	}
}

// source gives a search a message.
type source struct {
	a *account.Account
	m *account.Summary
}

func (s source) Summary(context.Context) (*message.Summary, error) { return s.m.Parsed() }
func (s source) Thread(context.Context) (mail.ThreadID, error)     { return 0, nil }
func (s source) Body(ctx context.Context) (io.ReaderAt, error)     { return s.a.OpenMessage(ctx, s.m) }

// compare asks every message of a mailbox with what the index says and without. It
// gives how many messages were known.
func (w *world) compare(t failer, box string, c mail.Criteria, by mail.Collation) (known, rows int) {
	t.Helper()
	p, err := search.Compile(c, search.Env{Now: w.now, Collation: by})
	if err != nil {
		t.Fatal(err)
	}
	sel := w.box(t, box)
	defer sel.Close()
	k := w.index.Find(t.Context(), owner, sel.Index(), p.Lookups())
	again := w.index.Find(t.Context(), owner, sel.Index(), p.Lookups()) // which is remembered
	answers, same := make([]search.Answer, len(p.Lookups())), make([]search.Answer, len(p.Lookups()))
	all, _ := sel.Rows(make([]account.Row, 0, 1000), sel.Start().UIDs)
	e := p.Evaluator()
	err = sel.Summaries(t.Context(), all, func(i int, m *account.Summary) error {
		row := search.Row{Message: mail.Message{UID: all[i].UID, ID: all[i].ID}}
		want, err := e.Match(t.Context(), &row, source{w.a, m})
		if err != nil {
			return err
		}
		if k.Of(all[i].ID, answers) {
			known++
			row.Known = answers
			if !again.Of(all[i].ID, same) || !slices.Equal(same, answers) {
				t.Fatalf("%+v in message %d: the index says %v and then %v", c, all[i].ID, answers, same)
			}
		}
		got, err := e.Match(t.Context(), &row, source{w.a, m})
		if got != want || err != nil {
			t.Fatalf("%+v in message %d: %t with an index that says %v, %t without (%v)", c, all[i].ID, got, answers, want, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known, len(all)
}

var words = []string{"garden", "Gardener", "gate", "été", "ETE", "жня", "微風", "迎客", "🙂", "x-y", "42", "a", "=?utf-8?q?caf=C3=A9?="}

func drawWords(t *rapid.T, most int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, most).Draw(t, "words"), rapid.SampledFrom([]string{" ", "", "\r\n ", "-"}).Draw(t, "between"))
}

func drawMail(t *rapid.T) string {
	return fmt.Sprintf("From: %q <%s@example.org>\r\nSubject: %s\r\nX-Other: %s\r\nContent-Type: text/%s; charset=utf-8\r\n\r\n%s\r\n",
		rapid.SampledFrom(words).Draw(t, "from"), rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "address"),
		drawWords(t, 3), drawWords(t, 2), rapid.SampledFrom([]string{"plain", "html"}).Draw(t, "type"), drawWords(t, 5))
}

func drawCriteria(t *rapid.T) mail.Criteria {
	text := drawWords(t, 2)
	if runes := []rune(text); rapid.Bool().Draw(t, "part") {
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		text = string(runes[from:rapid.IntRange(from+1, len(runes)).Draw(t, "to")])
	}
	c := mail.Criteria{Op: rapid.SampledFrom([]mail.SearchOp{mail.SearchBody, mail.SearchText, mail.SearchHeader}).Draw(t, "op"), Text: text}
	if c.Op == mail.SearchHeader {
		c.Field = rapid.SampledFrom([]string{"Subject", "From", "X-Other", "X-Prefix"}).Draw(t, "field")
	}
	if rapid.Bool().Draw(t, "not") {
		return mail.Criteria{Op: mail.SearchNot, Children: []mail.Criteria{c}}
	}
	return c
}

// TestIndexAgainstScan lets mail come, be copied, moved, expunged and freed, mailboxes be renamed, the
// process end at any step of the building, segments be damaged, and compares every
// search with what it finds without an index.
func TestIndexAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		ctx := t.Context()
		t.Repeat(map[string]func(*rapid.T){
			"mail": func(t *rapid.T) {
				var raws []string
				for range rapid.IntRange(1, 4).Draw(t, "messages") {
					raws = append(raws, drawMail(t))
				}
				w.add(t, raws...)
			},
			"step": func(t *rapid.T) { w.step(t) },
			"move": func(t *rapid.T) {
				from, to := w.box(t, mail.Inbox), w.target(t, "Archive")
				defer from.Close()
				uids := drawUIDs(t, from)
				act := from.Move
				if rapid.Bool().Draw(t, "copy") {
					act = from.Copy
				}
				if _, err := act(ctx, uids, to); err != nil {
					t.Fatal(err)
				}
			},
			"expunge": func(t *rapid.T) {
				box := w.box(t, rapid.SampledFrom([]string{mail.Inbox, "Archive"}).Draw(t, "box"))
				defer box.Close()
				uids := drawUIDs(t, box)
				if _, err := box.StoreFlags(ctx, account.StoreRequest{UIDs: uids, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)}); err != nil {
					t.Fatal(err)
				}
				if _, err := box.Expunge(ctx, nil); err != nil {
					t.Fatal(err)
				}
			},
			"free": func(t *rapid.T) {
				w.now = w.now.Add(48 * time.Hour)
				if err := w.pool.Housekeep(ctx); err != nil {
					t.Fatal(err)
				}
				if _, err := w.mem.Bodies().Sweep(ctx); err != nil {
					t.Fatal(err)
				}
			},
			"rename": func(t *rapid.T) {
				if err := w.a.RenameMailbox(ctx, "Archive", "Archive2"); err != nil {
					t.Fatal(err)
				}
				if err := w.a.RenameMailbox(ctx, "Archive2", "Archive"); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				w.stop(t)
				w.mem.Reopen()
				w.start(t)
			},
			"damage": func(t *rapid.T) {
				if segments := w.a.Index(); len(segments) > 0 {
					w.store.mu.Lock()
					w.store.broken[segments[rapid.IntRange(0, len(segments)-1).Draw(t, "segment")].Body] = true
					w.store.mu.Unlock()
					w.index.cache.close()
					w.index = New(w.index.o)
				}
			},
			"rebuild": func(t *rapid.T) {
				if _, err := w.index.Rebuild(ctx, owner, func(int, int) {}); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				c := drawCriteria(t)
				by := rapid.SampledFrom([]mail.Collation{mail.UnicodeCasemap, mail.ASCIICasemap, mail.Octet}).Draw(t, "collation")
				w.compare(t, mail.Inbox, c, by)
				w.compare(t, "Archive", c, by)
			},
		})
		// At the end everything is known again, whatever was damaged.
		for range 2 {
			for _, at := range []search.Place{search.InBody, search.InHeader, search.InSubject, search.InFrom} {
				for _, s := range w.a.Index() { // so that damage anywhere is met
					w.index.Find(ctx, owner, []mail.IndexSegment{s}, []search.Lookup{{Places: []search.Place{at}, Text: []byte("A")}})
				}
			}
			w.index.replaceBad(ctx)
		}
		w.finish(t)
		for _, box := range []string{mail.Inbox, "Archive"} {
			if known, rows := w.compare(t, box, mail.Criteria{Op: mail.SearchText, Text: "garden"}, mail.UnicodeCasemap); known != rows {
				t.Fatalf("%d of %d messages are known", known, rows)
			}
		}
		w.end(t)
	})
}

// target gives a mailbox to move to.
func (w *world) target(t failer, name string) *account.Mailbox {
	t.Helper()
	m, err := w.a.Mailbox(name, mail.AllRights)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func drawUIDs(t *rapid.T, s *account.Selection) (some mail.UIDSet) {
	for uid := range s.Start().UIDs.All() {
		if rapid.Bool().Draw(t, "chosen") {
			some = some.Append(uid)
		}
	}
	return some
}

// TestMerges makes segments one by one: there are never many, they are merged in order, and
// forget messages that are gone.
func TestMerges(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.add(t, fmt.Sprintf("Subject: s\r\n\r\nword%d common\r\n", i))
		w.finish(t)
		segments := w.a.Index()
		if len(segments) > 16 {
			t.Fatalf("%d segments of %d messages", len(segments), i+1)
		}
		low := mail.MessageID(1)
		for _, s := range segments {
			if s.Low != low {
				t.Fatalf("segments %+v have a gap", segments)
			}
			low = s.High
		}
	}
	before := statusOf(w.a)
	box := w.box(t, mail.Inbox)
	defer box.Close()
	if _, err := box.StoreFlags(t.Context(), account.StoreRequest{UIDs: box.Start().UIDs, Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)}); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Expunge(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	held := w.a.Index() // sessions may still show the messages
	if err := w.index.bring(t.Context(), w.a, 1, newPace(1), func(int) {}); err != nil || !slices.Equal(w.a.Index(), held) {
		t.Errorf("%v; the index of messages that are held was %+v and is %+v", err, held, w.a.Index())
	}
	w.now = w.now.Add(48 * time.Hour)
	if err := w.pool.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Nothing is to be built or merged, but most of it is gone.
	if err := w.index.bring(t.Context(), w.a, 1, newPace(1), func(int) {}); err != nil {
		t.Fatal(err)
	}
	if after := statusOf(w.a); after.Octets*4 > before.Octets || after.Mail != 0 {
		t.Errorf("the index of no mail is %+v, that of 200 messages was %+v", after, before)
	}
	w.end(t)
}

// TestMergeable looks at which segments are merged.
func TestMergeable(t *testing.T) {
	list := func(messages ...uint32) (segments []mail.IndexSegment) {
		low := mail.MessageID(1)
		for _, n := range messages {
			segments = append(segments, mail.IndexSegment{Low: low, High: low + mail.MessageID(n), Messages: n, Octets: uint64(n) * 1000})
			low += mail.MessageID(n)
		}
		return segments
	}
	for _, tt := range []struct{ have, merged []uint32 }{
		{[]uint32{100, 100, 100}, nil},
		{[]uint32{100, 100, 100, 100}, []uint32{100, 100, 100, 100}},
		{[]uint32{5000, 100, 200, 64, 64}, []uint32{100, 200, 64, 64}},
		{[]uint32{5000, 5000, 100, 100, 5000, 5000}, []uint32{5000, 5000, 100, 100, 5000, 5000}},
		{[]uint32{60_000, 60_000, 60_000}, nil},
	} {
		var got []uint32
		for _, s := range mergeable(list(tt.have...)) {
			got = append(got, s.Messages)
		}
		if !slices.Equal(got, tt.merged) {
			t.Errorf("of %v: %v, want %v", tt.have, got, tt.merged)
		}
	}
	apart := list(100, 100, 100, 100)
	apart[3].Low++
	if got := mergeable(apart); got != nil {
		t.Errorf("segments with a gap between them are merged: %+v", got)
	}
}

// TestRun builds in the background, for accounts in memory and for those that nobody has opened.
func TestRun(t *testing.T) {
	w := newWorld(t)
	w.add(t, "Subject: one\r\n\r\nbody\r\n")
	w.stop(t)
	w.start(t)
	w.a.Release()
	if err := w.pool.Close(t.Context()); err != nil { // nobody has it open
		t.Fatal(err)
	}
	w.pool = account.NewPool(w.store, account.Options{Now: func() time.Time { return w.now }, Every: -1})
	w.index = New(Options{Pool: w.pool, Share: 1, Least: 1, Every: time.Millisecond, First: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.index.Run(ctx) })
	indexed := func(want int) {
		t.Helper()
		for {
			s, err := w.index.Status(t.Context(), owner)
			if err != nil {
				t.Fatal(err)
			}
			if s.Indexed == want {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	indexed(1)
	var err error
	if w.a, err = w.pool.Open(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	w.add(t, "Subject: two\r\n\r\nbody\r\n")
	indexed(2)
	cancel()
	running.Wait()
	w.end(t)
}

// TestOtherMaker meets segments whose texts were folded otherwise: they answer nothing and are made again.
func TestOtherMaker(t *testing.T) {
	w := newWorld(t)
	w.add(t, "Subject: one\r\n\r\nbody\r\n", "Subject: two\r\n\r\nbody\r\n")
	b := terms.NewBuilder(search.TextsMaker() + 1)
	s := mail.IndexSegment{Low: 1, High: 3, Messages: 2}
	for id := range uint64(2) {
		b.Begin(id + 1) // and has no text at all
	}
	if err := w.index.put(t.Context(), w.a, &s, nil, newPace(1), b.Write); err != nil {
		t.Fatal(err)
	}
	c := mail.Criteria{Op: mail.SearchBody, Text: "body"}
	if known, _ := w.compare(t, mail.Inbox, c, mail.UnicodeCasemap); known != 0 {
		t.Errorf("%d messages are known by a segment of another maker", known)
	}
	w.index.replaceBad(t.Context())
	w.finish(t)
	if known, _ := w.compare(t, mail.Inbox, c, mail.UnicodeCasemap); known != 2 {
		t.Errorf("%d messages are known, want 2", known)
	}
	w.end(t)
}

// inStep waits until a node has followed what the other one did.
func inStep(a, b *world) {
	for a.a.NextMessage() != b.a.NextMessage() || !slices.Equal(a.a.Index(), b.a.Index()) {
		time.Sleep(time.Millisecond)
	}
}

// TestTwoNodes lets two nodes keep one account's index: who is slower throws its work away.
func TestTwoNodes(t *testing.T) {
	w := newWorld(t)
	other := &world{mem: w.mem.Node(), now: w.now}
	other.store = &breaking{Store: other.mem, broken: map[mail.BodyRef]bool{}}
	other.start(t)
	for i := range 3 {
		w.add(t, fmt.Sprintf("Subject: %d\r\n\r\nword%d\r\n", i, i))
		w.finish(t)
		inStep(w, other)
		if other.step(t) {
			t.Fatal("the other node builds what is built")
		}
	}
	// Both build the same range, and both merge.
	w.add(t, "Subject: 3\r\n\r\nword3\r\n")
	inStep(w, other)
	g, ok := due(other.a.Index(), other.a.NextMessage(), 1)
	if !ok {
		t.Fatal("nothing is due")
	}
	w.step(t)
	err := other.index.build(t.Context(), other.a, g, newPace(1), func(int) {})
	if !isOvertaken(err) {
		t.Fatalf("the slower of two builds gives %v", err)
	}
	of := mergeable(w.a.Index())
	if of == nil {
		t.Fatal("nothing is to be merged")
	}
	w.step(t)
	if err := other.index.merge(t.Context(), other.a, of, newPace(1)); !isOvertaken(err) {
		t.Fatalf("the slower of two merges gives %v", err)
	}
	inStep(w, other)
	if known, rows := other.compare(t, mail.Inbox, mail.Criteria{Op: mail.SearchBody, Text: "word2"}, mail.UnicodeCasemap); known != rows || rows != 4 {
		t.Errorf("the other node knows %d of %d messages", known, rows)
	}
	other.stop(t)
	w.end(t)
}

// TestCacheLetsGo closes segments that there is no room for, and those nobody asks any more.
func TestCacheLetsGo(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.add(t, fmt.Sprintf("Subject: s\r\n\r\nword%d\r\n", i))
		w.step(t)
	}
	find := func() int {
		t.Helper()
		w.compare(t, mail.Inbox, mail.Criteria{Op: mail.SearchText, Text: "word1"}, mail.UnicodeCasemap)
		w.index.cache.mu.Lock()
		defer w.index.cache.mu.Unlock()
		if len(w.index.cache.open) != w.index.cache.recent.Len() {
			t.Fatalf("%d segments are open, %d in order", len(w.index.cache.open), w.index.cache.recent.Len())
		}
		return len(w.index.cache.open)
	}
	if n := find(); n != 3 {
		t.Errorf("%d of 3 segments stay open", n)
	}
	w.index.cache.limit = 1
	if n := find(); n != 0 {
		t.Errorf("%d segments stay open without room", n)
	}
	w.index.cache.limit = 1 << 20
	find()
	w.index.cache.idle(time.Now().Add(time.Hour))
	if n := len(w.index.cache.open); n != 0 {
		t.Errorf("%d segments that nobody asks stay open", n)
	}
	w.end(t)
}
