package account

import (
	"testing"

	"postern/internal/mail"
)

// TestAccessKeys makes, renews and forgets keys, and has them kept over restarts,
// with the log alone and with pages.
func TestAccessKeys(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	drafts, sent := box(t, a, "Drafts"), box(t, a, "Sent")
	var none mail.AccessKey
	if drafts.AccessKey() != none || drafts.Info().KeyAt != 0 {
		t.Error("a new mailbox has a key")
	}
	made := func(m *Mailbox) mail.AccessKey {
		t.Helper()
		k, err := m.MakeAccessKey(t.Context())
		if err != nil || k == none || k != m.AccessKey() {
			t.Fatalf("%v, %v", k, err)
		}
		return k
	}
	before := drafts.Info()
	first, other := made(drafts), made(sent)
	if first == other || made(drafts) != first {
		t.Error("keys are not each mailbox's own")
	}
	if err := drafts.RenewAccessKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := made(drafts)
	if after := drafts.Info(); second == first || after.KeyAt == 0 || after.HighestModSeq != before.HighestModSeq || after.Counts != before.Counts {
		t.Errorf("%+v became %+v", before, after)
	}
	for _, save := range []bool{false, true} {
		if save {
			if err := a.ask(t.Context(), &request{run: func() {
				if err := a.save(t.Context()); err != nil {
					t.Error(err)
				}
			}}); err != nil {
				t.Fatal(err)
			}
		}
		a.Release()
		w.restart()
		a = w.open()
		drafts, sent = box(t, a, "Drafts"), box(t, a, "Sent")
		if drafts.AccessKey() != second || sent.AccessKey() != other {
			t.Errorf("saved %v: other keys after a restart", save)
		}
	}
	at, head := drafts.Info().KeyAt, a.model.last
	if err := a.ForgetAccessKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if drafts.AccessKey() != none || sent.AccessKey() != none || drafts.Info().KeyAt <= at || a.model.last != head+2 {
		t.Error("keys were not forgotten")
	}
	if err := a.ForgetAccessKeys(t.Context()); err != nil || a.model.last != head+2 {
		t.Error("forgetting nothing was written")
	}
	made(drafts)
	if err := a.DeleteMailbox(t.Context(), "Drafts"); err != nil {
		t.Fatal(err)
	}
	if drafts.AccessKey() != none {
		t.Error("a mailbox that is gone has a key")
	}
	_, err := drafts.MakeAccessKey(t.Context())
	wantKind(t, err, mail.NotFound)
	a.Release()
}
