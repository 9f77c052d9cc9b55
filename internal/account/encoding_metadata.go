package account

import (
	"cmp"
	"context"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// Metadata are written as
//
//	number of entries | (reader, 0 for a shared one | name | 0, or 1 and the value)*
//
// and in pages, where each has a value, with the ModSeq before each name, as its
// distance from the one before (zigzag).

func appendMetadata(dst []byte, all []mail.Metadata) []byte {
	dst = appendUint(dst, uint64(len(all)))
	for i := range all {
		dst = appendEntry(dst, &all[i])
	}
	return dst
}

func appendEntry(dst []byte, m *mail.Metadata) []byte {
	dst = appendUint(dst, uint64(m.Reader))
	dst = appendString(dst, m.Name)
	if m.Value == nil {
		return append(dst, 0)
	}
	return appendString(append(dst, 1), m.Value)
}

func (d *decoder) metadata() []mail.Metadata {
	var all []mail.Metadata
	for range d.count(3) {
		all = append(all, d.entry())
	}
	return all
}

func (d *decoder) entry() mail.Metadata {
	m := mail.Metadata{Reader: mail.AccountID(d.uint()), Name: d.string()}
	switch d.byte() {
	case 0:
	case 1:
		m.Value = append([]byte{}, d.bytes()...)
	default:
		d.fail("an entry has an unknown form")
	}
	if d.err == nil && (!mail.SettableEntry(m.Name) || mail.PrivateEntry(m.Name) != (m.Reader != 0)) {
		d.fail("an entry's name is none, or not one of its reader")
	}
	return m
}

const metadataVersion = 1

// encodeMetadata writes the page of a mailbox's entries:
//
//	version | mailbox | number | (ModSeq | entry)*
func encodeMetadata(id mail.MailboxID, e entries) []byte {
	b := appendUint([]byte{metadataVersion}, uint64(id))
	b = appendUint(b, uint64(len(e)))
	before := int64(0)
	for i := range e {
		b = appendInt(b, int64(e[i].ModSeq)-before)
		before = int64(e[i].ModSeq)
		b = appendEntry(b, &e[i])
	}
	return b
}

// decodeMetadata reads the page that stands at low.
func decodeMetadata(low uint64, data []byte) (entries, error) {
	d := decoder{what: "a page of metadata", b: data}
	d.version(metadataVersion)
	if at := d.uint(); d.err == nil && at != low {
		d.fail("it stands in another's place")
	}
	var e entries
	modSeq := int64(0)
	for range d.count(4) {
		modSeq += d.int()
		m := d.entry()
		if d.err != nil {
			return nil, d.err
		}
		m.ModSeq = mail.ModSeq(modSeq)
		if modSeq <= 0 || modSeq > maxModSeq || m.Value == nil || len(e) > 0 && compareEntries(e[len(e)-1], m) >= 0 {
			d.fail("an entry is out of order")
			return nil, d.err
		}
		e = append(e, m)
	}
	return e, d.done()
}

// metadataPages gives what a save does to the pages of metadata.
func (m *model) metadataPages() (put []store.Page, del []store.PageKey) {
	for id := range m.metadataDirty {
		key := store.PageKey{Kind: kindMetaPage, Low: uint64(id)}
		if e := m.metadata[id]; len(e) > 0 {
			put = append(put, store.Page{PageKey: key, Data: encodeMetadata(id, e)})
		} else {
			del = append(del, key)
		}
	}
	slices.SortFunc(put, func(a, b store.Page) int { return cmp.Compare(a.Low, b.Low) })
	slices.SortFunc(del, func(a, b store.PageKey) int { return cmp.Compare(a.Low, b.Low) })
	return put, del
}

// loadMetadata reads the pages of metadata into a model whose head pages were read.
func (a *Account) loadMetadata(ctx context.Context, m *model) error {
	saved, err := a.store.Load(ctx, 0, kindMetaPage, func(low uint64, data []byte) error {
		e, err := decodeMetadata(low, data)
		if err != nil {
			return err
		}
		m.metadata[mail.MailboxID(low)] = e
		m.metadataBytes += e.bytes()
		return nil
	})
	m.metadataAt = m.rootSaved // no earlier: of what is gone nothing is left to say when
	if err == nil && saved != m.rootSaved {
		return errMoved
	}
	return err
}
