package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"postern/internal/mail"
)

// extras are what belongs to no row, as far as is known.
type extras struct {
	summaries map[mail.MessageID]bool
	marks     map[mail.BodyRef]bool
}

func (e *extras) none() bool { return len(e.summaries)+len(e.marks) == 0 }

// tellExtras makes problems of what is too much, and still is after a while.
func (m *messageCheck) tellExtras(ctx context.Context) error {
	wait := m.c.Patience / 16
	for waited := time.Duration(0); !m.extra.none(); waited, wait = waited+wait, wait*2 {
		if err := m.lookAgain(ctx); err != nil {
			return err
		}
		if waited >= m.c.Patience || m.extra.none() {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
		}
	}
	room := func(id mail.MessageID, format string, args ...any) {
		m.found = append(m.found, Problem{Account: m.id, Message: id, Harm: HarmRoom, Text: fmt.Sprintf(format, args...)})
	}
	for _, id := range slices.Sorted(maps.Keys(m.extra.summaries)) {
		room(id, "message %d has a summary and is in no row", id)
	}
	for ref := range m.extra.marks {
		room(0, "body %s is marked and belongs to no message", ref)
	}
	return nil
}

// lookAgain keeps what is there and still belongs to nothing.
func (m *messageCheck) lookAgain(ctx context.Context) error {
	still := extras{map[mail.MessageID]bool{}, map[mail.BodyRef]bool{}}
	ids := slices.Sorted(maps.Keys(m.extra.summaries))
	err := m.account.Summaries(ctx, ids, func(i int, _ []byte) error {
		still.summaries[ids[i]] = true
		return nil
	})
	if err != nil {
		return err
	}
	for ref, err := range m.account.Marked(ctx) {
		if err != nil {
			return err
		}
		if m.extra.marks[ref] {
			still.marks[ref] = true
		}
	}
	m.extra = still
	if still.none() {
		return nil
	}
	now := &accountCheck{c: m.c, id: m.id, account: m.account}
	if err := now.readState(ctx); err != nil {
		return err
	}
	for _, s := range now.state.index {
		delete(still.marks, s.Body)
	}
	var came []mail.MessageID // since the rows were first read
	for id := range now.state.rowsByMessage() {
		delete(still.summaries, id)
		if m.rows[id] == nil {
			came = append(came, id)
		}
	}
	slices.Sort(came)
	return m.account.Summaries(ctx, came, func(_ int, data []byte) error {
		var s Summary
		if s.decode(data) == nil { // the next check tells, if not
			delete(still.marks, s.ref)
		}
		return nil
	})
}
