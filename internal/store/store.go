// Package store is the contract that Postern's storage drivers keep: a log, the
// pages it adds up to, summaries and bodies for each account, and for the whole
// store a directory of names and a shelf of small shared values. It holds
// interfaces and their promises, no code to speak of. The drivers are
// store/embedded (one node) and store/cluster (many); store/storetest has the
// suite that all of them pass, a driver in memory and one that fails on command.
//
// A driver understands nothing of mail. It keeps opaque records in order,
// opaque pages under keys, and bodies under names it chooses; it compares two
// numbers (where the log ends, where a page was saved) and counts nothing.
// Everything that takes thought is done once, above, in package account.
//
// # Durability
//
// When Commit returns nil, the record, the summaries and every body it takes
// are on stable storage, and on a cluster visible to every node. There is no
// setting that weakens this. A driver that can no longer promise it (a failed
// fsync) ends the process rather than go on.
//
// # Errors
//
// Besides the sentinels below, errors carry a mail.Kind: mail.Unavailable where
// trying again later may help (the database is away), mail.NoSpace where the
// disk is below its reserve, mail.NotFound, mail.AlreadyExists, mail.Corrupt
// where a checksum does not agree, mail.Canceled where ctx ended first. Unless
// the error is ErrUnknown, nothing has been changed. Drivers retry inside,
// bounded; nobody above retries anything but ErrStale.
//
// # Concurrency
//
// Every method may be called from any goroutine at any time. Byte slices handed
// to a driver are not kept after the call returns; slices handed to a callback
// are valid until it returns.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"postern/internal/mail"
)

var (
	// ErrStale is given by Commit when the log does not end where the caller
	// thinks, by Save when a scope was saved by somebody else meanwhile, and by
	// Directory and Shelf when a version has moved on. Read again and plan again.
	ErrStale = errors.New("store: changed by somebody else meanwhile")

	// ErrForgotten is given by Since when the log no longer reaches back that
	// far. It is no failure: load the pages.
	ErrForgotten = errors.New("store: that part of the log is forgotten")

	// ErrUnknown is given by Commit when the driver could not find out whether
	// the entry was written. The caller answers as for mail.Unavailable, throws
	// its model of the account away and loads it again.
	ErrUnknown = errors.New("store: outcome of the commit is unknown")

	// ErrLease is given by Commit when a body it takes is no longer under lease
	// and may have been swept. Put it again.
	ErrLease = errors.New("store: body is not under lease any more")
)

// Store is one installation's storage.
type Store interface {
	// Account gives a handle on an account's log and pages. It costs nothing
	// and does not fail for an account that has no log yet: its log is empty.
	Account(id mail.AccountID) Account

	// Accounts gives every account that has a log or pages, ascending.
	Accounts(ctx context.Context) iter.Seq2[mail.AccountID, error]

	Bodies() Bodies
	Directory() Directory
	Shelf() Shelf

	// Close releases the store once every call under way has ended. Calls that
	// come later, also those of bodies still open, give mail.Unavailable; a
	// second Close does nothing.
	Close() error
}

// Account is the storage of one account.
type Account interface {
	// Head is the ModSeq of the last change in the log, forgotten or not; 0 if
	// nothing was ever committed.
	Head(ctx context.Context) (mail.ModSeq, error)

	// Commit appends one entry, all of it or nothing, only if the log ends at
	// after; otherwise it gives ErrStale. e.Last must be above after. Once it
	// has begun to write it is not interrupted by ctx.
	//
	// Every body in e.Take must be under a lease or already marked for this
	// account (a retry is harmless), else ErrLease; it bears this account's mark
	// afterwards. Every body in e.Release loses this account's mark; one that
	// bears no such mark is passed over. Summaries in e.Summaries are written,
	// those in e.Drop removed. What is in both lists is taken and then released,
	// written and then dropped. An entry that nothing can mean (e.Last not above
	// after) is mail.Invalid.
	Commit(ctx context.Context, after mail.ModSeq, e Entry) error

	// Since gives the records whose Last is above after, in order; each exactly
	// once and without a gap. It yields ErrForgotten if the record after `after`
	// is not kept any more.
	Since(ctx context.Context, after mail.ModSeq) iter.Seq2[Record, error]

	// Heads gives the head page of every scope, ascending by scope, in one scan
	// that is true at one moment.
	Heads(ctx context.Context, each func(Head) error) error

	// Load gives the pages of one kind in one scope, ascending by Low, with the
	// scope's Saved, all true at one moment. A scope without a head page has
	// Saved 0 and no pages.
	Load(ctx context.Context, scope Scope, kind PageKind, each func(low uint64, data []byte) error) (saved mail.ModSeq, err error)

	// Save writes pages, all of s or nothing, only if every scope in it was
	// last saved at its Was; otherwise ErrStale. It need not be durable when it
	// returns, but is never durable before what it sums up is, and is durable
	// when a later Commit is. In the same transaction, records whose Last is up
	// to s.Forget are forgotten. A scope named twice, a page of kind 0 or a Now
	// of 0 is mail.Invalid.
	Save(ctx context.Context, s Save) error

	// Summaries calls each for every id that has a summary, in the order of
	// ids (an id twice is given twice), with its index in ids. Ids without one
	// are passed over.
	Summaries(ctx context.Context, ids []mail.MessageID, each func(i int, summary []byte) error) error

	// SummaryIDs gives every id that has a summary, ascending.
	SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error]

	// Marked gives every body that bears this account's mark, in no order.
	Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error]

	// Grew gives a channel with room for one signal that receives whenever the
	// log may have grown by other hands than this handle's owner: on one node
	// never, on a cluster when another node committed. A signal carries no data
	// and may come without cause. The channel is the same for every handle of
	// the account, and stays open.
	Grew() <-chan struct{}

	// Destroy removes the account's log, pages and summaries and takes its mark
	// off every body. It may take long and can be called again after a failure.
	Destroy(ctx context.Context) error
}

