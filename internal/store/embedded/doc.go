// Package embedded is the storage driver for one node: a directory that holds
// everything, and one process that owns it.
//
//	FORMAT     the version of this layout, in words
//	LOCK       the pid of the process that owns the directory
//	BALLAST    room set aside for the day the disk is full
//	pebble/    one cockroachdb/pebble instance: logs, pages, summaries, small
//	           bodies, the directory and the shelf of all accounts (keys.go)
//	bodies/    each larger body as one immutable file (bodyfile.go)
//
// # Durability
//
// There is one write-ahead log, and whatever was written earlier is durable when
// something later is. So Put does not wait for small bodies and Save not for
// pages; Commit waits, and pebble lets one fsync serve all commits that wait at
// that moment. A larger body's file and its directory entry are synced before
// Put returns. When an fsync fails, nobody knows what is on the disk: pebble
// calls Fatalf, and the process ends (fatal.go). Nothing is cleaned up at the
// end that Open could not do; Open recovers always.
package embedded
