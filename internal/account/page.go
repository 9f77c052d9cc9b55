package account

import (
	"math"

	"postern/internal/mail"
	"postern/internal/store"
)

// The kinds of pages. Scope 0, the account, has its head page (the root), pages
// of references and pages of metadata; a mailbox's scope has its head page, pages of rows and
// pages of expunged rows. Each begins with a version octet, and an older version
// stays readable for ever.
const (
	kindRowPage  store.PageKind = 1
	kindGonePage store.PageKind = 2
	kindRefPage  store.PageKind = 3
	kindMetaPage store.PageKind = 4
)

const (
	pageVersion    = 1
	rootVersion    = 3 // 1 had no quota, 1 and 2 no text index
	mailboxVersion = 6 // 1 had no forgotten, 1 and 2 no limit, 1 to 3 no octets of deleted messages, 1 to 4 no key, 1 to 5 no acl
)

// encodePage writes a page of rows:
//
//	version | low | flag sets | rows | expunged rows only: ModSeq*, time*
func encodePage(p *rowPage, flags *flagTable) []byte {
	places := map[FlagsID]FlagsID{}
	var sets []mail.Flags
	rows := make([]Row, p.len())
	for i := range rows {
		rows[i] = p.row(i)
		at, ok := places[rows[i].Flags]
		if !ok {
			at = FlagsID(len(sets))
			places[rows[i].Flags] = at
			sets = append(sets, flags.get(rows[i].Flags).flags)
		}
		rows[i].Flags = at
	}
	b := appendUint([]byte{pageVersion}, uint64(p.low))
	b = appendFlagSets(b, sets)
	b = appendRows(b, p.low, rows, true)
	if p.gone == nil {
		return b
	}
	var before int64
	for i := range rows {
		_, by := p.expungedAt(i)
		b = appendInt(b, int64(by)-before)
		before = int64(by)
	}
	before = 0
	for i := range rows {
		at, _ := p.expungedAt(i)
		b = appendInt(b, at-before)
		before = at
	}
	return b
}

// storedPage is a page as it was read. Flags of rows are places in sets.
type storedPage struct {
	sets []mail.Flags
	rows []Row
	at   []int64       // expunged rows: seconds since 1970
	by   []mail.ModSeq // expunged rows: the change that did it
}

// decodePage reads a page of rows, or of expunged rows, that stands at low.
func decodePage(low uint64, data []byte, expunged bool) (*storedPage, error) {
	d := decoder{what: "a page of rows", b: data}
	d.version(pageVersion)
	if at := d.uint(); d.err == nil && (at != low || low == 0 || low > math.MaxUint32) {
		d.fail("it stands in another's place")
	}
	var p storedPage
	p.sets = d.flagSets()
	p.rows = d.rows(mail.UID(low), len(p.sets), true)
	if len(p.rows) > pageRows {
		d.fail("it has too many rows")
	}
	if !expunged || d.err != nil {
		return &p, d.done()
	}
	p.by, p.at = make([]mail.ModSeq, len(p.rows)), make([]int64, len(p.rows))
	before := int64(0)
	for i := range p.by {
		before += d.int()
		if before <= 0 || before > maxModSeq {
			d.fail("a ModSeq is out of range")
			return nil, d.err
		}
		p.by[i] = mail.ModSeq(before)
	}
	before = 0
	for i := range p.at {
		before += d.int()
		if before < 0 || before > math.MaxUint32 {
			d.fail("a time is out of range")
			return nil, d.err
		}
		p.at[i] = before
	}
	return &p, d.done()
}

// add puts a page that was read behind the table's last.
func (t *table) add(low mail.UID, s *storedPage, flags *flagTable) error {
	if n := len(t.pages); n > 0 {
		if last := t.pages[n-1]; last.low >= low || last.len() > 0 && last.uid[last.len()-1] >= uint32(low) {
			return mail.Errorf(mail.Corrupt, "pages of rows overlap at %d", low)
		}
	} else if low != 1 {
		return mail.Errorf(mail.Corrupt, "the first page of rows begins at %d", low)
	}
	p := t.newPage(low)
	p.resize(len(s.rows))
	ids := make([]FlagsID, len(s.sets))
	for i, f := range s.sets {
		ids[i] = flags.intern(f)
	}
	for i := range s.rows {
		r := s.rows[i]
		r.Flags = ids[r.Flags]
		var at int64
		var by mail.ModSeq
		if t.expunge {
			at, by = s.at[i], s.by[i]
		}
		p.insert(i, &r, at, by)
	}
	p.dirty, p.saved = false, true
	t.pages = append(t.pages, p)
	t.count += len(s.rows)
	return nil
}

