package imapserver

import (
	"context"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/search"
)

// forFound searches, gives what sorting or threading looks at of every message
// found to add, in the order of the mailbox, and then calls end to work with what
// was added. One limit of time holds for all of it.
func (s *session) forFound(program *search.Program, needs search.Fields, add func(mail.UID, *search.Heading) error, end func(*findings)) error {
	return s.whileSearchMayLast(func(ctx context.Context) error {
		found, err := s.findWithin(ctx, s.box, program)
		if err != nil {
			return err
		}
		g := gathering{s: s, ctx: ctx, needs: needs, add: add, found: &found}
		if err := g.of(found.uids); err != nil {
			return err
		}
		end(&found)
		return nil
	})
}

// gathering reads headings of messages, one after the other.
type gathering struct {
	s     *session
	ctx   context.Context
	needs search.Fields
	add   func(mail.UID, *search.Heading) error
	h     search.Heading
	added int // of the present chunk of rows
	found *findings
}

func (g *gathering) of(found mail.UIDSet) error {
	g.s.progress.begin(found.Len())
	room := g.s.srv.takeRows()
	defer g.s.srv.giveRows(room)
	for !found.Empty() {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		rows, rest := g.s.box.sel.Rows(room[:0], found)
		if len(rows) == 0 {
			return nil
		}
		if err := g.chunk(rows); err != nil {
			return err
		}
		g.s.progress.add(len(rows))
		found = rest
	}
	return nil
}

// chunk gives the headings of rows, in their order. A message whose summary is
// gone, because it was expunged long ago, has only what its row says.
func (g *gathering) chunk(rows []account.Row) error {
	g.added = 0
	if g.needs != 0 {
		err := g.s.box.sel.Summaries(g.ctx, rows, func(i int, m *account.Summary) error {
			if err := g.addBare(rows[:i]); err != nil {
				return err
			}
			g.begin(&rows[i])
			if err := readHeading(m, g.needs, &g.h); err != nil {
				return err
			}
			g.added++
			return g.add(rows[i].UID, &g.h)
		})
		if err != nil {
			return err
		}
	}
	return g.addBare(rows)
}

// addBare adds the rows that were not added yet by what they say themselves.
func (g *gathering) addBare(rows []account.Row) error {
	for ; g.added < len(rows); g.added++ {
		g.begin(&rows[g.added])
		if err := g.add(rows[g.added].UID, &g.h); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) begin(row *account.Row) {
	g.h = search.Heading{Date: row.Date, Size: row.Size, Sent: row.Date.Unix(),
		Relevancy: g.found.score(row.UID)}
}

// readHeading reads what is needed off a stored message, and no more.
func readHeading(m *account.Summary, needs search.Fields, h *search.Heading) error {
	if needs&(search.FieldSent|search.FieldReferences) != 0 {
		sent, dated, references, err := m.Origin()
		if err != nil {
			return err
		}
		if dated {
			h.Sent = sent.Unix()
		}
		h.References = string(references)
	}
	if needs&^(search.FieldSent|search.FieldReferences) == 0 {
		return nil
	}
	return readEnvelopeHeading(m.Envelope(), needs, h)
}

// readEnvelopeHeading reads what is needed off an envelope, from its beginning on
// as far as that takes.
func readEnvelopeHeading(wire []byte, needs search.Fields, h *search.Heading) error {
	r := imapwire.NewEnvelopeReader(wire)
	r.Skip() // date
	r.TextIf(needs&search.FieldSubject != 0, &h.Subject)
	if needs&^(search.FieldSubject|search.FieldSent|search.FieldReferences) != 0 {
		r.FirstIf(needs&search.FieldFrom != 0, &h.From)
		r.Skip() // sender
		r.Skip() // reply-to
		r.FirstIf(needs&search.FieldTo != 0, &h.To)
		r.FirstIf(needs&search.FieldCc != 0, &h.Cc)
	}
	if needs&(search.FieldInReplyTo|search.FieldMessageID) != 0 {
		r.Skip() // bcc
		r.TextIf(needs&search.FieldInReplyTo != 0, &h.InReplyTo)
		r.TextIf(needs&search.FieldMessageID != 0, &h.MessageID)
	}
	return r.Err()
}
