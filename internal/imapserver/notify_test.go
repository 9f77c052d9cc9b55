package imapserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mail"
)

// listener is a client that never asks: it works out from what NOTIFY tells it
// which names there are, how many messages each mailbox has, and what is in the
// selected one.
type listener struct {
	*client
	rnd       *rand.Rand
	condstore bool
	rev2      bool

	names      map[string]bool              // that exist
	subscribed map[string]bool              // whether they exist or not
	figures    map[string]map[string]string // by name: the items of STATUS

	selected string // its name; "" if none is
	uids     []mail.UID
	flags    map[mail.UID]string
}

var (
	listLine   = regexp.MustCompile(`^\* LIST \(([^)]*)\) "/" ("?[^" ]*"?)(?: \(OLDNAME \(("?[^" ]*"?)\)\))?$`)
	statusLine = regexp.MustCompile(`^\* STATUS ("?[^" ]*"?) \(([^)]*)\)$`)
	expunge    = regexp.MustCompile(`^\* (\d+) EXPUNGE$`)
)

func unquoted(name string) string { return strings.Trim(name, `"`) }

// hear takes in one response.
func (l *listener) hear(line string) {
	l.t.Helper()
	if m := listLine.FindStringSubmatch(line); m != nil {
		l.heardList(strings.Fields(m[1]), unquoted(m[2]), unquoted(m[3]))
	} else if m := statusLine.FindStringSubmatch(line); m != nil {
		l.heardStatus(unquoted(m[1]), strings.Fields(m[2]))
	} else if m := existsLine.FindStringSubmatch(line); m != nil {
		n := int(number(l.t, m[1]))
		if n < len(l.uids) {
			l.t.Fatalf("%q where there are %d", line, len(l.uids))
		}
		l.uids = append(l.uids, make([]mail.UID, n-len(l.uids))...)
	} else if m := expunge.FindStringSubmatch(line); m != nil {
		n := int(number(l.t, m[1]))
		if n > len(l.uids) {
			l.t.Fatalf("%q where there are %d", line, len(l.uids))
		}
		delete(l.flags, l.uids[n-1])
		l.uids = slices.Delete(l.uids, n-1, n)
	} else if m := vanishedLine.FindStringSubmatch(line); m != nil {
		for uid := range parseUIDs(l.t, m[2]).All() {
			at := slices.Index(l.uids, uid)
			if at < 0 {
				l.t.Fatalf("%q of %v", line, l.uids)
			}
			l.uids = slices.Delete(l.uids, at, at+1)
			delete(l.flags, uid)
		}
	} else if m := fetchLine.FindStringSubmatch(line); m != nil {
		l.heardFetch(int(number(l.t, m[1])), m[2])
	}
}

func (l *listener) heardFetch(n int, items string) {
	l.t.Helper()
	m := uidItem.FindStringSubmatch(items)
	if n > len(l.uids) || m == nil {
		l.t.Fatalf("FETCH of %d without UID or among %d: %q", n, len(l.uids), items)
	}
	uid := mail.UID(number(l.t, m[1]))
	if l.uids[n-1] != 0 && l.uids[n-1] != uid {
		l.t.Fatalf("message %d is %d and was %d", n, uid, l.uids[n-1])
	}
	l.uids[n-1] = uid
	if m := flagsItem.FindStringSubmatch(items); m != nil {
		l.flags[uid] = sorted(m[1])
	}
}

func (l *listener) heardList(attributes []string, name, oldName string) {
	if oldName != "" {
		move(l.names, oldName, name)
		move(l.figures, oldName, name)
		if l.selected != "" && isAtOrBelow(l.selected, oldName) {
			l.selected = name + l.selected[len(oldName):]
		}
	}
	if delete(l.subscribed, name); slices.Contains(attributes, `\Subscribed`) {
		l.subscribed[name] = true
	}
	if l.names[name] = true; slices.Contains(attributes, `\NonExistent`) {
		delete(l.names, name)
		delete(l.figures, name)
	}
}

