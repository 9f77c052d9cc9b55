package clients

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"postern/test/peer"
)

// words are what the letters of TestMoveIn are made of.
var words = strings.Fields("harbour lantern meadow quarry tinder velvet anchor bramble copper drift ember flint gravel heather")

// letter is the n-th message of an old mailbox, with LF line ends as in a file: every third is in quoted-printable
// with a word that only decoding shows, and some hold lines that an mbox must quote.
func letter(n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var b strings.Builder
	fmt.Fprintf(&b, "From: Person %d <p%d@example.net>\nTo: reader@example.org\nSubject: letter %d about %s\n", n%17, n%17, n, words[n%len(words)])
	fmt.Fprintf(&b, "Message-ID: <letter-%d@example.net>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n", n)
	if n%3 == 0 {
		b.WriteString("Content-Transfer-Encoding: quoted-printable\n\n=C3=BCber =\nalles\n")
	} else {
		b.WriteString("\n")
	}
	for range 1 + r.IntN(30) {
		if r.IntN(12) == 0 {
			b.WriteString("From the beginning\n")
		}
		fmt.Fprintf(&b, "%s and %s\n", words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	return b.String()
}

// inFile is the letter as an mbox file has it.
func inFile(n int) string {
	quoted := strings.ReplaceAll(letter(n), "\nFrom the", "\n>From the")
	return fmt.Sprintf("From p@example.net Mon Jan  1 10:00:00 2024\n%s\n", quoted)
}

// TestMoveIn is somebody moving in: an mbox of thousands of messages is imported beside the running server, and two
// clients read, search, flag and move it at the same time. In the end every message is where it was put, once, with
// its flags and its very octets.
func TestMoveIn(t *testing.T) {
	server := peer.Postern(t)
	a := &account{server: server}
	a.name, a.password = server.NewAccount(t)
	n := count(20000)
	file := filepath.Join(t.TempDir(), "old.mbox")
	var old strings.Builder
	for i := range n {
		old.WriteString(inFile(i))
	}
	write(t, file, old.String())
	out := server.Administer(t, "import", "--account", a.name, "mbox", file)
	if !strings.Contains(out, fmt.Sprintf("%d messages imported", n)) {
		t.Fatalf("got %q", out)
	}

	// Each client keeps to messages of its own, so that what becomes of them is known.
	people := []*person{{t: t, a: a, me: 0, n: n}, {t: t, a: a, me: 1, n: n}}
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(p.work)
	}
	wg.Wait()
	if t.Failed() {
		return
	}

	want := map[string]place{}
	for i := range n {
		want[fmt.Sprintf("letter %d about %s", i, words[i%len(words)])] = place{mailbox: "INBOX", n: i}
	}
	for _, p := range people {
		maps.Copy(want, p.put)
	}
	for _, name := range []string{"INBOX", "Archive"} {
		for subject, h := range a.mailbox(t, name) {
			w, known := want[subject]
			delete(want, subject)
			switch {
			case !known || w.mailbox != name:
				t.Errorf("%s is in %s, want %q", subject, name, w.mailbox)
			case h.text != strings.ReplaceAll(letter(w.n), "\n", "\r\n"):
				t.Errorf("%s has other octets than it came with: %q", subject, h.text)
			case h.has(imap.FlagSeen) != w.seen || h.has("$Sorted") != w.sorted:
				t.Errorf("%s in %s has %v, want seen %t, sorted %t", subject, name, h.flags, w.seen, w.sorted)
			}
		}
	}
	for subject, w := range want {
		t.Errorf("%s is not in %s", subject, w.mailbox)
	}
	server.Administer(t, "check")
}

// place is where a message was put.
type place struct {
	mailbox      string
	n            int
	seen, sorted bool
}

// person is one client at work, on every message whose number is me modulo 2.
type person struct {
	t     *testing.T
	a     *account
	me, n int
	put   map[string]place // by subject
}

// work looks for letters by word, in subjects and bodies in turn, checks that all are found that are there, and
// reads, flags and moves some.
func (p *person) work() {
	p.put = map[string]place{}
	c, err := imapclient.DialTLS(p.a.server.TLS, &imapclient.Options{TLSConfig: p.a.server.TLSConfig(p.t)})
	if err != nil {
		p.t.Error(err)
		return
	}
	defer c.Close()
	if err := c.Login(p.a.name, p.a.password).Wait(); err != nil {
		p.t.Error(err)
		return
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		p.t.Error(err)
		return
	}
	for i, word := range append(words, "ÜBER alles") {
		criteria := &imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "about " + word}}}
		has := func(n int) bool { return words[n%len(words)] == word }
		if i%2 == 1 || i == len(words) {
			criteria = &imap.SearchCriteria{Body: []string{word}}
			has = func(n int) bool { return strings.Contains(bodyOf(n), strings.ToLower(word)) }
		}
		if err := p.round(c, criteria, has, i); err != nil {
			p.t.Errorf("client %d, %s: %v", p.me, word, err)
			return
		}
	}
	if err := c.Logout().Wait(); err != nil {
		p.t.Error(err)
	}
}

