package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"postern/internal/mail"
)

// messageCheck compares summaries, marks and bodies with the rows.
type messageCheck struct {
	*accountCheck
	rows  map[mail.MessageID][]rowAt
	owner map[mail.BodyRef]mail.MessageID // 0: the text index
	wrong map[mail.MessageID][]string     // what was found wrong with a message
	extra extras
	lost  bool // some summary could not be read, and so not whose mark is whose
}

// rowAt is where a message is.
type rowAt struct {
	box  mail.MailboxID
	uid  mail.UID
	size uint32
	gone bool
}

// summaryBatch is how many summaries are read at once, before their bodies are.
const summaryBatch = 256

// rowsByMessage gives the rows of each message.
func (a *plainAccount) rowsByMessage() map[mail.MessageID][]rowAt {
	all := map[mail.MessageID][]rowAt{}
	for _, box := range a.boxes {
		for _, m := range box.rows {
			all[m.ID] = append(all[m.ID], rowAt{box.id, m.UID, m.Size, false})
		}
		for _, g := range box.gone {
			all[g.ID] = append(all[g.ID], rowAt{box.id, g.UID, g.Size, true})
		}
	}
	return all
}

// checkMessages goes over every message. listed and marks were there before the
// rows were read.
func (k *accountCheck) checkMessages(ctx context.Context, listed map[mail.MessageID]bool, marks map[mail.BodyRef]bool) error {
	m := &messageCheck{
		accountCheck: k, rows: k.state.rowsByMessage(),
		owner: map[mail.BodyRef]mail.MessageID{}, wrong: map[mail.MessageID][]string{},
		extra: extras{map[mail.MessageID]bool{}, map[mail.BodyRef]bool{}},
	}
	ids := slices.Sorted(maps.Keys(m.rows))
	if k.blind { // what no page names can still be read
		for id := range listed {
			if m.rows[id] == nil {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
	}
	for batch := range slices.Chunk(ids, summaryBatch) {
		if err := m.checkBatch(ctx, batch); err != nil {
			return err
		}
	}
	for _, s := range k.state.index {
		m.owner[s.Body] = 0
	}
	if err := m.checkMarks(ctx, marks); err != nil {
		return err
	}
	if err := m.checkListed(ctx, listed); err != nil {
		return err
	}
	if err := m.tell(ctx); err != nil {
		return err
	}
	if err := m.checkIndex(ctx); err != nil {
		return err
	}
	return m.tellExtras(ctx)
}

func (m *messageCheck) say(id mail.MessageID, format string, args ...any) {
	m.wrong[id] = append(m.wrong[id], fmt.Sprintf("message %d ", id)+fmt.Sprintf(format, args...))
}

// checkBatch reads the summaries of some messages, then their bodies.
func (m *messageCheck) checkBatch(ctx context.Context, ids []mail.MessageID) error {
	summaries, err := m.readSummaries(ctx, ids)
	if err != nil {
		return err
	}
	var octets int64
	for i, id := range ids {
		for _, at := range m.rows[id] {
			octets += int64(at.size)
		}
		s := summaries[i]
		if s == nil {
			m.lost = true
			continue
		}
		if other, twice := m.owner[s.ref]; twice {
			m.say(id, "has the body of message %d", other)
		}
		m.owner[s.ref] = id
		if err := m.checkBody(ctx, s); err != nil {
			return err
		}
		if m.c.Progress != nil && octets > 0 {
			m.c.Progress(octets)
			octets = 0
		}
	}
	if m.c.Progress != nil && octets > 0 {
		m.c.Progress(octets)
	}
	return nil
}

// readSummaries gives the summaries of some messages, nil where there is none
// that can be read.
func (m *messageCheck) readSummaries(ctx context.Context, ids []mail.MessageID) ([]*Summary, error) {
	found := make([]*Summary, len(ids))
	there := make([]bool, len(ids))
	each := func(i int, data []byte) error {
		there[i] = true
		s := &Summary{}
		if err := s.decode(data); err != nil {
			m.say(ids[i], "has a summary that cannot be read: %v", err)
			return nil
		}
		if _, err := s.Shape(); err != nil {
			m.say(ids[i], "has a summary that cannot be read: %v", err)
		}
		size := s.size
		if rows := m.rows[ids[i]]; len(rows) > 0 {
			size = rows[0].size
		}
		if s.account != m.id || s.id != ids[i] || s.size != size {
			m.say(ids[i], "has the summary of message %d of account %d with %d octets", s.id, s.account, s.size)
		}
		found[i] = s.Clone()
		return nil
	}
	err := m.account.Summaries(ctx, ids, each)
	if err != nil && isDamage(err) { // one after another, to learn which
		clear(found)
		for i, id := range ids {
			delete(m.wrong, id)
			err = m.account.Summaries(ctx, ids[i:i+1], func(_ int, data []byte) error { return each(i, data) })
			if err != nil && isDamage(err) {
				there[i] = true
				m.say(id, "has a summary that cannot be read: %v", err)
				err = nil
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if !there[i] {
			m.say(id, "has no summary")
		}
	}
	return found, nil
}

// checkBody reads a body to its end; the store checks its checksums meanwhile.
func (m *messageCheck) checkBody(ctx context.Context, s *Summary) error {
	b, err := m.c.Store.Bodies().Open(ctx, s.ref)
	if err == nil {
		if got, want := b.Size()+int64(len(s.prefix)), int64(s.size); got != want {
			m.say(s.id, "has %d octets and should have %d", got, want)
		}
		var n int64
		n, err = io.Copy(io.Discard, io.NewSectionReader(untilDone{ctx, b}, 0, b.Size()))
		if err == nil && n != b.Size() {
			err = io.ErrUnexpectedEOF
		}
		err = errors.Join(err, b.Close())
		m.checked.Bodies++
		m.checked.Octets += n
	}
	if err != nil && !isDamage(err) {
		return err
	}
	if err != nil {
		m.say(s.id, "has a body that cannot be read, %s: %v", s.ref, err)
	}
	return nil
}

// untilDone stops the reading of a large body when ctx ends.
type untilDone struct {
	ctx context.Context
	r   io.ReaderAt
}

func (u untilDone) ReadAt(p []byte, off int64) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, mail.Wrap(err, mail.Canceled, "given up")
	}
	return u.r.ReadAt(p, off)
}

// checkMarks compares marks with what summaries name. before was listed before
// the rows were read: a mark in it that no message names is gone by now if the
// message was purged meanwhile. A mark must be there now unless its message goes
// meanwhile too, which tell finds out.
func (m *messageCheck) checkMarks(ctx context.Context, before map[mail.BodyRef]bool) error {
	now, err := collect(m.account.Marked(ctx))
	if err = m.unreadable(err, 0, "the list of marks"); err != nil || m.blind {
		return err
	}
	for ref, id := range m.owner {
		if !now[ref] && id != 0 {
			m.say(id, "has the body %s, which does not bear the account's mark and may be removed", ref)
		}
	}
	if m.lost {
		return nil
	}
	for ref := range before {
		if _, owned := m.owner[ref]; !owned && now[ref] {
			m.extra.marks[ref] = true
		}
	}
	return nil
}

// checkListed looks for summaries that no row has. listed is from before the
// rows were read.
func (m *messageCheck) checkListed(ctx context.Context, listed map[mail.MessageID]bool) error {
	if m.blind {
		return nil
	}
	var ids []mail.MessageID
	for id := range listed {
		if m.rows[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return m.account.Summaries(ctx, ids, func(i int, _ []byte) error {
		m.extra.summaries[ids[i]] = true
		return nil
	})
}

// tell makes problems of what is wrong with messages that are still there.
func (m *messageCheck) tell(ctx context.Context) error {
	if len(m.wrong) == 0 {
		return nil
	}
	again := &accountCheck{c: m.c, id: m.id, account: m.account}
	if err := again.readState(ctx); err != nil {
		return err
	}
	now := again.state.rowsByMessage()
	for _, id := range slices.Sorted(maps.Keys(m.wrong)) {
		rows := now[id]
		if rows == nil && (!m.blind || m.rows[id] != nil && !again.blind) {
			continue // purged meanwhile
		}
		if rows == nil {
			rows = []rowAt{{}}
		}
		for _, text := range m.wrong[id] {
			for _, at := range rows {
				held := ""
				if at.gone {
					held = " (expunged, and held for sessions that still show it)"
				}
				m.found = append(m.found, Problem{
					Account: m.id, Mailbox: at.box, UID: at.uid, Message: id, Harm: HarmMessage,
					Text: text + held,
				})
			}
		}
	}
	return nil
}
