package account

import (
	"maps"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// plan is a batch while it forms: the changes so far, and an overlay that shows
// later requests of the batch what earlier ones will have done. The model knows
// nothing of it until the commit has returned, so nobody is shown what is not
// durable, and a plan that another node made stale is thrown away.
type plan struct {
	a     *Account
	model *model
	now   int64 // unix seconds

	changes     []mail.Change
	head        mail.ModSeq // of the last change planned
	nextMessage mail.MessageID
	maxValidity mail.UIDValidity
	boxes       map[mail.MailboxID]*overlay
	refs        map[mail.MessageID]int // rows added and purged in this batch, of messages that were there
	base        map[mail.MessageID]int // model.refs.base: nil if not loaded

	notes map[mail.MessageID]mail.ThreadID // on threads: those read, and those this batch adds

	summaries     []store.Summary
	drop          []mail.MessageID
	take, release []mail.BodyRef

	used     mail.Usage // of the account, once this is done
	metadata int        // by how much the entries of the account grow
	bytes    int        // roughly, of the entry
	full     bool       // the batch takes no more: what was planned is too much to lay over
}

// overlay is what a batch will have done to one mailbox.
type overlay struct {
	box      *mailbox
	counts   mail.Counts
	added    []Row                // in UID order
	changed  map[mail.UID]altered // flags of rows and of added
	expunged mail.UIDSet
	purged   mail.UIDSet
}

type altered struct {
	flags  FlagsID
	modSeq mail.ModSeq
}

// bulk is the number of messages a change may concern before the batch is closed
// behind it: an overlay is made for many small requests, not for a few large.
const bulk = 1024

func (a *Account) newPlan() *plan {
	return &plan{
		a: a, model: a.model, now: a.pool.o.Now().Unix(), head: a.model.last,
		nextMessage: a.model.nextMessage, used: a.model.used, maxValidity: a.model.maxValidity,
		boxes: map[mail.MailboxID]*overlay{}, refs: map[mail.MessageID]int{}, base: a.model.refs.base,
	}
}

// mailbox gives the overlay of a mailbox that is there.
func (p *plan) mailbox(box *mailbox) (*overlay, error) {
	if box.deletedAt != 0 {
		return nil, noMailbox()
	}
	return p.overlay(box), nil
}

// overlay gives the overlay of a mailbox, deleted or not.
func (p *plan) overlay(box *mailbox) *overlay {
	o := p.boxes[box.id]
	if o == nil {
		o = &overlay{box: box, counts: box.counts}
		p.boxes[box.id] = o
	}
	return o
}

// record adds a change of a mailbox; o has its counts.
func (p *plan) record(id mail.MailboxID, after mail.Counts, e mail.Event, bytes int) {
	p.head++
	p.changes = append(p.changes, mail.Change{ModSeq: p.head, Mailbox: id, After: after, Event: e})
	p.bytes += 16 + bytes
}

// row gives a row as it will be.
func (o *overlay) row(r Row) Row {
	if c, ok := o.changed[r.UID]; ok {
		r.Flags, r.ModSeq = c.flags, c.modSeq
	}
	return r
}

// each calls f for the messages of a set that will be there, in UID order.
func (o *overlay) each(uids mail.UIDSet, f func(Row)) {
	if len(o.expunged) > 0 {
		uids = uids.Subtract(o.expunged)
	}
	if o.box.rows != nil {
		o.box.rows.each(uids, func(p *rowPage, i int) bool {
			f(o.row(p.row(i)))
			return true
		})
	}
	for i := range o.added {
		if uids.Contains(o.added[i].UID) {
			f(o.row(o.added[i]))
		}
	}
}

// eachFlags is each for those who want to know little more than flags.
func (o *overlay) eachFlags(uids mail.UIDSet, f func(uid mail.UID, flags FlagsID, modSeq mail.ModSeq, size uint32)) {
	if len(o.expunged) > 0 || len(o.changed) > 0 || len(o.added) > 0 {
		o.each(uids, func(r Row) { f(r.UID, r.Flags, r.ModSeq, r.Size) })
		return
	}
	o.box.rows.each(uids, func(p *rowPage, i int) bool {
		f(mail.UID(p.uid[i]), p.flags[i], p.modSeq(i), p.size[i])
		return true
	})
}

// gone gives the messages of a set that were expunged and are still held, those
// this batch expunges among them, in UID order.
func (o *overlay) gone(uids mail.UIDSet) []Row {
	var rows []Row
	if o.box.gone != nil {
		o.box.gone.each(uids.Subtract(o.purged), func(p *rowPage, i int) bool {
			rows = append(rows, p.row(i))
			return true
		})
	}
	if now := uids.Intersect(o.expunged); len(now) > 0 {
		o.box.rows.each(now, func(p *rowPage, i int) bool {
			rows = append(rows, o.row(p.row(i)))
			return true
		})
		for i := range o.added {
			if now.Contains(o.added[i].UID) {
				rows = append(rows, o.row(o.added[i]))
			}
		}
		slices.SortFunc(rows, func(a, b Row) int { return int(int64(a.UID) - int64(b.UID)) })
	}
	return rows
}

// add plans that messages come into a mailbox. Their UIDs and Flags are set,
// their flags are interned, and there is room for their UIDs.
func (p *plan) add(o *overlay, rows []Row) {
	messages := make([]mail.Message, len(rows))
	for i := range rows {
		r := &rows[i]
		system := p.a.flags.system(r.Flags)
		o.counts.Messages++
		o.counts.Unseen += count(system&mail.Seen == 0)
		o.counts.Deleted += count(system&mail.Deleted != 0)
		o.counts.Bytes += uint64(r.Size)
		o.counts.DeletedBytes += uint64(r.Size) * uint64(count(system&mail.Deleted != 0))
		o.counts.UIDNext = r.UID + 1
		messages[i] = mail.Message{
			UID: r.UID, ModSeq: p.head + 1, Flags: p.a.flags.get(r.Flags).flags, Size: r.Size, Date: r.Date,
			Saved: int64(r.Saved), ID: r.ID,
		}
		r.ModSeq = p.head + 1
		if r.ID < p.model.nextMessage {
			p.refs[r.ID]++
		}
	}
	o.added = append(o.added, rows...)
	u := usageOf(rows)
	p.used.Octets, p.used.Messages = p.used.Octets+u.Octets, p.used.Messages+u.Messages
	p.record(o.box.id, o.counts, mail.MessagesAdded{Messages: messages}, 16*len(rows))
	p.full = p.full || len(rows) > bulk
}

// expunge plans that rows leave the mailbox.
func (p *plan) expunge(o *overlay, rows []Row) mail.UIDSet {
	var uids mail.UIDSet
	for i := range rows {
		r := &rows[i]
		system := p.a.flags.system(r.Flags)
		o.counts.Messages--
		o.counts.Unseen -= count(system&mail.Seen == 0)
		o.counts.Deleted -= count(system&mail.Deleted != 0)
		o.counts.Bytes -= uint64(r.Size)
		o.counts.DeletedBytes -= uint64(r.Size) * uint64(count(system&mail.Deleted != 0))
		uids = uids.Append(r.UID)
	}
	o.expunged = o.expunged.Union(uids)
	u := usageOf(rows)
	p.used.Octets, p.used.Messages = p.used.Octets-u.Octets, p.used.Messages-u.Messages
	p.record(o.box.id, o.counts, mail.MessagesExpunged{UIDs: uids, At: p.now}, 4*len(uids))
	p.full = p.full || len(rows) > bulk
	return uids
}

func count(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// reserve gives the UID for the next message, of which n are to come, or says
// that the mailbox has no more.
func (o *overlay) reserve(n int) (mail.UID, error) {
	const highest = 1<<32 - 2 // UIDNEXT is a UID too
	if uint64(o.counts.UIDNext)+uint64(n)-1 > highest {
		return 0, mail.Errorf(mail.Limit, "the mailbox has no UIDs left")
	}
	return o.counts.UIDNext, nil
}

// claimRecent adds what sessions were shown as \Recent since it was last written
// (RFC 3501 2.3.2): a batch is the occasion to write it for nothing.
func (p *plan) claimRecent() {
	p.a.mu.RLock()
	claimed := map[mail.MailboxID]mail.UID{}
	for box := range p.model.recentDirty {
		if box.deletedAt == 0 {
			claimed[box.id] = box.claimed
		}
	}
	p.a.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(claimed)) {
		if o, err := p.mailbox(p.model.boxes[id]); err == nil {
			p.record(id, o.counts, mail.RecentClaimed{Below: claimed[id]}, 8)
		}
	}
}
