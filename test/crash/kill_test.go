// Package crash_test has the real server die: killed without warning under load, and on a disk that is full. What it
// acknowledged must be there afterwards, and nothing half done.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/test/peer"
)

// TestKill kills the server, kill -9, again and again while clients append, flag, copy, move and expunge and mail is
// delivered, and holds what is there after each start against what was acknowledged.
func TestKill(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	node := peer.NewNode(t, filepath.Join(t.TempDir(), "data"), "")
	node.Start(t)
	var all []*owner
	for range 2 {
		name, password := node.NewAccount(t)
		o := &owner{name: name, password: password, node: node, ledger: newLedger()}
		for _, box := range boxes[1:] {
			node.Command(t, "mailbox", "create", name, box)
		}
		all = append(all, o)
	}
	for round := range kills {
		var acknowledged atomic.Int64
		var working sync.WaitGroup
		for i, o := range all {
			for w := range 2 {
				r := rand.New(rand.NewPCG(seed, uint64(round*100+i*10+w)))
				working.Go(func() { o.work(t, fmt.Sprintf("a%d-%d-%d", i, round, w), r, &acknowledged) })
			}
			working.Go(func() { o.deliver(t, fmt.Sprintf("d%d-%d", i, round), &acknowledged) })
		}
		enough := int64(20 + random.IntN(150))
		for acknowledged.Load() < enough && !t.Failed() {
			time.Sleep(time.Millisecond) // before looking again
		}
		node.Kill(t)
		working.Wait()
		if round%5 == 0 || round == kills-1 {
			node.Command(t, "check") // on what the kill left
		}
		node.Start(t)
		for _, o := range all {
			o.compare(t)
		}
		if t.Failed() {
			t.Fatalf("after kill %d of %d", round+1, kills)
		}
	}
	node.Command(t, "check") // while it runs
}

// owner is somebody with an account.
type owner struct {
	name, password string
	node           *peer.Node
	ledger         *ledger
}

func (o *owner) dial(t testing.TB) (*peer.IMAP, error) {
	return peer.DialIMAP(o.node.TLS, o.node.TLSConfig(t), o.name, o.password)
}

// compare holds the account against the ledger.
func (o *owner) compare(t *testing.T) {
	t.Helper()
	client, err := o.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	o.ledger.compare(t, func(box string) (uint32, []peer.Message) {
		validity, messages, err := client.Messages(box)
		if err != nil {
			t.Fatal(err)
		}
		return validity, messages
	})
}

// work does what a busy client does to messages of its own, until the server dies.
func (o *owner) work(t *testing.T, prefix string, random *rand.Rand, acknowledged *atomic.Int64) {
	client, err := o.dial(t)
	if err != nil {
		return // it died before we were in
	}
	defer client.Close()
	var mine []string // those in INBOX
	for n := 0; ; n++ {
		var word string
		if len(mine) > 0 {
			word = mine[random.IntN(len(mine))]
		}
		var e *entry
		var a peer.Answer
		gone := false
		switch what := random.IntN(10); {
		case word == "" || what < 4:
			word = fmt.Sprintf("%s-%d", prefix, n)
			text := message(word, sizes[random.IntN(len(sizes))])
			e = o.ledger.begin(word, func(e *entry) { e.text, e.mayBe = text, "INBOX" })
			a, err = client.Command("APPEND INBOX", []byte(text))
			mine = append(mine, word)
		case what < 6:
			flag := []string{`\Seen`, `\Flagged`, "$Work", "$Home"}[random.IntN(4)]
			e = o.ledger.begin(word, func(e *entry) { e.mayHave = flag })
			a, err = o.onMessage(client, word, "UID STORE %d +FLAGS.SILENT ("+flag+")")
		case what < 7:
			e = o.ledger.begin(word, func(e *entry) { e.mayBe = "Copies" })
			a, err = o.onMessage(client, word, "UID COPY %d Copies")
			gone = true // no second copy of it
		case what < 9:
			e = o.ledger.begin(word, func(e *entry) { e.mayBe, e.mayBeGone, e.moving = "Moved", "INBOX", true })
			a, err = o.onMessage(client, word, "UID MOVE %d Moved")
			gone = true
		default:
			e = o.ledger.begin(word, func(e *entry) { e.mayBeGone = "INBOX" })
			if a, err = o.onMessage(client, word, `UID STORE %d +FLAGS.SILENT (\Deleted)`); err == nil && a.OK() {
				a, err = o.onMessage(client, word, "UID EXPUNGE %d")
			}
			gone = true
		}
		if err != nil {
			return // what was under way is in the ledger
		}
		if !a.OK() {
			t.Errorf("%s was answered %q", word, a.Tagged)
			return
		}
		o.ledger.end(e)
		acknowledged.Add(1)
		if gone {
			mine = slices.DeleteFunc(mine, func(w string) bool { return w == word })
		}
	}
}

// sizes are of small messages, and of one that the store keeps in a file of its own.
var sizes = []int{0, 100, 5_000, 50_000, 400_000}

// onMessage finds a message in INBOX by its subject and does something to it.
func (o *owner) onMessage(client *peer.IMAP, word, command string) (peer.Answer, error) {
	if a, err := client.Command("SELECT INBOX"); err != nil || !a.OK() {
		return a, err
	}
	a, err := client.Command(`UID SEARCH SUBJECT "` + word + `"`)
	if err != nil || !a.OK() {
		return a, err
	}
	for _, line := range a.Untagged {
		// One word may begin another: the first found is the one, for numbers rise.
		if uids := strings.Fields(strings.TrimPrefix(line, "* SEARCH")); strings.HasPrefix(line, "* SEARCH") && len(uids) > 0 {
			return client.Command(strings.Replace(command, "%d", uids[0], 1))
		}
	}
	return peer.Answer{Tagged: fmt.Sprintf("NO %s is not there: %q", word, a.Untagged)}, nil
}

// deliver hands mail over by LMTP until the server dies.
func (o *owner) deliver(t *testing.T, prefix string, acknowledged *atomic.Int64) {
	raw, err := net.Dial("tcp", o.node.LMTP)
	if err != nil {
		return
	}
	conn := textproto.NewConn(raw)
	defer conn.Close()
	say := func(code int, text string) bool {
		if text != "" && conn.PrintfLine("%s", text) != nil {
			return false
		}
		got, line, err := conn.ReadResponse(code)
		if err != nil && got != 0 {
			t.Errorf("%.100q was answered %d %s", text, got, line)
		}
		return err == nil
	}
	if !say(220, "") || !say(250, "LHLO crash.example.net") {
		return
	}
	for n := 0; ; n++ {
		word := fmt.Sprintf("%s-%d", prefix, n)
		text := message(word, sizes[n%len(sizes)])
		if !say(250, "MAIL FROM:<>") || !say(250, "RCPT TO:<"+o.name+">") || !say(354, "DATA") {
			return
		}
		e := o.ledger.begin(word, func(e *entry) { e.text, e.traced, e.mayBe = text, true, "INBOX" })
		if strings.Contains(text, "\r\n.") {
			t.Error("the test's own messages need stuffing")
			return
		}
		if !say(250, text+".") {
			return
		}
		o.ledger.end(e)
		acknowledged.Add(1)
	}
}
