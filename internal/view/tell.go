package view

import (
	"iter"
	"slices"
	"time"

	"postern/internal/mail"
)

// Advance takes in what happened to the mailbox since Cursor. now is noted if an
// expunge begins to be held back. The client is told nothing yet.
//
// A Delta may repeat what the view knows already, as one does that was found by
// comparing rows; what the view does not know is not expunged or changed by it.
// A UID added below one the client knows of would move sequence numbers and is
// left out; there is no such UID in a mailbox that keeps RFC 9051 2.3.1.1.
func (v *View) Advance(d mail.Delta, now time.Time) {
	expunged := v.uids.cut(d.Expunged)
	if !v.added.Empty() {
		v.added = v.added.Subtract(d.Expunged)
		v.recent = v.recent.Subtract(d.Expunged.Subtract(expunged))
	}
	if !expunged.Empty() {
		if v.held.Empty() {
			v.heldAfter, v.heldSince = v.cursor, now
		}
		v.held = v.held.Union(expunged)
		v.changed = v.changed.Subtract(expunged)
	}
	if changed := v.uids.cut(d.Changed).Subtract(v.held); !changed.Empty() {
		if v.changed.Empty() {
			v.changedAfter = v.cursor
		}
		v.changed = v.changed.Union(changed)
	}
	if above := v.MaxUID(); !d.Added.Empty() {
		if d.Added.Min() <= above {
			d.Added = d.Added.Subtract(mail.UIDSet{{First: 1, Last: above}})
		}
		if v.added.Empty() {
			v.addedAfter = v.cursor
		}
		v.added = v.added.Union(d.Added)
	}
	v.gone = v.gone || d.Gone
	v.cursor = max(v.cursor, d.At)
}

// FlagsTold notes that a FETCH response with the flags of these messages, as
// they were at that ModSeq or later, has been written: the answer to a STORE
// without .SILENT. They are told again only if they change after it.
func (v *View) FlagsTold(uids mail.UIDSet, at mail.ModSeq) {
	if at >= v.cursor {
		v.changed = v.changed.Subtract(uids)
	}
	v.know(uids, at)
}

// FlagsAssumed notes that the client itself made the change with that ModSeq by
// a STORE with .SILENT, and so has worked out what these messages' flags are now
// (RFC 9051 6.4.6). It could not if another session had changed the message
// before and it was not told: the caller leaves out the messages whose row had a
// ModSeq above Cursor when the STORE was made, and the view leaves out those
// whose change it has taken in and not told.
func (v *View) FlagsAssumed(uids mail.UIDSet, at mail.ModSeq) {
	v.know(uids.Subtract(v.changed), at)
}

func (v *View) know(uids mail.UIDSet, at mail.ModSeq) {
	if !uids.Empty() && at > v.cursor {
		v.known = append(v.known, known{uids, at})
	}
}

// Telling is what is to be written to the client now, in the order of its
// fields: Expunges or Vanished, Exists, Recent, Changes. The View counts it as
// written already, so it is written to its end or the connection is closed, and
// before the View is changed again.
type Telling struct {
	// Vanished is the messages expunged, for a client that has enabled QRESYNC
	// (RFC 7162 3.2.10); every other client is written Expunges.
	Vanished mail.UIDSet

	// Exists is the number of messages once the expunges are written. It is
	// written as EXISTS only if NewExists: EXPUNGE has told the client already
	// that there are fewer.
	Exists    uint32
	NewExists bool
	Added     mail.UIDSet // the messages that EXISTS tells of

	// Recent is the number of messages that are \Recent in this session,
	// written as RECENT to RFC 3501 clients if NewRecent.
	Recent    uint32
	NewRecent bool

	// Highest is the HIGHESTMODSEQ that may be told after the rest is written.
	Highest mail.ModSeq

	// Gone says that the mailbox is deleted.
	Gone bool

	expunged []mail.NumRange // sequence numbers before the first EXPUNGE
	changed  mail.UIDSet
	known    []known
	uids     runs // after the expunges
}

// maxKnown is how many changes of its own a client is remembered to know of while
// it does not want to hear of flags.
const maxKnown = 64

// Tellable says what of all that was taken in may be written now. What may not is
// kept for later.
type Tellable struct {
	Expunges bool // EXPUNGE and VANISHED (RFC 9051 5.5, 7.5.1)
	Exists   bool // EXISTS and RECENT
	Flags    bool // FETCH with changed flags
}

