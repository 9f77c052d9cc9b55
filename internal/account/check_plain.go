package account

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"postern/internal/mail"
)

// plainAccount is what a log adds up to, kept the plainest way: a map of messages
// for each mailbox. Check compares the store with it.
type plainAccount struct {
	last        mail.ModSeq
	boxes       map[mail.MailboxID]*plainMailbox
	subscribed  map[string]bool
	nextMessage mail.MessageID
	maxValidity mail.UIDValidity
	metadata    map[mail.MailboxID]map[plainEntry]mail.Metadata
	quota       mail.OwnQuota
	index       []mail.IndexSegment
}

type plainEntry struct {
	reader mail.AccountID
	key    string
}

type plainMailbox struct {
	id mail.MailboxID
	mailboxState
	rows map[mail.UID]mail.Message
	gone map[mail.UID]plainGone
}

type plainGone struct {
	mail.Message
	at int64
	by mail.ModSeq
}

func newPlainAccount() *plainAccount {
	return &plainAccount{
		boxes: map[mail.MailboxID]*plainMailbox{}, subscribed: map[string]bool{}, nextMessage: 1,
		metadata: map[mail.MailboxID]map[plainEntry]mail.Metadata{},
	}
}

func newPlainMailbox(id mail.MailboxID) *plainMailbox {
	return &plainMailbox{id: id, rows: map[mail.UID]mail.Message{}, gone: map[mail.UID]plainGone{}}
}

// references counts the rows that bear each message.
func (a *plainAccount) references() map[mail.MessageID]int {
	n := map[mail.MessageID]int{}
	for _, box := range a.boxes {
		for _, m := range box.rows {
			n[m.ID]++
		}
		for _, g := range box.gone {
			n[g.ID]++
		}
	}
	return n
}

// apply makes a change and says what is wrong with it.
func (a *plainAccount) apply(c *mail.Change) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if c.ModSeq != a.last+1 {
		say("it follows change %d", a.last)
	}
	a.last = c.ModSeq
	if e, ok := c.Event.(mail.Subscribed); ok {
		if e.On {
			a.subscribed[e.Name] = true
		} else {
			delete(a.subscribed, e.Name)
		}
		return wrong
	}
	if e, ok := c.Event.(mail.MetadataSet); ok && c.Mailbox == 0 {
		a.setMetadata(0, e.Entries, c.ModSeq)
		return wrong
	}
	if e, ok := c.Event.(mail.QuotaSet); ok {
		a.quota = e.Quota
		return wrong
	}
	if e, ok := c.Event.(mail.IndexSet); ok {
		if a.index = e.Segments; !soundIndex(a.index, a.nextMessage) {
			say("the segments of its text index overlap")
		}
		return wrong
	}
	box := a.boxes[c.Mailbox]
	if e, ok := c.Event.(mail.MailboxCreated); ok {
		if box != nil || e.Validity <= a.maxValidity {
			say("the mailbox is there already, or its UIDVALIDITY %d was used", e.Validity)
		}
		for _, other := range a.boxes {
			if other.name == e.Name && other.deletedAt == 0 {
				say("a mailbox of that name is there already")
			}
		}
		box = newPlainMailbox(c.Mailbox)
		box.name, box.validity, box.use, box.highest = e.Name, e.Validity, e.SpecialUse, c.ModSeq
		a.boxes[c.Mailbox], a.maxValidity = box, max(a.maxValidity, e.Validity)
	}
	if box == nil {
		say("there is no such mailbox")
		return wrong
	}
	if c.After.UIDNext < box.counts.UIDNext {
		say("UIDNEXT falls from %d to %d", box.counts.UIDNext, c.After.UIDNext)
	}
	wrong = append(wrong, a.applyRows(box, c)...)
	box.counts, box.last = c.After, c.ModSeq
	if int(box.counts.Messages) != len(box.rows) {
		say("it counts %d messages, and there are %d", box.counts.Messages, len(box.rows))
	}
	if box.deletedAt != 0 && len(box.gone) == 0 {
		delete(a.boxes, box.id)
	}
	return wrong
}