// Entry is what one Commit appends.
type Entry struct {
	Last      mail.ModSeq // of the last change in Record
	Record    []byte      // changes after+1 to Last, as account encodes them
	Summaries []Summary
	Drop      []mail.MessageID
	Take      []mail.BodyRef
	Release   []mail.BodyRef
}

// Record is what Since gives back of an Entry.
type Record struct {
	Last mail.ModSeq
	Data []byte // valid until the next step of the iteration
}

// Summary is what is kept of a message beside its row, opaque to the driver.
type Summary struct {
	ID   mail.MessageID
	Data []byte
}

// Scope says what pages belong to: 0 is the account as a whole, anything else
// the mailbox of that MailboxID.
type Scope uint64

// PageKind tells apart pages of one scope. 0 is the head page, of which each
// scope has one; it is written by every Save of the scope.
type PageKind uint8

// Head is a scope's head page.
type Head struct {
	Scope Scope
	Saved mail.ModSeq // the scope's pages are true at this ModSeq
	Data  []byte
}

// Save is one atomic write of pages.
type Save struct {
	Scopes []ScopeSave
	Forget mail.ModSeq // 0: nothing; never falls
}

// ScopeSave is what a Save does to one scope.
type ScopeSave struct {
	Scope  Scope
	Was    mail.ModSeq // Saved when the saver loaded or last saved it; 0: there is no head page
	Now    mail.ModSeq
	Head   []byte
	Put    []Page
	Delete []PageKey
	Remove bool // the scope is gone with all its pages; Head, Put and Delete are ignored
}

// PageKey names a page within its scope. Kind is not 0.
type PageKey struct {
	Kind PageKind
	Low  uint64
}

// Page is a page of a scope.
type Page struct {
	PageKey
	Data []byte
}

// Bodies keeps the octets of messages, unchanged and unread.
//
// A body that Put has stored is under a lease: Commit may take it for any number
// of accounts meanwhile, as a delivery to many recipients does. The lease ends
// by itself after a time the driver chooses (an hour, say), when the driver is
// opened again after the node that put the body went down, with Abandon, and
// when the body has lost the last of its marks. A body without mark and without
// lease is swept in the background, and its room is given back. A name is never
// used again.
type Bodies interface {
	// Put reads r to its end and stores what it gave. The body is durable no
	// later than the first Commit that takes it returns: a driver whose commits
	// follow its bodies in one log saves a sync that way. An error of r is
	// given back as it is, and nothing is kept. Memory held is bounded (256
	// KiB) whatever r gives.
	Put(ctx context.Context, r io.Reader) (ref mail.BodyRef, size int64, err error)

	// Abandon ends the lease of a body that will not be taken, or not be taken
	// again. It is a courtesy: the lease ends by itself. Marks are untouched.
	Abandon(ctx context.Context, ref mail.BodyRef)

	// Open gives a body for reading; mail.NotFound if there is none. What is
	// read is checked against its checksums: mail.Corrupt names the body.
	Open(ctx context.Context, ref mail.BodyRef) (Body, error)

	// All gives every stored body, marked or not, in no order.
	All(ctx context.Context) iter.Seq2[mail.BodyRef, error]

	// Sweep removes what no mark and no lease holds, and says what it removed.
	// Drivers do it by themselves in the background; tests and
	// `postern check --sweep` call it.
	Sweep(ctx context.Context) (Swept, error)
}

// Swept is what a sweep removed.
type Swept struct {
	Bodies int
	Bytes  int64
}

// Body is an open body. It may be read from several goroutines at once, and
// stays readable until it is closed even when it is swept meanwhile, or gives
// mail.NotFound: never other octets.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64 // octets
}

