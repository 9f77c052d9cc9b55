package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// Problem is something in a store that is not as it should be.
type Problem struct {
	Account mail.AccountID
	Mailbox mail.MailboxID // 0: the account as a whole
	Text    string
}

// String writes the problem for a report.
func (p Problem) String() string {
	if p.Mailbox == 0 {
		return fmt.Sprintf("account %d: %s", p.Account, p.Text)
	}
	return fmt.Sprintf("account %d, mailbox %d: %s", p.Account, p.Mailbox, p.Text)
}

// Check goes over a whole store: that every log and page can be read, pages equal
// a replay of the log as far as it reaches back, ModSeqs follow one another, every
// UID is below UIDNEXT and used once, counts are right, every row has its summary
// and every summary a row, every body can be read with the right checksum and
// size, and marks are those that summaries name. It trusts none of the code that
// keeps the living model: it has a plain one of its own.
//
// The store may be in use. An account that changes while it is looked at is
// looked at again. The error is why Check could not go on, such as ctx having
// ended; what it finds wrong goes to report.
func Check(ctx context.Context, s store.Store, report func(Problem)) error {
	for id, err := range s.Accounts(ctx) {
		if err != nil {
			return err
		}
		if err := CheckAccount(ctx, s, id, report); err != nil {
			return err
		}
	}
	return nil
}

// checkAttempts is how often an account that is in use is begun again.
const checkAttempts = 20

// CheckAccount does what Check does for one account.
func CheckAccount(ctx context.Context, s store.Store, id mail.AccountID, report func(Problem)) error {
	for range checkAttempts {
		c := &checker{id: id, store: s, account: s.Account(id)}
		before, err := c.stamp(ctx)
		if err != nil {
			return err
		}
		err = c.run(ctx)
		if err != nil && (ctx.Err() != nil || mail.KindOf(err) == mail.Unavailable) {
			return err
		}
		if err != nil {
			c.problem(0, "%v", err)
		}
		after, err := c.stamp(ctx)
		if err != nil {
			return err
		}
		if before != after {
			continue
		}
		for _, p := range c.found {
			report(p)
		}
		return nil
	}
	report(Problem{Account: id, Text: "it changes too often to be looked at"})
	return nil
}

// checker looks at one account.
type checker struct {
	id      mail.AccountID
	store   store.Store
	account store.Account
	found   []Problem

	state *plainAccount // from pages, then with the log's tail
}

func (c *checker) problem(box mail.MailboxID, format string, args ...any) {
	c.found = append(c.found, Problem{c.id, box, fmt.Sprintf(format, args...)})
}

// stamp is where log and pages are.
func (c *checker) stamp(ctx context.Context) ([2]mail.ModSeq, error) {
	head, err := c.account.Head(ctx)
	if err != nil {
		return [2]mail.ModSeq{}, err
	}
	saved, err := c.account.Load(ctx, 0, kindRefPage, func(uint64, []byte) error { return nil })
	return [2]mail.ModSeq{head, saved}, err
}

func (c *checker) run(ctx context.Context) error {
	if err := c.readPages(ctx); err != nil {
		return err
	}
	if err := c.checkRefs(ctx); err != nil {
		return err
	}
	if err := c.compareWithLog(ctx); err != nil {
		return err
	}
	if err := c.replay(ctx, c.state, c.state.last, 0, true); err != nil {
		return err
	}
	head, err := c.account.Head(ctx)
	if err != nil {
		return err
	}
	if head != c.state.last {
		c.problem(0, "the log ends at %d, and its records at %d", head, c.state.last)
	}
	return c.checkSummaries(ctx)
}

