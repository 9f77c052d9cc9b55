package observe

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// The names of log attributes, all of them. A line that says something these
// cannot say gets a new name here, with its meaning, and not a second name for
// an old thing: who searches the log must be able to rely on them.
const (
	KeySession   = "session"   // identifier of a connection, the same in all its lines
	KeyListener  = "listener"  // the setting that opened it, such as listen.imaps
	KeyRemote    = "remote"    // the client's address and port, or "unix"
	KeyAccount   = "account"   // the account's ID
	KeyUser      = "user"      // the name given at login, as the client sent it
	KeyAs        = "as"        // the account that somebody acts as who signed in as another
	KeyMailbox   = "mailbox"   // a mailbox name
	KeyCommand   = "command"   // the command under way, from our table, never the client's spelling
	KeyMechanism = "mechanism" // SASL mechanism or LOGIN
	KeyService   = "service"   // what somebody signed in to, if it is not IMAP
	KeyTLS       = "tls"       // TLS version of the connection
	KeyError     = "error"     // what went wrong, the whole chain
	KeyRef       = "ref"       // reference that the client was shown
	KeyStack     = "stack"     // where a panic happened
	KeyAddress   = "address"   // an address we listen on
	KeyFile      = "file"      // path of a file
	KeyDuration  = "duration"  // how long it took
	KeyBytesIn   = "bytes_in"  // bytes the client sent
	KeyBytesOut  = "bytes_out" // bytes the client was sent
	KeyCommands  = "commands"  // commands a session carried out
	KeyClient    = "client"    // the client's name and version, as it gave them itself
	KeyFirst     = "first"     // its first commands with their tags
	KeyRules     = "rules"     // names of the rules for clients that a session was under
	KeyHello     = "hello"     // stands for the kind of client that its TLS hello is of, in hex
	KeyFetched   = "fetched"   // messages of which a session fetched something
	KeyAppended  = "appended"  // messages a session appended
	KeyExpunged  = "expunged"  // messages a session expunged
	KeyCount     = "count"     // how many, of what the message names
	KeySize      = "size"      // size in bytes of what the message names
	KeyReason    = "reason"    // why something was refused or ended, from a closed list
	KeyDetail    = "detail"    // more about that, in words
	KeyDelivery  = "delivery"  // names a delivery, as its Received field does
	KeyDelivered = "delivered" // recipients a session delivered to
	KeyRefused   = "refused"   // recipients a session could not deliver to
	KeySender    = "sender"    // envelope sender of a delivery
	KeyRecipient = "recipient" // envelope recipient of a delivery
	KeyMessageID = "msgid"     // a Message-ID header field
	KeyGuard     = "guard"     // what the guard against guessing said to a login
	KeyNetwork   = "network"   // a network, as 192.0.2.0/24
)

// Session names the connection a line is about.
func Session(id string) slog.Attr { return slog.String(KeySession, id) }

// Listener names the listener by its setting.
func Listener(name string) slog.Attr { return slog.String(KeyListener, name) }

// Remote is the client's address; the zero AddrPort stands for a Unix socket.
func Remote(addr netip.AddrPort) slog.Attr {
	if !addr.IsValid() {
		return slog.String(KeyRemote, "unix")
	}
	return slog.String(KeyRemote, addr.String())
}

// Account is an account's ID; mail.AccountID converts to it.
func Account[ID ~uint64](id ID) slog.Attr { return slog.Uint64(KeyAccount, uint64(id)) }

// Duration is how long something took, as a text such as "1.5s".
func Duration(d time.Duration) slog.Attr { return slog.String(KeyDuration, d.String()) }

// Error is what went wrong. Error texts quote what strangers sent, so beyond
// cleaning and a bound on its length (errors carry more than one such text)
// nothing is done to it.
func Error(err error) slog.Attr {
	if err == nil {
		return slog.String(KeyError, "")
	}
	return slog.Any(KeyError, errorText{err})
}

// Text is an attribute whose value a stranger chose: a user name, a mailbox
// name, an envelope address.
func Text(key, value string) slog.Attr { return slog.Any(key, Untrusted(value)) }

// maxError bounds the text of one error. A chain holds several quoted texts.
const maxError = 8 * MaxUntrusted

type errorText struct{ err error }

// LogValue gives the error's text, cleaned like everything that strangers had a
// part in.
func (e errorText) LogValue() slog.Value {
	var b strings.Builder
	escape(&b, e.err.Error(), maxError, false)
	return slog.StringValue(b.String())
}
