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
// mailbox never had, or no longer holds, are passed over.
func (s *Selection) StoreFlags(ctx context.Context, r StoreRequest) (StoreResult, error) {
	if !s.readWrite {
		return StoreResult{}, readOnly()
	}
	if r.Op < mail.SetFlags || r.Op > mail.RemoveFlags {
		return StoreResult{}, mail.Errorf(mail.Invalid, "there is no such flag operation")
	}
	if err := s.a.checkFlags(r.Flags); err != nil {
		return StoreResult{}, err
	}
	var done StoreResult
	err := s.a.ask(ctx, &request{needs: []*mailbox{s.box}, plan: func(p *plan) (err error) {
		done, err = p.storeFlags(s.box, &r)
		return err
	}})
	if err != nil {
		return StoreResult{}, err
	}
	return done, nil
}

func readOnly() error { return mail.Errorf(mail.ReadOnly, "the mailbox is selected read-only") }

func (p *plan) storeFlags(box *mailbox, r *StoreRequest) (StoreResult, error) {
	o, err := p.mailbox(box)
	if err != nil {
		return StoreResult{}, err
	}
	var done StoreResult
	var rows []Row
	op := p.a.flags.applier(r.Op, r.Flags)
	tooMany := false
	o.each(r.UIDs, func(row Row) {
		switch {
		case r.UnchangedSince != nil && row.ModSeq > *r.UnchangedSince:
			done.Modified = done.Modified.Append(row.UID)
		case op.apply(row.Flags) != row.Flags:
			to := p.a.flags.get(op.apply(row.Flags)).flags
			tooMany = tooMany || r.Op != mail.RemoveFlags && len(to.Keywords) > p.a.pool.o.Limits.Keywords
			rows = append(rows, row)
		}
	})
	if tooMany {
		return StoreResult{}, mail.Errorf(mail.Limit, "a message can have %d keywords", p.a.pool.o.Limits.Keywords)
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
	if len(rows) > 0 {
		done.Changed = p.setFlags(o, r.Op, r.Flags, rows, op.apply)
		done.ModSeq = p.head
	}
	return done, nil
}

// Expunge removes the messages that bear \Deleted, of all or of those within,
// and says which it removed.
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
