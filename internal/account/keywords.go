package account

import (
	"context"
	"slices"

	"postern/internal/mail"
)

// keywords collects which keywords are in use in a mailbox.
type keywords struct {
	seen   []bool // by FlagsID
	sorted []string
}

// note takes in a flag set that some message bears.
func (k *keywords) note(id FlagsID, flags *flagTable) {
	if int(id) < len(k.seen) && k.seen[id] {
		return
	}
	if grow := int(id) + 1 - len(k.seen); grow > 0 {
		k.seen = append(k.seen, make([]bool, grow)...)
	}
	k.seen[id] = true
	mine := false
	for _, word := range flags.get(id).flags.Keywords {
		at, found := slices.BinarySearchFunc(k.sorted, word, mail.CompareKeywords)
		if found {
			continue
		}
		if !mine { // the old one may be in a session's hands
			k.sorted, mine = slices.Clone(k.sorted), true
		}
		k.sorted = slices.Insert(k.sorted, at, word)
	}
}

// with is how many there are together with those words.
func (k *keywords) with(words []string) int {
	n := len(k.sorted)
	for _, word := range words {
		if _, found := slices.BinarySearchFunc(k.sorted, word, mail.CompareKeywords); !found {
			n++
		}
	}
	return n
}

// keywordsOf collects the keywords of rows.
func keywordsOf(rows *table, flags *flagTable) keywords {
	var k keywords
	for _, p := range rows.pages {
		for _, id := range p.flags {
			k.note(id, flags)
		}
	}
	return k
}

// AdmitKeywords is asked before a client gives a message flags: mail.Limit says
// that the mailbox would come to have more keywords than Limits.MailboxKeywords,
// all of which SELECT names. Copies and imports are not asked: mail is worth more
// than the limit, and two clients at the same moment may pass it by a few.
func (m *Mailbox) AdmitKeywords(ctx context.Context, f mail.Flags) error {
	return m.admitKeywords(ctx, m.box, f)
}

// AdmitKeywords is Mailbox.AdmitKeywords for the selected mailbox.
func (s *Selection) AdmitKeywords(ctx context.Context, f mail.Flags) error {
	return s.admitKeywords(ctx, s.box, f)
}

// MoreKeywords reports whether the mailbox has room for another keyword.
func (s *Selection) MoreKeywords() bool {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	return len(s.box.keywords.sorted) < s.a.pool.o.Limits.MailboxKeywords
}

func (g viewer) admitKeywords(ctx context.Context, box *mailbox, f mail.Flags) error {
	if len(f.Keywords) == 0 {
		return nil
	}
	a := g.a
	a.mu.RLock()
	stored := g.rights(box)&mail.RightWrite != 0
	a.mu.RUnlock()
	if !stored {
		return nil // they are dropped
	}
	if a.flags.octets.Load() > maxFlagOctets {
		return mail.Errorf(mail.Limit, "too many different sets of keywords were used lately")
	}
	limit := a.pool.o.Limits.MailboxKeywords
	a.mu.RLock()
	fits := box.rows != nil && box.keywords.with(f.Keywords) <= limit
	a.mu.RUnlock()
	if fits {
		return nil
	}
	// Some may have come out of use, which nobody counts. The committer looks:
	// it alone reads rows without the lock.
	err := a.ask(ctx, &request{needs: []*mailbox{box}, run: func() {
		if box.rows == nil {
			fits = true // it was deleted, and somebody else will say so
			return
		}
		exact := keywordsOf(box.rows, a.flags)
		fits = exact.with(f.Keywords) <= limit
		a.mu.Lock()
		defer a.mu.Unlock()
		box.keywords = exact
	}})
	if err == nil && !fits {
		err = mail.Errorf(mail.Limit, "a mailbox can have %d keywords", limit)
	}
	return err
}
