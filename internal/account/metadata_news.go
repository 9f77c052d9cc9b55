package account

import (
	"bytes"
	"cmp"
	"slices"

	"postern/internal/mail"
)

// KnownMetadata is what somebody knows of an account's metadata, so that they can
// be told what others change (RFC 5464 4.4.2). It shares its entries with the model
// and is used by one goroutine at a time.
type KnownMetadata struct {
	a      *Account
	reader mail.AccountID
	at     mail.ModSeq // of the last change that was looked at
	boxes  map[mail.MailboxID]entries
}

// MetadataNews are entries that came, changed or went.
type MetadataNews struct {
	Mailbox string   // "" for the server as a whole
	Entries []string // sorted
}

// KnowMetadata takes what there is now for known.
func (a *Account) KnowMetadata() *KnownMetadata {
	k := &KnownMetadata{a: a, reader: a.id}
	a.mu.RLock()
	defer a.mu.RUnlock()
	k.boxes, k.at = a.model.allMetadata(a.id, k.reader), a.model.metadataAt
	return k
}

// allMetadata gives what a reader may see in all mailboxes that have any.
func (m *model) allMetadata(owner, reader mail.AccountID) map[mail.MailboxID]entries {
	all := map[mail.MailboxID]entries{}
	if e := m.metadata[0].visible(reader); len(e) > 0 {
		all[0] = e
	}
	for _, box := range m.names {
		if box.use == 0 && len(m.metadata[box.id]) == 0 {
			continue
		}
		if e := m.metadataFor(box, owner, reader); len(e) > 0 {
			all[box.id] = e
		}
	}
	return all
}

// Own takes for known what its owner has set in a mailbox himself, or on the server
// (nil), at a ModSeq: SetMetadata's answer.
func (k *KnownMetadata) Own(m *Mailbox, changes []mail.Metadata, at mail.ModSeq) {
	var id mail.MailboxID
	if m != nil {
		id = m.box.id
	}
	changes = slices.Clone(changes)
	for i := range changes {
		c := &changes[i]
		if mail.PrivateEntry(c.Name) {
			c.Reader = k.reader
		}
	}
	known := k.boxes[id].with(changes, at)
	// The special use has no ModSeq: it is compared by its value.
	if i, there := known.find(mail.Metadata{Name: mail.SpecialUseEntry, Reader: k.reader}); there {
		known[i].ModSeq = 0
		if u, ok := mail.ParseSpecialUses(string(known[i].Value)); ok {
			known[i].Value = specialUseValue(u)
		}
		if known[i].Value == nil {
			known = slices.Delete(known, i, i+1)
		}
	}
	k.boxes[id] = known
}

// OwnMailbox takes for known the metadata of a mailbox that its owner has just
// made.
func (k *KnownMetadata) OwnMailbox(info Info) {
	if info.Use != 0 {
		k.boxes[info.ID] = entries{{Name: mail.SpecialUseEntry, Reader: k.reader, Value: specialUseValue(info.Use)}}
	}
}

// News gives what changed since it was last asked for, and takes it for known.
func (k *KnownMetadata) News() []MetadataNews {
	k.a.mu.RLock()
	defer k.a.mu.RUnlock()
	m := k.a.model
	if m.metadataAt == k.at {
		return nil
	}
	now := m.allMetadata(k.a.id, k.reader)
	var news []MetadataNews
	for id, e := range now {
		if changed := e.changedFrom(k.boxes[id]); len(changed) > 0 {
			news = append(news, MetadataNews{m.nameOf(id), changed})
		}
	}
	for id, e := range k.boxes {
		// Of a mailbox that is gone nothing is told.
		if box := m.boxes[id]; now[id] == nil && (id == 0 || box != nil && box.deletedAt == 0) {
			if changed := entries(nil).changedFrom(e); len(changed) > 0 {
				news = append(news, MetadataNews{m.nameOf(id), changed})
			}
		}
	}
	k.boxes, k.at = now, m.metadataAt
	slices.SortFunc(news, func(a, b MetadataNews) int { return cmp.Compare(a.Mailbox, b.Mailbox) })
	return news
}

func (m *model) nameOf(id mail.MailboxID) string {
	if id == 0 {
		return ""
	}
	return m.boxes[id].name
}

// MetadataChanges gives the names of entries that are not as they were before. Both
// are sorted by name.
func MetadataChanges(now, before []mail.Metadata) []string { return entries(now).changedFrom(before) }

// changedFrom gives the names of entries that are not as they were.
func (e entries) changedFrom(before entries) []string {
	var names []string
	for len(e) > 0 || len(before) > 0 {
		order := 0
		switch {
		case len(e) == 0:
			order = 1
		case len(before) == 0:
			order = -1
		default:
			order = compareEntries(e[0], before[0])
		}
		switch {
		case order < 0:
			names, e = append(names, e[0].Name), e[1:]
		case order > 0:
			names, before = append(names, before[0].Name), before[1:]
		default:
			if e[0].ModSeq != before[0].ModSeq || e[0].ModSeq == 0 && !bytes.Equal(e[0].Value, before[0].Value) {
				names = append(names, e[0].Name)
			}
			e, before = e[1:], before[1:]
		}
	}
	return names
}
