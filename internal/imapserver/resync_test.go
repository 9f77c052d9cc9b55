package imapserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
)

// cache is what a client of QRESYNC knows of a mailbox: what it could write down
// at any moment, be cut off, and come back with (RFC 7162 6).
type cache struct {
	validity, highest string
	uids              []mail.UID          // by sequence number; 0: not asked for yet
	flags             map[mail.UID]string // of those
}

// writeDown gives what a client can come back with: the messages up to the first
// that it has not asked for. Those behind it are new to it.
func (c *cache) writeDown() cache {
	down := cache{validity: c.validity, highest: c.highest, flags: map[mail.UID]string{}}
	for _, uid := range c.uids {
		flags, asked := c.flags[uid]
		if !asked {
			break
		}
		down.uids, down.flags[uid] = append(down.uids, uid), flags
	}
	return down
}

// known gives the UIDs, without those it has not asked for.
func (c *cache) known() mail.UIDSet { return mail.NewUIDSet(slices.Sorted(maps.Keys(c.flags))...) }

// syncer is a client of QRESYNC that does as RFC 7162 6 says.
type syncer struct {
	*client
	rnd *rand.Rand
	box string // the mailbox it follows
	cache
}

var (
	existsLine   = regexp.MustCompile(`^\* (\d+) EXISTS$`)
	fetchLine    = regexp.MustCompile(`^\* (\d+) FETCH \((.*)\)$`)
	vanishedLine = regexp.MustCompile(`^\* VANISHED (\(EARLIER\) )?([0-9:,]+)$`)
	highestCode  = regexp.MustCompile(`OK \[HIGHESTMODSEQ (\d+)\]`)
	uidItem      = regexp.MustCompile(`UID (\d+)`)
	flagsItem    = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
	modSeqItem   = regexp.MustCompile(`MODSEQ \((\d+)\)`)
	validityCode = regexp.MustCompile(`\[UIDVALIDITY (\d+)\]`)
)

// take takes in the replies to a command. selecting says that they are those of
// SELECT, whose VANISHED and FETCH speak of what was known before.
func (y *syncer) take(untagged []string, tagged string) {
	y.t.Helper()
	highest, code := number(y.t, y.highest), ""
	if strings.HasPrefix(tagged, "BAD") {
		y.t.Fatalf("%s with %v", tagged, y.uids)
	}
	for _, line := range append(untagged, tagged) {
		if m := highestCode.FindStringSubmatch(line); m != nil {
			code = m[1] // "the client MUST use it even if it has seen higher"
		}
		switch {
		case strings.Contains(line, " EXPUNGE"):
			y.t.Fatalf("EXPUNGE under QRESYNC: %q", line)
		case existsLine.MatchString(line):
			n := int(number(y.t, existsLine.FindStringSubmatch(line)[1]))
			if n < len(y.uids) {
				y.t.Fatalf("%q where there are %d", line, len(y.uids))
			}
			y.uids = append(y.uids, make([]mail.UID, n-len(y.uids))...)
		case vanishedLine.MatchString(line):
			m := vanishedLine.FindStringSubmatch(line)
			y.vanished(parseUIDs(y.t, m[2]), m[1] != "")
		case fetchLine.MatchString(line):
			m := fetchLine.FindStringSubmatch(line)
			if at := y.fetched(int(number(y.t, m[1])), m[2]); at > highest {
				highest = at
			}
		}
	}
	if y.highest = fmt.Sprint(highest); code != "" {
		y.highest = code
	}
}

func (y *syncer) vanished(uids mail.UIDSet, earlier bool) {
	y.t.Helper()
	for uid := range uids.All() {
		at := slices.Index(y.uids, uid)
		switch {
		case earlier && at >= 0:
			y.t.Fatalf("UID %d, message %d, vanished earlier", uid, at+1)
		case !earlier:
			if at < 0 {
				at = y.unasked(uid)
			}
			y.uids = slices.Delete(y.uids, at, at+1)
		}
		delete(y.flags, uid)
	}
}

// unasked gives the place of a message that was announced and never asked for.
func (y *syncer) unasked(uid mail.UID) int {
	y.t.Helper()
	for at, before := range y.uids {
		if before > uid {
			break
		}
		if before == 0 && !slices.ContainsFunc(y.uids[at:], func(u mail.UID) bool { return u != 0 && u < uid }) {
			return at
		}
	}
	y.t.Fatalf("UID %d vanished, which nobody knew of: %v", uid, y.uids)
	return 0
}

