package account

import (
	"context"
	"io"

	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/store"
)

// Pool opens accounts of one store.
type Pool struct{}

// NewPool makes a Pool over s. Several pools may share a store, as nodes do.
func NewPool(s store.Store, o Options) *Pool { panic("skeleton") }

// Open gives the account, loading it if it is not in memory, and making INBOX
// and the default mailboxes if it has none. Every Open wants a Release.
func (p *Pool) Open(ctx context.Context, id mail.AccountID) (*Account, error) { panic("skeleton") }

// Keep stores a message's body and parses it, in one pass. What it gives can be
// appended to many mailboxes of many accounts. An error of r comes back as it
// is; mail.TooBig if r gives more than Limits.MessageSize.
func (p *Pool) Keep(ctx context.Context, r io.Reader) (*Content, error) { panic("skeleton") }

// Housekeep does once what the pool otherwise does every Options.Every.
func (p *Pool) Housekeep(ctx context.Context) error { panic("skeleton") }

// Close waits for commits under way and lets go of every account. The store
// stays open.
func (p *Pool) Close(ctx context.Context) error { panic("skeleton") }

// Content is a stored and parsed message body that is not in any mailbox yet.
type Content struct{}

// Size is the length of the body in octets, without any prefix.
func (c *Content) Size() int64 { panic("skeleton") }

// Abandon says that the content will not be appended (any more). It may always
// be called, also after it was appended.
func (c *Content) Abandon(ctx context.Context) { panic("skeleton") }

// Account is an open account, shared by everybody who opened it.
type Account struct{}

// Release gives the account back. It is not used afterwards.
func (a *Account) Release() { panic("skeleton") }

// ID names the account.
func (a *Account) ID() mail.AccountID { panic("skeleton") }

// Mailboxes gives every mailbox, sorted by name. The slice is shared and not to
// be changed.
func (a *Account) Mailboxes() []Info { panic("skeleton") }

// Subscriptions gives the names subscribed to, sorted. The slice is shared and
// not to be changed.
func (a *Account) Subscriptions() []string { panic("skeleton") }

// Mailbox gives a handle on the mailbox of that name for somebody who needs
// these rights. It is the one road to a mailbox. A mailbox that is not there and
// one that may not be looked up are NotFound alike.
func (a *Account) Mailbox(name string, need mail.Rights) (*Mailbox, error) { panic("skeleton") }

// CreateMailbox makes a mailbox and the parents it lacks (RFC 9051 6.3.4). One
// trailing separator is dropped.
func (a *Account) CreateMailbox(ctx context.Context, name string, use mail.SpecialUse) (Info, error) {
	panic("skeleton")
}

// DeleteMailbox removes a mailbox and its messages (RFC 9051 6.3.5).
// mail.HasChildren if there are mailboxes below it, mail.Cannot for INBOX.
func (a *Account) DeleteMailbox(ctx context.Context, name string) error { panic("skeleton") }

// RenameMailbox renames a mailbox and those below it, in one commit. Renaming
// INBOX moves its messages to a new mailbox (RFC 9051 6.3.6).
func (a *Account) RenameMailbox(ctx context.Context, from, to string) error { panic("skeleton") }

// Subscribe adds a name to the subscriptions or takes it out. The name need not
// be that of a mailbox (RFC 9051 6.3.7).
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error { panic("skeleton") }

// Watch calls wake whenever names, subscriptions or a mailbox's figures may have
// changed, until stop is called. wake must not block.
func (a *Account) Watch(wake func()) (stop func()) { panic("skeleton") }

// Info is what is known of a mailbox without looking at its messages.
type Info struct {
	ID            mail.MailboxID
	Name          string
	Validity      mail.UIDValidity
	Use           mail.SpecialUse
	Counts        mail.Counts
	HighestModSeq mail.ModSeq
	Recent        uint32 // messages no session was shown as \Recent yet (RFC 3501)
	HasChildren   bool
	Subscribed    bool
}

// Mailbox is a handle on one mailbox. It stays good when the mailbox is renamed;
// when it is deleted every method that changes something gives mail.NotFound.
type Mailbox struct{}

// Info gives what is known of the mailbox now.
func (m *Mailbox) Info() Info { panic("skeleton") }

// NewMessage is a message to append.
type NewMessage struct {
	Content *Content
	Prefix  []byte // header lines to put before the body, each ended by CRLF; may be nil
	Flags   mail.Flags
	Date    mail.InternalDate
	UID     mail.UID // 0: the next one. Import gives UIDs at or above UIDNEXT, ascending
}

// Appended is what Append answers (RFC 4315 APPENDUID). UIDs are in the order of
// the messages given.
type Appended struct {
	Validity mail.UIDValidity
	UIDs     mail.UIDSet
}

// Append is the one door for new mail. All messages come in or none does, and
// they are durable when it returns.
func (m *Mailbox) Append(ctx context.Context, msgs []NewMessage) (Appended, error) { panic("skeleton") }

// Select loads the mailbox's rows, shared by all who selected it, and holds them
// until Close. A read-write selection claims what is \Recent.
func (m *Mailbox) Select(ctx context.Context, readWrite bool) (*Selection, error) { panic("skeleton") }

// Selection is one session's hold on a mailbox.
type Selection struct{}

// Start is the mailbox as it was when it was selected: what a session's first
// view is made of.
type Start struct {
	UIDs        mail.UIDSet
	At          mail.ModSeq // the cursor for the first Delta
	Recent      mail.UIDSet
	FirstUnseen mail.UID // 0: none
	Keywords    []string
	Info        Info
}

// Close ends the hold. The Selection is not used afterwards; bodies opened from
// it stay open.
func (s *Selection) Close() { panic("skeleton") }

