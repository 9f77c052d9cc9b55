// Package dialogue plays conversations with a mail server that are written down as text.
//
// A dialogue file holds what clients send (C: lines) and what the server must answer (S: lines), with the sentences of
// the RFCs that ask for it as comments. The player speaks TCP and TLS and knows nothing of Postern, so the same file is
// played against Postern and against other servers; where they differ, one of us is wrong, or the file says why both
// are right. test/dialogues/README.md describes the format for those who write dialogues.
//
// Parse reads a file, Play plays it. A line of the server that the file does not expect fails the dialogue; so do a
// line that does not come, and anything left over at the end.
package dialogue

import "fmt"

// A Dialogue is one parsed file.
type Dialogue struct {
	Name      string            // the file's name, for messages
	Transport Transport         // how every client connects
	Start     map[string]string // by client: "greeting", "login", "select NAME" or "examine NAME"; "" is for the rest
	Accounts  map[string]string // by client: the account it signs in to, where it is not the main one
	Needs     []string          // capabilities without which the dialogue has no meaning
	// Capabilities are those whose promises the dialogue holds the server to. Play makes no use of them.
	Capabilities []string
	Skips        map[string]string // by server: why the dialogue is not played against it
	Mailboxes    []string          // created before the first line
	Messages     []Message         // appended before the first line, in order
	Administers  bool              // the main account is an administrator of quotas (SETQUOTA)
	Quota        map[string]uint64 // limits of the main account by resource (RFC 9208 5), in force after that
	Recent       bool              // leave \Recent to the dialogue instead of using it up beforehand
	Steps        []Step
}

// Transport is how clients reach the server.
type Transport string

// The three ways of RFC 8314.
const (
	Plain    Transport = "plain"    // no TLS; the dialogue itself may start it
	STARTTLS Transport = "starttls" // STARTTLS before the dialogue begins
	TLS      Transport = "tls"      // TLS from the first byte
)

// A Message is put into a mailbox before the dialogue begins.
type Message struct {
	Mailbox string
	Flags   string // "(\Seen)" or ""
	Date    string // an RFC 3501 date-time without quotes, or ""
	Body    []byte
}

// mainAccount is the account of clients that name none.
const mainAccount = "main"

// A Step is one thing that happens: a line is sent, lines are awaited, a connection changes.
type Step struct {
	Line   int // in the file, from 1
	Client string
	Do     Action
	Send   []byte             // for Send: what goes out, before variables are put in
	Raw    bool               // for Send: Send goes out as it is
	Octets bool               // for Send: Send is a literal, and the next line of the client goes on after it
	Expect []Expectation      // for Await
	Others map[string]*Answer // for Await: by server, what that server answers instead
	Skips  map[string]string  // by server: why it does not take this step
}

// Action is what a step does.
type Action int

// The actions.
const (
	Send         Action = iota // C:
	Await                      // S:
	StartTLS                   // C starts TLS
	StartDeflate               // C starts DEFLATE
	EndDeflate                 // C ends DEFLATE
	Connect                    // C connects
	Hangup                     // C closes
	Closed                     // S closes
)

// An Answer is what another server says, and why.
type Answer struct {
	Line   int
	Reason string
	Expect []Expectation
}

// An Expectation is one line of the server, its literals included.
type Expectation struct {
	Line    int
	Mode    Mode
	Pattern string // as written; literals as {n} CRLF and their octets
}

// Mode is how an expectation is compared and ordered.
type Mode int

// The modes.
const (
	Exact     Mode = iota // S:   this line, now
	Unordered             // S*:  this line, in any order among its unordered neighbours
	Optional              // S?:  like S*:, or not at all
	Regexp                // S~:  a line that matches this regular expression, now
	Gone                  // S-:  EXPUNGE lines that remove these messages, in whatever order
)

func (m Mode) String() string {
	return [...]string{"S:", "S*:", "S?:", "S~:", "S-:"}[m]
}

// ParseError is a mistake in a dialogue file.
type ParseError struct {
	Name string
	Line int
	Text string
}

func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Text) }

// Failure is a conversation that did not go as the file says.
type Failure struct {
	Name       string
	Line       int
	Server     string
	Text       string // what went wrong, on one or several lines
	Transcript string // the last lines of the conversation, of all clients
}

func (e *Failure) Error() string {
	return fmt.Sprintf("%s:%d: against %s: %s\n--- conversation ---\n%s", e.Name, e.Line, e.Server, e.Text, e.Transcript)
}

// Unfit says that a dialogue was not played against a server, and why: the server lacks a capability, or the file
// says that it is not for this server.
type Unfit struct {
	Server string
	Reason string
}

func (e *Unfit) Error() string { return "not for " + e.Server + ": " + e.Reason }
