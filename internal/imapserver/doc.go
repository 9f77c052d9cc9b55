// Package imapserver holds one IMAP conversation: IMAP4rev1 (RFC 3501) and
// IMAP4rev2 (RFC 9051), each as it defines itself, and the extensions listed in
// docs/rfc-status.md.
//
// A [Server] is what all conversations share; [Server.Serve] holds one of them.
// The way to read the package is the way of a command:
//
//   - session.go waits for a command, reads its tag and name, looks it up in the
//     one table (table.go) and calls the function found there. The capability
//     list is derived from the same table (capability.go).
//   - Each command has a file named after it. Its function does three visible
//     things: read the arguments, check, do. It gives nil for OK, or an error.
//   - reply.go is the one place where an error becomes NO, BAD or BYE with its
//     response code.
//   - update.go is the one exit: what came in meanwhile, then the tagged line.
//
// # What the client has been told
//
// A session follows its mailbox by asking, never by being told: after each
// command, and in IDLE when it is woken, it asks the account for the Delta since
// its view's cursor and writes what the view says may be written (package view).
// Being woken is a bit without data. EXPUNGE, which moves sequence numbers, is
// not written during FETCH, STORE, SEARCH, SORT and THREAD by sequence number, nor
// while a command that uses sequence numbers has already arrived, nor when no command is
// in progress (RFC 9051 5.5, 7.5.1).
//
// # Waiting
//
// A session that waits, between commands or in IDLE, holds no buffers: they go
// back to their pools (link.go). It needs one goroutine, blocked in a read,
// which a wake-up interrupts by moving the read deadline. What it is doing is
// kept in the session and not on the stack, so that waiting sessions can later do
// without the goroutine too.
//
// No lock is held while the socket is written to, and no message is ever whole
// in memory.
package imapserver
