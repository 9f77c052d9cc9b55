// Package imapwire is the grammar of IMAP, both ways: a Reader takes commands
// off a connection, a Writer puts responses on it. It knows RFC 3501, RFC 9051
// and the extensions' syntax; it has no state of a session and no mailbox, and
// it never decides whether a command is allowed.
//
// # Reading
//
// There is one naming rule. A method named after a production tries: Atom reads
// an atom if one is next, and otherwise reads nothing, records nothing and says
// false. The same name with Expect before it demands: ExpectAtom records what was
// expected and what was found. Once an error is recorded every method says
// false without reading, so a whole argument list is one condition and its error
// is asked for once:
//
//	cmd, err := r.Command() // "a7 UID FETCH 40:45 (FLAGS BODY.PEEK[1]<0.100>)"
//	// cmd.Tag is "a7", cmd.Name is "UID FETCH"; the reader stands before " 40:45"
//	var set mail.NumSet
//	var items []imapwire.FetchItem
//	if !r.ExpectSP() || !r.ExpectNumSet(&set) ||
//		!r.ExpectSP() || !r.ExpectFetchItems(&items) || !r.ExpectCRLF() {
//		return r.Err()
//	}
//
// A method that tries and finds the production begun but broken (a quoted string
// without end, a literal that is too long) says false and records the error as
// well. For each command whose arguments are more than a name or two there is
// one method that reads them all, from the space after the command's name to the
// line end included: ExpectFetchArgs is the condition above.
//
// Err gives one of four things, which are all a conversation tells apart:
//
//   - *SyntaxError: BAD. The connection stays.
//   - *mail.Error: the grammar holds but what it says cannot be: a mailbox name
//     that is not modified UTF-7 (Cannot), a charset nobody knows (BadCharset), a
//     literal beyond a limit (TooBig, Limit). NO with the kind's response code.
//   - *FatalError: BYE. What follows on the connection cannot be told apart from
//     commands any more, or is not IMAP at all.
//   - anything else: the connection failed.
//
// After the first two, End reads the rest of the command exactly, literals that
// are on their way without being asked for included, so that the next Command
// finds the next command. Pipelined commands are simply there: the Reader takes
// no octet beyond the line end from the bufio.Reader it is given, and keeps no
// buffer of its own between commands.
//
// # Writing
//
// A Writer chains and keeps the first error until Flush:
//
//	w.Star().Num(seq).Raw(" FETCH (UID ").Num(uid).Raw(" FLAGS ").Flags(flags, recent).Raw(")").CRLF()
//
// Beneath it are functions AppendXxx(dst, ...) []byte that write one production
// and allocate nothing beyond dst. What is known when a message arrives (its
// envelope, its body structure) is written by them once and stored as it will go
// out: AppendEnvelope, AppendBodyStructure.
package imapwire
