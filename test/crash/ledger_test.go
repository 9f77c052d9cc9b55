package crash_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/test/peer"
)

// A ledger is what the server has acknowledged to the clients of one account: the truth that must be found again.
type ledger struct {
	mu       sync.Mutex
	messages map[string]*entry // by the word in the subject
	uids     map[place]string  // which message a UID ever was
	validity map[string]uint32 // of each mailbox
}

// entry is one message. What is acknowledged is certain; one command at a time may be under way.
type entry struct {
	text   string
	traced bool            // it came by LMTP: a trace stands before the text
	boxes  map[string]bool // where it certainly is
	flags  map[string]bool // what it certainly has in "INBOX" and "Moved"

	// What the command under way may have done, if anything: where the message may be in addition, where it may be
	// no longer, and that it was moved, which is both or neither.
	mayBe, mayBeGone string
	moving           bool
	mayHave          string // a flag
}

type place struct {
	box      string
	validity uint32
	uid      uint32
}

func newLedger() *ledger {
	return &ledger{messages: map[string]*entry{}, uids: map[place]string{}, validity: map[string]uint32{}}
}

// begin notes that a command about a message is under way, and end that it was acknowledged.
func (l *ledger) begin(word string, change func(*entry)) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.messages[word]
	if e == nil {
		e = &entry{boxes: map[string]bool{}, flags: map[string]bool{}}
		l.messages[word] = e
	}
	change(e)
	return e
}

func (l *ledger) end(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.mayBe != "" {
		e.boxes[e.mayBe] = true
	}
	if e.mayBeGone != "" {
		delete(e.boxes, e.mayBeGone)
	}
	if e.mayHave != "" {
		e.flags[e.mayHave] = true
	}
	e.settle()
}

// settle ends what is under way.
func (e *entry) settle() { e.mayBe, e.mayBeGone, e.moving, e.mayHave = "", "", false, "" }

// compare holds what is there against the ledger, and then takes what is there for the truth where a command was cut
// off.
func (l *ledger) compare(t *testing.T, read func(box string) (uint32, []peer.Message)) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]map[string]peer.Message{} // word, mailbox
	for _, box := range boxes {
		validity, messages := read(box)
		if was, ok := l.validity[box]; ok && was != validity {
			t.Errorf("UIDVALIDITY of %s was %d and is %d", box, was, validity)
		}
		l.validity[box] = validity
		for _, m := range messages {
			word := wordOf(m.Body)
			at := place{box, validity, m.UID}
			if was, used := l.uids[at]; used && was != word {
				t.Errorf("UID %d of %s was %s and is %s", m.UID, box, was, word)
			}
			l.uids[at] = word
			if found[word] == nil {
				found[word] = map[string]peer.Message{}
			}
			if _, twice := found[word][box]; twice {
				t.Errorf("%s is twice in %s", word, box)
			}
			found[word][box] = m
		}
	}
	for word := range found {
		if l.messages[word] == nil {
			t.Errorf("nobody sent %q", word)
		}
	}
	for word, e := range l.messages {
		l.compareOne(t, word, e, found[word])
	}
}

func (l *ledger) compareOne(t *testing.T, word string, e *entry, found map[string]peer.Message) {
	t.Helper()
	for _, box := range boxes {
		m, is := found[box]
		switch {
		case e.boxes[box] && !is && box != e.mayBeGone:
			t.Errorf("%s is lost from %s", word, box)
		case !e.boxes[box] && is && box != e.mayBe:
			t.Errorf("%s is in %s, where nobody put it", word, box)
		case is && m.Body != e.text && !(e.traced && strings.HasSuffix(m.Body, "\r\n"+e.text)):
			t.Errorf("%s in %s is not whole: %d octets, want %d", word, box, len(m.Body), len(e.text))
		}
	}
	_, source := found[e.mayBeGone]
	_, target := found[e.mayBe]
	if e.moving && source == target {
		t.Errorf("%s was being moved from %s to %s and is in both or neither", word, e.mayBeGone, e.mayBe)
	}
	clear(e.boxes)
	for box, m := range found {
		e.boxes[box] = true
		if box == "Copies" { // flags are set after the copy was made, on the other
			continue
		}
		for flag := range e.flags {
			if !slices.Contains(m.Flags, flag) {
				t.Errorf("%s in %s has lost %s: it has %q", word, box, flag, m.Flags)
			}
		}
		for _, flag := range m.Flags {
			if !e.flags[flag] && flag != e.mayHave && flag != `\Deleted` {
				t.Errorf("%s in %s has %s, which nobody set", word, box, flag)
			}
		}
		if e.mayHave != "" && slices.Contains(m.Flags, e.mayHave) {
			e.flags[e.mayHave] = true
		}
	}
	e.settle()
}

// boxes are the mailboxes the test uses.
var boxes = []string{"INBOX", "Moved", "Copies"}

// message makes a message with a word that finds it again.
func message(word string, octets int) string {
	line := fmt.Sprintf("This is %s and nothing else.\r\n", word)
	return fmt.Sprintf("Subject: %s\r\nFrom: crash@example.org\r\n\r\n%s", word, strings.Repeat(line, 1+octets/len(line)))
}

func wordOf(body string) string {
	_, after, _ := strings.Cut("\r\n"+body, "\r\nSubject: ")
	word, _, _ := strings.Cut(after, "\r\n")
	return word
}