// Directory is who there is: the names of accounts and aliases, and what they
// sign in with. Names are canonical addresses (package auth makes them so); a
// name belongs to one account or one alias in the whole store. A name that
// begins with "@" is the catch-all of a domain. A name of another length than 1
// to 1,024 octets is mail.Invalid, credentials beyond 64 KiB are mail.Limit. A
// change is durable when its method returns.
type Directory interface {
	// Create adds an account under a name nobody bears, else
	// mail.AlreadyExists, and gives it an ID never used before. ID, Version and
	// Created of d are chosen by the driver (Created from now, in UTC and whole
	// microseconds).
	Create(ctx context.Context, d Identity, now time.Time) (Identity, error)

	// Identity gives the account of that ID, or mail.NotFound.
	Identity(ctx context.Context, id mail.AccountID) (Identity, error)

	// Find gives what a name stands for: one account for an account's own name,
	// one or more for an alias; mail.NotFound for a name nobody bears. It looks
	// for the name as it is, catch-alls are the caller's affair.
	Find(ctx context.Context, name string) (Target, error)

	// Update replaces an account's Identity: a new name, new credentials. It
	// gives mail.NotFound if there is no such account, ErrStale unless d.Version
	// is the stored one, mail.AlreadyExists if the new name is somebody else's or
	// an alias, and otherwise the stored Identity with its new Version. Created
	// stays.
	Update(ctx context.Context, d Identity) (Identity, error)

	// Remove takes an account out, and out of every alias; an alias left with
	// no account goes too. It gives mail.NotFound if there is none. The account's
	// mail is Account.Destroy's affair.
	Remove(ctx context.Context, id mail.AccountID) error

	// SetAlias makes name stand for the accounts, kept ascending and each once;
	// it replaces an alias of that name. It gives mail.AlreadyExists if the name
	// is an account's, mail.NotFound if one of the accounts is not there, and
	// mail.Invalid if none is named.
	SetAlias(ctx context.Context, name string, accounts []mail.AccountID) error

	// RemoveAlias takes an alias out, or gives mail.NotFound.
	RemoveAlias(ctx context.Context, name string) error

	// Identities gives every account, ascending by name.
	Identities(ctx context.Context) iter.Seq2[Identity, error]

	// Aliases gives every alias, ascending by name.
	Aliases(ctx context.Context) iter.Seq2[Alias, error]

	// Watch gives a channel with room for one signal that receives after any
	// change to the directory, made by any node. Each call gives a channel of
	// its own; stop ends the signals, and the channel stays open.
	Watch() (changed <-chan struct{}, stop func())
}

// Identity is an account as the directory knows it.
type Identity struct {
	ID          mail.AccountID
	Version     uint64 // rises with every Update
	Name        string // canonical address, 1 to 1,024 octets
	Credentials []byte // as package auth encodes them; at most 64 KiB
	Disabled    bool   // may not sign in; mail still arrives
	Shared      bool   // nobody signs in: its mailboxes belong to those they are shared with
	Created     time.Time
}

// Target is what a name stands for.
type Target struct {
	Name     string
	Alias    bool
	Accounts []mail.AccountID
}

// Alias is a name that stands for accounts.
type Alias struct {
	Name     string
	Accounts []mail.AccountID
}

// Shelf keeps small named values that the nodes of a store share: what was
// delivered lately, leases, certificates.
type Shelf interface {
	// Get gives a value, or mail.NotFound where there is none or it expired.
	Get(ctx context.Context, key string) (Value, error)

	// Put writes a value if the stored version is expect, else ErrStale; 0
	// expects that there is none, AnyVersion does not look. A zero expires
	// keeps it until it is deleted; else it is kept in whole microseconds. Keys
	// are 1 to 1,024 octets (else mail.Invalid), data up to 1 MiB (else
	// mail.Limit). A value that expired is not there. It is durable when it
	// returns.
	Put(ctx context.Context, key string, data []byte, expect uint64, expires time.Time) (version uint64, err error)

	// Delete removes a value if its version is expect, else ErrStale. A value
	// that is not there is deleted already. It is durable when it returns.
	Delete(ctx context.Context, key string, expect uint64) error

	// List gives the values whose keys begin with prefix, ascending by key,
	// without those expired.
	List(ctx context.Context, prefix string) iter.Seq2[Value, error]
}

// AnyVersion, as Put's and Delete's expect, does not look at the version.
const AnyVersion = ^uint64(0)

// Value is a value on the shelf.
type Value struct {
	Key     string
	Data    []byte
	Version uint64 // never 0, never that of an earlier value of the key
	Expires time.Time
}

// Backuper is a Store that can copy itself to a directory while it runs. The
// copy is what a crash at one moment between the call's begin and end would
// have left, and opens as such.
type Backuper interface {
	Backup(ctx context.Context, dir string, progress func(done, total int64)) error
}

// Verifier is a Store that can go over all that is written, needed or not, and
// compare it with its checksums, while it is in use. What is found wrong goes to
// report, a sentence each; the error is why it could not go on.
type Verifier interface {
	Verify(ctx context.Context, report func(text string), progress func(done, total int64)) (Verified, error)
}

// Verified is what Verify went over.
type Verified struct {
	Files     int   // of the engine
	Octets    int64 // of those files
	Bodies    int
	Unclaimed Swept // bodies without mark and without lease: a sweep removes them
}