func (y *syncer) fetched(seq int, items string) uint64 {
	y.t.Helper()
	uid := uidItem.FindStringSubmatch(items)
	at := modSeqItem.FindStringSubmatch(items)
	flags := flagsItem.FindStringSubmatch(items)
	if uid == nil || at == nil && flags != nil {
		y.t.Fatalf("FETCH without UID or MODSEQ: %q", items)
	}
	u := mail.UID(number(y.t, uid[1]))
	if seq > len(y.uids) || y.uids[seq-1] != 0 && y.uids[seq-1] != u {
		y.t.Fatalf("message %d is UID %d: %v", seq, u, y.uids)
	}
	y.uids[seq-1] = u
	if flags != nil {
		y.flags[u] = sorted(flags[1])
	}
	if at == nil {
		return 0
	}
	return number(y.t, at[1])
}

func sorted(flags string) string {
	list := slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return f == `\Recent` })
	slices.Sort(list)
	return strings.Join(list, " ")
}

func number(t testing.TB, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parseUIDs(t testing.TB, text string) mail.UIDSet {
	t.Helper()
	var set mail.UIDSet
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		set = set.AppendRange(mail.UIDRange{First: mail.UID(number(t, from)), Last: mail.UID(number(t, to))})
	}
	return set
}

// come selects the mailbox with what is known, in one of the ways the RFC has, and asks
// for the messages that are new.
func (y *syncer) come(was cache) {
	y.t.Helper()
	y.ok("ENABLE QRESYNC", "* ENABLED QRESYNC")
	known := was.known()
	command := fmt.Sprintf("SELECT %s (QRESYNC (%s %s", y.box, was.validity, was.highest)
	way := y.rnd.IntN(4)
	if way > 0 && !known.Empty() {
		command += " " + known.String()
	}
	if pairs := was.pairs(y.rnd); way > 1 && pairs != "" {
		command += " (" + pairs + ")"
	}
	command += "))"
	if way == 0 && y.rnd.IntN(2) == 0 || was.validity == "" {
		command = "SELECT " + y.box
	}
	untagged, tagged := y.do(command)
	y.cache = cache{highest: "0", flags: was.flags}
	for _, line := range untagged {
		if m := validityCode.FindStringSubmatch(line); m != nil {
			y.validity = m[1]
		}
	}
	if y.validity != was.validity {
		y.flags, known = map[mail.UID]string{}, nil // RFC 9051 2.3.1.1: all it knew is of no use
	}
	y.take(untagged, tagged)
	if command == "SELECT "+y.box && !known.Empty() && was.validity == y.validity {
		// The same by UID FETCH (RFC 7162 3.2.6). EXISTS is known and UIDs are not.
		y.take(y.do(fmt.Sprintf("UID FETCH 1:%d (FLAGS) (CHANGEDSINCE %s VANISHED)", known.Max(), was.highest)))
	}
	// The known ones that are left are the first, in their order.
	for i, uid := range slices.Sorted(maps.Keys(y.flags)) {
		if uid <= known.Max() {
			y.uids[i] = uid
		}
	}
	y.take(y.do(fmt.Sprintf("UID FETCH %d:* (FLAGS MODSEQ)", known.Max()+1)))
}

// pairs is a sample of numbers and their UIDs.
func (c *cache) pairs(rnd *rand.Rand) string {
	var numbers, uids []string
	for i, uid := range c.uids {
		if uid != 0 && rnd.IntN(3) == 0 {
			numbers, uids = append(numbers, fmt.Sprint(i+1)), append(uids, fmt.Sprint(uid))
		}
	}
	if numbers == nil {
		return ""
	}
	return strings.Join(numbers, ",") + " " + strings.Join(uids, ",")
}

// complete asks for the messages whose UIDs it does not have.
func (y *syncer) complete() {
	y.t.Helper()
	down := y.writeDown()
	from := down.known().Max() + 1
	y.take(y.do(fmt.Sprintf("UID FETCH %d:* (FLAGS MODSEQ)", from)))
}

