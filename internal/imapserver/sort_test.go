package imapserver

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/imapwire"
	"postern/internal/message"
	"postern/internal/search"
)

// TestEnvelopeHeading reads envelopes in part and whole: what is asked for is the
// same, what is not stays empty.
func TestEnvelopeHeading(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "NIL", "plain", `q"uo\te`, "(", ")", "{3}", "é\xff", "two words", ")) (("})
	address := rapid.Custom(func(t *rapid.T) message.Address {
		return message.Address{Name: text.Draw(t, "name"), ADL: text.Draw(t, "adl"), Mailbox: text.Draw(t, "mailbox"),
			Host: text.Draw(t, "host"), Kind: message.AddressKind(rapid.IntRange(0, 2).Draw(t, "kind"))}
	})
	field := rapid.Custom(func(t *rapid.T) message.Text {
		return message.Text{Value: text.Draw(t, "text"), Present: rapid.Bool().Draw(t, "present")}
	})
	list := rapid.SliceOfN(address, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		wire := imapwire.AppendEnvelope(nil, &message.Envelope{
			Date: field.Draw(t, "date"), Subject: field.Draw(t, "subject"), From: list.Draw(t, "from"), Sender: list.Draw(t, "sender"),
			ReplyTo: list.Draw(t, "reply-to"), To: list.Draw(t, "to"), Cc: list.Draw(t, "cc"), Bcc: list.Draw(t, "bcc"),
			InReplyTo: field.Draw(t, "in-reply-to"), MessageID: field.Draw(t, "message-id"),
		})
		var whole message.Envelope
		if err := imapwire.ReadEnvelope(wire, &whole); err != nil {
			t.Fatal(err)
		}
		needs := search.Fields(rapid.IntRange(0, 255).Draw(t, "needs"))
		var want, got search.Heading
		first := func(f search.Fields, dst *message.Address, from []message.Address) {
			if needs&f != 0 && len(from) > 0 {
				*dst = from[0]
			}
		}
		first(search.FieldFrom, &want.From, whole.From)
		first(search.FieldTo, &want.To, whole.To)
		first(search.FieldCc, &want.Cc, whole.Cc)
		for f, field := range map[search.Fields]struct {
			dst  *string
			from string
		}{
			search.FieldSubject:   {&want.Subject, whole.Subject.Value},
			search.FieldInReplyTo: {&want.InReplyTo, whole.InReplyTo.Value},
			search.FieldMessageID: {&want.MessageID, whole.MessageID.Value},
		} {
			if needs&f != 0 {
				*field.dst = field.from
			}
		}
		if err := readEnvelopeHeading(wire, needs, &got); err != nil || got != want {
			t.Fatalf("%s: %+v, %v, want %+v", wire, got, err, want)
		}
	})
}

// TestSearchLimit lets no time for a search: each of the commands is refused.
func TestSearchLimit(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Search = 1 })
	c := w.login()
	c.append("INBOX", "", sample(1))
	c.ok("SELECT INBOX", anything)
	for _, command := range []string{
		"SEARCH ALL", "SORT (DATE) UTF-8 ALL", "UID SORT RETURN (COUNT) (ARRIVAL) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
	} {
		c.reply(command, "NO [LIMIT] ...")
	}
}

// TestTurns has more searches of one account than may work: the others wait, and
// another account does not.
func TestTurns(t *testing.T) {
	turns := newTurns(2)
	ctx := t.Context()
	first, err := turns.take(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := turns.take(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := turns.take(gone, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a third has its turn: %v", err)
	}
	other, err := turns.take(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	third := make(chan func())
	go func() {
		done, err := turns.take(ctx, 1)
		if err != nil {
			t.Error(err)
		}
		third <- done
	}()
	select {
	case <-third:
		t.Fatal("a third has its turn")
	default:
	}
	first()
	select {
	case done := <-third:
		done()
	case <-time.After(10 * time.Second):
		t.Fatal("the third waits for ever")
	}
	second()
	other()
	if len(turns.of) != 0 {
		t.Errorf("%d accounts are remembered", len(turns.of))
	}
}
