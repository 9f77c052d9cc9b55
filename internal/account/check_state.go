package account

import (
	"context"
	"errors"

	"postern/internal/mail"
	"postern/internal/store"
)

// checkAttempts is how often pages are read again because somebody saved others
// meanwhile.
const checkAttempts = 50

// readState reads pages and log and says what is wrong with them. The log only
// grows at its end, so a commit meanwhile does no harm; pages saved meanwhile do
// not fit those read before, and are read again.
func (k *accountCheck) readState(ctx context.Context) error {
	found, blind := k.found, k.blind
	for range checkAttempts {
		k.found, k.blind = found[:len(found):len(found)], blind
		err := k.tryState(ctx)
		if !errors.Is(err, errMoved) && !errors.Is(err, store.ErrForgotten) {
			return err
		}
	}
	return mail.Errorf(mail.Unavailable, "account %d is saved too often to be looked at: check it again when less happens", k.id)
}

func (k *accountCheck) tryState(ctx context.Context) error {
	k.state = newPlainAccount()
	head, err := k.account.Head(ctx)
	if err = k.unreadable(err, 0, "the end of the log"); err != nil {
		return err
	}
	if err := k.readPages(ctx); err != nil {
		return err
	}
	if err := k.compareWithLog(ctx); err != nil {
		return err
	}
	if err := k.replay(ctx, k.state, k.state.last, 0, true); err != nil {
		if err = k.unreadable(passMoved(err), 0, "the log"); err != nil {
			return err
		}
	}
	if k.blind {
		return nil
	}
	end, err := k.account.Head(ctx)
	switch {
	case err != nil:
		return err
	case end < head: // removed as a whole, and what is left is read again
		return errMoved
	case k.state.last < head || end < k.state.last:
		k.problem(0, "the log ends at %d, and its records at %d", head, k.state.last)
	}
	return nil
}

// passMoved keeps the errors that are no damage from being taken for it.
func passMoved(err error) error {
	if errors.Is(err, errMoved) || errors.Is(err, store.ErrForgotten) {
		return mail.Wrap(err, mail.Unavailable, "read again")
	}
	return err
}

// pagesOf are the heads of scopes, read at one moment.
type pagesOf struct {
	root  mail.ModSeq // where the pages of the account as a whole are true
	boxes []*plainMailbox
	saved map[mail.MailboxID]mail.ModSeq
}

// readPages makes the state from pages.
func (k *accountCheck) readPages(ctx context.Context) error {
	pages := pagesOf{saved: map[mail.MailboxID]mail.ModSeq{}}
	err := k.account.Heads(ctx, func(h store.Head) error { return k.readHead(h, &pages) })
	if err = k.unreadable(err, 0, "the list of mailboxes"); err != nil {
		return err
	}
	for _, box := range pages.boxes {
		k.state.boxes[box.id] = box
		if box.last > k.state.last && !k.blind {
			k.problem(box.id, "its page is newer than the root")
		}
		whole := true
		for _, kind := range []store.PageKind{kindRowPage, kindGonePage} {
			before := len(k.found)
			saved, err := k.readRows(ctx, box, kind)
			if err == nil && saved != pages.saved[box.id] {
				return errMoved
			}
			if err = k.unreadable(err, box.id, "a page of messages"); err != nil {
				return err
			}
			whole = whole && len(k.found) == before
		}
		if !whole {
			continue
		}
		k.checkCounts(box, box.counts)
		if len(box.gone) != int(box.held) {
			k.problem(box.id, "it holds %d expunged messages and says %d", len(box.gone), box.held)
		}
	}
	if err := k.readMetadata(ctx, pages.root); err != nil {
		return err
	}
	return k.checkRefs(ctx, pages.root)
}

// readMetadata reads the pages of metadata into the state.
func (k *accountCheck) readMetadata(ctx context.Context, root mail.ModSeq) error {
	saved, err := k.account.Load(ctx, 0, kindMetaPage, func(low uint64, data []byte) error {
		e, err := decodeMetadata(low, data)
		if err != nil { // the others may be good
			k.blind = true
			k.problem(mail.MailboxID(low), "its page of metadata cannot be read: %v", err)
			return nil
		}
		id := mail.MailboxID(low)
		if box := k.state.boxes[id]; id != 0 && !k.blind && (box == nil || box.deletedAt != 0) {
			k.problem(id, "it has metadata and is not there")
		}
		for _, m := range e {
			if m.ModSeq > root {
				k.problem(id, "entry %q has a ModSeq not given out yet", m.Name)
			}
			k.state.setMetadata(id, []mail.Metadata{m}, m.ModSeq)
		}
		return nil
	})
	if err != nil {
		return k.unreadable(err, 0, "a page of metadata")
	}
	if saved != root {
		return errMoved
	}
	return nil
}

