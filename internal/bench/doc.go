// Package bench puts load on an IMAP server, ours or any other, and says how it bore it: operations per second, the
// latencies a client saw, and, where the server runs on this machine, the processor time and the memory it took.
//
// The client here is made to be cheap and suspicious. It writes commands as they go over the wire, keeps no state
// that it does not need, and compares every answer with what it knows must come: it made the mail itself, from a
// seed, and can make it again to see which messages hold a word. A server that answers quickly and wrongly is found
// out; its row says so (Row.Wrong) and the run fails.
//
// It imports nothing of the server it mostly runs against, so that a mistake in Postern's idea of IMAP cannot hide
// behind the same mistake here.
//
// What it writes it removes: mailboxes named postern-bench-*, and what it delivered into INBOX. Accounts made for the
// purpose are better all the same.
package bench
