package account

import (
	"context"
	"maps"
	"slices"

	"postern/internal/mail"
)

// checkNotes takes the notes on threads out of what is listed beside the rows, and
// reads them all. What is wrong with one loses no mail: an answer that comes in may
// begin a thread of its own.
func (k *accountCheck) checkNotes(ctx context.Context, listed map[mail.MessageID]bool) error {
	var notes []mail.MessageID
	for id := range maps.Keys(listed) {
		if id >= noteBase {
			notes = append(notes, id)
			delete(listed, id)
		}
	}
	slices.Sort(notes)
	for batch := range slices.Chunk(notes, summaryBatch) {
		err := k.account.Summaries(ctx, batch, func(i int, data []byte) error {
			if _, err := decodeNote(data); err != nil {
				k.problem(0, "the note on thread %x cannot be read: %v", batch[i]-noteBase, err)
			}
			return nil
		})
		if err = k.unreadable(err, 0, "a note on a thread"); err != nil {
			return err
		}
	}
	return nil
}
