package account

import (
	"errors"
	"testing"

	"postern/internal/mail"
	"postern/internal/store/storetest"
)

// TestReplace checks that a message takes another's place in one commit, or that nothing happens at all.
func TestReplace(t *testing.T) {
	w := newWorld(t)
	faults := storetest.Failing(w.mem)
	w.store = faults
	w.restart()
	a := w.open()
	defer a.Release()
	drafts, sent := box(t, a, "Drafts"), box(t, a, "Sent")
	for i := range 3 {
		w.add(drafts, i+1, mail.Flags{})
	}
	s := sel(t, drafts)
	defer s.Close()
	replace := func(old mail.UID, to *Mailbox) (Appended, error) {
		c := w.content(mailText(100))
		defer c.Abandon(t.Context())
		return s.Replace(t.Context(), old, to, NewMessage{Content: c, Date: mail.NewInternalDate(w.clock.Now())})
	}

	before, records := a.model.last, a.model.tailRecords
	done, err := replace(2, drafts)
	if err != nil || !done.UIDs.Equal(set(4)) || done.Validity != drafts.Info().Validity {
		t.Fatal(done, err)
	}
	if n := a.model.tailRecords - records; n != 1 {
		t.Errorf("it took %d commits", n)
	}
	d := s.Delta(before, span(1, 3))
	if !d.Added.Equal(set(4)) || !d.Expunged.Equal(set(2)) {
		t.Errorf("delta %+v", d)
	}
	if done, err = replace(4, sent); err != nil || !done.UIDs.Equal(set(1)) {
		t.Fatal(done, err)
	}

	// What is not there is not replaced: never was, was expunged, is in a mailbox that is gone.
	count := func() (uint32, uint32) { return drafts.Info().Counts.Messages, sent.Info().Counts.Messages }
	for _, uid := range []mail.UID{2, 9} {
		if _, err := replace(uid, drafts); !errors.Is(err, ErrReplaced) {
			t.Errorf("UID %d: %v", uid, err)
		}
	}
	faults.Fail(storetest.OpCommit, storetest.Fault{Err: mail.Errorf(mail.NoSpace, "the disk is full")})
	if _, err := replace(1, sent); mail.KindOf(err) != mail.NoSpace {
		t.Error(err)
	}
	if d, s := count(); d != 2 || s != 1 {
		t.Errorf("%d and %d messages", d, s)
	}
	if err := a.DeleteMailbox(t.Context(), "Sent"); err != nil {
		t.Fatal(err)
	}
	_, err = replace(1, sent)
	wantKind(t, err, mail.NotFound)
	if errors.Is(err, ErrReplaced) {
		t.Error(err)
	}

	look, err := drafts.Select(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	c := w.content("x")
	defer c.Abandon(t.Context())
	_, err = look.Replace(t.Context(), 1, drafts, NewMessage{Content: c, Date: mail.NewInternalDate(w.clock.Now())})
	wantKind(t, err, mail.ReadOnly)
	if d := drafts.Info().Counts.Messages; d != 2 {
		t.Errorf("%d messages", d)
	}
}