// root is what the account's head page holds.
type root struct {
	nextMessage mail.MessageID
	maxValidity mail.UIDValidity
	oldest      int64 // no later than the first message still held was expunged; 0: none is held
	subscribed  []string
	quota       mail.OwnQuota
	index       []mail.IndexSegment
}

func (r *root) encode() []byte {
	b := appendUint([]byte{rootVersion}, uint64(r.nextMessage))
	b = appendUint(b, uint64(r.maxValidity))
	b = appendInt(b, r.oldest)
	b = appendUint(b, uint64(len(r.subscribed)))
	for _, name := range r.subscribed {
		b = appendString(b, name)
	}
	return appendIndex(appendQuota(b, r.quota), r.index)
}

func decodeRoot(data []byte) (*root, error) {
	d := decoder{what: "an account's root page", b: data}
	version := d.versionUpTo(rootVersion)
	r := &root{nextMessage: mail.MessageID(d.uint()), maxValidity: mail.UIDValidity(d.uint32()), oldest: d.int()}
	if r.nextMessage > maxMessageID {
		d.fail("a message id is out of range")
	}
	for range d.count(1) {
		r.subscribed = append(r.subscribed, d.string())
	}
	if version > 1 {
		r.quota = d.quota()
	}
	if version > 2 {
		r.index = d.index()
	}
	return r, d.done()
}

// mailboxState is what a mailbox's head page holds: all that is known of it
// without its rows.
type mailboxState struct {
	name      string
	validity  mail.UIDValidity
	use       mail.SpecialUse
	counts    mail.Counts
	highest   mail.ModSeq // of the last change to its messages, or of its making: HIGHESTMODSEQ
	last      mail.ModSeq // of the last change to it of any kind
	claimed   mail.UID    // messages below were shown as \Recent, or are so in the log
	recent    uint32      // messages at or above claimed
	deletedAt int64       // 0: not deleted
	held      uint32      // expunged rows
	heldSince int64       // no later than the first of them was expunged; 0: there are none
	forgotten mail.ModSeq // expunges above it are those of the expunged rows, no others
	limit     mail.AppendLimit
	key       mail.AccessKey
	keyAt     mail.ModSeq // of the change that made key what it is; 0: there never was one
	acl       mail.ACL    // who else may do what; never changed in place
}

func (m *mailboxState) encode() []byte {
	b := appendString([]byte{mailboxVersion}, m.name)
	b = appendUint(b, uint64(m.validity))
	b = appendUint(b, uint64(m.use))
	b = appendCounts(b, m.counts)
	b = appendUint(b, uint64(m.highest))
	b = appendUint(b, uint64(m.last))
	b = appendUint(b, uint64(m.claimed))
	b = appendUint(b, uint64(m.recent))
	b = appendInt(b, m.deletedAt)
	b = appendUint(b, uint64(m.held))
	b = appendInt(b, m.heldSince)
	b = appendUint(b, uint64(m.forgotten))
	b = appendLimit(b, m.limit)
	b = appendKey(b, m.key)
	b = appendUint(b, uint64(m.keyAt))
	return appendACL(b, m.acl)
}

func decodeMailbox(data []byte) (*mailboxState, error) {
	d := decoder{what: "a mailbox's page", b: data}
	version := d.versionUpTo(mailboxVersion)
	m := &mailboxState{
		name: d.string(), validity: mail.UIDValidity(d.uint32()), use: mail.SpecialUse(d.uint32()),
		counts: d.counts(version > 3), highest: mail.ModSeq(d.uint()), last: mail.ModSeq(d.uint()),
		claimed: mail.UID(d.uint32()), recent: d.uint32(), deletedAt: d.int(),
		held: d.uint32(), heldSince: d.int(),
	}
	if m.forgotten = m.highest; version > 1 {
		m.forgotten = mail.ModSeq(d.uint())
	}
	if version > 2 {
		m.limit = d.limit()
	}
	if version > 4 {
		m.key, m.keyAt = d.key(), mail.ModSeq(d.uint())
	}
	if version > 5 {
		m.acl = d.acl()
	}
	if m.last > maxModSeq || m.highest > m.last || m.forgotten > m.last {
		d.fail("a ModSeq is out of range")
	}
	return m, d.done()
}
