package imapserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/mail"
)

// uidSyncer is a client of UIDONLY and QRESYNC: it knows a mailbox as a set of UIDs with their flags, and how many messages
// there are.
type uidSyncer struct {
	*client
	rnd               *rand.Rand
	validity, highest string
	exists            int
	flags             map[mail.UID]string
	asked             mail.UID // up to here it has asked for all; of what is above it may have heard
}

// writeDown gives what it can come back with.
func (y *uidSyncer) writeDown() uidSyncer {
	down := *y
	down.flags = maps.Clone(y.flags)
	maps.DeleteFunc(down.flags, func(uid mail.UID, _ string) bool { return uid > y.asked })
	return down
}

var uidFetchLine = regexp.MustCompile(`^\* (\d+) UIDFETCH \((.*)\)$`)

// take takes in the replies to a command. No line may hold a message number.
func (y *uidSyncer) take(untagged []string, tagged string) {
	y.t.Helper()
	if strings.HasPrefix(tagged, "BAD") {
		y.t.Fatalf("%s with %v", tagged, y.flags)
	}
	highest, code := number(y.t, y.highest), ""
	for _, line := range append(untagged, tagged) {
		if m := highestCode.FindStringSubmatch(line); m != nil {
			code = m[1]
		}
		switch {
		case fetchLine.MatchString(line), strings.Contains(line, " EXPUNGE"), strings.Contains(line, "[UNSEEN"):
			y.t.Fatalf("a message number under UIDONLY: %q", line)
		case existsLine.MatchString(line):
			y.exists = int(number(y.t, existsLine.FindStringSubmatch(line)[1]))
		case vanishedLine.MatchString(line):
			m := vanishedLine.FindStringSubmatch(line)
			gone := parseUIDs(y.t, m[2])
			if m[1] == "" {
				y.exists -= gone.Len() // RFC 9586 3.4: each of them was there
			}
			for uid := range gone.All() {
				delete(y.flags, uid)
			}
		case uidFetchLine.MatchString(line):
			m := uidFetchLine.FindStringSubmatch(line)
			at, flags := modSeqItem.FindStringSubmatch(m[2]), flagsItem.FindStringSubmatch(m[2])
			if at == nil {
				y.t.Fatalf("UIDFETCH without MODSEQ: %q", line)
			}
			highest = max(highest, number(y.t, at[1]))
			if flags != nil {
				y.flags[mail.UID(number(y.t, m[1]))] = sorted(flags[1])
			}
		}
	}
	if y.highest = fmt.Sprint(highest); code != "" {
		y.highest = code
	}
}

// come selects INBOX with what is known and asks for what is new.
func (y *uidSyncer) come(was uidSyncer) {
	y.t.Helper()
	y.ok("ENABLE UIDONLY QRESYNC", "* ENABLED UIDONLY QRESYNC")
	y.flags, y.asked, y.highest = maps.Clone(was.flags), was.asked, "0"
	command := "SELECT INBOX"
	known := mail.NewUIDSet(slices.Sorted(maps.Keys(was.flags))...)
	if was.validity != "" {
		command = fmt.Sprintf("SELECT INBOX (QRESYNC (%s %s", was.validity, was.highest)
		if !known.Empty() && y.rnd.IntN(2) == 0 {
			command += " " + known.String()
		}
		command += "))"
	}
	untagged, tagged := y.do(command)
	for _, line := range untagged {
		if m := validityCode.FindStringSubmatch(line); m != nil {
			y.validity = m[1]
		}
	}
	y.take(untagged, tagged)
	y.complete()
}

// complete asks for the messages above those it has asked for.
func (y *uidSyncer) complete() {
	y.t.Helper()
	y.take(y.do(fmt.Sprintf("UID FETCH %d:* (FLAGS MODSEQ)", y.asked+1)))
	for uid := range y.flags {
		y.asked = max(y.asked, uid)
	}
}

func (y *uidSyncer) step() {
	y.t.Helper()
	uids := slices.Sorted(maps.Keys(y.flags))
	if len(uids) == 0 {
		y.take(y.do("NOOP"))
		y.complete()
		return
	}
	some := uids[y.rnd.IntN(len(uids))]
	switch y.rnd.IntN(5) {
	case 0:
		y.take(y.do("NOOP"))
		y.complete()
	case 1:
		y.take(y.do(fmt.Sprintf(`UID STORE %d -FLAGS (\Flagged $Work)`, some)))
	case 2:
		y.take(y.do(fmt.Sprintf(`UID STORE %d (UNCHANGEDSINCE %s) +FLAGS ($Work)`, some, max(y.highest, "1"))))
	case 3:
		y.take(y.do(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %s VANISHED)", max(y.highest, "1"))))
	case 4:
		y.take(y.do(fmt.Sprintf("UID MOVE %d Archive", some)))
	}
}

// TestResyncUIDOnly is TestResync for a client that knows no message numbers.
func TestResyncUIDOnly(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, nil)
			rnd := rand.New(rand.NewPCG(seed, 8))
			writers := []*client{w.login(), w.login()}
			for _, c := range writers {
				c.ok("SELECT INBOX", anything)
			}
			y := uidSyncer{client: w.login(), rnd: rnd}
			y.come(uidSyncer{flags: map[mail.UID]string{}})
			var pasts []uidSyncer
			for range 25 {
				for range 1 + rnd.IntN(5) {
					for range rnd.IntN(4) {
						writeAtRandom(writers[rnd.IntN(2)], rnd, w.uidNext())
					}
					y.step()
					pasts = append(pasts, y.writeDown())
				}
				if rnd.IntN(4) == 0 {
					for _, c := range writers {
						c.do("NOOP")
					}
					w.forget(rnd)
				}
				there := w.truth("INBOX")
				for range 2 {
					_ = y.conn.Close()
					was := pasts[rnd.IntN(len(pasts))]
					y = uidSyncer{client: w.login(), rnd: rnd}
					y.come(was)
					if !maps.Equal(y.flags, there) || y.exists != len(there) {
						t.Fatalf("who came back with %v at %s has %v, %d messages, and not %v", was.flags, was.highest, y.flags, y.exists, there)
					}
				}
			}
		})
	}
}
