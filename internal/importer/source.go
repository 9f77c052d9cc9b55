// Package importer brings mail in from mbox files and maildirs, and writes it out
// as such.
//
// Reading mail and keeping it are two sides with a stream between them, because
// the command that reads or writes the user's files and the server that holds the
// store may be two processes with different rights. Send reads a Source into the
// stream: an Mbox, a Maildir, or Mailboxes of an account. What comes out of it
// Importer.Receive puts into an account, SaveMaildir into a maildir and SaveMbox
// into an mbox file. An export is an import the other way round.
//
// An import can be interrupted anywhere and run again: it goes on where it was
// and duplicates nothing. What was imported is remembered message by message, so
// a source may also have changed in between. Before a batch of messages is
// appended, a note says which UIDs it will have; whoever finds that note after a
// crash looks whether the messages are there (ledger.go).
//
// Broken messages are kept as they are. UIDs that dovecot-uidlist names are kept
// where that is safe: the messages go into a mailbox of their own first, which
// takes the place of the empty one at the end (arrival.go).
package importer

import (
	"context"
	"io"
	"iter"
	"time"

	"postern/internal/mail"
)

// Source is a place that mail comes from.
type Source interface {
	// Name names the source for the whole of it, so that an import that was
	// interrupted is known again: a kind and an absolute path.
	Name() string

	// Folders gives the folders, in an order that is the same each time.
	Folders(ctx context.Context) ([]Folder, error)
}

// Folder is a folder of a source.
type Folder struct {
	Name       string // as a mailbox name: UTF-8, levels separated by "/"
	Validity   mail.UIDValidity
	UIDNext    mail.UID // above the UIDs of all messages; 0, as Validity, if they are unknown
	Subscribed bool
	Total      int    // messages, as far as can be told without reading them; -1: unknown
	Note       string // for the user: what is wrong with the folder

	// Messages gives the messages, those of known UID first and by UID. For one
	// whose key known reports it gives the key and no more. An error ends it.
	Messages func(ctx context.Context, known func(key string) bool) iter.Seq2[Message, error]
}

// Message is a message of a source.
type Message struct {
	Key   string // names it within its folder, whatever else the folder holds
	Flags mail.Flags
	Date  time.Time // zero: unknown
	UID   mail.UID  // 0: unknown

	// Open gives the message's octets with CRLF line ends. It is called before
	// the next message is asked for, or not at all.
	Open func() (io.ReadCloser, error)
}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}
