package account

import (
	"context"
	"errors"
	"fmt"
	"io"

	"postern/internal/mail"
)

// checkIndex goes over the segments of the account's text index: each is there, bears
// the account's mark and can be read. What is in them is for package index to judge.
func (m *messageCheck) checkIndex(ctx context.Context) error {
	wrong := map[mail.BodyRef]string{}
	if len(m.state.index) == 0 {
		return nil
	}
	marks, err := collect(m.account.Marked(ctx))
	if err != nil {
		return nil // told already
	}
	for _, s := range m.state.index {
		if !marks[s.Body] && !m.blind {
			wrong[s.Body] = "does not bear the account's mark and may be removed"
			continue
		}
		err := m.readSegment(ctx, s)
		if err != nil && !isDamage(err) {
			return err
		}
		if err != nil {
			wrong[s.Body] = fmt.Sprintf("cannot be read: %v", err)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	now := &accountCheck{c: m.c, id: m.id, account: m.account} // a merge may have taken it out meanwhile
	if err := now.readState(ctx); err != nil {
		return err
	}
	for _, s := range now.state.index {
		if text, bad := wrong[s.Body]; bad {
			m.found = append(m.found, Problem{Account: m.id, Harm: HarmIndex, Text: fmt.Sprintf("body %s of the text index %s", s.Body, text)})
		}
	}
	return nil
}

func (m *messageCheck) readSegment(ctx context.Context, s mail.IndexSegment) error {
	b, err := m.c.Store.Bodies().Open(ctx, s.Body)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.NewSectionReader(untilDone{ctx, b}, 0, b.Size()))
	if err == nil && (n != b.Size() || uint64(n) != s.Octets) {
		err = mail.Errorf(mail.Corrupt, "it has %d octets and should have %d", n, s.Octets)
	}
	m.checked.Bodies++
	m.checked.Octets += n
	return errors.Join(err, b.Close())
}
