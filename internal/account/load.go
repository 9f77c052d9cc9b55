package account

import (
	"context"
	"errors"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// errMoved says that somebody saved pages between two reads of ours, so that
// they do not fit together. Load again.
var errMoved = errors.New("account: pages were saved meanwhile")

// load makes the model from the store: head pages, then the log from where they
// are true, then the rows of mailboxes that sessions have selected. A model there
// was before is replaced; mailboxes keep their identity, so that sessions go on.
func (a *Account) load(ctx context.Context) error {
	m, err := a.readModel(ctx)
	if err != nil {
		return err
	}
	var selected []*mailbox
	for id, box := range m.boxes {
		if old := a.model.boxes[id]; old != nil && old.rows != nil {
			selected = append(selected, box)
		}
	}
	if err := a.readRows(ctx, m, selected); err != nil {
		return err
	}
	a.adopt(m)
	a.loaded = true
	return nil
}

// adopt puts m in the place of the model and wakes everybody: what they see may
// have changed.
func (a *Account) adopt(m *model) {
	var wake []func()
	a.mu.Lock()
	old := a.model
	for id, was := range old.boxes {
		now := m.boxes[id]
		if now == nil {
			// Deleted, and already purged. Sessions keep the rows they see.
			was.deletedAt, was.purged = 1, true
			continue
		}
		if claimed := was.claimed; claimed > now.claimed {
			now.claimed = claimed
			now.recent = min(now.recent, uint32(now.counts.UIDNext-min(claimed, now.counts.UIDNext)))
			m.recentDirty[was] = struct{}{}
		}
		now.selections, now.unusedAt = was.selections, was.unusedAt
		*was = *now
		m.boxes[id] = was
		if was.deletedAt == 0 {
			m.names[was.name] = was // in now's place
		}
		for s := range was.selections {
			if s.wake != nil {
				wake = append(wake, s.wake)
			}
		}
	}
	for w := range a.watchers {
		wake = append(wake, w.wake)
	}
	a.model = m
	a.infos.Store(nil)
	a.names.Store(nil)
	a.mu.Unlock()
	for _, w := range wake {
		w()
	}
}

// readModel reads head pages and the log's tail, without any rows.
func (a *Account) readModel(ctx context.Context) (*model, error) {
	m := newModel(a.id)
	err := a.store.Heads(ctx, func(h store.Head) error {
		if h.Scope == 0 {
			r, err := decodeRoot(h.Data)
			if err != nil {
				return err
			}
			m.nextMessage, m.maxValidity = r.nextMessage, r.maxValidity
			m.last, m.rootSaved, m.ownQuota, m.index = h.Saved, h.Saved, r.quota, r.index
			for _, name := range r.subscribed {
				m.subscribed[name] = true
			}
			return nil
		}
		state, err := decodeMailbox(h.Data)
		if err != nil {
			return err
		}
		box := &mailbox{id: mail.MailboxID(h.Scope), mailboxState: *state, saved: h.Saved}
		m.boxes[box.id] = box
		if box.deletedAt == 0 {
			m.named(box)
			m.use(box.counts)
		}
		return nil
	})
	if err == nil {
		err = a.loadMetadata(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	err = a.since(ctx, m.last, func(data []byte, last mail.ModSeq) error {
		m.tailBytes += len(data)
		m.tailRecords++
		return decodeRecord(data, last, func(c *logged) error {
			change := mail.Change{ModSeq: c.modSeq, Mailbox: c.mailbox, After: c.after, Event: mail.FlagsChanged{}}
			if c.kind != kindFlags { // no rows are loaded, and the counts say the rest
				var err error
				if change, err = c.change(); err != nil {
					return err
				}
			}
			_, err := m.apply(change, a.flags)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return m, a.countDeleted(ctx, m)
}

// since calls each for every record of the log after a place.
func (a *Account) since(ctx context.Context, after mail.ModSeq, each func(data []byte, last mail.ModSeq) error) error {
	for r, err := range a.store.Since(ctx, after) {
		if err != nil {
			return err
		}
		if err := each(r.Data, r.Last); err != nil {
			return err
		}
	}
	return nil
}

// catchUp applies what others have committed since.
func (a *Account) catchUp(ctx context.Context) error {
	var changes []mail.Change
	return a.since(ctx, a.model.last, func(data []byte, last mail.ModSeq) error {
		changes = changes[:0]
		err := decodeRecord(data, last, func(c *logged) error {
			if c.modSeq <= a.model.last {
				return nil
			}
			change, err := c.change()
			changes = append(changes, change)
			return err
		})
		if err != nil {
			return err
		}
		return a.follow(changes, len(data))
	})
}

// loadRows loads the rows of mailboxes that are not loaded, and shows them. The
// committer does it between batches, with nothing planned or in flight: rows are
// read from pages and log, and what is neither would be missing from them.
func (a *Account) loadRows(ctx context.Context, boxes []*mailbox) error {
	var missing []*mailbox
	for _, box := range boxes {
		if box.rows == nil && !box.purged && !slices.Contains(missing, box) {
			missing = append(missing, box)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// Read into copies: the model's own are in sessions' sight.
	copies := make([]*mailbox, len(missing))
	for i, box := range missing {
		copies[i] = &mailbox{id: box.id, saved: box.saved, rowsDirty: box.rowsDirty}
		copies[i].counts, copies[i].held, copies[i].highest = box.counts, box.held, box.highest
	}
	if err := a.readRows(ctx, a.model, copies); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, box := range missing {
		c := copies[i]
		box.rows, box.gone, box.keywords = c.rows, c.gone, c.keywords
		box.ring.reset(box.highest)
		box.uidsKnown, box.uids = false, nil
		box.unusedAt = a.pool.o.Now().Unix()
	}
	return nil
}

// readRows reads the rows of boxes, whose state is that of m: the pages, then
// what the log has after the last save.
func (a *Account) readRows(ctx context.Context, m *model, boxes []*mailbox) error {
	if len(boxes) == 0 {
		return nil
	}
	replay := map[mail.MailboxID]*mailbox{}
	for _, box := range boxes {
		box.rows, box.gone, box.keywords = &table{}, &table{expunge: true}, keywords{}
		for _, t := range []struct {
			table *table
			kind  store.PageKind
		}{{box.rows, kindRowPage}, {box.gone, kindGonePage}} {
			if err := a.readPages(ctx, box, t.table, t.kind); err != nil {
				return err
			}
		}
		for _, p := range box.rows.pages {
			for _, id := range p.flags {
				box.keywords.note(id, a.flags)
			}
		}
		if box.rowsDirty {
			replay[box.id] = box
		}
	}
	if len(replay) > 0 {
		if err := a.replayRows(ctx, m, replay); err != nil {
			return err
		}
	}
	for _, box := range boxes {
		box.ring.reset(box.highest)
		box.uidsKnown, box.uids = false, nil
		if box.rows.count != int(box.counts.Messages) || box.gone.count != int(box.held) {
			return mail.Errorf(mail.Corrupt, "mailbox %d has %d messages and %d expunged, and should have %d and %d",
				box.id, box.rows.count, box.gone.count, box.counts.Messages, box.held)
		}
	}
	return nil
}

func (a *Account) readPages(ctx context.Context, box *mailbox, t *table, kind store.PageKind) error {
	saved, err := a.store.Load(ctx, store.Scope(box.id), kind, func(low uint64, data []byte) error {
		p, err := decodePage(low, data, t.expunge)
		if err != nil {
			return err
		}
		return t.add(mail.UID(low), p, a.flags)
	})
	if err == nil && saved != box.saved {
		return errMoved
	}
	return err
}

// replayRows brings rows that were read from pages up to where m is.
func (a *Account) replayRows(ctx context.Context, m *model, boxes map[mail.MailboxID]*mailbox) error {
	return a.since(ctx, m.rootSaved, func(data []byte, last mail.ModSeq) error {
		return decodeRecord(data, last, func(c *logged) error {
			box := boxes[c.mailbox]
			if box == nil || c.modSeq > m.last {
				return nil
			}
			change, err := c.change()
			if err == nil {
				box.applyRows(&change, a.flags)
			}
			return err
		})
	})
}

// loadRefs reads the pages of references.
func (a *Account) loadRefs(ctx context.Context) error {
	base := map[mail.MessageID]int{}
	saved, err := a.store.Load(ctx, 0, kindRefPage, func(low uint64, data []byte) error {
		return decodeRefs(low, data, func(id mail.MessageID, extra int) { base[id] = extra })
	})
	if err != nil {
		return err
	}
	if saved != a.model.rootSaved {
		return errMoved
	}
	a.model.refs.base = base
	return nil
}
