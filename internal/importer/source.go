// Package importer brings mail in from mbox files and maildirs and writes it back
// out. Reading a source and keeping its mail are two sides with a stream between
// them, because the command that reads the files and the server that holds the
// store may be two processes with different rights: Send reads a Source into the
// stream, Receive keeps what comes out of it.
//
// An import can be interrupted anywhere and run again: it goes on where it was
// and duplicates nothing. Broken messages are kept as they are.
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
	Folders() ([]Folder, error)
}

// Folder is a folder of a source.
type Folder struct {
	Name       string // as a mailbox name: UTF-8, levels separated by "/"
	Validity   mail.UIDValidity
	UIDNext    mail.UID // with Validity and the messages' UIDs, from dovecot-uidlist; 0: unknown
	Subscribed bool
	Total      int // messages, as far as can be told without reading them; -1: unknown

	// Messages gives the messages from the one after the key on ("": from the
	// first), in an order that is the same each time as long as nobody changes
	// the source. An error ends it.
	Messages func(ctx context.Context, after string) iter.Seq2[Message, error]
}

// Message is a message of a source.
type Message struct {
	Key   string // names it within its folder
	Flags mail.Flags
	Date  time.Time
	UID   mail.UID // 0: unknown

	// Open gives the message's octets with CRLF line ends.
	Open func() (io.ReadCloser, error)
}
