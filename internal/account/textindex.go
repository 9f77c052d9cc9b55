package account

import (
	"context"
	"io"
	"iter"
	"slices"

	"postern/internal/mail"
)

// The account's text index is kept here as a list of segments, whose content is the
// affair of package index. A segment is a body that bears the account's mark, taken and let
// go of by the commit that changes the list, so that it goes with the account and is
// known to backups and to `postern check`. It counts towards no quota, and no client
// sees the change.

// Index gives the segments of the account's text index, by the numbers of their messages.
// The slice is not to be changed.
func (a *Account) Index() []mail.IndexSegment {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.model.index
}

// Index is Account.Index of the account whose mailbox it is.
func (s *Selection) Index() []mail.IndexSegment { return s.a.Index() }

// NextMessage is above the number of every message the account has.
func (a *Account) NextMessage() mail.MessageID {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.model.nextMessage
}

// Rows is in how many rows the account's messages are, expunged ones that are still held among
// them. It has no more messages than that.
func (a *Account) Rows() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	n := 0
	for _, box := range a.model.boxes {
		n += int(box.held)
		if box.deletedAt == 0 {
			n += int(box.counts.Messages)
		}
	}
	return n
}

// ReplaceIndex takes segments out of the text index and puts others in their place, in
// one commit. The bodies of those put in are under a lease (PutSegment). mail.NotFound if one of
// those taken out is not there any more, mail.Invalid if the index would overlap itself: somebody else was
// faster, and nothing was changed.
func (a *Account) ReplaceIndex(ctx context.Context, out []mail.BodyRef, in []mail.IndexSegment) error {
	return a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		var now []mail.IndexSegment
		found := 0
		for _, s := range p.model.index {
			if slices.Contains(out, s.Body) {
				found++
				continue
			}
			now = append(now, s)
		}
		if found != len(out) {
			return mail.Errorf(mail.NotFound, "the text index has changed")
		}
		now = append(now, in...)
		slices.SortFunc(now, func(x, y mail.IndexSegment) int { return int(int64(x.Low) - int64(y.Low)) })
		if !soundIndex(now, p.model.nextMessage) {
			return mail.Errorf(mail.Invalid, "segments of the text index overlap")
		}
		if len(out)+len(in) == 0 {
			return nil
		}
		for _, s := range in {
			p.take = append(p.take, s.Body)
		}
		p.release = append(p.release, out...)
		p.record(0, mail.Counts{}, mail.IndexSet{Segments: now}, 32*len(now))
		return nil
	}})
}

// soundIndex reports whether segments ascend, do not overlap, and know of no message
// that there is not yet.
func soundIndex(segments []mail.IndexSegment, next mail.MessageID) bool {
	low := mail.MessageID(1)
	for _, s := range segments {
		if s.Low < low || s.High <= s.Low || s.High > next || uint64(s.Messages) > uint64(s.High-s.Low) {
			return false
		}
		low = s.High
	}
	return true
}

// PutSegment stores a segment, under a lease, and says how large it is. An error of r is
// given back as it is.
func (p *Pool) PutSegment(ctx context.Context, r io.Reader) (mail.BodyRef, int64, error) {
	return p.store.Bodies().Put(ctx, r)
}

// AbandonSegment says that a stored segment will not be put into an index.
func (p *Pool) AbandonSegment(ctx context.Context, ref mail.BodyRef) {
	p.store.Bodies().Abandon(ctx, ref)
}

// OpenSegment opens a segment. It stays readable, or gives mail.NotFound, when it is
// taken out of the index meanwhile.
func (p *Pool) OpenSegment(ctx context.Context, ref mail.BodyRef) (Body, error) {
	return p.store.Bodies().Open(ctx, ref)
}

// Messages reads the summaries of messages in one go, whichever mailboxes they are in,
// and calls each with a message's place in ids and its Summary, which is valid until
// each returns. Messages that are not there are passed over.
func (a *Account) Messages(ctx context.Context, ids []mail.MessageID, each func(i int, m *Summary) error) error {
	var m Summary
	return a.store.Summaries(ctx, ids, func(i int, data []byte) error {
		if err := m.decode(data); err != nil {
			return err
		}
		if m.account != a.id || m.id != ids[i] {
			return mail.Errorf(mail.Corrupt, "the summary of message %d is another's", ids[i])
		}
		return each(i, &m)
	})
}

// Visit calls do with an account, which it loads if need be and lets go of at once if
// nobody else came. It makes no mailboxes.
func (p *Pool) Visit(ctx context.Context, id mail.AccountID, do func(*Account) error) error {
	return p.visit(ctx, id, do)
}

// Attend calls do with an account that is in memory, and stays there; with no other.
func (p *Pool) Attend(ctx context.Context, id mail.AccountID, do func(*Account) error) error {
	p.mu.Lock()
	a := p.accounts[id]
	if a == nil || p.closed {
		p.mu.Unlock()
		return nil
	}
	a.holders++
	p.mu.Unlock()
	defer p.release(a)
	if err := a.ask(ctx, &request{}); err != nil {
		return err
	}
	return do(a)
}

// All gives every account that has anything stored, ascending.
func (p *Pool) All(ctx context.Context) iter.Seq2[mail.AccountID, error] {
	return p.store.Accounts(ctx)
}

func appendIndex(b []byte, segments []mail.IndexSegment) []byte {
	b = appendUint(b, uint64(len(segments)))
	for _, s := range segments {
		b = append(b, s.Body[:]...)
		b = appendUint(b, uint64(s.Low))
		b = appendUint(b, uint64(s.High))
		b = appendUint(b, uint64(s.Messages))
		b = appendUint(b, s.Octets)
	}
	return b
}

func (d *decoder) index() []mail.IndexSegment {
	n := d.count(20)
	if n == 0 {
		return nil
	}
	segments := make([]mail.IndexSegment, n)
	for i := range segments {
		s := &segments[i]
		if len(d.b) < len(s.Body) {
			d.fail("it ends early")
			return nil
		}
		d.b = d.b[copy(s.Body[:], d.b):]
		s.Low, s.High = mail.MessageID(d.uint()), mail.MessageID(d.uint())
		s.Messages, s.Octets = d.uint32(), d.uint()
	}
	if !soundIndex(segments, maxMessageID) {
		d.fail("segments of the text index are out of order")
	}
	return segments
}

// Behind gives the accounts in memory whose text index lacks a range between others or at
// least so many messages. It touches none of them, so that they can be let go of.
func (p *Pool) Behind(least int) []mail.AccountID {
	p.mu.Lock()
	accounts := make([]*Account, 0, len(p.accounts))
	for _, a := range p.accounts {
		accounts = append(accounts, a)
	}
	p.mu.Unlock()
	var ids []mail.AccountID
	for _, a := range accounts {
		a.mu.RLock()
		missing, end := uint64(0), mail.MessageID(1)
		for _, s := range a.model.index {
			if s.Low > end {
				missing = uint64(least)
			}
			end = s.High
		}
		missing += uint64(a.model.nextMessage - end)
		a.mu.RUnlock()
		if missing >= uint64(least) {
			ids = append(ids, a.id)
		}
	}
	slices.Sort(ids)
	return ids
}
