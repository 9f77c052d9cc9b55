package imapserver

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/store/storetest"
)

// updated is a client that keeps the results of a search by what it is told of their
// changes (RFC 5267 4.3).
type updated struct {
	tag     string
	byUID   bool
	sorted  bool
	command string // what finds the same anew
	list    []uint32
}

// watcher is a client with several of them in one mailbox.
type watcher struct {
	*client
	rnd     *rand.Rand
	exists  int
	updated []*updated
}

var (
	esearchLine = regexp.MustCompile(`^\* ESEARCH \(TAG "([^"]+)"\)( UID)?((?: [A-Z]+ (?:\([^)]*\)|\S+))*)$`)
	updateItem  = regexp.MustCompile(`(REMOVEFROM|ADDTO) \(([^)]*)\)`)
	allItem     = regexp.MustCompile(` ALL (\S+)`)
)

// numbersIn gives a sequence set in its order.
func numbersIn(t testing.TB, set string) (out []uint32) {
	t.Helper()
	for part := range strings.SplitSeq(set, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		for n := number(t, from); n <= number(t, to); n++ {
			out = append(out, uint32(n))
		}
	}
	return out
}

// hear takes in one response.
func (w *watcher) hear(line string) {
	w.t.Helper()
	if m := existsLine.FindStringSubmatch(line); m != nil {
		w.exists = int(number(w.t, m[1]))
	} else if m := expunge.FindStringSubmatch(line); m != nil {
		w.expunged(uint32(number(w.t, m[1])))
	} else if m := esearchLine.FindStringSubmatch(line); m != nil {
		for _, u := range w.updated {
			if u.tag == m[1] {
				if u.byUID != (m[2] != "") {
					w.t.Fatalf("%q: UIDs or numbers?", line)
				}
				u.change(w, line, m[3])
			}
		}
	} else if strings.Contains(line, "NOUPDATE") {
		w.t.Fatal(line)
	}
}

func (w *watcher) expunged(n uint32) {
	w.t.Helper()
	w.exists--
	for _, u := range w.updated {
		for i := range u.list {
			switch {
			case u.byUID:
			case u.list[i] == n:
				w.t.Fatalf("EXPUNGE %d of what was not removed from %s: %v", n, u.tag, u.list)
			case u.list[i] > n:
				u.list[i]--
			}
		}
	}
}

// change does what an ESEARCH response says.
func (u *updated) change(w *watcher, line, items string) {
	w.t.Helper()
	if m := allItem.FindStringSubmatch(items); m != nil {
		u.list = numbersIn(w.t, m[1])
	}
	for _, m := range updateItem.FindAllStringSubmatch(items, -1) {
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			at, numbers := int(number(w.t, fields[i])), numbersIn(w.t, fields[i+1])
			if !u.byUID && int(slices.Max(numbers)) > w.exists {
				w.t.Fatalf("%q where there are %d messages", line, w.exists)
			}
			switch {
			case u.sorted && at == 0:
				w.t.Fatalf("%q: a place of no message in what is sorted", line)
			case m[1] == "ADDTO" && u.sorted:
				u.list = slices.Insert(u.list, at-1, numbers...)
			case m[1] == "ADDTO":
				u.list = append(u.list, numbers...)
				slices.Sort(u.list)
			case u.sorted:
				if !slices.Equal(u.list[at-1:at-1+len(numbers)], numbers) {
					w.t.Fatalf("%q of %v", line, u.list)
				}
				u.list = slices.Delete(u.list, at-1, at-1+len(numbers))
			default:
				for _, n := range numbers {
					k := slices.Index(u.list, n)
					if k < 0 {
						w.t.Fatalf("%q of %v", line, u.list)
					}
					u.list = slices.Delete(u.list, k, k+1)
				}
			}
		}
	}
}

func (w *watcher) say(command string) {
	w.t.Helper()
	w.tags++
	tag := fmt.Sprintf("t%d", w.tags)
	w.send(tag + " " + command + "\r\n")
	w.hearUntil(tag)
}

func (w *watcher) hearUntil(tag string) {
	w.t.Helper()
	for {
		line := w.read()
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				w.t.Fatal(rest)
			}
			return
		}
		w.hear(line)
	}
}

// watch begins to follow a search.
func (w *watcher) watch(command, rest string) {
	w.t.Helper()
	w.tags++
	u := &updated{tag: fmt.Sprintf("t%d", w.tags), byUID: strings.HasPrefix(command, "UID"),
		sorted: strings.HasSuffix(command, "SORT"), command: command + " RETURN (ALL) " + rest}
	w.updated = append(w.updated, u)
	w.send(u.tag + " " + command + " RETURN (ALL UPDATE) " + rest + "\r\n")
	w.hearUntil(u.tag)
}

// agree asks anew.
func (w *watcher) agree() {
	w.t.Helper()
	for _, u := range w.updated {
		untagged, _ := w.do(u.command)
		var want []uint32
		if m := allItem.FindStringSubmatch(untagged[0]); m != nil {
			want = numbersIn(w.t, m[1])
		}
		if len(untagged) != 1 || !slices.Equal(want, u.list) {
			w.t.Fatalf("%s finds %v (%q), the client has %v", u.command, want, untagged, u.list)
		}
	}
}