// move gives a name and those below it another.
func move[V any](of map[string]V, from, to string) {
	moved := map[string]V{}
	maps.DeleteFunc(of, func(name string, _ V) bool { return isAtOrBelow(name, to) })
	for name, v := range of {
		if isAtOrBelow(name, from) {
			moved[to+name[len(from):]] = v
			delete(of, name)
		}
	}
	maps.Copy(of, moved)
}

func (l *listener) heardStatus(name string, items []string) {
	if l.figures[name] == nil {
		l.figures[name] = map[string]string{}
	}
	for i := 0; i+1 < len(items); i += 2 {
		l.figures[name][items[i]] = items[i+1]
	}
}

// leave is what the client does as its mailbox is closed: it knows what it was told.
func (l *listener) leave() {
	if l.selected == "" {
		return
	}
	unseen := 0
	for _, flags := range l.flags {
		if !strings.Contains(flags, `\Seen`) {
			unseen++
		}
	}
	l.figures[l.selected] = map[string]string{"MESSAGES": fmt.Sprint(len(l.uids)), "UNSEEN": fmt.Sprint(unseen)}
	l.selected = ""
}

// hearAll takes in the responses to a command.
func (l *listener) hearAll(untagged []string, tagged string) {
	l.t.Helper()
	for _, line := range untagged {
		l.hear(line)
	}
	if strings.HasPrefix(tagged, "BAD") {
		l.t.Fatal(tagged)
	}
}

// open selects a mailbox and learns what is in it.
func (l *listener) open(name string) {
	l.t.Helper()
	l.tags++
	tag := fmt.Sprintf("t%d", l.tags)
	l.tags++
	fetch := fmt.Sprintf("t%d", l.tags)
	// In one write, so that no expunge is told of UIDs that are not known yet.
	l.send(tag + " SELECT " + name + "\r\n" + fetch + " UID FETCH 1:* FLAGS\r\n")
	beginning, begun := l.selected == "", false
	for {
		line := l.read()
		rest, done := strings.CutPrefix(line, tag+" ")
		switch {
		case done && strings.HasPrefix(rest, "OK"):
		case done:
			l.leave()
		case strings.Contains(line, "[CLOSED]"):
			beginning = true
			l.leave()
		case beginning && strings.HasPrefix(line, "* FLAGS "):
			beginning, begun = false, true
			l.selected, l.uids, l.flags = name, nil, map[mail.UID]string{}
		case l.rev2 && begun && strings.HasPrefix(line, "* LIST "):
			begun = false // a part of the answer, which says nothing of subscriptions
		default:
			l.hear(line)
		}
		if done {
			break
		}
	}
	untagged, tagged := l.until(fetch)
	if l.hearAll(untagged, ""); l.selected != "" && !strings.HasPrefix(tagged, "OK") {
		l.t.Fatal(tagged)
	}
}

// step does something that tells it nothing it has not been told.
func (l *listener) step() {
	l.t.Helper()
	switch l.rnd.IntN(8) {
	case 0:
		l.hearAll(l.do("NOOP"))
	case 1:
		l.open("INBOX")
	case 2:
		l.open("Archive")
	case 3:
		if l.selected != "" {
			untagged, _ := l.do("UNSELECT")
			for _, line := range untagged {
				if m := statusLine.FindStringSubmatch(line); m != nil && unquoted(m[1]) == l.selected {
					l.leave() // it is one like others now
				}
				l.hear(line)
			}
			l.leave()
		}
	case 4:
		l.tags++
		tag := fmt.Sprintf("t%d", l.tags)
		l.send(tag + " IDLE\r\n")
		l.hear(l.read())
		l.listen()
		l.send("DONE\r\n")
		l.hearAll(l.until(tag))
	case 5:
		if l.selected != "" {
			l.hearAll(l.do("SEARCH UNSEEN"))
		}
	default:
		l.listen()
	}
}

// listen takes in what comes within a moment.
func (l *listener) listen() {
	l.t.Helper()
	for range l.rnd.IntN(6) {
		if err := l.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			l.t.Fatal(err)
		}
		_, err := l.r.Peek(1)
		l.deadline()
		if err == nil {
			l.hear(l.read())
		}
	}
}

