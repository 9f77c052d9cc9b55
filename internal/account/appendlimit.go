package account

import (
	"context"

	"postern/internal/mail"
)

// appendLimit writes a limit: 0, or its octets and one more.
func appendLimit(dst []byte, l mail.AppendLimit) []byte {
	if !l.Own {
		return append(dst, 0)
	}
	return appendUint(dst, uint64(l.Octets)+1)
}

func (d *decoder) limit() mail.AppendLimit {
	n := d.uint()
	if n > 1<<32 {
		d.fail("a limit is too large")
	}
	if n == 0 || d.err != nil {
		return mail.AppendLimit{}
	}
	return mail.AppendLimit{Own: true, Octets: uint32(n - 1)}
}

// SetAppendLimit bounds what clients put into the mailbox by APPEND and REPLACE,
// or takes that bound away. What is delivered, copied and imported is not bounded
// by it, nor does it raise the limit that holds for all mailboxes.
func (m *Mailbox) SetAppendLimit(ctx context.Context, l mail.AppendLimit) error {
	if !l.Own {
		l.Octets = 0
	}
	return m.a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		o, err := p.mailbox(m.box)
		if err != nil || m.box.limit == l {
			return err
		}
		p.record(m.box.id, o.counts, mail.AppendLimitSet{Limit: l}, 8)
		return nil
	}})
}
