// Package cluster is the storage driver for many nodes: PostgreSQL holds the log,
// the pages, summaries, the directory and the shelf, and the bodies as well unless
// an S3 bucket is named for them. Nodes share nothing else and know nothing of each
// other; any node serves any account at any time.
//
//	schema.go     the tables, and how they come to be
//	open.go       options, pool, Open and Close
//	database.go   one way to ask the database: limits, retries, kinds of errors
//	commit.go     Commit: one statement, and what is done when nobody knows its outcome
//	log.go        Head, Since, Destroy, Accounts
//	pages.go      Heads, Load, Save, forgetting, summaries
//	bodies.go     Put and Open; body.go reads, place.go says where octets are, sweep.go removes
//	wake.go       telling other nodes, and hearing from them
//	directory.go, shelf.go
//
// # Durability
//
// Every transaction is committed with synchronous_commit = on, and Open refuses a
// server that runs with fsync = off. Whether a commit outlives the loss of the
// database machine is decided by synchronous_standby_names, which Open warns about.
package cluster