// step does something at random, as a client that works while it follows.
func (y *syncer) step() {
	y.t.Helper()
	if len(y.uids) == 0 {
		y.take(y.do("NOOP"))
		return
	}
	some := y.rnd.IntN(len(y.uids)) + 1
	switch y.rnd.IntN(9) {
	case 0, 1:
		y.take(y.do("NOOP"))
	case 2:
		y.take(y.do(fmt.Sprintf(`STORE %d +FLAGS.SILENT (\Flagged)`, some)))
		// The client works out the flags of what it stored silently only if it
		// knows the message; to know what came of it, this one asks.
		y.take(y.do(fmt.Sprintf("FETCH %d (UID FLAGS MODSEQ)", some)))
	case 3:
		y.take(y.do(fmt.Sprintf(`STORE %d -FLAGS (\Flagged $Work)`, some)))
	case 4:
		y.take(y.do(fmt.Sprintf(`STORE %d (UNCHANGEDSINCE %s) +FLAGS ($Work)`, some, max(y.highest, "1"))))
	case 5:
		y.take(y.do(fmt.Sprintf("FETCH %d (UID FLAGS MODSEQ)", some)))
	case 6:
		y.take(y.do(fmt.Sprintf("FETCH %d:* (UID FLAGS MODSEQ) (CHANGEDSINCE %s)", some, max(y.highest, "1"))))
	case 7:
		y.complete()
	case 8:
		y.take(y.do(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %s VANISHED)", max(y.highest, "1"))))
	}
}

// writeAtRandom makes a change at random, mostly to the newer messages.
func writeAtRandom(c *client, rnd *rand.Rand, uidNext int) {
	c.t.Helper()
	first := max(1, uidNext-1-rnd.IntN(10)*rnd.IntN(10))
	set := fmt.Sprintf("%d:%d", first, first+rnd.IntN(3))
	switch rnd.IntN(8) {
	case 0, 1:
		c.append("INBOX", []string{"", `(\Seen) `, `($Work) `}[rnd.IntN(3)], sample(first))
	case 2:
		c.ok("UID STORE "+set+` +FLAGS.SILENT (\Deleted)`, anything)
	case 3:
		c.ok("UID STORE "+set+` +FLAGS (\Deleted \Seen)`, anything)
		c.ok("UID EXPUNGE 1:*", anything)
	case 4:
		c.ok("UID STORE "+set+` FLAGS (\Answered)`, anything)
	case 5:
		c.ok("UID MOVE "+set+" Archive", anything)
	case 6:
		c.ok("UID FETCH "+set+" BODY[]", anything)
	case 7:
		c.ok("EXPUNGE", anything)
	}
}

// uidNext asks for UIDNEXT of INBOX.
func (w *world) uidNext() int {
	w.t.Helper()
	a, err := w.pool.Open(w.t.Context(), 1)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Release()
	inbox, err := a.Mailbox(mail.Inbox, mail.RightRead)
	if err != nil {
		w.t.Fatal(err)
	}
	return int(inbox.Info().Counts.UIDNext)
}

// truth gives what there really is in a mailbox.
func (w *world) truth(box string) map[mail.UID]string {
	w.t.Helper()
	c := w.login()
	c.ok("EXAMINE "+box, anything)
	untagged, _ := c.do("UID FETCH 1:* FLAGS")
	there := map[mail.UID]string{}
	for _, line := range untagged {
		if m := fetchLine.FindStringSubmatch(line); m != nil {
			there[mail.UID(number(w.t, uidItem.FindStringSubmatch(m[2])[1]))] = sorted(flagsItem.FindStringSubmatch(m[2])[1])
		}
	}
	c.ok("LOGOUT", anything)
	return there
}

// TestResync lets clients write to a mailbox and one follow it, at random. What
// that one knew at any moment, with expunges held back from it or not, is enough
// to come back with: it then has exactly what the server has, however much of the
// past the server has forgotten.
func TestResync(t *testing.T) {
	seeds, rounds := uint64(40), 40
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, nil)
			rnd := rand.New(rand.NewPCG(seed, 7))
			writers := []*client{w.login(), w.login()}
			writers[1].ok("ENABLE CONDSTORE", anything)
			for _, c := range writers {
				c.ok("SELECT INBOX", anything)
			}
			y := &syncer{client: w.login(), rnd: rnd, box: "INBOX"}
			y.come(cache{highest: "0", flags: map[mail.UID]string{}})
			var written []cache // what it knew at any moment
			for range rounds {
				for range 1 + rnd.IntN(6) {
					for range rnd.IntN(4) {
						writeAtRandom(writers[rnd.IntN(2)], rnd, w.uidNext())
					}
					y.step()
					written = append(written, y.writeDown())
				}
				if rnd.IntN(4) == 0 {
					for _, c := range writers {
						c.do("NOOP") // who withholds for 12 hours is sent away
					}
					w.forget(rnd)
				}
				there := w.truth("INBOX")
				for range 3 {
					_ = y.conn.Close()
					was := written[rnd.IntN(len(written))]
					y = &syncer{client: w.login(), rnd: rnd, box: "INBOX"}
					y.come(was.writeDown())
					if !maps.Equal(y.flags, there) || len(y.uids) != len(there) {
						t.Fatalf("who came back with %+v has %v and not %v", was, y.flags, there)
					}
					written = append(written, y.writeDown())
				}
			}
		})
	}
}

// forget lets time pass, so that the oldest expunged messages are freed, and what
// nobody has selected leaves memory.
func (w *world) forget(rnd *rand.Rand) {
	w.t.Helper()
	w.clock.add(time.Duration(rnd.IntN(20)) * time.Hour)
	if err := w.pool.Housekeep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}