// Tell gives what may be written now of all that was taken in. mayExpunge says
// whether EXPUNGE and VANISHED may be among it (RFC 9051 5.5, 7.5.1); if not,
// expunges stay held back. New messages and changed flags are told in any case.
//
// A message is told of by EXISTS alone however often it changed before: the
// client has no flags of it that could be wrong, and asks for them with the rest
// of what it wants to know of a new message.
func (v *View) Tell(mayExpunge bool) Telling {
	return v.TellOnly(Tellable{Expunges: mayExpunge, Exists: true, Flags: true})
}

// TellOnly is Tell for a client that does not want to hear of everything
// (RFC 5465 3.1).
func (v *View) TellOnly(may Tellable) Telling {
	var t Telling
	if may.Expunges && !v.held.Empty() {
		t.Vanished = v.held
		t.expunged = v.uids.places(nil, v.held)
		v.forget(v.held)
		v.held = nil
	}
	if may.Exists && !v.added.Empty() {
		t.NewExists, t.Added = true, v.added
		v.uids = v.uids.add(v.added)
		v.added = nil
	}
	t.Exists = v.Len()
	t.Recent = uint32(v.recent.Subtract(v.added).Len())
	t.NewRecent = t.NewExists || may.Exists && t.Recent != v.recentTold
	if t.NewRecent {
		v.recentTold = t.Recent
	}
	if may.Flags {
		t.changed, t.known, t.uids = v.changed, v.known, v.uids
		v.changed = nil
		v.known = slices.DeleteFunc(slices.Clone(v.known), func(k known) bool { return k.at <= v.cursor })
	} else if len(v.known) > maxKnown {
		// Without it a client is told of a change it made itself: no harm.
		v.known = slices.Delete(v.known, 0, len(v.known)-maxKnown)
	}
	v.told = v.cursor
	for _, kept := range []struct {
		uids  mail.UIDSet
		after mail.ModSeq
	}{{v.held, v.heldAfter}, {v.added, v.addedAfter}, {v.changed, v.changedAfter}} {
		if !kept.uids.Empty() {
			v.told = min(v.told, kept.after)
		}
	}
	t.Highest, t.Gone = v.told, v.gone
	return t
}

// forget takes messages out of everything the view holds.
func (v *View) forget(uids mail.UIDSet) {
	v.uids = v.uids.remove(uids)
	v.recent = v.recent.Subtract(uids)
	v.saved = v.saved.Subtract(uids)
	v.local = nil // only held messages have local flags, and all of them go at once
}

// Empty reports whether there is nothing to write. Highest may have risen all
// the same.
func (t *Telling) Empty() bool {
	return len(t.expunged) == 0 && !t.NewExists && !t.NewRecent && t.changed.Empty() && !t.Gone
}

// Expunges gives the number of each EXPUNGE response in the order to write them.
// They descend, so that each is right at the time it is written and none moves
// those that follow.
func (t *Telling) Expunges() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range slices.Backward(t.expunged) {
			for seq := r.To; seq >= r.From; seq-- {
				if !yield(seq) {
					return
				}
			}
		}
	}
}

// Changes gives the messages whose flags are to be told by FETCH, ascending, as
// sequence number and UID. changedAt gives the ModSeq of a message's last
// change, as its row has it now; it is asked of messages whose last change may
// be one the client knows of, and those are left out. Only messages that are in
// the mailbox are among them, as far as the view knows.
func (t *Telling) Changes(changedAt func(mail.UID) mail.ModSeq) iter.Seq2[uint32, mail.UID] {
	return func(yield func(uint32, mail.UID) bool) {
		for seq, uid := range t.uids.numbered(t.changed) {
			if at, ok := t.knownAt(uid); ok && changedAt(uid) <= at {
				continue
			}
			if !yield(seq, uid) {
				return
			}
		}
	}
}

// knownAt gives the highest ModSeq up to which the client knows the message's
// flags.
func (t *Telling) knownAt(uid mail.UID) (at mail.ModSeq, ok bool) {
	for _, k := range t.known {
		if k.at > at && k.uids.Contains(uid) {
			at, ok = k.at, true
		}
	}
	return at, ok
}