// scribble makes changes at random to names and messages.
func scribble(c *client, rnd *rand.Rand) {
	some := func() string {
		name := fmt.Sprintf("m%d", rnd.IntN(4))
		for rnd.IntN(3) == 0 {
			name += fmt.Sprintf("/m%d", rnd.IntN(2))
		}
		return name
	}
	box := []string{"INBOX", "Archive", some(), some()}[rnd.IntN(4)]
	switch rnd.IntN(15) {
	case 0, 1:
		c.do("CREATE " + some())
	case 2:
		c.do("DELETE " + some())
	case 3, 4:
		c.do("RENAME " + some() + " " + some())
	case 5:
		c.do("SUBSCRIBE " + some())
	case 6:
		c.do("UNSUBSCRIBE " + some())
	case 7:
		if rnd.IntN(4) == 0 {
			c.do("RENAME INBOX " + some())
		}
	case 8, 9, 10:
		text := sample(rnd.IntN(1000))
		c.do(fmt.Sprintf("APPEND %s %s{%d+}\r\n%s", box, []string{"", `(\Seen) `, `($Work) `}[rnd.IntN(3)], len(text), text))
	default:
		// Who has a mailbox selected that is deleted is sent away.
		c.ok("SELECT "+[]string{"INBOX", "Archive", "Drafts", "Junk"}[rnd.IntN(4)], anything)
		switch rnd.IntN(4) {
		case 0:
			c.do(`UID STORE 1:* -FLAGS.SILENT (\Seen)`)
		case 1:
			c.do(`UID STORE ` + fmt.Sprint(1+rnd.IntN(20)) + `:* +FLAGS (\Seen)`)
		case 2:
			c.do(`UID STORE * +FLAGS (\Deleted)`)
			c.do("CLOSE")
			return
		case 3:
			c.do("UID MOVE * Archive")
		}
		c.do("UNSELECT")
	}
}

// TestListener lets clients change names and messages at random. One that only
// listens to NOTIFY, and now and then selects another mailbox, then knows exactly
// what there is.
func TestListener(t *testing.T) {
	seeds, steps := uint64(30), 150
	if testing.Short() {
		seeds, steps = 6, 60
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, nil)
			l := &listener{client: w.login(), rnd: rand.New(rand.NewPCG(seed, 3)),
				names: map[string]bool{}, subscribed: map[string]bool{}, figures: map[string]map[string]string{}}
			l.begin(seed)
			var writers sync.WaitGroup
			for i := range uint64(2) {
				c, rnd := w.login(), rand.New(rand.NewPCG(seed, 10+i))
				writers.Go(func() {
					for range steps {
						scribble(c, rnd)
					}
				})
			}
			over := make(chan struct{})
			go func() { writers.Wait(); close(over) }()
			for more := true; more; {
				select {
				case <-over:
					more = false
				default:
					l.step()
				}
			}
			l.end(w)
		})
	}
}

// begin asks to be told everything.
func (l *listener) begin(seed uint64) {
	l.t.Helper()
	switch seed % 4 {
	case 1:
		l.ok("ENABLE CONDSTORE", anything)
		l.condstore = true
	case 2:
		l.ok("ENABLE QRESYNC", anything)
		l.condstore = true
	case 3:
		l.ok("ENABLE IMAP4rev2", anything)
		l.rev2 = true
	}
	which := []string{"SELECTED", "SELECTED-DELAYED"}[seed/4%2]
	l.hearAll(l.do("NOTIFY SET STATUS (" + which + " (MessageNew (UID FLAGS) MessageExpunge FlagChange)) " +
		"(PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"))
	l.hearAll(l.do(`LIST "" * RETURN (SUBSCRIBED)`)) // all subscribed names exist
	l.open("INBOX")
}