// TestUpdatedSearches lets clients change a mailbox at random. The results of searches
// with UPDATE, kept by what is told of them, are always what the same searches find
// anew.
func TestUpdatedSearches(t *testing.T) {
	seeds, rounds := uint64(40), 60
	if testing.Short() {
		seeds, rounds = 8, 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			world := newWorld(t, nil)
			rnd := rand.New(rand.NewPCG(seed, 5))
			writers := []*client{world.selected(), world.selected()}
			w := &watcher{client: world.login(), rnd: rnd}
			if seed%3 > 0 {
				w.ok([]string{"", `NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))`,
					`NOTIFY SET (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))`}[seed%3])
			}
			w.say("SELECT INBOX")
			for _, s := range [][2]string{
				{"UID SEARCH", "UNSEEN"}, {"SEARCH", "NOT SEEN NOT KEYWORD $Work"}, {"UID SORT", "(REVERSE SUBJECT) UTF-8 UNDELETED"},
				{"SORT", "(SUBJECT ARRIVAL) UTF-8 ALL"}, {"SEARCH", `OR SUBJECT "1" TEXT "message 3"`}, {"UID SORT", "(SIZE REVERSE SUBJECT) UTF-8 UNSEEN"},
			} {
				w.watch(s[0], s[1])
			}
			for range rounds {
				for range rnd.IntN(5) {
					writeAtRandom(writers[rnd.IntN(2)], rnd, world.uidNext()+rnd.IntN(40))
				}
				if rnd.IntN(12) == 0 {
					for range 40 {
						writers[0].append("INBOX", "", sample(rnd.IntN(1000)))
					}
				}
				switch n := rnd.IntN(5); {
				case n == 0 && w.exists > 0 && seed%3 != 1: // who asks for SELECTED may not use numbers
					w.say(fmt.Sprintf(`STORE %d +FLAGS (\Seen)`, 1+rnd.IntN(w.exists)))
				case n == 1 && w.exists > 0 && seed%3 != 1:
					w.say(fmt.Sprintf(`FETCH %d:* FLAGS`, 1+rnd.IntN(w.exists)))
				case n == 2:
					text := sample(rnd.IntN(1000))
					w.say(fmt.Sprintf("APPEND INBOX (\\Flagged) {%d+}\r\n%s", len(text), text))
				case n == 3:
					w.tags++
					w.send(fmt.Sprintf("t%d IDLE\r\nDONE\r\n", w.tags))
					w.hearUntil(fmt.Sprintf("t%d", w.tags))
				}
				w.say("NOOP")
				w.agree()
			}
		})
	}
}

// TestUpdatedByTime searches for what is young, which messages are not for ever. What
// numbers meant when the search came they mean later too (RFC 5267 4.3).
func TestUpdatedByTime(t *testing.T) {
	w := newWorld(t, nil)
	c, d := w.selected(), w.selected()
	c.fill(3)
	c.ok(`STORE 1 FLAGS.SILENT (\Deleted)`, anything)
	c.ok("UID SEARCH RETURN (UPDATE ALL) 2:3 YOUNGER 3600", `* ESEARCH (TAG "t7") UID ALL 2:3`)
	d.ok("EXPUNGE", anything)
	c.ok("NOOP", "* 1 EXPUNGE", "...RECENT")
	w.clock.add(2 * time.Hour)
	c.ok("NOOP", `* ESEARCH (TAG "t7") UID REMOVEFROM (0 2:3)`)
	c.ok("NOOP")
	d.append("INBOX", "", sample(4)) // is young, and neither message 2 nor 3 was
	c.ok("NOOP", "* 3 EXISTS", "...RECENT")
}

// TestUpdateGivenUp lets a message be unreadable when a search is to be asked again:
// what the client has of it cannot be kept true any more.
func TestUpdateGivenUp(t *testing.T) {
	w := newWorld(t, nil)
	c, d := w.selected(), w.login()
	c.fill(1)
	c.ok(`SEARCH RETURN (UPDATE COUNT) SUBJECT "message"`, `* ESEARCH (TAG "t4") COUNT 1`)
	c.ok(`SEARCH RETURN (UPDATE COUNT) SEEN`, `* ESEARCH (TAG "t5") COUNT 0`)
	d.append("INBOX", "", sample(2))
	w.faults.Fail(storetest.OpSummaries, storetest.Fault{Err: away})
	untagged, tagged := c.do("NOOP")
	if !slices.Contains(untagged, `* NO [NOUPDATE "t4"] it cannot be updated any longer`) || !strings.HasPrefix(tagged, "OK") {
		t.Fatalf("%q %q", untagged, tagged)
	}
	c.reply(`CANCELUPDATE "t5"`, "NO ...")
	c.ok(`SEARCH RETURN (UPDATE COUNT) ALL`, anything)
}
