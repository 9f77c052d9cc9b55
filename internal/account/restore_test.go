package account

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/internal/mail"
)

func TestRenumber(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	w.add(box(t, a, "INBOX"), 1, mail.Flags{})
	before := map[mail.MailboxID]Info{}
	highest := mail.UIDValidity(0)
	for _, info := range a.Mailboxes() {
		before[info.ID], highest = info, max(highest, info.Validity)
	}
	saveNow(t, a)
	a.Release()
	w.restart()
	w.clock.Add(time.Hour)

	for range 2 { // a second time goes above the first
		n, err := w.pool.Renumber(t.Context(), 7)
		if err != nil || n != len(before) {
			t.Fatal(n, err)
		}
		seen := map[mail.UIDValidity]bool{}
		a := w.open()
		now := highest
		for _, info := range a.Mailboxes() {
			if info.Validity <= highest || info.Validity < mail.UIDValidity(w.clock.Now().Unix()) || seen[info.Validity] {
				t.Errorf("%s has UIDVALIDITY %d; those before were up to %d, the time is %d", info.Name, info.Validity, highest, w.clock.Now().Unix())
			}
			seen[info.Validity], now = true, max(now, info.Validity)
			was := before[info.ID]
			if info.Name != was.Name || info.Counts != was.Counts || info.HighestModSeq <= was.HighestModSeq {
				t.Errorf("got %+v, was %+v", info, was)
			}
		}
		highest = now
		want := a.Mailboxes()
		a.Release()
		w.restart()
		a = w.open()
		for i, info := range a.Mailboxes() {
			if info != want[i] {
				t.Errorf("after a restart: got %+v, want %+v", info, want[i])
			}
		}
		made, err := a.CreateMailbox(t.Context(), "new"+string(rune('0'+len(a.Mailboxes()))), 0)
		if err != nil || made.Validity <= highest {
			t.Errorf("a mailbox made later has UIDVALIDITY %d, %v", made.Validity, err)
		}
		before[made.ID], highest = made, max(highest, made.Validity)
		a.Release()
	}
}

func TestRenumberRunsOut(t *testing.T) {
	w := newWorld(t)
	w.open().Release()
	w.clock.Add(time.Unix(1<<32-100, 0).Sub(w.clock.Now()))
	_, err := w.pool.Renumber(t.Context(), 7)
	wantKind(t, err, mail.Limit)
}

// TestValidityEncoding: the octets by hand. They are in stored logs and do not
// change.
func TestValidityEncoding(t *testing.T) {
	want := octets(t, `
		02          ; version
		00          ; no flag sets
		01          ; one change
		0b 03       ; its kind, mailbox 3
		02 01 00    ; 2 messages, 1 unseen, none deleted,
		ac02 08 00  ; 300 octets, UIDNEXT 8, no octets deleted
		03 c0843d   ; 3 octets: 1,000,000
	`)
	change := mail.Change{
		ModSeq: 50, Mailbox: 3, After: mail.Counts{Messages: 2, Unseen: 1, Bytes: 300, UIDNext: 8},
		Event: mail.ValiditySet{Validity: 1_000_000},
	}
	if got := encodeRecord([]mail.Change{change}); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "validity.v1.golden"))
	if err != nil {
		t.Error(err)
	}
	err = decodeRecord(golden, 50, func(c *logged) error {
		got, err := c.change()
		if got != change {
			t.Errorf("got %+v, want %+v", got, change)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
