package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"postern/internal/account"
	"postern/internal/mail"
)

// Mailboxes is an account as a source: what an export reads.
type Mailboxes struct {
	Account *account.Account
	Only    []string // names of mailboxes; none: all of them
}

var _ Source = Mailboxes{}

// Name names the account.
func (m Mailboxes) Name() string { return fmt.Sprintf("account %d", m.Account.ID()) }

// Folders gives the mailboxes by name; mail.NotFound if one that is named is not
// there.
func (m Mailboxes) Folders(context.Context) ([]Folder, error) {
	var folders []Folder
	wanted := map[string]bool{}
	for _, name := range m.Only {
		if canonical, err := account.CanonicalName(name); err == nil {
			name = canonical
		}
		if _, found := mailboxByName(m.Account, name); !found {
			return nil, mail.Errorf(mail.NotFound, "there is no mailbox %q", name)
		}
		wanted[name] = true
	}
	for _, info := range m.Account.Mailboxes() {
		if len(wanted) > 0 && !wanted[info.Name] {
			continue
		}
		folders = append(folders, Folder{
			Name: info.Name, Validity: info.Validity, UIDNext: info.Counts.UIDNext, Subscribed: info.Subscribed,
			Total: int(info.Counts.Messages),
			Messages: func(ctx context.Context, known func(string) bool) iter.Seq2[Message, error] {
				return m.messages(ctx, info.Name, known)
			},
		})
	}
	return folders, nil
}

// rowsAtOnce is how many rows and summaries are read in one go.
const rowsAtOnce = 128

// messages gives the messages that are there now. A message's key is its UID.
func (m Mailboxes) messages(ctx context.Context, name string, known func(string) bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		box, err := m.Account.Mailbox(name, mail.RightRead)
		if err != nil {
			yield(Message{}, err)
			return
		}
		s, err := box.Select(ctx, false)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer s.Close()
		rows, rest := make([]account.Row, 0, rowsAtOnce), s.Start().UIDs
		for len(rest) > 0 {
			rows, rest = s.Rows(rows, rest)
			if !readRows(ctx, s, rows, known, yield) {
				return
			}
		}
	}
}

// readRows gives the messages of some rows. What was expunged meanwhile is still
// held, and belongs to the moment the export shows.
func readRows(ctx context.Context, s *account.Selection, rows []account.Row, known func(string) bool, yield func(Message, error) bool) bool {
	summaries := make([]*account.Summary, len(rows))
	err := s.Summaries(ctx, rows, func(i int, m *account.Summary) error {
		summaries[i] = m.Clone()
		return nil
	})
	if err != nil {
		return yield(Message{}, err)
	}
	for i := range rows {
		if err := ctx.Err(); err != nil {
			yield(Message{}, err)
			return false
		}
		r, summary := &rows[i], summaries[i]
		msg := Message{Key: strconv.FormatUint(uint64(r.UID), 10)}
		if !known(msg.Key) {
			msg.UID, msg.Flags, msg.Date = r.UID, s.Flags(r.Flags), r.Date.Time()
			msg.Open = func() (io.ReadCloser, error) {
				if summary == nil {
					return nil, errors.New("it is not there any more")
				}
				body, err := s.Body(ctx, summary)
				if err != nil {
					return nil, err
				}
				return readCloser{io.NewSectionReader(body, 0, body.Size()), body}, nil
			}
		}
		if !yield(msg, nil) {
			return false
		}
	}
	return true
}

// Export writes mailboxes of an account where save, SaveMaildir or SaveMbox, puts
// them.
func Export(ctx context.Context, m Mailboxes, save func(context.Context, io.Reader) (Result, error)) (Result, error) {
	folders, err := m.Folders(ctx)
	if err != nil {
		return Result{}, err
	}
	var result Result
	err = pipe(ctx,
		func(ctx context.Context, w io.Writer) error { return Send(ctx, m.Name(), slices.Clip(folders), nil, w) },
		func(ctx context.Context, r io.Reader) error {
			var err error
			result, err = save(ctx, r)
			return err
		})
	return result, err
}
