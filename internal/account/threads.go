package account

import (
	"context"

	"postern/internal/mail"
	"postern/internal/search"
	"postern/internal/store"
)

// A message belongs to the thread of the first message it can be traced to, found
// once, when it comes in, and kept in its summary. What later messages have to know
// for that is kept in notes: a note says to which thread a msg-id belongs, of a
// message that is here, was here, or was only referred to. The account has its
// notes beside its summaries, under numbers no message ever has, so that a note is
// written by the commit that makes it true; the memory they take is that of one
// batch. A message that answers none leaves no note, as its own msg-id leads to its
// thread: most mail needs none.
//
// Notes stay when messages go: an answer to what was deleted belongs where that
// belonged.

// noteBase is where the numbers of notes begin. Those of messages end far below
// (maxMessageID).
const noteBase mail.MessageID = 1 << 63

// noteVersion is how a note is written:
//
//	version | thread
const noteVersion = 1

// noteOn is the number of the note on a msg-id.
func noteOn(digest uint64) mail.MessageID { return noteBase | mail.MessageID(digest) }

func encodeNote(t mail.ThreadID) []byte { return appendUint([]byte{noteVersion}, uint64(t)) }

func decodeNote(data []byte) (mail.ThreadID, error) {
	d := decoder{what: "a note on a thread", b: data}
	d.version(noteVersion)
	t := mail.ThreadID(d.uint())
	return t, d.done()
}

// notesOf lists the notes that matter to new messages.
func notesOf(msgs []NewMessage) []mail.MessageID {
	var ids []mail.MessageID
	for i := range msgs {
		r := &msgs[i].Content.relatives
		if r.Own != 0 {
			ids = append(ids, noteOn(r.Own))
		}
		for _, ref := range r.Refs {
			ids = append(ids, noteOn(ref))
		}
	}
	return ids
}

// readNotes reads what the requests need to know. Only the committer writes notes,
// so what it reads stays true until its commit, or the commit is stale.
func (p *plan) readNotes(ctx context.Context, pending []*request) error {
	var ids []mail.MessageID
	for _, r := range pending {
		ids = append(ids, r.notes...)
	}
	p.notes = map[mail.MessageID]mail.ThreadID{}
	if len(ids) == 0 {
		return nil
	}
	return p.a.store.Summaries(ctx, ids, func(i int, data []byte) error {
		// A damaged note, which postern check tells of, holds up no mail.
		if t, err := decodeNote(data); err == nil {
			p.notes[ids[i]] = t
		}
		return nil
	})
}

// thread gives the thread of a new message and plans the notes that it wants. What
// is known of the message itself goes first, then of its nearest ancestors.
func (p *plan) thread(r *search.Relatives, row *Row) mail.ThreadID {
	family := make([]uint64, 0, 1+len(r.Refs))
	if r.Own != 0 {
		family = append(family, r.Own)
	}
	for i := len(r.Refs) - 1; i >= 0; i-- {
		family = append(family, r.Refs[i])
	}
	thread, known := mail.ThreadID(0), false
	for _, digest := range family {
		if thread, known = p.notes[noteOn(digest)]; known {
			break
		}
	}
	if !known {
		thread = r.Thread(mail.EmailOf(p.a.id, &mail.Message{ID: row.ID, Date: row.Date, Size: row.Size}))
	}
	for _, digest := range family {
		id := noteOn(digest)
		if _, noted := p.notes[id]; noted || digest == r.Own && mail.ThreadID(digest) == thread {
			continue
		}
		p.notes[id] = thread
		data := encodeNote(thread)
		p.summaries = append(p.summaries, store.Summary{ID: id, Data: data})
		p.bytes += 8 + len(data)
	}
	return thread
}