func (k *accountCheck) readHead(h store.Head, pages *pagesOf) error {
	if h.Scope == 0 {
		pages.root = h.Saved
		r, err := decodeRoot(h.Data)
		if err != nil {
			return err
		}
		k.state.last, k.state.nextMessage, k.state.maxValidity = h.Saved, r.nextMessage, r.maxValidity
		k.state.quota, k.state.index = r.quota, r.index
		for _, name := range r.subscribed {
			k.state.subscribed[name] = true
		}
		return nil
	}
	id := mail.MailboxID(h.Scope)
	state, err := decodeMailbox(h.Data)
	if err != nil {
		return k.unreadable(err, id, "its page")
	}
	box := newPlainMailbox(id)
	box.mailboxState = *state
	pages.boxes, pages.saved[id] = append(pages.boxes, box), h.Saved
	return nil
}

func (k *accountCheck) readRows(ctx context.Context, box *plainMailbox, kind store.PageKind) (mail.ModSeq, error) {
	above := mail.UID(0)
	return k.account.Load(ctx, store.Scope(box.id), kind, func(low uint64, data []byte) error {
		p, err := decodePage(low, data, kind == kindGonePage)
		if err != nil { // the others may be good
			k.blind = true
			k.problem(box.id, "the page of messages from UID %d on cannot be read: %v", low, err)
			return nil
		}
		for i, r := range p.rows {
			if r.UID <= above || r.UID >= box.counts.UIDNext {
				k.problem(box.id, "UID %d is out of order or not below UIDNEXT", r.UID)
			}
			if !k.blind && (r.ModSeq > k.state.last || r.ID >= k.state.nextMessage) {
				k.problem(box.id, "UID %d has a ModSeq or message id not given out yet", r.UID)
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
				k.problem(box.id, "UID %d is there and expunged", r.UID)
			}
			box.gone[r.UID] = plainGone{m, p.at[i], p.by[i]}
		}
		return nil
	})
}

// checkCounts compares counts with the rows.
func (k *accountCheck) checkCounts(box *plainMailbox, said mail.Counts) {
	counts := mail.Counts{UIDNext: said.UIDNext}
	for uid, m := range box.rows {
		counts.Messages++
		counts.Unseen += count(m.Flags.System&mail.Seen == 0)
		counts.Deleted += count(m.Flags.System&mail.Deleted != 0)
		counts.Bytes += uint64(m.Size)
		counts.DeletedBytes += uint64(m.Size) * uint64(count(m.Flags.System&mail.Deleted != 0))
		if uid >= said.UIDNext {
			k.problem(box.id, "UID %d is not below UIDNEXT %d", uid, said.UIDNext)
		}
	}
	if said.DeletedBytes == unknownBytes {
		said.DeletedBytes = counts.DeletedBytes
	}
	if counts != said {
		k.problem(box.id, "it counts %+v and has %+v", said, counts)
	}
}

// checkRefs compares the pages of references with the rows.
func (k *accountCheck) checkRefs(ctx context.Context, root mail.ModSeq) error {
	extra := map[mail.MessageID]int{}
	saved, err := k.account.Load(ctx, 0, kindRefPage, func(low uint64, data []byte) error {
		return decodeRefs(low, data, func(id mail.MessageID, n int) { extra[id] = n })
	})
	if err != nil {
		return k.unreadable(err, 0, "a page of references")
	}
	if saved != root {
		return errMoved
	}
	if k.blind {
		return nil
	}
	for id, n := range k.state.references() {
		if extra[id] != n-1 {
			k.problem(0, "message %d is in %d rows and its page says %d", id, n, extra[id]+1)
		}
		delete(extra, id)
	}
	for id := range extra {
		k.problem(0, "message %d is in no row and has references", id)
	}
	return nil
}

// compareWithLog replays the log from its beginning, if it is all there, up to
// where the pages are true, and compares.
func (k *accountCheck) compareWithLog(ctx context.Context) error {
	if k.state.last == 0 || k.blind {
		return nil
	}
	replayed := newPlainAccount()
	err := k.replay(ctx, replayed, 0, k.state.last, false)
	if errors.Is(err, store.ErrForgotten) {
		return nil // the pages are the data
	}
	if err != nil {
		return k.unreadable(err, 0, "the log")
	}
	for _, difference := range replayed.differences(k.state) {
		k.problem(difference.box, "the pages are not what the log adds up to: %s", difference.text)
	}
	return nil
}

// replay applies the log after a place to state, up to another (0: all).
func (k *accountCheck) replay(ctx context.Context, state *plainAccount, after, upTo mail.ModSeq, say bool) error {
	for r, err := range k.account.Since(ctx, after) {
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
				if say && !k.blind {
					k.problem(change.Mailbox, "change %d: %s", change.ModSeq, text)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if say && !k.blind {
		for _, box := range state.boxes {
			k.checkCounts(box, box.counts)
		}
	}
	return nil
}