// readPages makes the state from pages.
func (c *checker) readPages(ctx context.Context) error {
	c.state = newPlainAccount()
	var boxes []*plainMailbox
	err := c.account.Heads(ctx, func(h store.Head) error {
		if h.Scope == 0 {
			r, err := decodeRoot(h.Data)
			if err != nil {
				return err
			}
			c.state.last, c.state.nextMessage, c.state.maxValidity = h.Saved, r.nextMessage, r.maxValidity
			for _, name := range r.subscribed {
				c.state.subscribed[name] = true
			}
			return nil
		}
		state, err := decodeMailbox(h.Data)
		if err != nil {
			return err
		}
		box := newPlainMailbox(mail.MailboxID(h.Scope))
		box.mailboxState = *state
		boxes = append(boxes, box)
		return nil
	})
	if err != nil {
		return err
	}
	for _, box := range boxes {
		c.state.boxes[box.id] = box
		if box.last > c.state.last {
			c.problem(box.id, "its page is newer than the root")
		}
		for _, kind := range []store.PageKind{kindRowPage, kindGonePage} {
			if err := c.readRows(ctx, box, kind); err != nil {
				c.problem(box.id, "%v", err)
			}
		}
		c.checkCounts(box, box.counts)
		if len(box.gone) != int(box.held) {
			c.problem(box.id, "it holds %d expunged messages and says %d", len(box.gone), box.held)
		}
	}
	return nil
}

func (c *checker) readRows(ctx context.Context, box *plainMailbox, kind store.PageKind) error {
	above := mail.UID(0)
	_, err := c.account.Load(ctx, store.Scope(box.id), kind, func(low uint64, data []byte) error {
		p, err := decodePage(low, data, kind == kindGonePage)
		if err != nil {
			return err
		}
		for i, r := range p.rows {
			if r.UID <= above || r.UID >= box.counts.UIDNext {
				c.problem(box.id, "UID %d is out of order or not below UIDNEXT", r.UID)
			}
			if r.ModSeq > c.state.last || r.ID >= c.state.nextMessage {
				c.problem(box.id, "UID %d has a ModSeq or message id not given out yet", r.UID)
			}
			above = r.UID
			m := mail.Message{
				UID: r.UID, ModSeq: r.ModSeq, Flags: p.sets[r.Flags], Size: r.Size, Date: r.Date,
				Saved: int64(r.Saved), ID: r.ID,
			}
			if kind == kindRowPage {
				box.rows[r.UID] = m
				continue
			}
			if _, both := box.rows[r.UID]; both {
				c.problem(box.id, "UID %d is there and expunged", r.UID)
			}
			box.gone[r.UID] = plainGone{m, p.at[i], p.by[i]}
		}
		return nil
	})
	return err
}

// checkCounts compares counts with the rows.
func (c *checker) checkCounts(box *plainMailbox, said mail.Counts) {
	counts := mail.Counts{UIDNext: said.UIDNext}
	for uid, m := range box.rows {
		counts.Messages++
		counts.Unseen += count(m.Flags.System&mail.Seen == 0)
		counts.Deleted += count(m.Flags.System&mail.Deleted != 0)
		counts.Bytes += uint64(m.Size)
		if uid >= said.UIDNext {
			c.problem(box.id, "UID %d is not below UIDNEXT %d", uid, said.UIDNext)
		}
	}
	if counts != said {
		c.problem(box.id, "it counts %+v and has %+v", said, counts)
	}
}

// checkRefs compares the pages of references with the rows.
func (c *checker) checkRefs(ctx context.Context) error {
	extra := map[mail.MessageID]int{}
	_, err := c.account.Load(ctx, 0, kindRefPage, func(low uint64, data []byte) error {
		return decodeRefs(low, data, func(id mail.MessageID, n int) { extra[id] = n })
	})
	if err != nil {
		return err
	}
	for id, n := range c.state.references() {
		if extra[id] != n-1 {
			c.problem(0, "message %d is in %d rows and its page says %d", id, n, extra[id]+1)
		}
		delete(extra, id)
	}
	for id := range extra {
		c.problem(0, "message %d is in no row and has references", id)
	}
	return nil
}

// compareWithLog replays the log from its beginning, if it is all there, up to
// where the pages are true, and compares.
func (c *checker) compareWithLog(ctx context.Context) error {
	if c.state.last == 0 {
		return nil
	}
	replayed := newPlainAccount()
	err := c.replay(ctx, replayed, 0, c.state.last, false)
	if errors.Is(err, store.ErrForgotten) {
		return nil // the pages are the data
	}
	if err != nil {
		return err
	}
	for _, difference := range replayed.differences(c.state) {
		c.problem(difference.box, "the pages are not what the log adds up to: %s", difference.text)
	}
	return nil
}

