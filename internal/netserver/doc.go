// Package netserver holds the sockets. It opens listeners, does the TLS
// handshakes, keeps strangers within limits, and hands each ready connection to
// a function that knows the protocol. It knows no protocol itself.
//
// The road of a connection: a listener's loop accepts it; the ledger (limits.go)
// finds room for it or turns it away; it gets a goroutine of its own; on a TLS
// listener the handshake is done under a time limit; then the Handler has it,
// until it returns. The Conn that the handler gets is a net.Conn with a few
// questions that can be asked of it: is what is said here private, has the
// client signed in, is the server about to stop.
//
// Until the handler calls Authenticated, a connection lives on the budget of
// strangers: so many per address, per network and in all, so long and no longer.
// When there are too many, the oldest one that keeps us waiting goes.
//
// Every write has a deadline, so a client that stops reading holds up nobody.
// A panic in a handler ends that connection alone. SIGHUP (Server.Listen again)
// opens and closes listeners and never touches a connection. Shutdown tells all
// of them and waits.
//
// Nothing here ties a connection to the goroutine that serves it beyond the call
// of the handler: connections are counted, limited and drained by their Conn.
package netserver
