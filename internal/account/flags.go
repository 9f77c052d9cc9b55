package account

import (
	"context"

	"postern/internal/mail"
)

// StoreRequest is a STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).
type StoreRequest struct {
	UIDs           mail.UIDSet
	Op             mail.FlagOp
	Flags          mail.Flags
	UnchangedSince *mail.ModSeq // nil: not asked
}

// StoreResult is what became of a STORE.
type StoreResult struct {
	Changed  mail.UIDSet // really altered
	Modified mail.UIDSet // failed UNCHANGEDSINCE
	Gone     mail.UIDSet // expunged meanwhile: the caller answers as if it was made
	ModSeq   mail.ModSeq // of the change; 0 if nothing was altered
}

// StoreFlags changes flags. One that alters nothing writes nothing. UIDs the
// mailbox never had, or no longer holds, are passed over. A guest changes only
// flags of the kinds that the rights allow; mail.NotPermitted if none of those in
// the request is (RFC 4314 4: it should not fail otherwise).
func (s *Selection) StoreFlags(ctx context.Context, r StoreRequest) (StoreResult, error) {
	if !s.readWrite {
		return StoreResult{}, readOnly()
	}
	if !r.Op.Valid() {
		return StoreResult{}, mail.Errorf(mail.Invalid, "there is no such flag operation")
	}
	if err := s.a.checkFlags(r.Flags); err != nil {
		return StoreResult{}, err
	}
	var done StoreResult
	err := s.a.ask(ctx, &request{needs: []*mailbox{s.box}, plan: func(p *plan) (err error) {
		allowed := r
		if allowed.Op, allowed.Flags, err = s.mayStore(r.Op, r.Flags); err != nil {
			return err
		}
		done, err = p.storeFlags(s.box, &allowed)
		return err
	}})
	if err != nil {
		return StoreResult{}, err
	}
	return done, nil
}

// MayStore gives what StoreFlags makes of an operation by this guest's rights.
func (s *Selection) MayStore(op mail.FlagOp, flags mail.Flags) (mail.FlagOp, mail.Flags, error) {
	s.a.mu.RLock()
	defer s.a.mu.RUnlock()
	return s.mayStore(op, flags)
}

// mayStore is MayStore with the lock held, or for the committer.
func (s *Selection) mayStore(op mail.FlagOp, flags mail.Flags) (mail.FlagOp, mail.Flags, error) {
	kinds := s.rights(s.box).Flags()
	if kinds == mail.AllFlagKinds {
		return op, flags, nil
	}
	may := flags.Of(kinds)
	if kinds == 0 || may.Empty() && !flags.Empty() {
		return op, flags, notPermitted()
	}
	return op.For(kinds), may, nil
}

// asksPresence reports whether a STORE is to be made only where none of its
// keywords is there: "use of UNCHANGEDSINCE with a modification sequence of 0
// always fails if the metadata item exists", and system flags always do (RFC 7162
// 3.1.3, example 8). It is how clients share out work by a keyword.
func (r *StoreRequest) asksPresence() bool {
	return r.UnchangedSince != nil && *r.UnchangedSince == 0 && !r.Op.Sets() && r.Flags.System == 0
}

func readOnly() error { return mail.Errorf(mail.ReadOnly, "the mailbox is selected read-only") }

func (p *plan) storeFlags(box *mailbox, r *StoreRequest) (StoreResult, error) {
	o, err := p.mailbox(box)
	if err != nil {
		return StoreResult{}, err
	}
	var done StoreResult
	c := flagChange{plan: p, op: p.a.flags.applier(r.Op, r.Flags), after: o.counts}
	presence := r.asksPresence()
	o.eachFlags(r.UIDs, func(uid mail.UID, flags FlagsID, modSeq mail.ModSeq, size uint32) {
		if r.UnchangedSince != nil && modSeq > *r.UnchangedSince && !(presence && !p.a.flags.bears(flags, r.Flags)) {
			done.Modified = done.Modified.Append(uid)
		} else {
			c.add(uid, flags, size)
		}
	})
	if limit := p.a.pool.o.Limits.Keywords; r.Op != mail.RemoveFlags && c.keywords > limit {
		return StoreResult{}, mail.Errorf(mail.Limit, "a message can have %d keywords", limit)
	}
	var gone mail.UIDSet
	for _, row := range o.gone(r.UIDs) {
		gone = gone.Append(row.UID)
	}
	if r.UnchangedSince != nil {
		done.Modified = done.Modified.Union(gone)
	} else {
		done.Gone = gone
	}
	if !c.uids.Empty() {
		c.record(o, r)
		done.Changed, done.ModSeq = c.uids, p.head
	}
	return done, nil
}

// flagChange collects the messages a STORE alters.
type flagChange struct {
	plan     *plan
	op       *applier
	uids     mail.UIDSet
	n        int
	to       []FlagsID // of the first bulk of uids
	after    mail.Counts
	keywords int // the most that any message comes to have
}

// add takes in a message if the operation alters it.
func (c *flagChange) add(uid mail.UID, flags FlagsID, size uint32) {
	next := c.op.apply(flags)
	if next == flags {
		return
	}
	table := c.plan.a.flags
	before, after := table.system(flags), table.get(next).flags
	c.after.Unseen += count(after.System&mail.Seen == 0) - count(before&mail.Seen == 0)
	c.after.Deleted += count(after.System&mail.Deleted != 0) - count(before&mail.Deleted != 0)
	c.after.DeletedBytes += uint64(size)*uint64(count(after.System&mail.Deleted != 0)) - uint64(size)*uint64(count(before&mail.Deleted != 0))
	c.keywords = max(c.keywords, len(after.Keywords))
	c.uids = c.uids.Append(uid)
	if c.n++; c.n <= bulk {
		c.to = append(c.to, next)
	}
}

// record plans the change.
func (c *flagChange) record(o *overlay, r *StoreRequest) {
	p := c.plan
	o.counts = c.after
	p.record(o.box.id, o.counts, mail.FlagsChanged{Op: r.Op, Flags: r.Flags, UIDs: c.uids}, 4*len(c.uids))
	if c.n > bulk {
		p.full = true
		return
	}
	if o.changed == nil {
		o.changed = make(map[mail.UID]altered, c.n)
	}
	i := 0
	for uid := range c.uids.All() {
		o.changed[uid] = altered{c.to[i], p.head}
		i++
	}
}

// Expunge removes the messages that bear \Deleted, of all or of those within,
// and says which it removed. It takes the right e.
func (s *Selection) Expunge(ctx context.Context, within *mail.UIDSet) (mail.UIDSet, error) {
	if !s.readWrite {
		return nil, readOnly()
	}
	among := everything
	if within != nil {
		among = *within
	}
	var done mail.UIDSet
	err := s.a.ask(ctx, &request{needs: []*mailbox{s.box}, plan: func(p *plan) error {
		done = nil
		if err := s.check(s.box, mail.RightExpunge); err != nil {
			return err
		}
		o, err := p.mailbox(s.box)
		if err != nil || o.counts.Deleted == 0 {
			return err
		}
		var rows []Row
		o.each(among, func(row Row) {
			if p.a.flags.system(row.Flags)&mail.Deleted != 0 {
				rows = append(rows, row)
			}
		})
		if len(rows) > 0 {
			done = p.expunge(o, rows)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return done, nil
}
