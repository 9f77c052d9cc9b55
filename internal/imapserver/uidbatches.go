package imapserver

import (
	"slices"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Bounds of UIDBATCHES. RFC 10022 has both figures: batches of 500 must be possible, and smaller ones would let a client
// rebuild sequence numbers; ranges over 100,000 messages must be answered.
const (
	leastBatch    = 500
	mostInBatches = 100_000 // messages
)

// batched is what a session was told by UIDBATCHES since it selected the mailbox: who asks the same again without need
// is sent away.
type batched struct {
	args    imapwire.UIDBatchesArgs
	uids    mail.UIDSet // of the mailbox then
	uidNext mail.UID
}

// uidBatches is the command UIDBATCHES (RFC 10022): the messages this client knows of, newest first, in ranges of UIDs
// with so many each.
func (s *session) uidBatches(c *command) error {
	var args imapwire.UIDBatchesArgs
	if !s.r.ExpectUIDBatchesArgs(&args) {
		return s.r.Err()
	}
	if args.First > args.Last {
		return &refusal{reply: reply{statusBad, "CLIENTBUG", "the first batch has the lower number"}}
	}
	if args.Size < leastBatch {
		return no("TOOFEW", "a batch has at least %d messages", leastBatch)
	}
	uids := s.box.view.UIDs()
	if args.Last != 0 && uint64(args.Size)*uint64(args.Last-args.First+1) > mostInBatches {
		return no("TOOMANY", "ask for no more than %d messages at a time", mostInBatches)
	}
	if s.box.askedAgain(&args, uids) {
		return no("LIMIT", "batches change when many messages have come or gone, and not before")
	}
	s.w.UIDBatches(c.tag, batchesOf(uids, &args))
	return nil
}

// askedAgain reports whether a client asks for the same batches without half as many messages as a batch has having come or
// gone since, and takes note of what it asks.
func (b *openBox) askedAgain(args *imapwire.UIDBatchesArgs, uids mail.UIDSet) bool {
	next := uids.Max() + 1
	i := slices.IndexFunc(b.batched, func(was batched) bool { return was.args == *args })
	if i >= 0 {
		was := &b.batched[i]
		gone := was.uids.Subtract(uids).Len()
		come := uids.Subtract(mail.UIDSet{{First: 1, Last: max(was.uidNext, 2) - 1}}).Len()
		if half := int(args.Size / 2); gone <= half && come <= half {
			return true
		}
		b.batched = slices.Delete(b.batched, i, i+1)
	}
	if len(b.batched) == maxBatched {
		b.batched = slices.Delete(b.batched, 0, 1)
	}
	b.batched = append(b.batched, batched{*args, uids, next})
	return false
}

// maxBatched is how many different questions are remembered.
const maxBatched = 16

// batchesOf cuts UIDs into batches, newest first, and gives those asked for. The ranges leave no gaps, and the last ends
// with 1, so that a client sees that it is the last.
func batchesOf(uids mail.UIDSet, args *imapwire.UIDBatchesArgs) []mail.UIDRange {
	if uids.Empty() {
		return nil
	}
	var batches []mail.UIDRange
	n, high, room := uint32(1), uids.Max(), args.Size // the batch that is being filled
	cut := func(low mail.UID) (more bool) {
		if n >= args.First {
			batches = append(batches, mail.UIDRange{First: low, Last: high})
		}
		n, high, room = n+1, low-1, args.Size
		return args.Last == 0 || n <= args.Last
	}
	for i := len(uids) - 1; i >= 0; i-- {
		run := uids[i]
		for size := uint32(run.Last-run.First) + 1; size > room; size = uint32(run.Last-run.First) + 1 {
			run.Last -= mail.UID(room)
			if !cut(run.Last + 1) {
				return batches
			}
		}
		room -= uint32(run.Last-run.First) + 1
		if room == 0 && i > 0 && !cut(run.First) {
			return batches
		}
	}
	cut(1)
	return batches
}
