package importer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"postern/internal/account"
	"postern/internal/mail"
)

// Notes keeps small named values durably, for as long as the store lasts. Names
// have up to 200 octets, values up to 64 KiB.
type Notes interface {
	// Get gives a value, or nil where there is none.
	Get(ctx context.Context, name string) ([]byte, error)

	// Put writes a value. It is durable when Put returns.
	Put(ctx context.Context, name string, data []byte) error
}

// NotesOf is what the names of all notes on an account's imports begin with.
// Whoever removes the account may remove them.
func NotesOf(id mail.AccountID) string { return fmt.Sprintf("import/%d/", id) }

// segmentDigests is the number of digests one note holds.
const segmentDigests = 2048

// ledger is what is kept of one folder's import: which messages are in, and what
// is about to be done. It is written once for each batch, before the batch is
// appended: with the digests of the batches before, and with the UIDs, sizes and
// dates this batch will have. So whoever reads it after a crash can look whether
// the batch came in.
type ledger struct {
	Source, Folder string

	Mailbox  mail.MailboxID   // that it goes into; 0: none yet
	Validity mail.UIDValidity // that the messages' UIDs are from; 0: they get new ones
	Apart    bool             // Mailbox is one of its own, until everything is there
	Merging  bool             // its messages are being moved to the mailbox that was asked for

	Segments int    // full notes of digests
	Tail     []byte // digests that fill no note yet

	Next       []expected // the batch that is about to be appended
	NextDigest []byte
}

// expected is what a message of a batch will be known by.
type expected struct {
	UID  mail.UID
	Size int64
	Date mail.InternalDate
}

// book is a ledger with what it takes to work with it.
type book struct {
	ledger
	notes Notes
	name  string // of the ledger's note
	done  keySet
}

func sourceName(id mail.AccountID, source string) string {
	sum := sha256.Sum256([]byte(source))
	return fmt.Sprintf("%s%x", NotesOf(id), sum[:12])
}

// openBook reads the ledger of a folder.
func openBook(ctx context.Context, notes Notes, id mail.AccountID, source, folder string) (*book, error) {
	sum := sha256.Sum256([]byte(folder))
	b := &book{notes: notes, name: fmt.Sprintf("%s/%x", sourceName(id, source), sum[:12]), done: keySet{}}
	data, err := notes.Get(ctx, b.name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		b.Source, b.Folder = source, folder
		return b, nil
	}
	if err := json.Unmarshal(data, &b.ledger); err != nil {
		return nil, mail.Wrap(err, mail.Corrupt, "the note on an earlier import cannot be read")
	}
	digests, err := b.digests(ctx)
	if err != nil {
		return nil, err
	}
	b.done = newKeySet(digests)
	return b, nil
}

// digests gives those of all messages that are in.
func (b *book) digests(ctx context.Context) ([]byte, error) {
	var all []byte
	for i := range b.Segments {
		data, err := b.notes.Get(ctx, b.segment(i))
		if err != nil {
			return nil, err
		}
		if len(data) != segmentDigests*digestSize {
			return nil, mail.Errorf(mail.Corrupt, "a note on an earlier import is missing")
		}
		all = append(all, data...)
	}
	return append(all, b.Tail...), nil
}

func (b *book) segment(i int) string { return fmt.Sprintf("%s/%d", b.name, i) }

// write makes the ledger durable.
func (b *book) write(ctx context.Context) error {
	const full = segmentDigests * digestSize
	for len(b.Tail) >= full {
		// Written before the ledger that counts it: after a crash between, it is
		// written again, the same.
		if err := b.notes.Put(ctx, b.segment(b.Segments), b.Tail[:full]); err != nil {
			return err
		}
		b.Segments, b.Tail = b.Segments+1, slices.Clone(b.Tail[full:])
	}
	data, err := json.Marshal(&b.ledger)
	if err != nil {
		return err
	}
	return b.notes.Put(ctx, b.name, data)
}

// came notes that the batch is in. The next write makes it durable; until then
// the batch itself is the proof.
func (b *book) came() {
	b.Tail = append(b.Tail, b.NextDigest...)
	for d := range newKeySet(b.NextDigest) {
		b.done[d] = struct{}{}
	}
	b.Next, b.NextDigest = nil, nil
}

// settle finds out what became of a batch that was about to be appended when the
// import was interrupted, and forgets what was imported if its mailbox was deleted
// since: then it is wanted again.
func (b *book) settle(ctx context.Context, a *account.Account) error {
	if b.Mailbox == 0 || b.Merging {
		return nil
	}
	info, found := mailboxByID(a, b.Mailbox)
	if !found {
		b.ledger = ledger{Source: b.Source, Folder: b.Folder}
		b.done = keySet{}
		return b.write(ctx)
	}
	if len(b.Next) == 0 {
		return nil
	}
	there, err := b.arrived(ctx, a, info)
	if err != nil {
		return err
	}
	if there {
		b.came()
	}
	b.Next, b.NextDigest = nil, nil
	return b.write(ctx)
}

// arrived reports whether the batch is in the mailbox. It was appended in one
// piece, so any message of it tells; that UIDs are named makes a message that
// somebody else appended instead another one unless size and date are the same
// as well. Of messages that were expunged since, enough is held for a day. If
// nothing is left to look at the batch counts as missing: a message too many is
// better than one too few.
func (b *book) arrived(ctx context.Context, a *account.Account, info account.Info) (bool, error) {
	if info.Counts.UIDNext <= b.Next[0].UID {
		return false, nil
	}
	box, err := a.Mailbox(info.Name, mail.RightRead)
	if err != nil {
		return false, err
	}
	s, err := box.Select(ctx, false)
	if err != nil {
		return false, err
	}
	defer s.Close()
	byUID := make(map[mail.UID]expected, len(b.Next))
	var uids mail.UIDSet
	for _, e := range b.Next {
		byUID[e.UID] = e
		uids = uids.Append(e.UID)
	}
	rows, _ := s.Rows(make([]account.Row, 0, len(b.Next)), uids)
	for _, r := range rows {
		if e := byUID[r.UID]; e.Size != int64(r.Size) || e.Date != r.Date {
			return false, nil
		}
	}
	return len(rows) > 0, nil
}

func mailboxByID(a *account.Account, id mail.MailboxID) (account.Info, bool) {
	for _, info := range a.Mailboxes() {
		if info.ID == id {
			return info, true
		}
	}
	return account.Info{}, false
}

func mailboxByName(a *account.Account, name string) (account.Info, bool) {
	for _, info := range a.Mailboxes() {
		if info.Name == name {
			return info, true
		}
	}
	return account.Info{}, false
}
