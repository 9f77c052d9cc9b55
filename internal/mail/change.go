package mail

// Change is one thing that happened to an account. An account's log is its
// Changes in order of ModSeq without a gap. A STORE on 100,000 messages is one
// Change, two STOREs are two, even when they reach the disk in one commit.
//
// Whoever applies a Change intersects its UIDs with the rows that are there: a
// run may span UIDs that are gone.
type Change struct {
	ModSeq  ModSeq
	Mailbox MailboxID // 0: the account as a whole
	After   Counts    // of Mailbox, once the change has been made
	Event   Event
}

// Counts are the figures of a mailbox that STATUS and SELECT tell. A Change
// carries those after it, so that a node that has not loaded the mailbox's rows
// still knows them.
type Counts struct {
	Messages uint32 // EXISTS
	Unseen   uint32 // without \Seen
	Deleted  uint32 // with \Deleted
	Bytes    uint64 // sum of the messages' sizes
	UIDNext  UID

	// DeletedBytes is the sum of the sizes of those with \Deleted (RFC 9208 4.1.4).
	DeletedBytes uint64
}

// Event is what a Change says; the types below are all there are.
type Event interface{ event() }

// MessagesAdded says that messages came into the mailbox: by delivery, APPEND,
// COPY, MOVE or import. Messages are in ascending order of UID, all of them
// above every UID the mailbox ever had.
type MessagesAdded struct{ Messages []Message }

// Message is what a mailbox knows of a message without opening it.
type Message struct {
	UID    UID
	ModSeq ModSeq // of the last change to it; in MessagesAdded that of the Change
	Flags  Flags
	Size   uint32 // octets, RFC822.SIZE
	Date   InternalDate
	Saved  int64 // when it came into this mailbox, seconds since 1970 (RFC 8514 SAVEDATE)
	ID     MessageID
}

// FlagsChanged says that a STORE was made on the messages it altered.
type FlagsChanged struct {
	Op    FlagOp
	Flags Flags
	UIDs  UIDSet
}

// MessagesExpunged says that messages left the mailbox. Their rows stay in the
// mailbox's expunged pages until MessagesPurged.
type MessagesExpunged struct {
	UIDs UIDSet
	At   int64 // when, in seconds since 1970
}

// MessagesPurged says that expunged messages are no longer held for sessions
// that still show them: their rows are gone, and their bodies too where no other
// row bears the same MessageID.
type MessagesPurged struct {
	UIDs UIDSet
	IDs  []MessageID // of UIDs, in their order: whoever counts references needs no rows

	// Through is the highest ModSeq of the Changes that expunged them: what the
	// mailbox lost since then it still knows.
	Through ModSeq
}

// RecentClaimed says that messages below Below were shown to a session as
// \Recent (RFC 3501 2.3.2). It is written lazily and changes no message.
type RecentClaimed struct{ Below UID }

// MailboxCreated says that a mailbox came to be.
type MailboxCreated struct {
	Name       string // UTF-8, NFC
	Validity   UIDValidity
	SpecialUse SpecialUse
}

// ValiditySet says that the mailbox has another UIDVALIDITY: what clients know of
// its UIDs is void. It is made by a restore, or by an import into a mailbox that
// no client has seen; After.UIDNext may rise with it.
type ValiditySet struct{ Validity UIDValidity }

// MailboxRenamed says that one mailbox has a new name. RENAME of a mailbox with
// children is one such Change each, in one commit.
type MailboxRenamed struct{ Name string }

// MailboxDeleted says that a mailbox is gone and its messages with it.
type MailboxDeleted struct{ At int64 } // seconds since 1970

// SpecialUseSet says what a mailbox is for (RFC 6154).
type SpecialUseSet struct{ SpecialUse SpecialUse }

// AppendLimit is how large a message may be that a client puts into a mailbox
// (RFC 7889). The zero value is that of a mailbox without a limit of its own.
type AppendLimit struct {
	Own    bool
	Octets uint32 // if Own; 0: clients put nothing there
}

// AppendLimitSet says that a mailbox has another AppendLimit.
type AppendLimitSet struct{ Limit AppendLimit }

// AccessKey is a secret of a mailbox, with which URLs to its messages are made good
// for others (RFC 4467 3). The zero value is that of a mailbox without one.
type AccessKey [32]byte

// AccessKeySet says that a mailbox has another AccessKey, or none any more.
type AccessKeySet struct{ Key AccessKey }

// MetadataSet says that entries have other values, of the mailbox or, where the
// Change concerns the account as a whole, of the server as this account sees it.
// Entries without a value are gone. No entry is named twice.
type MetadataSet struct{ Entries []Metadata }

// QuotaSet says what limits the account has of its own.
type QuotaSet struct{ Quota OwnQuota }

// ACLSet says who else may do what with a mailbox. It is the whole list.
type ACLSet struct{ ACL ACL }

// Subscribed says that a name was subscribed to or no longer is. It concerns the
// account: a name may be subscribed to that no mailbox bears (RFC 9051 6.3.7).
type Subscribed struct {
	Name string
	On   bool
}

func (MessagesAdded) event()    {}
func (FlagsChanged) event()     {}
func (MessagesExpunged) event() {}
func (MessagesPurged) event()   {}
func (RecentClaimed) event()    {}
func (MailboxCreated) event()   {}
func (ValiditySet) event()      {}
func (MailboxRenamed) event()   {}
func (MailboxDeleted) event()   {}
func (SpecialUseSet) event()    {}
func (AccessKeySet) event()     {}
func (AppendLimitSet) event()   {}
func (MetadataSet) event()      {}
func (QuotaSet) event()         {}
func (ACLSet) event()           {}
func (Subscribed) event()       {}

// Delta is what a mailbox tells a session that asks what came since its cursor.
// It says nothing of messages that came and went in between, and is the same
// whether it was read from the log or found by comparing rows.
type Delta struct {
	At       ModSeq // the new cursor
	Added    UIDSet // there now, and above every UID the session was told of
	Expunged UIDSet // told to the session and not there any more
	Changed  UIDSet // told to the session, there, and changed since the cursor
	Gone     bool   // the mailbox itself was deleted, or may not be read any more
}

// Empty reports whether the session need be told nothing.
func (d Delta) Empty() bool {
	return d.Added.Empty() && d.Expunged.Empty() && d.Changed.Empty() && !d.Gone
}
