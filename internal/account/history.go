package account

import "postern/internal/mail"

// What a client that comes back asks for (RFC 7162 3.2.5): what changed, and what
// is gone. Both are answered from the rows and from the expunged rows, which know
// the ModSeq of their expunge. Once those are purged the mailbox knows only that
// it has forgotten expunges up to some ModSeq, and answers who asks from further
// back with everything that is not there.

// ChangedSince gives those of the UIDs whose rows changed after a ModSeq, rows of
// expunged messages that are still held included. Pages in which nothing changed
// are not looked at.
func (s *Selection) ChangedSince(uids mail.UIDSet, since mail.ModSeq) mail.UIDSet {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	changed := s.box.rows.changedSince(since)
	return changed.Union(s.box.gone.changedSince(since)).Intersect(uids)
}

// VanishedSince gives those of the UIDs that the mailbox held once and does not
// hold now, as far as they were expunged after a ModSeq. Where the expunges since
// then are partly forgotten, it gives all of the UIDs that are not there: more
// than the client needs to hear, never less (RFC 7162 3.2.6).
func (s *Selection) VanishedSince(uids mail.UIDSet, since mail.ModSeq) mail.UIDSet {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	box := s.box
	if since >= box.highest {
		return nil
	}
	if since < box.forgotten {
		given := uids.Intersect(mail.UIDSet{{First: 1, Last: max(box.counts.UIDNext, 2) - 1}})
		return given.Subtract(box.uidSetRead())
	}
	return box.gone.expungedSince(since).Intersect(uids)
}

// uidSetRead gives the UIDs of the rows to a reader, who must not remember them.
func (m *mailbox) uidSetRead() mail.UIDSet {
	if m.uidsKnown {
		return m.uids
	}
	return m.rows.set()
}

// changedSince gives the UIDs of rows whose ModSeq is above one.
func (t *table) changedSince(since mail.ModSeq) mail.UIDSet {
	var uids mail.UIDSet
	for _, p := range t.pages {
		if p.top <= since {
			continue
		}
		for i, uid := range p.uid {
			if p.modSeq(i) > since {
				uids = uids.Append(mail.UID(uid))
			}
		}
	}
	return uids
}

// expungedSince gives the UIDs of expunged rows whose expunge has a ModSeq above
// one.
func (t *table) expungedSince(since mail.ModSeq) mail.UIDSet {
	var uids mail.UIDSet
	for _, p := range t.pages {
		if p.top <= since {
			continue
		}
		for i, uid := range p.uid {
			if _, by := p.expungedAt(i); by > since {
				uids = uids.Append(mail.UID(uid))
			}
		}
	}
	return uids
}