// Info gives what is known of the mailbox now.
func (s *Selection) Info() Info { panic("skeleton") }

// Start gives the mailbox as of Select.
func (s *Selection) Start() Start { panic("skeleton") }

// Delta gives what came since the cursor, for a session whose view holds told.
func (s *Selection) Delta(since mail.ModSeq, told mail.UIDSet) mail.Delta { panic("skeleton") }

// Claim gives which of these new messages are \Recent for this session. A
// read-write selection claims them, so that no other session is told the same;
// a read-only one looks.
func (s *Selection) Claim(added mail.UIDSet) mail.UIDSet { panic("skeleton") }

// FlagsID names a set of flags within an open account.
type FlagsID uint32

// Row is what the mailbox knows of one message.
type Row struct {
	UID      mail.UID
	Flags    FlagsID
	ModSeq   mail.ModSeq
	Size     uint32
	Date     mail.InternalDate
	Saved    uint32 // seconds since 1970
	ID       mail.MessageID
	Expunged bool // gone from the mailbox, held for sessions that still show it
}

// Rows copies rows in UID order into dst, from its beginning, up to cap(dst). It
// gives them and the UIDs it had no room for; UIDs it does not know are passed
// over. No lock is held afterwards.
func (s *Selection) Rows(dst []Row, uids mail.UIDSet) (rows []Row, rest mail.UIDSet) {
	panic("skeleton")
}

// Flags gives the set an ID names. It is not to be changed.
func (s *Selection) Flags(id FlagsID) mail.Flags { panic("skeleton") }

// FlagText gives the set as it is written on the wire, `(\Seen $Junk)`, without
// \Recent. It is shared and not to be changed.
func (s *Selection) FlagText(id FlagsID) []byte { panic("skeleton") }

// Keywords gives the keywords in use in this mailbox, sorted: for FLAGS and
// PERMANENTFLAGS. One that has just come out of use may still be among them.
func (s *Selection) Keywords() []string { panic("skeleton") }

// Summaries reads the summaries of rows in one go and calls each with the row's
// index and its Summary, which is valid until each returns.
func (s *Selection) Summaries(ctx context.Context, rows []Row, each func(i int, m *Summary) error) error {
	panic("skeleton")
}

// Body opens the message a summary describes.
func (s *Selection) Body(ctx context.Context, m *Summary) (Body, error) { panic("skeleton") }

// Body is an open message: prefix and body as one.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// StoreRequest is a STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).
type StoreRequest struct {
	UIDs           mail.UIDSet
	Op             mail.FlagOp
	Flags          mail.Flags
	UnchangedSince *mail.ModSeq // nil: not asked
}

// StoreResult is what became of a STORE.
type StoreResult struct {
	Changed  mail.UIDSet // really altered
	Modified mail.UIDSet // failed UNCHANGEDSINCE
	Gone     mail.UIDSet // expunged meanwhile: the caller answers as if it was made
	ModSeq   mail.ModSeq // of the change; 0 if nothing was altered
}

// StoreFlags changes flags. One that alters nothing writes nothing.
func (s *Selection) StoreFlags(ctx context.Context, r StoreRequest) (StoreResult, error) {
	panic("skeleton")
}

// Expunge removes the messages that bear \Deleted, of all or of those within,
// and says which it removed.
func (s *Selection) Expunge(ctx context.Context, within *mail.UIDSet) (mail.UIDSet, error) {
	panic("skeleton")
}

// Copied is what COPY and MOVE answer (RFC 4315 COPYUID): From and To pair in
// ascending order.
type Copied struct {
	Validity mail.UIDValidity // of the destination
	From, To mail.UIDSet
}

// Copy copies messages to a mailbox of the same account, all of them or none,
// also those expunged elsewhere that are still held. UIDs that are not there are
// passed over.
func (s *Selection) Copy(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	panic("skeleton")
}

// Move copies messages and expunges them here, in one commit (RFC 6851).
func (s *Selection) Move(ctx context.Context, uids mail.UIDSet, to *Mailbox) (Copied, error) {
	panic("skeleton")
}

// Watch calls wake whenever the mailbox may have changed, until Close. wake must
// not block; it is called without locks. nil ends it.
func (s *Selection) Watch(wake func()) { panic("skeleton") }

// Summary is what was learnt of a message when it arrived. It is valid as long
// as the callback it was given to runs; Clone makes one that stays.
type Summary struct{}

// ID names the message within its account.
func (m *Summary) ID() mail.MessageID { panic("skeleton") }

// Size is the length in octets of prefix and body.
func (m *Summary) Size() int64 { panic("skeleton") }

// Date is the internal date.
func (m *Summary) Date() mail.InternalDate { panic("skeleton") }

// BodyRef names the body in the store.
func (m *Summary) BodyRef() mail.BodyRef { panic("skeleton") }

// Prefix is the header lines that stand before the body.
func (m *Summary) Prefix() []byte { panic("skeleton") }

// Envelope is ENVELOPE's value as it goes out on the wire.
func (m *Summary) Envelope() []byte { panic("skeleton") }

// Structure is BODYSTRUCTURE's value as it goes out on the wire.
func (m *Summary) Structure() []byte { panic("skeleton") }

// AppendBody writes BODY's value: the structure without extension data.
func (m *Summary) AppendBody(dst []byte) []byte { panic("skeleton") }

// Shape decodes the tree of parts, with offsets from the message's first octet,
// prefix included, SentDate and References: what cutting sections and searching
// need. Envelopes are empty, but not nil where a part encapsulates a message.
func (m *Summary) Shape() (*message.Summary, error) { panic("skeleton") }

// Clone gives a Summary that stays valid.
func (m *Summary) Clone() *Summary { panic("skeleton") }
