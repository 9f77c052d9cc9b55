package account

import (
	"testing"

	"postern/internal/mail"
)

// TestAppendLimit sets a mailbox's limit, and has it kept over restarts, with the
// log alone and with pages, and under another name; it changes no message and is
// written only when it is another.
func TestAppendLimit(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	limit := func(octets uint32) mail.AppendLimit { return mail.AppendLimit{Own: true, Octets: octets} }
	drafts := box(t, a, "Drafts")
	before, head := drafts.Info(), a.model.last
	if before.AppendLimit.Own {
		t.Errorf("a new mailbox has %+v", before.AppendLimit)
	}
	for _, l := range []mail.AppendLimit{{}, {Octets: 7}, limit(0), limit(0), limit(1<<32 - 1), limit(5000)} {
		if err := drafts.SetAppendLimit(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if !l.Own {
			l.Octets = 0
		}
		if got := drafts.Info().AppendLimit; got != l {
			t.Errorf("%+v became %+v", l, got)
		}
	}
	if n := a.model.last - head; n != 3 {
		t.Errorf("it took %d changes", n)
	}
	if after := drafts.Info(); after.HighestModSeq != before.HighestModSeq || after.Counts != before.Counts {
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
		if got := box(t, a, "Drafts").Info().AppendLimit; got != limit(5000) {
			t.Errorf("saved %v: after a restart it is %+v", save, got)
		}
	}
	if err := a.RenameMailbox(t.Context(), "Drafts", "Plans"); err != nil {
		t.Fatal(err)
	}
	plans := box(t, a, "Plans")
	if got := plans.Info().AppendLimit; got != limit(5000) {
		t.Errorf("under another name it is %+v", got)
	}
	if err := a.DeleteMailbox(t.Context(), "Plans"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, plans.SetAppendLimit(t.Context(), limit(1)), mail.NotFound)
	a.Release()
}
