package account

import (
	"io"
	"slices"
	"testing"

	"postern/internal/mail"
)

func TestNewAccountHasItsMailboxes(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	var names []string
	for _, info := range a.Mailboxes() {
		names = append(names, info.Name)
		if !info.Subscribed || info.Counts.UIDNext != 1 || info.Validity < mail.UIDValidity(w.clock.Now().Unix()) {
			t.Errorf("%+v", info)
		}
	}
	want := []string{"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"}
	if !slices.Equal(names, want) || !slices.Equal(a.Subscriptions(), want) {
		t.Errorf("got %v, subscribed %v, want %v", names, a.Subscriptions(), want)
	}
	if use := box(t, a, "Sent").Info().Use; use != mail.UseSent {
		t.Errorf("Sent is for %v", use.Names())
	}
	validities := map[mail.UIDValidity]bool{}
	for _, info := range a.Mailboxes() {
		validities[info.Validity] = true
	}
	if len(validities) != len(want) {
		t.Error("two mailboxes have one UIDVALIDITY")
	}
	before := a.Mailboxes()
	a.Release()
	w.restart()
	if after := w.open().Mailboxes(); !slices.Equal(before, after) {
		t.Errorf("after a restart: got %v, want %v", after, before)
	}
}

func TestAppendSelectFetch(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "inbox")
	prefix := []byte("Return-Path: <b@example.org>\r\n")
	c := w.content(mailText(1))
	done, err := inbox.Append(t.Context(), []NewMessage{
		{Content: c, Prefix: prefix, Flags: mail.NewFlags(mail.Seen, "$Junk"), Date: mail.NewInternalDate(w.clock.Now())},
		{Content: w.content(mailText(2)), Date: mail.NewInternalDate(w.clock.Now())},
	})
	if err != nil || !done.UIDs.Equal(span(1, 2)) || done.Validity != inbox.Info().Validity {
		t.Fatalf("%+v, %v", done, err)
	}
	size := uint64(len(prefix) + len(mailText(1)) + len(mailText(2)))
	if got, want := inbox.Info().Counts, (mail.Counts{Messages: 2, Unseen: 1, Bytes: size, UIDNext: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s := sel(t, inbox)
	start := s.Start()
	if !start.UIDs.Equal(span(1, 2)) || !start.Recent.Equal(span(1, 2)) || start.FirstUnseen != 2 || !slices.Equal(start.Keywords, []string{"$Junk"}) {
		t.Errorf("%+v", start)
	}
	rows, rest := s.Rows(make([]Row, 0, 9), span(1, 99))
	if len(rows) != 2 || len(rest) != 0 || rows[0].Size != uint32(len(prefix)+len(mailText(1))) || flagsOf(s, 1) != `(\Seen $Junk)` {
		t.Fatalf("%+v, rest %v", rows, rest)
	}
	texts := []string{string(prefix) + mailText(1), mailText(2)}
	seen := 0
	err = s.Summaries(t.Context(), rows, func(i int, m *Summary) error {
		seen++
		b, err := s.Body(t.Context(), m)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if string(got) != texts[i] || m.Size() != int64(len(texts[i])) {
			t.Errorf("message %d: got %q, want %q", i, got, texts[i])
		}
		shape, shapeErr := m.Shape()
		if shapeErr != nil || shape.Root.HeaderStart != 0 || texts[i][shape.Root.BodyStart:] != texts[i][len(texts[i])-8:] {
			t.Errorf("shape %+v, %v", shape, shapeErr)
		}
		return err
	})
	if err != nil || seen != 2 {
		t.Fatal(seen, err)
	}
	s.Close()
}

func TestStoreExpungeCopyMove(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox, trash := box(t, a, "INBOX"), box(t, a, "Trash")
	for i := range 6 {
		w.add(inbox, i, mail.Flags{})
	}
	s, other := sel(t, inbox), sel(t, inbox)
	at := s.Start().At
	r, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(1, 3, 99), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)})
	if err != nil || !r.Changed.Equal(set(1, 3)) || r.ModSeq != at+1 {
		t.Fatalf("%+v, %v, at %d", r, err, at)
	}
	again, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(1, 3), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)})
	if err != nil || !again.Changed.Empty() || again.ModSeq != 0 {
		t.Errorf("a STORE that alters nothing: %+v, %v", again, err)
	}
	gone, err := other.Expunge(t.Context(), nil)
	if err != nil || !gone.Equal(set(1, 3)) {
		t.Fatal(gone, err)
	}
	d := s.Delta(at, span(1, 6))
	if !d.Expunged.Equal(set(1, 3)) || !d.Changed.Empty() || !d.Added.Empty() {
		t.Errorf("%+v", d)
	}
	rows, _ := s.Rows(make([]Row, 0, 9), span(1, 6))
	if len(rows) != 6 || !rows[0].Expunged || rows[1].Expunged {
		t.Errorf("%+v", rows)
	}
	since := at
	for _, c := range []struct {
		r              StoreRequest
		gone, modified mail.UIDSet
	}{
		{StoreRequest{UIDs: set(1, 2), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen)}, set(1), nil},
		{StoreRequest{UIDs: set(1, 2, 4), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Flagged), UnchangedSince: &since}, nil, set(1, 2)},
	} {
		r, err := s.StoreFlags(t.Context(), c.r)
		if err != nil || !r.Gone.Equal(c.gone) || !r.Modified.Equal(c.modified) {
			t.Errorf("%+v: got %+v, %v", c.r, r, err)
		}
	}
	copied, err := s.Copy(t.Context(), set(1, 2, 50), trash)
	if err != nil || !copied.From.Equal(set(1, 2)) || !copied.To.Equal(set(1, 2)) {
		t.Errorf("%+v, %v", copied, err)
	}
	moved, err := s.Move(t.Context(), set(1, 4), trash)
	if err != nil || !moved.From.Equal(set(4)) || !moved.To.Equal(set(3)) {
		t.Errorf("%+v, %v", moved, err)
	}
	ts := sel(t, trash)
	if got := []string{flagsOf(ts, 1), flagsOf(ts, 2), flagsOf(ts, 3)}; !slices.Equal(got, []string{`(\Deleted)`, `(\Seen)`, `(\Flagged)`}) {
		t.Errorf("flags of the copies: %v", got)
	}
	if got := inbox.Info().Counts; got.Messages != 3 || got.Unseen != 2 || got.Deleted != 0 {
		t.Errorf("%+v", got)
	}
}
