// Package mail holds the words every other package of Postern shares: what an
// account, a mailbox, a UID and a ModSeq are, which flags a message bears, what
// can happen to a mailbox (Change), what a session is told of it (Delta), what a
// client may search for (Criteria), and the closed list of ways things fail
// (Kind). It imports nothing of ours and is the first package to read.
//
// Three sentences explain most of what follows. Everything that happens to an
// account is a Change with a ModSeq, and an account's ModSeqs are the positions
// of its log. A message lives in a mailbox under a UID that is never used twice.
// A session never follows changes as they are made; it asks for the Delta since
// its own cursor.
package mail