func (a *plainAccount) applyRows(box *plainMailbox, c *mail.Change) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	expunge := func(uid mail.UID, at int64) {
		m, ok := box.rows[uid]
		if !ok {
			say("UID %d is expunged and was not there", uid)
			return
		}
		delete(box.rows, uid)
		box.gone[uid] = plainGone{m, at, c.ModSeq}
		box.held++
	}
	switch e := c.Event.(type) {
	case mail.MessagesAdded:
		box.highest = c.ModSeq
		for _, m := range e.Messages {
			if m.UID < box.counts.UIDNext || m.UID >= c.After.UIDNext {
				say("UID %d was used already, or is not below UIDNEXT", m.UID)
			}
			box.rows[m.UID] = m
			a.nextMessage = max(a.nextMessage, m.ID+1)
		}
	case mail.FlagsChanged:
		box.highest = c.ModSeq
		for uid := range e.UIDs.All() {
			m, ok := box.rows[uid]
			if !ok {
				say("flags of UID %d are changed, and it is not there", uid)
				continue
			}
			to := e.Op.Apply(m.Flags, e.Flags)
			if to.Equal(m.Flags) {
				say("it does not alter UID %d", uid)
			}
			m.Flags, m.ModSeq = to, c.ModSeq
			box.rows[uid] = m
		}
	case mail.MessagesExpunged:
		box.highest = c.ModSeq
		for uid := range e.UIDs.All() {
			expunge(uid, e.At)
		}
	case mail.MessagesPurged:
		box.forgotten = max(box.forgotten, e.Through)
		i := 0
		for uid := range e.UIDs.All() {
			g, ok := box.gone[uid]
			if !ok || g.ID != e.IDs[i] {
				say("UID %d is purged and is not an expunged row of message %d", uid, e.IDs[i])
			}
			if g.by > e.Through {
				say("UID %d is purged and was expunged by change %d, above %d", uid, g.by, e.Through)
			}
			delete(box.gone, uid)
			box.held--
			i++
		}
	case mail.ValiditySet:
		box.highest, box.validity = c.ModSeq, e.Validity
		a.maxValidity = max(a.maxValidity, e.Validity)
	case mail.MailboxRenamed:
		box.name = e.Name
	case mail.AccessKeySet:
		box.key, box.keyAt = e.Key, c.ModSeq
	case mail.AppendLimitSet:
		box.limit = e.Limit
	case mail.SpecialUseSet:
		box.use = e.SpecialUse
	case mail.ACLSet:
		if box.acl = e.ACL; !e.ACL.Sound() {
			say("its access control list is out of order")
		}
	case mail.MetadataSet:
		a.setMetadata(box.id, e.Entries, c.ModSeq)
	case mail.MailboxDeleted:
		delete(a.metadata, box.id)
		box.acl = nil
		box.highest, box.deletedAt = c.ModSeq, max(e.At, 1)
		for uid := range box.rows {
			expunge(uid, e.At)
		}
	}
	return wrong
}

// setMetadata gives entries other values.
func (a *plainAccount) setMetadata(id mail.MailboxID, changes []mail.Metadata, at mail.ModSeq) {
	if a.metadata[id] == nil {
		a.metadata[id] = map[plainEntry]mail.Metadata{}
	}
	for _, c := range changes {
		key := plainEntry{c.Reader, mail.EntryKey(c.Name)}
		c.ModSeq = at
		if was, there := a.metadata[id][key]; there {
			c.Name = was.Name
		}
		a.metadata[id][key] = c
		if c.Value == nil {
			delete(a.metadata[id], key)
		}
	}
	if len(a.metadata[id]) == 0 {
		delete(a.metadata, id)
	}
}

// difference is how two accounts differ.
type difference struct {
	box  mail.MailboxID
	text string
}

// differences compares a replayed account with one that was read from pages.
func (a *plainAccount) differences(b *plainAccount) (all []difference) {
	say := func(box mail.MailboxID, format string, args ...any) {
		all = append(all, difference{box, fmt.Sprintf(format, args...)})
	}
	if a.last != b.last || a.nextMessage != b.nextMessage || a.maxValidity != b.maxValidity || len(a.subscribed) != len(b.subscribed) {
		say(0, "%d, %d, %d, %d subscriptions and not %d, %d, %d, %d", b.last, b.nextMessage, b.maxValidity,
			len(b.subscribed), a.last, a.nextMessage, a.maxValidity, len(a.subscribed))
	}
	for name := range a.subscribed {
		if !b.subscribed[name] {
			say(0, "the subscription to %q is missing", name)
		}
	}
	if a.quota != b.quota {
		say(0, "the quota is %+v and not %+v", b.quota, a.quota)
	}
	if !slices.Equal(a.index, b.index) {
		say(0, "the text index is %v and not %v", b.index, a.index)
	}
	if !reflect.DeepEqual(a.metadata, b.metadata) {
		say(0, "the metadata are not those of the log")
	}
	for id := range b.boxes {
		if a.boxes[id] == nil {
			say(id, "it was deleted")
		}
	}
	for id, x := range a.boxes {
		y := b.boxes[id]
		if y == nil {
			say(id, "it is missing")
			continue
		}
		// What was claimed as \Recent may be ahead of the log, and since when
		// expunged rows are held is known only roughly.
		s := y.mailboxState
		s.claimed, s.recent, s.heldSince = x.claimed, x.recent, x.heldSince
		if x.counts.DeletedBytes == unknownBytes || s.counts.DeletedBytes == unknownBytes {
			s.counts.DeletedBytes = x.counts.DeletedBytes // an older version wrote one of them
		}
		t := x.mailboxState
		if s.key != t.key {
			say(id, "its key for URLs is another")
		}
		s.key, t.key = mail.AccessKey{}, mail.AccessKey{} // a secret is not for reports
		if !bytes.Equal(s.encode(), t.encode()) {
			say(id, "%+v and not %+v", s, t)
		}
		if len(x.rows) != len(y.rows) || len(x.gone) != len(y.gone) {
			say(id, "%d rows and %d expunged, and not %d and %d", len(y.rows), len(y.gone), len(x.rows), len(x.gone))
		}
		for uid, m := range x.rows {
			if !equalMessages(m, y.rows[uid]) {
				say(id, "UID %d is %+v and not %+v", uid, y.rows[uid], m)
			}
		}
		for uid, g := range x.gone {
			h := y.gone[uid]
			if g.at != h.at || g.by != h.by || !equalMessages(g.Message, h.Message) {
				say(id, "expunged UID %d is %+v and not %+v", uid, h, g)
			}
		}
	}
	return all
}

func equalMessages(a, b mail.Message) bool {
	return a.UID == b.UID && a.ModSeq == b.ModSeq && a.Flags.Equal(b.Flags) && a.Size == b.Size &&
		a.Date == b.Date && a.Saved == b.Saved && a.ID == b.ID
}
