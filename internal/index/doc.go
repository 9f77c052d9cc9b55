// Package index keeps the text indexes of accounts: it builds their segments in the
// background, merges them, and says of messages what the segments know of a search's keys.
//
// An account's index is a list of segments (mail.IndexSegment), each about a range of message
// numbers, which are never used twice and whose messages never change; so moving, renaming
// and flags leave an index alone, and a message that is in two mailboxes is in it once.
// What a segment does not know of has to be read: an index that is behind, damaged or
// not there makes searches slower and no answer other (docs/decisions/0043-text-index.md).
//
// Start at find.go for a search, at work.go for the building.
package index
