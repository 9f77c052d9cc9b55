package account

import (
	"maps"
	"slices"

	"postern/internal/mail"
)

// model is what an account's log adds up to. The committer alone changes it,
// under Account.mu, and reads it without; everybody else reads it under
// Account.mu. What sessions change by themselves, what is \Recent, is guarded by
// the same lock.
type model struct {
	account     mail.AccountID
	last        mail.ModSeq // every change up to here has been applied
	boxes       map[mail.MailboxID]*mailbox
	names       map[string]*mailbox // those not deleted
	below       map[string]int      // by name, how many mailboxes have it as their parent
	subscribed  map[string]bool
	nextMessage mail.MessageID
	maxValidity mail.UIDValidity
	refs        refs

	rootSaved mail.ModSeq // the store's pages are true here; 0: there are none
	removed   []*mailbox  // scopes to be taken out at the next save

	// By mailbox, 0 for the account as a whole: see metadata.go.
	metadata      map[mail.MailboxID]entries
	metadataBytes int
	metadataAt    mail.ModSeq                 // of the last change to metadata or to a special use
	metadataDirty map[mail.MailboxID]struct{} // those whose pages are not what they are now

	used     mail.Usage // the sum of counts: see quota.go
	ownQuota mail.OwnQuota

	index []mail.IndexSegment // of the text; replaced, never changed

	recentDirty map[*mailbox]struct{} // those whose claimed is not in the log yet

	// What came since the last save, and decides when the next is due.
	tailBytes, tailRecords int
}

func newModel(id mail.AccountID) *model {
	return &model{
		account:     id,
		boxes:       map[mail.MailboxID]*mailbox{},
		names:       map[string]*mailbox{},
		below:       map[string]int{},
		subscribed:  map[string]bool{},
		recentDirty: map[*mailbox]struct{}{},
		metadata:    map[mail.MailboxID]entries{}, metadataDirty: map[mail.MailboxID]struct{}{},
		nextMessage: 1,
	}
}

// named enters a mailbox under its name.
func (m *model) named(box *mailbox) {
	m.names[box.name] = box
	if parent, ok := parentName(box.name); ok {
		m.below[parent]++
	}
}

// unnamed takes a mailbox's name away.
func (m *model) unnamed(box *mailbox) {
	delete(m.names, box.name)
	if parent, ok := parentName(box.name); ok {
		if m.below[parent]--; m.below[parent] == 0 {
			delete(m.below, parent)
		}
	}
}

func (m *model) hasChildren(name string) bool { return m.below[name] > 0 }

// mailbox is the model of one mailbox.
type mailbox struct {
	id mail.MailboxID
	mailboxState

	saved     mail.ModSeq // its scope's pages are true here; 0: it has none
	rowsDirty bool        // a change to rows came since saved

	// rows and gone are nil unless loaded: the messages, and those expunged
	// that are still held.
	rows, gone *table
	keywords   keywords
	ring       ring
	uids       mail.UIDSet // of rows, while uidsKnown
	uidsKnown  bool

	// No message came into the mailbox before, in unix seconds; 0 is not known. See expire.go.
	oldestSaved int64

	purged bool // deleted and without rows: nothing is left of it

	selections map[*Selection]struct{}
	unusedAt   int64 // unix seconds since when rows are loaded and nobody has them selected
}

// dirty reports whether the mailbox's pages are not what it is now.
func (m *mailbox) dirty() bool { return m.last > m.saved }

// oldest is no later than the first message still held was expunged, in unix
// seconds; 0 if none is held.
func (m *model) oldest() int64 {
	oldest := int64(0)
	for _, box := range m.boxes {
		if box.heldSince != 0 && (oldest == 0 || box.heldSince < oldest) {
			oldest = box.heldSince
		}
	}
	return oldest
}

func (m *model) root() *root {
	return &root{
		nextMessage: m.nextMessage, maxValidity: m.maxValidity, oldest: m.oldest(), quota: m.ownQuota, index: m.index,
		subscribed: slices.Sorted(maps.Keys(m.subscribed)),
	}
}
