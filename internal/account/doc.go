// Package account is the living mailbox: the shared in-memory model of each open
// account. It is the only package that numbers messages and the only one that
// calls store.
//
// Three agreements hold it together.
//
// The log is the truth. Everything that happens to an account is a mail.Change
// with a ModSeq, and the model changes in one place only, apply. A change of our
// own and one that another node made take the same road, in ModSeq order.
//
// Each open account has one committer. While a commit is on its way to the
// store the next batch of requests forms; a batch is planned against the model
// and a small overlay of its own, committed once, applied, and every waiter
// answered. Nothing is shown before it is durable: until the commit has
// returned, what the batch will do exists in the overlay alone. The committer's
// goroutine runs while there is something to commit and not otherwise.
//
// Sessions pull. A session holds a Selection and a cursor; it asks for the Delta
// since its cursor, and is woken by a signal that carries no data.
//
// # Reading it
//
// Pool opens accounts and keeps message bodies. Account has the names and makes,
// renames and deletes mailboxes. Mailbox takes new mail (Append) and is
// selected. Selection is one session's hold on a mailbox: rows, summaries,
// bodies, flags, expunges, copies.
//
// commit.go drives the batches, plan.go is what a batch sees while it forms,
// apply.go is the one place where the model changes, rows.go holds the rows in
// columns, load.go and save.go turn log and pages into the model and back,
// janitor.go frees what was expunged, and check.go goes over a whole store and
// trusts nothing of the above.
package account