// replay applies the log after a place to state, up to another (0: all).
func (c *checker) replay(ctx context.Context, state *plainAccount, after, upTo mail.ModSeq, say bool) error {
	for r, err := range c.account.Since(ctx, after) {
		if err != nil {
			return err
		}
		if upTo != 0 && r.Last > upTo {
			return nil
		}
		err := decodeRecord(r.Data, r.Last, func(l *logged) error {
			change, err := l.change()
			if err != nil {
				return err
			}
			for _, text := range state.apply(&change) {
				if say {
					c.problem(change.Mailbox, "change %d: %s", change.ModSeq, text)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if say {
		for _, box := range state.boxes {
			c.checkCounts(box, box.counts)
		}
	}
	return nil
}

// checkSummaries compares summaries, marks and bodies with the rows.
func (c *checker) checkSummaries(ctx context.Context) error {
	references := c.state.references()
	sizes := map[mail.MessageID]uint32{}
	for _, box := range c.state.boxes {
		for _, m := range box.rows {
			sizes[m.ID] = m.Size
		}
		for _, g := range box.gone {
			sizes[g.ID] = g.Size
		}
	}
	for id, err := range c.account.SummaryIDs(ctx) {
		if err != nil {
			return err
		}
		if references[id] == 0 {
			c.problem(0, "message %d has a summary and is in no row", id)
		}
	}
	marked := map[mail.BodyRef]bool{}
	for ref, err := range c.account.Marked(ctx) {
		if err != nil {
			return err
		}
		marked[ref] = true
	}
	ids := slices.Sorted(maps.Keys(references))
	owner := map[mail.BodyRef]mail.MessageID{}
	there := map[mail.MessageID]bool{}
	var m Summary
	err := c.account.Summaries(ctx, ids, func(i int, data []byte) error {
		id := ids[i]
		there[id] = true
		if err := m.decode(data); err != nil {
			c.problem(0, "message %d: %v", id, err)
			return nil
		}
		if _, err := m.Shape(); err != nil {
			c.problem(0, "message %d: %v", id, err)
		}
		if m.account != c.id || m.id != id || m.size != sizes[id] {
			c.problem(0, "the summary of message %d is that of message %d of account %d with %d octets", id, m.id, m.account, m.size)
		}
		if other, twice := owner[m.ref]; twice {
			c.problem(0, "messages %d and %d have one body", other, id)
		}
		owner[m.ref] = id
		if !marked[m.ref] {
			c.problem(0, "body %s of message %d is not marked", m.ref, id)
		}
		return c.checkBody(ctx, &m)
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !there[id] {
			c.problem(0, "message %d has no summary", id)
		}
	}
	for ref := range marked {
		if _, ok := owner[ref]; !ok {
			c.problem(0, "body %s is marked and belongs to no message", ref)
		}
	}
	return nil
}

// checkBody reads a body to its end; the store checks its checksums meanwhile.
func (c *checker) checkBody(ctx context.Context, m *Summary) error {
	b, err := c.store.Bodies().Open(ctx, m.ref)
	if err == nil {
		if got, want := b.Size()+int64(len(m.prefix)), int64(m.size); got != want {
			c.problem(0, "message %d has %d octets and should have %d", m.id, got, want)
		}
		var n int64
		n, err = io.Copy(io.Discard, io.NewSectionReader(b, 0, b.Size()))
		if err == nil && n != b.Size() {
			err = io.ErrUnexpectedEOF
		}
		err = errors.Join(err, b.Close())
	}
	if err == nil {
		return nil
	}
	if kind := mail.KindOf(err); kind == mail.Canceled || kind == mail.Unavailable {
		return err
	}
	c.problem(0, "body %s of message %d: %v", m.ref, m.id, err)
	return nil
}
