package imapwire

// Limits bounds what one command may ask of the reader. Everything is counted
// before memory is taken and refused before the line ends. Sizes are octets.
type Limits struct {
	Line     int   // a command outside its literals, line ends included; beyond: FatalError
	Tag      int   // a tag
	Literal  int64 // one literal that is read into memory
	Literals int   // literals in a command; 0: no limit but Args
	Args     int64 // all literals of a command that are read into memory, together
	NonSync  int64 // one literal that is sent unasked (RFC 7888): 4,096 is LITERAL-
	Message  int64 // one message literal of APPEND (RFC 7889 APPENDLIMIT)
	Drain    int64 // refused literals of a command that are skipped; beyond: FatalError
	SASL     int   // one line of an authentication exchange, in base64
	Depth    int   // parentheses and search keys within one another
	Items    int   // elements of a command's lists, all lists together
}

// BeforeLogin gives the limits of a connection nobody has signed in to. They
// leave room for a LOGIN with two literals and an ID, and for a Kerberos ticket
// or a token in AUTHENTICATE.
func BeforeLogin() Limits {
	return Limits{
		Line:     8 << 10, // as Dovecot's login process
		Tag:      256,
		Literal:  4 << 10,
		Literals: 2,
		Args:     8 << 10,
		NonSync:  4096, // RFC 7888 5, LITERAL-
		Drain:    8 << 10,
		SASL:     16 << 10,
		Depth:    2,   // ID has one
		Items:    128, // ID has at most 60
	}
}

// LoggedIn gives the limits of a connection somebody has signed in to; message
// is the largest message APPEND takes. A client that sends a message beyond it
// unasked is answered all the same as long as it is not absurdly large: Apple
// Mail has no other way to learn of the limit.
func LoggedIn(message int64) Limits {
	return Limits{
		Line:    64 << 10, // as Dovecot's imap_max_line_length
		Tag:     256,
		Literal: 128 << 10, // as Cyrus' maxliteral
		Args:    1 << 20,   // as Cyrus' maxargssize
		NonSync: max(message, 128<<10),
		Message: message,
		Drain:   4 * message,
		SASL:    16 << 10,
		Depth:   32,
		Items:   10_000,
	}
}
