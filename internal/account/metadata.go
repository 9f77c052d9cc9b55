package account

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"postern/internal/mail"
)

// Metadata (RFC 5464) are kept in the account's log like everything else: those of
// a mailbox, and under mailbox 0 what the owner keeps with the server for himself.
// All of an account's are in memory while it is open, which MaxMetadataBytes
// bounds, and in pages of the account's scope, one for each mailbox that has any.

// entries are the metadata of one mailbox, of all readers, sorted by name and then
// by reader. They are replaced and never changed, so whoever has seen them can
// compare.
type entries []mail.Metadata

func compareEntries(a, b mail.Metadata) int {
	return cmp.Or(strings.Compare(mail.EntryKey(a.Name), mail.EntryKey(b.Name)), cmp.Compare(a.Reader, b.Reader))
}

// find gives the place of an entry, or where it would stand.
func (e entries) find(m mail.Metadata) (int, bool) {
	return slices.BinarySearchFunc(e, m, compareEntries)
}

// with gives the entries after a change at a ModSeq. An entry that is there keeps
// the name it was given first.
func (e entries) with(changes []mail.Metadata, at mail.ModSeq) entries {
	out := slices.Clone(e)
	for _, c := range changes {
		c.ModSeq = at
		i, there := out.find(c)
		switch {
		case there && c.Value == nil:
			out = slices.Delete(out, i, i+1)
		case there:
			c.Name = out[i].Name
			out[i] = c
		case c.Value != nil:
			out = slices.Insert(out, i, c)
		}
	}
	return out
}

// bytes is what the entries count against MaxMetadataBytes.
func (e entries) bytes() int {
	n := 0
	for i := range e {
		n += len(e[i].Name) + len(e[i].Value)
	}
	return n
}

// perReader gives the largest number of entries that are shared, or that one reader
// has.
func (e entries) perReader() int {
	counts, most := map[mail.AccountID]int{}, 0
	for i := range e {
		counts[e[i].Reader]++
		most = max(most, counts[e[i].Reader])
	}
	return most
}

// visible gives the entries that a reader may see: those that are shared and their
// own.
func (e entries) visible(reader mail.AccountID) entries {
	var out entries
	for i := range e {
		if e[i].Reader == 0 || e[i].Reader == reader {
			out = append(out, e[i])
		}
	}
	return out
}

// setMetadata makes a change to the metadata of a mailbox, or of the account (0).
func (m *model) setMetadata(id mail.MailboxID, changes []mail.Metadata, at mail.ModSeq) {
	m.replaceMetadata(id, m.metadata[id].with(changes, at))
	m.metadataAt = at
}

func (m *model) replaceMetadata(id mail.MailboxID, now entries) {
	if len(now)+len(m.metadata[id]) == 0 {
		return
	}
	m.metadataBytes += now.bytes() - m.metadata[id].bytes()
	m.metadataDirty[id] = struct{}{}
	if len(now) == 0 {
		delete(m.metadata, id)
		return
	}
	m.metadata[id] = now
}

// metadataFor gives what a reader may see of a mailbox's metadata. The special uses
// are the owner's affair.
func (m *model) metadataFor(box *mailbox, owner, reader mail.AccountID) entries {
	e := m.metadata[box.id].visible(reader)
	if reader != owner || box.use == 0 {
		return e
	}
	use := mail.Metadata{Name: mail.SpecialUseEntry, Reader: owner, Value: specialUseValue(box.use)}
	i, _ := e.find(use)
	return slices.Insert(e, i, use)
}

// specialUseValue is the value of mail.SpecialUseEntry: "presented the same way
// they would be presented in the LIST command response" (RFC 6154 4).
func specialUseValue(u mail.SpecialUse) []byte {
	if u == 0 {
		return nil
	}
	return []byte(strings.Join(u.Names(), " "))
}

// Metadata gives the entries of the mailbox that are shared and those of its
// reader, sorted by name. The values are not to be changed.
func (m *Mailbox) Metadata() []mail.Metadata {
	m.a.mu.RLock()
	defer m.a.mu.RUnlock()
	if m.box.deletedAt != 0 {
		return nil
	}
	return m.a.model.metadataFor(m.box, m.a.id, m.reader())
}

// reader is who has the handle.
func (m *Mailbox) reader() mail.AccountID { return m.who }

// Metadata gives the entries that the account's owner keeps with the server as a
// whole. The values are not to be changed.
func (a *Account) Metadata() []mail.Metadata {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.model.metadata[0].visible(a.id)
}

// SetMetadata gives entries of the mailbox other values, all of them or none, in
// one commit; a nil value removes the entry. Private ones become those of the
// handle's reader. It says at which ModSeq; 0 if nothing was altered. It takes the
// rights l and r, and w for entries that all readers see (RFC 5464 3.3).
//
// mail.TooBig if a value is beyond MaxMetadataValue, mail.Limit if there would be
// too many entries, or too much of them. mail.SpecialUseEntry changes what the
// mailbox is for, and takes these uses from all other mailboxes (RFC 6154 5.4).
func (m *Mailbox) SetMetadata(ctx context.Context, changes []mail.Metadata) (mail.ModSeq, error) {
	changes, use, err := checkMetadata(changes, m.reader())
	switch {
	case err != nil:
		return 0, err
	case use != nil && m.reader() != m.a.id:
		return 0, mail.Errorf(mail.NotPermitted, "mailboxes of others have no special use that you could set")
	}
	need := mail.RightLookup | mail.RightRead
	for i := range changes {
		if changes[i].Reader == 0 {
			need |= mail.RightWrite
		}
	}
	return m.a.setMetadata(ctx, func(p *plan) error {
		if err := m.check(m.box, need); err != nil {
			return err
		}
		o, err := p.mailbox(m.box)
		if err != nil {
			return err
		}
		if use != nil {
			if err := p.setSpecialUse(o, *use); err != nil {
				return err
			}
		}
		return p.setMetadata(m.box.id, o.counts, changes)
	})
}

