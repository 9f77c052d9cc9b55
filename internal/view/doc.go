// Package view keeps what one client has been told of the mailbox it has
// selected. It is the only owner of sequence numbers in Postern: a View holds
// the UIDs it has announced, in order, and the sequence number of a message is
// its place among them. Nothing but a written EXPUNGE or VANISHED takes a UID
// out, so a number means what the client was told it means, whatever other
// sessions do meanwhile (RFC 9051 7.5.1).
//
// A session uses a View in three steps. Advance takes in what came since the
// View's cursor. Tell says what of it may be written now, and from then on
// counts it as written. In between, Resolve turns the numbers of a command into
// UIDs. A message that another session expunged stays in the View, with its
// number, until Tell may say so; it is then said to be held.
//
// A View is a plain value in memory: it has no lock and no I/O, belongs to one
// session, and is used by one goroutine at a time.
package view