// bodyOf is a letter's decoded body.
func bodyOf(n int) string {
	_, body, _ := strings.Cut(letter(n), "\n\n")
	return strings.ReplaceAll(body, "=C3=BCber =\nalles", "über alles")
}

func (p *person) round(c *imapclient.Client, criteria *imap.SearchCriteria, has func(int) bool, round int) error {
	found, err := c.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return err
	}
	mine := map[int]imap.UID{} // letters found, by number
	if uids := found.AllUIDs(); len(uids) > 0 {
		got, err := c.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true, Envelope: true}).Collect()
		if err != nil {
			return err
		}
		for _, m := range got {
			if m.Envelope == nil { // the other client's change of flags, told in between
				continue
			}
			var n int
			if _, err := fmt.Sscanf(m.Envelope.Subject, "letter %d about", &n); err != nil {
				return err
			}
			if !has(n) {
				return fmt.Errorf("letter %d was found and has nothing of it", n)
			}
			if n%2 == p.me {
				mine[n] = m.UID
			}
		}
	}
	for n := p.me; n < p.n; n += 2 {
		_, was := mine[n]
		if should := has(n) && p.put[subject(n)].mailbox != "Archive"; was != should {
			return fmt.Errorf("letter %d was found: %t, want %t", n, was, should)
		}
	}
	return p.handle(c, mine, round)
}

func subject(n int) string { return fmt.Sprintf("letter %d about %s", n, words[n%len(words)]) }

// handle reads the first letters found, flags the next ones and moves those after them.
func (p *person) handle(c *imapclient.Client, mine map[int]imap.UID, round int) error {
	var read, flag, move []imap.UID
	for i, n := range slices.Sorted(maps.Keys(mine)) {
		w := p.put[subject(n)]
		w.n = n
		if w.mailbox == "" {
			w.mailbox = "INBOX"
		}
		switch (i + round) % 5 {
		case 0:
			read, w.seen = append(read, mine[n]), true
		case 1:
			flag, w.sorted = append(flag, mine[n]), true
		case 2:
			move, w.mailbox = append(move, mine[n]), "Archive"
		default:
			continue
		}
		p.put[subject(n)] = w
	}
	if len(read) > 0 {
		if _, err := c.Fetch(imap.UIDSetNum(read...), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{}}}).Collect(); err != nil {
			return err
		}
	}
	if len(flag) > 0 {
		add := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{"$Sorted"}}
		if err := c.Store(imap.UIDSetNum(flag...), add, nil).Close(); err != nil {
			return err
		}
	}
	if len(move) > 0 {
		if _, err := c.Move(imap.UIDSetNum(move...), "Archive").Wait(); err != nil {
			return err
		}
	}
	return nil
}