// end waits for signs that everything was told, and compares.
func (l *listener) end(w *world) {
	l.t.Helper()
	c := w.login()
	c.ok("CREATE end", anything)
	c.ok("SUBSCRIBE end", anything)
	for !l.subscribed["end"] {
		l.hear(l.read())
	}
	l.open("INBOX") // what was selected was told before what follows
	c.append("end", "", sample(1))
	c.append("INBOX", "($End) ", sample(1))
	for !slices.Contains(slices.Collect(maps.Values(l.flags)), "$End") || l.figures["end"]["MESSAGES"] != "1" {
		l.hear(l.read())
	}
	l.hearAll(l.do("NOOP")) // SELECTED-DELAYED: expunges
	names, subscribed := map[string]bool{}, map[string]bool{}
	untagged, _ := c.do(`LIST "" *`)
	for _, line := range untagged {
		names[unquoted(listLine.FindStringSubmatch(line)[2])] = true
	}
	untagged, _ = c.do(`LSUB "" *`)
	for _, line := range untagged {
		subscribed[unquoted(listLine.FindStringSubmatch(strings.Replace(line, "LSUB", "LIST", 1))[2])] = true
	}
	for what, pair := range map[string][2]map[string]bool{"names": {names, l.names}, "subscribed": {subscribed, l.subscribed}} {
		if !maps.Equal(pair[0], pair[1]) {
			l.t.Errorf("%s: %v\nthe listener has %v", what, slices.Sorted(maps.Keys(pair[0])), slices.Sorted(maps.Keys(pair[1])))
		}
	}
	if there := w.truth("INBOX"); !maps.Equal(there, l.flags) || len(there) != len(l.uids) {
		l.t.Errorf("INBOX holds %v, the listener has %v", there, l.flags)
	}
	items := "MESSAGES UNSEEN UIDNEXT UIDVALIDITY"
	if l.condstore {
		items += " HIGHESTMODSEQ"
	}
	for name := range names {
		if name == l.selected {
			continue
		}
		untagged, _ := c.do("STATUS " + name + " (" + items + ")")
		fields := strings.Fields(statusLine.FindStringSubmatch(untagged[0])[2])
		for i := 0; i < len(fields); i += 2 {
			known, ok := l.figures[name][fields[i]]
			if !ok && (fields[i+1] == "0" || fields[i] == "UIDNEXT" || fields[i] == "UIDVALIDITY" || fields[i] == "HIGHESTMODSEQ") {
				continue // empty since it was made, or closed when everything was told
			}
			if known != fields[i+1] {
				l.t.Errorf("%s: %s %s, the listener has %v", name, fields[i], fields[i+1], l.figures[name])
			}
		}
	}
}

// TestNotifyOverflow lets an account get more mailboxes than a session may follow
// (RFC 5465 3.1, 5.8).
func TestNotifyOverflow(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Notify = 7 })
	c, d := w.login(), w.login() // with six mailboxes
	c.ok("NOTIFY SET (PERSONAL (MailboxName MessageNew MessageExpunge))")
	d.ok("CREATE seventh")
	c.expect(`* LIST (\HasNoChildren) "/" "seventh"`)
	d.ok("CREATE eighth")
	c.expect(`* LIST (\HasNoChildren) "/" "eighth"`)
	c.expect("* OK [NOTIFICATIONOVERFLOW] ...")
	d.ok("CREATE ninth")
	c.ok("NOOP")
	c.reply("NOTIFY SET (PERSONAL (MailboxName))", "NO [NOTIFICATIONOVERFLOW] ...")
	c.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))") // which follows no account
	c.ok("SELECT INBOX", anything)
	d.append("INBOX", "", sample(1))
	c.expect("* 1 EXISTS")
}

// TestIdleAfterClose leaves a mailbox that has just changed. The session then waits
// and does not turn round and round because of a change that nobody takes in.
func TestIdleAfterClose(t *testing.T) {
	w := newWorld(t, nil)
	c, d := w.selected(), w.login()
	c.append("INBOX", `(\Deleted) `, sample(1))
	c.ok("CLOSE")
	c.send("i IDLE\r\n")
	c.expect("+ ...")
	w.server.mu.Lock()
	var idling *session
	for s := range w.server.sessions {
		if s.link.raised(mailboxChanged) {
			idling = s
		}
	}
	w.server.mu.Unlock()
	if idling == nil {
		t.Fatal("the change was taken in: this test finds nothing")
	}
	for idling.link.interest.Load() == 0 {
		d.ok("NOOP")
	}
	if signals := idling.link.interest.Load(); signal(signals)&mailboxChanged != 0 {
		t.Error("the session waits for what has come")
	}
	c.send("DONE\r\n")
	c.expect("i OK ...")
}