// SetMetadata gives entries that the owner keeps with the server other values, as
// Mailbox.SetMetadata does. Only private ones can be set here.
func (a *Account) SetMetadata(ctx context.Context, changes []mail.Metadata) (mail.ModSeq, error) {
	changes, use, err := checkMetadata(changes, a.id)
	if err != nil {
		return 0, err
	}
	if use != nil || slices.ContainsFunc(changes, func(c mail.Metadata) bool { return c.Reader == 0 }) {
		return 0, mail.Errorf(mail.NotPermitted, "the entry of the server cannot be set")
	}
	return a.setMetadata(ctx, func(p *plan) error { return p.setMetadata(0, mail.Counts{}, changes) })
}

func (a *Account) setMetadata(ctx context.Context, change func(*plan) error) (at mail.ModSeq, err error) {
	err = a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		before := p.head
		at = 0
		err := change(p)
		if p.head > before {
			at = p.head
		}
		return err
	}})
	if err != nil {
		return 0, err
	}
	return at, nil
}

// checkMetadata checks what can be checked without the model and says whose each
// entry is. A special use is taken out of the changes.
func checkMetadata(changes []mail.Metadata, reader mail.AccountID) (out []mail.Metadata, use *mail.SpecialUse, err error) {
	out = make([]mail.Metadata, 0, len(changes))
	seen := map[string]bool{}
	for _, c := range changes {
		key := mail.EntryKey(c.Name)
		switch {
		case !mail.SettableEntry(c.Name) || seen[key]:
			return nil, nil, mail.Errorf(mail.Invalid, "an entry has a name that none can have, or is named twice")
		case len(c.Value) > MaxMetadataValue:
			return nil, nil, mail.Errorf(mail.TooBig, "the value of an entry has at most %d octets", MaxMetadataValue)
		}
		seen[key] = true
		if key == mail.SpecialUseEntry {
			u, ok := mail.ParseSpecialUses(string(c.Value))
			if !ok {
				return nil, nil, mail.Errorf(mail.Cannot, "no mailbox here can be used for that")
			}
			use = &u
			continue
		}
		if c.Reader = 0; mail.PrivateEntry(c.Name) {
			c.Reader = reader
		}
		c.Value = bytes.Clone(c.Value) // which keeps nil and empty apart
		out = append(out, c)
	}
	return out, use, nil
}

// setMetadata plans other values for entries. What alters nothing is left out.
func (p *plan) setMetadata(id mail.MailboxID, after mail.Counts, changes []mail.Metadata) error {
	before := p.model.metadata[id]
	changes = slices.DeleteFunc(slices.Clone(changes), func(c mail.Metadata) bool {
		i, there := before.find(c)
		return there == (c.Value != nil) && (!there || bytes.Equal(before[i].Value, c.Value))
	})
	if len(changes) == 0 {
		return nil
	}
	now := before.with(changes, p.head+1)
	grown := now.bytes() - before.bytes()
	// What is beyond a limit, which may have been higher once, can always shrink.
	if now.perReader() > MaxMetadataEntries && len(now) > len(before) {
		return mail.Errorf(mail.Limit, "a mailbox has at most %d entries", MaxMetadataEntries)
	}
	if grown > 0 && p.model.metadataBytes+p.metadata+grown > MaxMetadataBytes {
		return mail.Errorf(mail.Limit, "the entries of an account have at most %d octets", MaxMetadataBytes)
	}
	p.metadata += grown
	size := 0
	for i := range changes {
		size += len(changes[i].Name) + len(changes[i].Value) + 8
	}
	p.record(id, after, mail.MetadataSet{Entries: changes}, size)
	return nil
}

// copyMetadata plans that a mailbox made in this batch has the metadata of another.
func (p *plan) copyMetadata(from, to mail.MailboxID, after mail.Counts) error {
	return p.setMetadata(to, after, p.model.metadata[from])
}

// setSpecialUse plans what a mailbox is for, and that no other is for the same:
// "MyDrafts changes automatically" (RFC 6154 5.4).
func (p *plan) setSpecialUse(o *overlay, use mail.SpecialUse) error {
	if o.box.use == use {
		return nil
	}
	if o.box.name == mail.Inbox && use != 0 {
		return mail.Errorf(mail.Cannot, "INBOX has no other use")
	}
	var others []*mailbox
	for _, other := range p.model.names {
		if other != o.box && other.use&use != 0 {
			others = append(others, other)
		}
	}
	slices.SortFunc(others, func(a, b *mailbox) int { return cmp.Compare(a.id, b.id) })
	for _, other := range others {
		p.record(other.id, other.counts, mail.SpecialUseSet{SpecialUse: other.use &^ use}, 4)
	}
	p.record(o.box.id, o.counts, mail.SpecialUseSet{SpecialUse: use}, 4)
	return nil
}
