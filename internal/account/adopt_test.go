package account

import (
	"testing"

	"postern/internal/mail"
)

// A mailbox takes the place of one that never had a message, with the numbers
// its messages had elsewhere.
func TestAdopt(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	defer func() { a.Release() }()
	made, err := a.CreateMailbox(t.Context(), "Sent (import)", 0)
	if err != nil {
		t.Fatal(err)
	}
	from := box(t, a, made.Name)
	if _, err := from.Append(t.Context(), []NewMessage{
		{Content: w.content(mailText(1)), UID: 5}, {Content: w.content(mailText(2)), UID: 9},
	}); err != nil {
		t.Fatal(err)
	}
	watching := sel(t, box(t, a, "Sent"))
	defer watching.Close()
	start := watching.Start()

	wantKind(t, from.Adopt(t.Context(), "Sent", 0, 20), mail.Invalid)
	wantKind(t, from.Adopt(t.Context(), "Sent", maxAdopted+1, 20), mail.Invalid)
	wantKind(t, from.Adopt(t.Context(), "Sent", 1000, maxAdopted+1), mail.Invalid)
	wantKind(t, from.Adopt(t.Context(), "Sent", 1000, 9), mail.Invalid)
	wantKind(t, from.Adopt(t.Context(), "Sent (import)/below", 1000, 20), mail.Cannot)
	wantKind(t, box(t, a, "INBOX").Adopt(t.Context(), "Sent", 1000, 20), mail.Cannot)
	if err := from.Adopt(t.Context(), "Sent", 1000, 20); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		info := box(t, a, "Sent").Info()
		want := Info{
			ID: made.ID, Name: "Sent", Validity: 1000, Use: mail.UseSent, HighestModSeq: info.HighestModSeq, Recent: 2,
			Account: a.ID(), Rights: mail.AllRights,
			Subscribed: true, Counts: mail.Counts{Messages: 2, Unseen: 2, Bytes: uint64(len(mailText(1)) + len(mailText(2))), UIDNext: 20},
		}
		if info != want {
			t.Errorf("got %+v, want %+v", info, want)
		}
		_, err := a.Mailbox("Sent (import)", mail.RightRead)
		wantKind(t, err, mail.NotFound)
	}
	check()
	if d := watching.Delta(start.At, start.UIDs); !d.Gone {
		t.Errorf("a session that had the empty mailbox selected is told %+v, not that it is gone", d)
	}
	a.Release()
	w.restart()
	a = w.open()
	check()
	if uid := w.add(box(t, a, "Sent"), 3, mail.Flags{}); uid != 20 {
		t.Errorf("the next message has UID %d, want 20", uid)
	}

	// One that had a message, be it gone, stays.
	second, err := a.CreateMailbox(t.Context(), "Sent (import)", 0)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, box(t, a, second.Name).Adopt(t.Context(), "Sent", 1001, 1), mail.AlreadyExists)

	// A name that nobody has, below parents that are not there, and INBOX.
	if err := box(t, a, second.Name).Adopt(t.Context(), "far/below", maxAdopted, 1); err != nil {
		t.Fatal(err)
	}
	third, err := a.CreateMailbox(t.Context(), "INBOX (import)", 0)
	if err != nil || third.Validity <= maxAdopted {
		t.Fatalf("a mailbox made after UIDVALIDITY %d has %d, %v", uint32(maxAdopted), third.Validity, err)
	}
	if err := box(t, a, third.Name).Adopt(t.Context(), "INBOX", 7, 3); err != nil {
		t.Fatal(err)
	}
	if info := box(t, a, "inbox").Info(); info.ID != third.ID || info.Validity != 7 || info.Counts.UIDNext != 3 {
		t.Errorf("INBOX is %+v", info)
	}
	if info := box(t, a, "far").Info(); !info.HasChildren {
		t.Errorf("the parent is %+v", info)
	}
}
