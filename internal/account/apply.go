package account

import (
	"fmt"
	"math"

	"postern/internal/mail"
)

// apply makes a change to the model. It is the one place where the model
// changes, for commits of our own and of other nodes, while it is followed and
// while it is loaded; changes come in ModSeq order without a gap. It gives the
// mailbox the change was made to, nil if none.
func (m *model) apply(c mail.Change, flags *flagTable) (*mailbox, error) {
	if c.ModSeq != m.last+1 {
		return nil, fmt.Errorf("account: change %d does not follow %d", c.ModSeq, m.last)
	}
	box, err := m.applyState(&c)
	if err != nil {
		return nil, err
	}
	if box != nil && box.rows != nil {
		box.applyRows(&c, flags)
	}
	m.last = c.ModSeq
	return box, nil
}

// applyState makes a change to everything but rows.
func (m *model) applyState(c *mail.Change) (*mailbox, error) {
	if e, ok := c.Event.(mail.Subscribed); ok {
		if e.On {
			m.subscribed[e.Name] = true
		} else {
			delete(m.subscribed, e.Name)
		}
		return nil, nil
	}
	if e, ok := c.Event.(mail.MetadataSet); ok && c.Mailbox == 0 {
		m.setMetadata(0, e.Entries, c.ModSeq)
		return nil, nil
	}
	if e, ok := c.Event.(mail.QuotaSet); ok {
		m.ownQuota = e.Quota
		return nil, nil
	}
	if e, ok := c.Event.(mail.IndexSet); ok {
		m.index = e.Segments
		return nil, nil
	}
	box := m.boxes[c.Mailbox]
	if box != nil && box.deletedAt == 0 {
		m.disuse(box.counts)
	}
	if e, ok := c.Event.(mail.MailboxCreated); ok {
		if box != nil || m.names[e.Name] != nil {
			return nil, mail.Errorf(mail.Corrupt, "mailbox %d is made twice", c.Mailbox)
		}
		box = &mailbox{id: c.Mailbox}
		box.name, box.validity, box.use, box.claimed = e.Name, e.Validity, e.SpecialUse, 1
		box.highest = c.ModSeq
		m.boxes[box.id] = box
		m.named(box)
		m.maxValidity = max(m.maxValidity, e.Validity)
		if e.SpecialUse != 0 {
			m.metadataAt = c.ModSeq
		}
	}
	if box == nil {
		return nil, mail.Errorf(mail.Corrupt, "change %d is made to mailbox %d, which is not there", c.ModSeq, c.Mailbox)
	}
	m.applyMailbox(box, c)
	box.counts, box.last = c.After, c.ModSeq
	if box.deletedAt == 0 {
		m.use(box.counts)
	}
	if box.deletedAt != 0 && box.held == 0 {
		box.purged = true
		delete(m.boxes, box.id)
		delete(m.recentDirty, box)
		m.removed = append(m.removed, box)
	}
	return box, nil
}

