package account

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// letter is a message of that msg-id that refers to others.
func letter(id string, refs ...string) string {
	text := "Subject: " + id + "\r\n"
	if id != "" {
		text += "Message-ID: <" + id + "@x>\r\n"
	}
	if len(refs) > 0 {
		text += "References: <" + strings.Join(refs, "@x> <") + "@x>\r\n"
	}
	return text + "\r\ntext\r\n"
}

func (w *world) addText(m *Mailbox, text string) mail.UID {
	w.t.Helper()
	done, err := m.Append(w.t.Context(), []NewMessage{{Content: w.content(text), Date: mail.NewInternalDate(w.clock.Now())}})
	if err != nil {
		w.t.Fatal(err)
	}
	return done.UIDs.Min()
}

func threadAt(t testing.TB, m *Mailbox, uid mail.UID) mail.ThreadID {
	t.Helper()
	thread, found := summaryOf(t, m, uid).Thread()
	if !found {
		t.Fatalf("UID %d has no thread", uid)
	}
	return thread
}

// TestThreads lets messages come in, in every order that matters, and looks which
// are together. Each letter of an order is a message; "b<a" refers to a.
func TestThreads(t *testing.T) {
	for _, test := range []struct{ order, together string }{
		{"a b<a c<a,b", "abc"},
		{"a b<a c<b d<c", "abcd"}, // each names no more than its parent
		{"d<c c<b b<a a", "abcd"}, // backwards: each was referred to before it came
		{"c<a,b b<a a", "abc"},    // the end of a thread first
		{"c<a,b b a", "abc"},      // b came in as a part of the thread, though it does not say so itself
		{"c<a,b d<b a", "acd"},    // b never comes
		{"a b", "a b"},
		{"a b<a e f<e c<b", "abc ef"},
		{"b<a c<a", "bc"}, // a never comes
		{"a a", "aa"},     // the same message twice
	} {
		for _, atOnce := range []bool{false, true} {
			w := newWorld(t)
			inbox := box(t, w.open(), "INBOX")
			var names []string
			var msgs []NewMessage
			for _, m := range strings.Fields(test.order) {
				name, refs, _ := strings.Cut(m, "<")
				names = append(names, name)
				text := letter(name, strings.FieldsFunc(refs, func(r rune) bool { return r == ',' })...)
				msgs = append(msgs, NewMessage{Content: w.content(text), Date: mail.NewInternalDate(w.clock.Now())})
			}
			if atOnce {
				if _, err := inbox.Append(t.Context(), msgs); err != nil {
					t.Fatal(err)
				}
			} else {
				for i := range msgs {
					if _, err := inbox.Append(t.Context(), msgs[i:i+1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			threads := map[mail.ThreadID]string{}
			for i, name := range names {
				threads[threadAt(t, inbox, mail.UID(i+1))] += name
			}
			want := strings.Fields(test.together)
			for _, got := range threads {
				found := false
				for _, group := range want {
					found = found || sorted(group) == sorted(got)
				}
				if !found || len(threads) != len(want) {
					t.Errorf("%s, at once %v: together are %v, want %v", test.order, atOnce, threads, want)
				}
			}
		}
	}
}

func sorted(s string) string {
	b := strings.Split(s, "")
	for i := range b {
		for k := i; k > 0 && b[k] < b[k-1]; k-- {
			b[k], b[k-1] = b[k-1], b[k]
		}
	}
	return strings.Join(b, "")
}

// TestThreadsOutlive says that a thread is known after a restart, after everything
// in it is gone, and that COPY and MOVE change nothing.
func TestThreadsOutlive(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.addText(inbox, letter("b", "a"))
	w.addText(inbox, letter("c", "b"))
	thread := threadAt(t, inbox, 2)
	if threadAt(t, inbox, 1) != thread {
		t.Fatal("an answer is not with what it answers")
	}
	s := sel(t, inbox)
	if _, err := s.Copy(t.Context(), set(2), box(t, a, "Sent")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Move(t.Context(), set(1), box(t, a, "Sent")); err != nil {
		t.Fatal(err)
	}
	for uid := mail.UID(1); uid <= 2; uid++ {
		if got := threadAt(t, box(t, a, "Sent"), uid); got != thread {
			t.Errorf("UID %d went from thread %s to %s", uid, thread, got)
		}
	}
	expungeAll(t, s, set(2))
	s.Close()
	sent := sel(t, box(t, a, "Sent"))
	expungeAll(t, sent, set(1, 2))
	sent.Close()
	w.clock.Add(48 * 3600e9)
	if err := a.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Release()
	w.restart()
	a = w.open()
	inbox = box(t, a, "INBOX")
	if got := threadAt(t, inbox, w.addText(inbox, letter("d", "c"))); got != thread {
		t.Errorf("an answer to what is gone is in %s, not in %s", got, thread)
	}
}

// TestThreadsWithoutIDs gives messages without Message-ID a thread each.
func TestThreadsWithoutIDs(t *testing.T) {
	w := newWorld(t)
	inbox := box(t, w.open(), "INBOX")
	seen := map[mail.ThreadID]bool{}
	for range 3 {
		seen[threadAt(t, inbox, w.addText(inbox, letter("")))] = true
	}
	if len(seen) != 3 {
		t.Errorf("three messages are in %d threads", len(seen))
	}
}

// TestThreadsOfTwoNodes lets two nodes bring in a question and its answer: the
// second reads notes again when its commit is stale.
func TestThreadsOfTwoNodes(t *testing.T) {
	w := newWorld(t)
	other := w.newPool(w.mem.Node())
	t.Cleanup(func() { _ = other.Close(t.Context()) })
	here, there := box(t, w.open(), "INBOX"), box(t, openIn(t, other, 7), "INBOX")
	var uids []mail.UID
	for i := range 6 {
		m, p := here, w.pool
		if i%2 == 1 {
			m, p = there, other
		}
		c, err := p.Keep(t.Context(), strings.NewReader(letter(fmt.Sprint(i+1), fmt.Sprint(i))))
		if err != nil {
			t.Fatal(err)
		}
		done, err := m.Append(t.Context(), []NewMessage{{Content: c, Date: mail.NewInternalDate(w.clock.Now())}})
		if err != nil {
			t.Fatal(err)
		}
		uids = append(uids, done.UIDs.Min())
	}
	last := w.addText(here, letter("9"))
	for _, uid := range uids {
		if got, want := threadAt(t, here, uid), threadAt(t, here, uids[0]); got != want {
			t.Errorf("UID %d is in %s, not in %s", uid, got, want)
		}
	}
	if threadAt(t, here, last) == threadAt(t, here, uids[0]) {
		t.Error("a message that answers nothing is in the thread")
	}
}

// TestNotesAreFew counts the notes that mail leaves: none for mail that answers
// nothing, one for an answer in a thread that is known.
func TestNotesAreFew(t *testing.T) {
	w := newWorld(t)
	inbox := box(t, w.open(), "INBOX")
	w.fillWith(inbox, 20)
	if n := w.notes(); n != 0 {
		t.Errorf("mail that answers nothing left %d notes", n)
	}
	refs := []string{"a"}
	w.addText(inbox, letter("a"))
	for i := range 10 {
		id := fmt.Sprint("r", i)
		w.addText(inbox, letter(id, refs...))
		refs = append(refs, id)
	}
	if n := w.notes(); n != 11 { // one for each, and one for what they answer
		t.Errorf("ten answers left %d notes", n)
	}
}

func (w *world) fillWith(m *Mailbox, n int) {
	for i := range n {
		w.add(m, 1000+i, mail.Flags{})
	}
}

func (w *world) notes() (n int) {
	for id := range w.mem.Account(7).SummaryIDs(w.t.Context()) {
		if id >= noteBase {
			n++
		}
	}
	return n
}

// TestDamagedNote holds up no mail, and Check tells of it.
func TestDamagedNote(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.addText(inbox, letter("b", "a"))
	r := w.content(letter("b")).relatives
	head, err := w.mem.Account(7).Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, bad := encodeNote(threadAt(t, inbox, 1)), []byte{99}
	write := func(data []byte) {
		record := encodeRecord([]mail.Change{{ModSeq: head + 1, Event: mail.Subscribed{Name: "x", On: true}}})
		head++
		err := w.mem.Account(7).Commit(t.Context(), head-1, store.Entry{Last: head, Record: record,
			Summaries: []store.Summary{{ID: noteOn(r.Own), Data: data}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	said := 0
	if err := Check(t.Context(), w.mem, func(p Problem) {
		if strings.Contains(p.String(), "note") {
			said++
		}
	}); err != nil || said != 1 {
		t.Errorf("Check tells of %d damaged notes, %v", said, err)
	}
	w.addText(inbox, letter("c", "b"))
	if head, err = w.mem.Account(7).Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(good)
}
