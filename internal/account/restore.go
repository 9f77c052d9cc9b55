package account

import (
	"cmp"
	"context"
	"math"
	"slices"

	"postern/internal/mail"
)

// validityMargin is how far above the clock Renumber goes. UIDVALIDITYs given
// out after a backup was made are not in it; they were the time of the making,
// or, where mailboxes were made faster than one a second, ran ahead of it by so
// many. No account makes this many mailboxes ahead of the clock.
const validityMargin = 1 << 16

// Renumber gives every mailbox of an account a new UIDVALIDITY, all of them in
// one commit: above every one the account ever gave out, and above any it can
// have given out since the store was backed up (RFC 9051 2.3.1.1). A client that
// comes back to a restored store then fetches anew instead of taking one message
// for another that had its UID once. It says how many mailboxes there are. Nobody
// may have one of them selected.
func (p *Pool) Renumber(ctx context.Context, id mail.AccountID) (mailboxes int, err error) {
	a, err := p.hold(id)
	if err != nil {
		return 0, err
	}
	defer p.release(a)
	err = a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		var boxes []*mailbox
		for _, box := range p.model.names {
			boxes = append(boxes, box)
		}
		mailboxes = len(boxes)
		slices.SortFunc(boxes, func(x, y *mailbox) int { return cmp.Compare(x.id, y.id) })
		next := max(uint64(p.maxValidity)+1, uint64(max(p.now, 0))+validityMargin)
		if next+uint64(len(boxes)) > math.MaxUint32 {
			return mail.Errorf(mail.Limit, "account %d has no UIDVALIDITY left", a.id)
		}
		for _, box := range boxes {
			p.maxValidity = mail.UIDValidity(next)
			p.record(box.id, box.counts, mail.ValiditySet{Validity: p.maxValidity}, 4)
			next++
		}
		return nil
	}})
	return mailboxes, err
}