// applyMailbox makes a change to what is known of a mailbox beside its rows.
func (m *model) applyMailbox(box *mailbox, c *mail.Change) {
	switch e := c.Event.(type) {
	case mail.MessagesAdded:
		box.highest, box.rowsDirty = c.ModSeq, true
		for i := range e.Messages {
			if id := e.Messages[i].ID; id >= m.nextMessage {
				m.nextMessage = id + 1
			} else {
				m.refs.add(id, 1)
			}
		}
		box.recent += uint32(len(e.Messages))
	case mail.FlagsChanged:
		box.highest, box.rowsDirty = c.ModSeq, true
	case mail.MessagesExpunged:
		box.highest, box.rowsDirty = c.ModSeq, true
		box.hold(uint32(e.UIDs.Len()), e.At)
		fresh := e.UIDs.Intersect(mail.UIDSet{{First: box.claimed, Last: math.MaxUint32}}).Len()
		box.recent -= min(box.recent, uint32(fresh))
	case mail.MessagesPurged:
		box.rowsDirty = true
		box.forgotten = max(box.forgotten, e.Through)
		for _, id := range e.IDs {
			m.refs.add(id, -1)
		}
		if box.held -= min(box.held, uint32(len(e.IDs))); box.held == 0 {
			box.heldSince = 0
		}
	case mail.RecentClaimed:
		if e.Below > box.claimed {
			box.claimed = e.Below
			box.recent = min(box.recent, uint32(box.counts.UIDNext-min(e.Below, box.counts.UIDNext)))
		}
		if e.Below == box.claimed {
			delete(m.recentDirty, box)
		}
	case mail.ValiditySet:
		box.highest, box.validity = c.ModSeq, e.Validity
		m.maxValidity = max(m.maxValidity, e.Validity)
	case mail.MailboxRenamed:
		m.unnamed(box)
		box.name = e.Name
		m.named(box)
	case mail.AccessKeySet:
		box.key, box.keyAt = e.Key, c.ModSeq
	case mail.AppendLimitSet:
		box.limit = e.Limit
	case mail.SpecialUseSet:
		box.use, m.metadataAt = e.SpecialUse, c.ModSeq
	case mail.MetadataSet:
		m.setMetadata(box.id, e.Entries, c.ModSeq)
	case mail.ACLSet:
		box.acl = e.ACL
	case mail.MailboxDeleted:
		box.highest, box.rowsDirty = c.ModSeq, true
		box.acl = nil // RFC 4314 4: DELETE
		m.unnamed(box)
		m.replaceMetadata(box.id, nil) // RFC 5464 4.1
		box.deletedAt, box.recent = max(e.At, 1), 0
		box.hold(box.counts.Messages, e.At)
	}
}

// hold takes in that n rows were expunged.
func (m *mailbox) hold(n uint32, at int64) {
	if n == 0 {
		return
	}
	m.held += n
	if m.heldSince == 0 || at < m.heldSince {
		m.heldSince = max(at, 1)
	}
}

// applyRows makes a change to the rows, which are loaded. It is also how rows
// that were read from pages are brought up to the present.
func (m *mailbox) applyRows(c *mail.Change, flags *flagTable) {
	switch e := c.Event.(type) {
	case mail.MessagesAdded:
		var added mail.UIDSet
		for i := range e.Messages {
			msg := &e.Messages[i]
			r := Row{
				UID: msg.UID, Flags: flags.intern(msg.Flags), ModSeq: c.ModSeq, Size: msg.Size, Date: msg.Date,
				Saved: uint32(msg.Saved), ID: msg.ID,
			}
			m.rows.insert(&r, 0, 0)
			m.keywords.note(r.Flags, flags)
			added = added.Append(r.UID)
		}
		m.ring.note(change{c.ModSeq, changeAdded, added})
		// Sessions hold the set, so it is copied; one of many runs is cheaper
		// made anew when somebody asks.
		m.uidsKnown = m.uidsKnown && len(m.uids) <= 64
		if m.uidsKnown {
			m.uids = m.uids.Union(added)
		}
	case mail.FlagsChanged:
		op := flags.applier(e.Op, e.Flags)
		m.rows.each(e.UIDs, func(p *rowPage, i int) bool {
			p.flags[i] = op.apply(p.flags[i])
			p.setModSeq(i, c.ModSeq)
			p.dirty = true
			return true
		})
		for _, id := range op.done {
			if id != noFlags {
				m.keywords.note(id, flags)
			}
		}
		m.ring.note(change{c.ModSeq, changeFlags, e.UIDs})
	case mail.MessagesExpunged:
		m.expungeRows(e.UIDs, e.At, c.ModSeq)
	case mail.MailboxDeleted:
		m.expungeRows(m.rows.set(), e.At, c.ModSeq)
	case mail.MessagesPurged:
		m.gone.remove(e.UIDs, func(*rowPage, int) {})
	}
}

// expungeRows moves rows to the expunged ones.
func (m *mailbox) expungeRows(uids mail.UIDSet, at int64, by mail.ModSeq) {
	m.rows.remove(uids, func(p *rowPage, i int) {
		r := p.row(i)
		m.gone.insert(&r, at, by)
	})
	m.ring.note(change{by, changeExpunged, uids})
	m.uidsKnown, m.uids = false, nil
}

// uidSet gives the UIDs of the rows, which are loaded. Walking them is worth
// remembering: every SELECT wants them.
func (m *mailbox) uidSet() mail.UIDSet {
	if !m.uidsKnown {
		m.uids, m.uidsKnown = m.rows.set(), true
	}
	return m.uids
}
