package account

import "postern/internal/mail"

// ring is the recent changes to one mailbox's rows, so that a session that
// follows it need not compare rows. It covers every change above start.
type ring struct {
	start   mail.ModSeq
	changes []change
	runs    int // of UIDs in changes
}

type change struct {
	at   mail.ModSeq
	kind changeKind
	uids mail.UIDSet
}

type changeKind uint8

const (
	changeAdded changeKind = iota
	changeFlags
	changeExpunged
)

// What a ring holds at most.
const (
	ringChanges = 256
	ringRuns    = 4096
)

// reset empties the ring; it covers what comes after start.
func (r *ring) reset(start mail.ModSeq) { *r = ring{start: start} }

func (r *ring) note(c change) {
	r.changes = append(r.changes, c)
	r.runs += len(c.uids)
	drop := 0
	for len(r.changes)-drop > ringChanges || r.runs > ringRuns && drop < len(r.changes) {
		r.start = r.changes[drop].at
		r.runs -= len(r.changes[drop].uids)
		drop++
	}
	if drop > 0 {
		// Move rather than slice, so that the array does not grow for ever. To
		// do it for one change at a time would be dear; a quarter is dropped.
		for len(r.changes)-drop > ringChanges*3/4 {
			r.start = r.changes[drop].at
			r.runs -= len(r.changes[drop].uids)
			drop++
		}
		n := copy(r.changes, r.changes[drop:])
		clear(r.changes[n:])
		r.changes = r.changes[:n]
	}
}

// since gives the changes above a ModSeq, and whether the ring reaches back so
// far.
func (r *ring) since(after mail.ModSeq) ([]change, bool) {
	if after < r.start {
		return nil, false
	}
	i := len(r.changes)
	for i > 0 && r.changes[i-1].at > after {
		i--
	}
	return r.changes[i:], true
}

// delta gives what came after since to a session whose view holds told.
func (m *mailbox) delta(since mail.ModSeq, told mail.UIDSet) mail.Delta {
	d := mail.Delta{At: max(since, m.highest), Gone: m.deletedAt != 0}
	if since >= m.highest && !d.Gone {
		return d
	}
	changes, ok := m.ring.since(since)
	if !ok {
		m.compare(&d, since, told)
		return d
	}
	// The last word on a UID counts, and an expunge is always the last.
	for _, c := range changes {
		switch c.kind {
		case changeAdded:
			d.Added = d.Added.Union(c.uids)
		case changeFlags:
			d.Changed = d.Changed.Union(c.uids)
		case changeExpunged:
			d.Expunged = d.Expunged.Union(c.uids)
		}
	}
	d.Changed = d.Changed.Subtract(d.Expunged).Intersect(told)
	d.Added = d.Added.Subtract(d.Expunged).Subtract(told)
	d.Expunged = d.Expunged.Intersect(told)
	return d
}

// compare finds the same by comparing rows.
func (m *mailbox) compare(d *mail.Delta, since mail.ModSeq, told mail.UIDSet) {
	there := m.uids
	if !m.uidsKnown {
		there = m.rows.set()
	}
	d.Added = there.Subtract(told)
	d.Expunged = told.Subtract(there)
	for _, p := range m.rows.pages {
		if p.top <= since {
			continue
		}
		for i := range p.uid {
			if p.modSeq(i) > since {
				d.Changed = d.Changed.Append(mail.UID(p.uid[i]))
			}
		}
	}
	d.Changed = d.Changed.Intersect(told)
}
