package view

import (
	"iter"
	"time"

	"postern/internal/mail"
)

// View is what one client has been told of its selected mailbox. Make one with
// New.
type View struct {
	uids    runs        // announced and not told expunged: sequence numbers count these
	added   mail.UIDSet // taken in, not yet announced; all above uids
	held    mail.UIDSet // in uids, but expunged from the mailbox
	changed mail.UIDSet // in uids, flags to be told
	recent  mail.UIDSet // in uids or added: \Recent in this session
	saved   mail.UIDSet // "$"; a subset of uids
	local   map[mail.UID]mail.Flags
	known   []known

	cursor    mail.ModSeq // everything up to here has been taken in
	told      mail.ModSeq // everything up to here has been told
	heldSince time.Time   // when the first of held was taken in

	// The cursor before the first of held, added and changed was taken in.
	heldAfter, addedAfter, changedAfter mail.ModSeq

	recentTold uint32
	gone       bool
}

// known says that the client needs no FETCH for these messages unless they
// changed after at.
type known struct {
	uids mail.UIDSet
	at   mail.ModSeq
}

// New gives the view of a client that is being told, by the answer to SELECT or
// EXAMINE, that the mailbox holds these UIDs at that moment of the log.
func New(uids mail.UIDSet, at mail.ModSeq) *View {
	v := &View{cursor: at, told: at, uids: make(runs, 0, len(uids))}
	v.uids = v.uids.add(uids)
	return v
}

// Len is the number of messages the client knows of: what EXISTS said last,
// less every EXPUNGE since.
func (v *View) Len() uint32 { return v.uids.len() }

// UID gives the UID of the message with that sequence number.
func (v *View) UID(seq uint32) (mail.UID, bool) { return v.uids.uid(seq) }

// Seq gives the sequence number of the message with that UID.
func (v *View) Seq(uid mail.UID) (uint32, bool) { return v.uids.seq(uid) }

// UIDs gives every UID the view knows of: those announced, held ones included,
// and those taken in but not yet announced. It is what the rows are compared
// with when the log no longer reaches back to the cursor. It costs a copy.
func (v *View) UIDs() mail.UIDSet { return v.uids.set().Union(v.added) }

// Announced gives the UIDs of the messages that the client knows of, held ones
// included. It costs a copy.
func (v *View) Announced() mail.UIDSet { return v.uids.set() }

// MaxUID is the highest UID the view knows of, 0 if it knows none.
func (v *View) MaxUID() mail.UID { return max(v.uids.max(), v.added.Max()) }

// Numbered gives the messages of a set that the client knows of, ascending, as
// sequence number and UID. The view must not be changed until it ends. It
// allocates nothing per message.
func (v *View) Numbered(uids mail.UIDSet) iter.Seq2[uint32, mail.UID] {
	return v.uids.numbered(uids)
}

// AppendSeqs appends the sequence numbers of a set's messages to dst as
// ascending ranges that do not touch, for ESEARCH ALL.
func (v *View) AppendSeqs(dst []mail.NumRange, uids mail.UIDSet) []mail.NumRange {
	return v.uids.places(dst, uids)
}

// Cursor is the moment of the log up to which changes were taken in; the next
// Delta is asked for from here.
func (v *View) Cursor() mail.ModSeq { return v.cursor }

// Highest is the HIGHESTMODSEQ that may be told. A client that comes back with
// it and asks for what changed since misses nothing, because while an expunge is
// held back it stays below that expunge's ModSeq (RFC 7162 3.2), and so it does
// with everything else that was not told. It never falls.
func (v *View) Highest() mail.ModSeq { return v.told }

// Gone reports whether the mailbox was deleted. What the client was told of
// stays in the view.
func (v *View) Gone() bool { return v.gone }

// Held gives the messages that are expunged from the mailbox and still shown.
// Treat it as read-only.
func (v *View) Held() mail.UIDSet { return v.held }

// HeldSince is the time, as given to Advance, since which an expunge has been
// held back, the zero time if none is. A session that withholds one for too long
// is to be closed.
func (v *View) HeldSince() time.Time {
	if v.held.Empty() {
		return time.Time{}
	}
	return v.heldSince
}

// SetFlags gives a held message flags of its own in this view: a STORE on a
// message that is expunged from the mailbox is answered as if it had been made
// and is never written. It reports whether the message is held.
func (v *View) SetFlags(uid mail.UID, flags mail.Flags) bool {
	if !v.held.Contains(uid) {
		return false
	}
	if v.local == nil {
		v.local = make(map[mail.UID]mail.Flags)
	}
	v.local[uid] = flags
	return true
}

// Flags gives the flags that SetFlags gave a held message, if it did; they stand
// in place of those of its row.
func (v *View) Flags(uid mail.UID) (mail.Flags, bool) {
	f, ok := v.local[uid]
	return f, ok
}

// AddRecent makes messages \Recent in this session (RFC 3501 2.3.2). Those the
// view does not know of are passed over. It is called after New, whose caller
// tells their number in the answer to SELECT, and after an Advance that took in
// new messages.
func (v *View) AddRecent(uids mail.UIDSet) {
	selected := v.uids.cut(uids).Subtract(v.recent)
	v.recentTold += uint32(selected.Len())
	v.recent = v.recent.Union(selected).Union(uids.Intersect(v.added))
}

// IsRecent reports whether the message is \Recent in this session.
func (v *View) IsRecent(uid mail.UID) bool { return v.recent.Contains(uid) }

// Recent gives the messages that are \Recent in this session. Treat it as
// read-only.
func (v *View) Recent() mail.UIDSet { return v.recent }

// Save sets the search result variable "$" (RFC 9051 6.4.4.1) to those of the
// UIDs that the client knows of. The zero set resets it.
func (v *View) Save(uids mail.UIDSet) {
	v.saved = v.uids.cut(uids)
}

// Saved gives the search result variable. Treat it as read-only.
func (v *View) Saved() mail.UIDSet { return v.saved }
