package account

import (
	"bytes"
	"context"
	"io"

	"postern/internal/mail"
)

// Copies from one account to another. A message belongs to its account, with its
// number, its summary, its thread and a body of its own: a body can be taken only
// under the lease it arrived with (store.Account.Commit), which is over. So the copy
// arrives there as any message does.

// abroadBatch is how many messages one COPY or MOVE can bring into another account.
// All of them come in or none (RFC 9051 6.4.7), so their summaries, a few KiB each,
// are in memory together.
const abroadBatch = 5_000

// copyAbroad copies messages into another account, in one commit there; those
// expunged elsewhere count too, unless they are to be moved.
func (s *Selection) copyAbroad(ctx context.Context, uids mail.UIDSet, to *Mailbox, move bool) (Copied, error) {
	s.a.mu.RLock()
	err := s.mayTake(move)
	s.a.mu.RUnlock()
	if err != nil {
		return Copied{}, err
	}
	rows, err := s.allRows(uids, !move)
	if err != nil {
		return Copied{}, err
	}
	done := Copied{Validity: to.Info().Validity, Abroad: true}
	if err := to.mayInsert(); err != nil || len(rows) == 0 {
		return done, err
	}
	msgs := make([]NewMessage, 0, len(rows))
	defer func() {
		for i := range msgs {
			msgs[i].Content.Abandon(context.WithoutCancel(ctx))
		}
	}()
	for len(rows) > 0 {
		n := min(len(rows), 64) // summaries held at a time
		brought, err := s.bring(ctx, rows[:n])
		msgs = append(msgs, brought...)
		if err != nil {
			return Copied{}, err
		}
		for i := range rows[:n] {
			done.From = done.From.Append(rows[i].UID)
		}
		rows = rows[n:]
	}
	added, err := to.Append(ctx, msgs)
	if err != nil {
		return Copied{}, err
	}
	done.Validity, done.To = added.Validity, added.UIDs
	return done, nil
}

// allRows gives the rows of these messages.
func (s *Selection) allRows(uids mail.UIDSet, gone bool) ([]Row, error) {
	var all []Row
	room := make([]Row, 0, 1024)
	for !uids.Empty() {
		rows, rest := s.Rows(room, uids)
		if len(rows) == 0 {
			break
		}
		for i := range rows {
			if gone || !rows[i].Expunged {
				all = append(all, rows[i])
			}
		}
		if len(all) > abroadBatch {
			return nil, mail.Errorf(mail.Limit, "%d messages at a time can be copied to another account", abroadBatch)
		}
		uids = rest
	}
	return all, nil
}

// mayInsert says whether the guest may put messages into the mailbox now.
func (m *Mailbox) mayInsert() error {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	return m.check(m.box, mail.RightInsert)
}

// bring makes of messages here such as can be appended elsewhere. What it gives
// with an error is to be abandoned.
func (s *Selection) bring(ctx context.Context, rows []Row) ([]NewMessage, error) {
	stored := make([]*Summary, len(rows))
	err := s.Summaries(ctx, rows, func(i int, m *Summary) error {
		stored[i] = &Summary{ref: m.ref, size: m.size, prefix: bytes.Clone(m.prefix)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var msgs []NewMessage
	for i, m := range stored {
		if m == nil {
			return msgs, mail.Errorf(mail.Unavailable, "a message was expunged too long ago to be copied")
		}
		c, err := s.again(ctx, m)
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, NewMessage{Content: c, Prefix: m.prefix, Flags: s.Flags(rows[i].Flags), Date: rows[i].Date})
	}
	return msgs, nil
}

// again stores a message's body once more.
func (s *Selection) again(ctx context.Context, m *Summary) (*Content, error) {
	body, err := s.a.pool.store.Bodies().Open(ctx, m.ref)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if int64(len(m.prefix))+body.Size() != int64(m.size) {
		return nil, mail.Errorf(mail.Corrupt, "body %s has %d octets and should have %d", m.ref, body.Size(), int64(m.size)-int64(len(m.prefix)))
	}
	return s.a.pool.Keep(ctx, io.NewSectionReader(body, 0, body.Size()))
}

// moveAbroad copies messages into another account and then expunges here those that
// are there still. If the right to do so goes between, the copies stay and the
// command fails: two, never none.
func (s *Selection) moveAbroad(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	done, err := s.copyAbroad(ctx, uids, to, true)
	if err != nil || done.From.Empty() {
		return done, err
	}
	return done, s.expungeMoved(ctx, done.From)
}

// expungeMoved expunges messages that are in another account by now: whatever
// becomes of the client, they go.
func (s *Selection) expungeMoved(ctx context.Context, uids mail.UIDSet) error {
	return s.a.ask(context.WithoutCancel(ctx), &request{needs: []*mailbox{s.box}, plan: func(p *plan) error {
		if err := s.mayTake(true); err != nil {
			return err
		}
		o, err := p.mailbox(s.box)
		if err != nil {
			return err
		}
		var rows []Row
		o.each(uids, func(r Row) { rows = append(rows, r) })
		if len(rows) > 0 {
			p.expunge(o, rows)
		}
		return nil
	}})
}

// replaceAbroad puts a message into another account and then expunges the old one
// here.
func (s *Selection) replaceAbroad(ctx context.Context, old mail.UID, to *Mailbox, msg NewMessage) (Appended, error) {
	s.a.mu.RLock()
	err := s.mayTake(true)
	s.a.mu.RUnlock()
	if err != nil {
		return Appended{}, err
	}
	uids := mail.UIDSet{{First: old, Last: old}}
	rows, err := s.allRows(uids, false)
	if err != nil {
		return Appended{}, err
	}
	if len(rows) == 0 {
		return Appended{}, ErrReplaced
	}
	added, err := to.Append(ctx, []NewMessage{msg})
	if err != nil {
		return Appended{}, err
	}
	return added, s.expungeMoved(ctx, uids)
}
