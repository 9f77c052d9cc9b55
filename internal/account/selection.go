package account

import (
	"context"
	"io"
	"sync/atomic"

	"postern/internal/mail"
	"postern/internal/store"
)

// Selection is one session's hold on a mailbox.
type Selection struct {
	viewer
	box       *mailbox
	readWrite bool
	start     Start
	wake      func() // guarded by Account.mu
	closed    atomic.Bool
}

// Start is the mailbox as it was when it was selected: what a session's first
// view is made of.
type Start struct {
	UIDs        mail.UIDSet
	At          mail.ModSeq // the cursor for the first Delta
	Recent      mail.UIDSet
	FirstUnseen mail.UID // 0: none
	Keywords    []string
	Info        Info
}

// Select loads the mailbox's rows, shared by all who selected it, and holds them
// until Close. It takes the right r. A read-write selection of the owner claims
// what is \Recent; a guest leaves it to the owner.
func (m *Mailbox) Select(ctx context.Context, readWrite bool) (*Selection, error) {
	s := &Selection{viewer: m.viewer, box: m.box, readWrite: readWrite}
	for {
		if ok, err := s.begin(); ok || err != nil {
			return s, err
		}
		if err := m.a.ask(ctx, &request{needs: []*mailbox{m.box}}); err != nil {
			return nil, err
		}
	}
}

// begin registers the selection if the rows are loaded.
func (s *Selection) begin() (bool, error) {
	a, box := s.a, s.box
	a.mu.Lock()
	defer a.mu.Unlock()
	if box.deletedAt != 0 {
		return false, noMailbox()
	}
	if err := s.check(box, mail.RightRead); err != nil {
		return false, err
	}
	if box.rows == nil {
		return false, nil
	}
	if box.selections == nil {
		box.selections = map[*Selection]struct{}{}
	}
	box.selections[s] = struct{}{}
	s.start = Start{UIDs: box.uidSet(), At: box.highest, Keywords: box.keywords.sorted, Info: s.info(box)}
	s.start.FirstUnseen = box.firstUnseen(a.flags)
	s.start.Recent = s.claim(s.start.UIDs)
	return true, nil
}

func (m *mailbox) firstUnseen(flags *flagTable) mail.UID {
	if m.counts.Unseen == 0 {
		return 0
	}
	for _, p := range m.rows.pages {
		for i, id := range p.flags {
			if flags.system(id)&mail.Seen == 0 {
				return mail.UID(p.uid[i])
			}
		}
	}
	return 0
}

// claim gives which of uids nobody was shown as \Recent, and claims them for a
// read-write session. The lock is held.
func (s *Selection) claim(uids mail.UIDSet) mail.UIDSet {
	box := s.box
	if uids.Max() < box.claimed {
		return nil
	}
	fresh := uids.Intersect(mail.UIDSet{{First: box.claimed, Last: 1<<32 - 1}})
	if !s.readWrite || !s.isOwner() || fresh.Empty() {
		return fresh
	}
	// Below the new mark lies nothing that was not claimed: messages between
	// that were expunged concern nobody.
	box.claimed = fresh.Max() + 1
	box.recent -= min(box.recent, uint32(fresh.Len()))
	if box.claimed >= box.counts.UIDNext {
		box.recent = 0
	}
	s.a.model.recentDirty[box] = struct{}{}
	s.a.infos.Store(nil)
	return fresh
}

// Claim gives which of these new messages are \Recent for this session. A
// read-write selection claims them, so that no other session is told the same;
// a read-only one looks.
func (s *Selection) Claim(added mail.UIDSet) mail.UIDSet {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	return s.claim(added)
}

// Close ends the hold. The Selection is not used afterwards; bodies opened from
// it stay open.
func (s *Selection) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	delete(s.box.selections, s)
	if len(s.box.selections) == 0 {
		s.box.unusedAt = s.a.pool.o.Now().Unix()
	}
}

// Watch calls wake whenever the mailbox may have changed, until Close. wake must
// not block; it is called without locks. nil ends it.
func (s *Selection) Watch(wake func()) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.wake = wake
}

// Holds reports whether the selection is of that mailbox.
func (s *Selection) Holds(m *Mailbox) bool { return s.box == m.box }

// Info gives what is known of the mailbox now.
func (s *Selection) Info() Info { return s.infoNow(s.box) }

// Account is whose mailbox it is.
func (s *Selection) Account() mail.AccountID { return s.a.id }

// Rights gives what the guest may do with the mailbox now.
func (s *Selection) Rights() mail.Rights {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	return s.rights(s.box)
}

// readable reports whether the guest may still read the mailbox. The lock is held.
func (s *Selection) readable() bool { return s.rights(s.box)&mail.RightRead != 0 }

// Start gives the mailbox as of Select.
func (s *Selection) Start() Start { return s.start }

