package imapserver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// follower is a client that works out from what it is told which messages there
// are: uids[n-1] is the UID of message n, 0 if it has not asked yet.
type follower struct {
	*client
	uids []int
	rnd  *rand.Rand
}

// take reads the responses to a command and keeps count.
func (f *follower) take(responses []string) error {
	for _, line := range responses {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "*" {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		switch fields[2] {
		case "EXPUNGE":
			if n < 1 || n > len(f.uids) {
				return fmt.Errorf("EXPUNGE %d of %d messages", n, len(f.uids))
			}
			f.uids = slices.Delete(f.uids, n-1, n)
		case "EXISTS":
			if n < len(f.uids) {
				return fmt.Errorf("EXISTS %d where there are %d", n, len(f.uids))
			}
			f.uids = append(f.uids, make([]int, n-len(f.uids))...)
		case "FETCH":
			if n < 1 || n > len(f.uids) {
				return fmt.Errorf("FETCH %d of %d messages", n, len(f.uids))
			}
			_, rest, ok := strings.Cut(line, "UID ")
			if !ok {
				continue
			}
			uid, err := strconv.Atoi(strings.FieldsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })[0])
			if err != nil {
				return err
			}
			if known := f.uids[n-1]; known != 0 && known != uid {
				return fmt.Errorf("message %d is UID %d and was UID %d", n, uid, known)
			}
			f.uids[n-1] = uid
		}
	}
	return nil
}

// step does something at random.
func (f *follower) step() error {
	command := "NOOP"
	some := func() string { return fmt.Sprint(f.rnd.IntN(len(f.uids)) + 1) }
	switch kind := f.rnd.IntN(12); {
	case kind < 2 || len(f.uids) == 0:
		text := sample(f.rnd.IntN(1000))
		command = fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)
	case kind == 2:
		command = "STORE " + some() + `:* +FLAGS.SILENT (\Deleted)`
	case kind == 3:
		command = "STORE " + some() + ` FLAGS (\Seen $Work)`
	case kind == 4:
		command = "EXPUNGE"
	case kind == 5:
		command = "UID EXPUNGE 1:*"
	case kind == 6:
		command = "FETCH " + some() + " (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
	case kind == 7:
		command = "SEARCH UNSEEN"
	case kind == 8:
		command = "MOVE " + some() + " INBOX"
	case kind == 9:
		command = "COPY " + some() + " INBOX"
	case kind == 10:
		command = "FETCH 1:* (UID FLAGS)"
	}
	if f.rnd.IntN(4) == 0 && strings.HasPrefix(command, "FETCH") {
		// Together with a command before, which must then tell of no expunge.
		f.tags += 2
		first, second := fmt.Sprintf("p%d", f.tags), fmt.Sprintf("q%d", f.tags)
		f.send(first + " NOOP\r\n" + second + " " + command + "\r\n")
		for _, tag := range []string{first, second} {
			untagged, tagged := f.until(tag)
			if !strings.HasPrefix(tagged, "OK ") {
				return fmt.Errorf("%s: %s", command, tagged)
			}
			if err := f.take(untagged); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
		return nil
	}
	untagged, tagged := f.do(command)
	if !strings.HasPrefix(tagged, "OK ") {
		return fmt.Errorf("%s: %s", command, tagged)
	}
	if err := f.take(untagged); err != nil {
		return fmt.Errorf("%s: %w in %q", command, err, untagged)
	}
	return nil
}

// TestSessionsAtRandom lets several clients do what they like to one mailbox. For
// each of them a sequence number always means the message it was told it means,
// and in the end all agree on what is there.
func TestSessionsAtRandom(t *testing.T) {
	steps := 1000
	if testing.Short() {
		steps = 150
	}
	w := newWorld(t, nil)
	w.keepIndex()
	followers := make([]*follower, 4)
	for i := range followers {
		f := &follower{client: w.login(), rnd: rand.New(rand.NewPCG(7, uint64(i)))}
		if i%2 == 1 {
			f.ok("ENABLE IMAP4rev2", anything)
		}
		untagged, _ := f.do("SELECT INBOX")
		if err := f.take(untagged); err != nil {
			t.Fatal(err)
		}
		followers[i] = f
	}
	var group sync.WaitGroup
	failures := make(chan error, len(followers))
	for _, f := range followers {
		group.Go(func() {
			for range steps {
				if err := f.step(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	var want string
	for i, f := range followers {
		f.take(noop(f))
		f.take(noop(f))
		untagged, _ := f.do("FETCH 1:* UID")
		if err := f.take(untagged); err != nil {
			t.Error(err)
		}
		got := fmt.Sprint(f.uids)
		if i == 0 {
			want = got
		} else if got != want {
			t.Errorf("client %d has %s, the first %s", i, got, want)
		}
	}
}

func noop(f *follower) []string {
	untagged, _ := f.do("NOOP")
	return untagged
}