// Delta gives what came since the cursor, for a session whose view holds told. To
// a guest who may not read the mailbox any more it is gone.
func (s *Selection) Delta(since mail.ModSeq, told mail.UIDSet) mail.Delta {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	if !s.readable() {
		return mail.Delta{At: since, Gone: true}
	}
	return s.box.delta(since, told)
}

// FlagsID names a set of flags within an open account. 0 is the empty set.
type FlagsID uint32

// Row is what the mailbox knows of one message.
type Row struct {
	UID      mail.UID
	Flags    FlagsID
	ModSeq   mail.ModSeq
	Size     uint32
	Date     mail.InternalDate
	Saved    uint32 // seconds since 1970
	ID       mail.MessageID
	Expunged bool // gone from the mailbox, held for sessions that still show it
}

// Rows copies rows in UID order into dst, from its beginning, up to cap(dst). It
// gives them and the UIDs it had no room for; UIDs it does not know are passed
// over. A guest who may not read the mailbox any more gets none. No lock is held
// afterwards.
func (s *Selection) Rows(dst []Row, uids mail.UIDSet) (rows []Row, rest mail.UIDSet) {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	dst = dst[:0]
	if !s.readable() {
		return dst, nil
	}
	there, gone := cursor{t: s.box.rows}, cursor{t: s.box.gone}
	for i, run := range uids {
		there.seek(run.First)
		gone.seek(run.First)
		for {
			c := &there
			uid, ok := there.uid()
			if g, held := gone.uid(); held && (!ok || g < uid) {
				c, uid, ok = &gone, g, true
			}
			if !ok || uid > run.Last {
				break
			}
			if len(dst) == cap(dst) {
				rest = append(make(mail.UIDSet, 0, len(uids)-i), uids[i:]...)
				rest[0].First = uid
				return dst, rest
			}
			dst = append(dst, c.row())
			c.next()
		}
	}
	return dst, nil
}

// Flags gives the set an ID names. It is not to be changed.
func (s *Selection) Flags(id FlagsID) mail.Flags { return s.a.flags.get(id).flags }

// FlagText gives the set as it is written on the wire, `(\Seen $Junk)`, without
// \Recent. It is shared and not to be changed.
func (s *Selection) FlagText(id FlagsID) []byte { return s.a.flags.get(id).text }

// Keywords gives the keywords in use in this mailbox, sorted: for FLAGS and
// PERMANENTFLAGS. One that has just come out of use may still be among them. The
// slice is shared and not to be changed.
func (s *Selection) Keywords() []string {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	return s.box.keywords.sorted
}

// Summaries reads the summaries of rows in one go and calls each with the row's
// index and its Summary, which is valid until each returns. A row whose summary
// is not there, because it was expunged long ago, is passed over.
func (s *Selection) Summaries(ctx context.Context, rows []Row, each func(i int, m *Summary) error) error {
	if s.Rights()&mail.RightRead == 0 {
		return noMailbox()
	}
	ids := make([]mail.MessageID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return s.a.Messages(ctx, ids, each)
}

// Body is an open message: prefix and body as one.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Body opens the message a summary describes.
func (s *Selection) Body(ctx context.Context, m *Summary) (Body, error) {
	if s.Rights()&mail.RightRead == 0 {
		return nil, noMailbox()
	}
	return s.a.OpenMessage(ctx, m)
}

// OpenMessage opens the message a summary describes.
func (a *Account) OpenMessage(ctx context.Context, m *Summary) (Body, error) {
	b, err := a.pool.store.Bodies().Open(ctx, m.ref)
	if err != nil {
		return nil, err
	}
	if int64(len(m.prefix))+b.Size() != int64(m.size) {
		b.Close()
		return nil, mail.Errorf(mail.Corrupt, "body %s has %d octets and should have %d", m.ref, b.Size(), int64(m.size)-int64(len(m.prefix)))
	}
	if len(m.prefix) == 0 {
		return b, nil
	}
	return &prefixed{prefix: append([]byte(nil), m.prefix...), body: b}, nil
}

// prefixed is header lines and a body as one.
type prefixed struct {
	prefix []byte
	body   store.Body
}

func (p *prefixed) Size() int64  { return int64(len(p.prefix)) + p.body.Size() }
func (p *prefixed) Close() error { return p.body.Close() }

// ReadAt implements io.ReaderAt.
func (p *prefixed) ReadAt(buf []byte, off int64) (int, error) {
	if off < 0 {
		return 0, mail.Errorf(mail.Invalid, "an offset is negative")
	}
	if off >= int64(len(p.prefix)) {
		return p.body.ReadAt(buf, off-int64(len(p.prefix)))
	}
	n := copy(buf, p.prefix[off:])
	if n == len(buf) {
		return n, nil
	}
	m, err := p.body.ReadAt(buf[n:], 0)
	return n + m, err
}
