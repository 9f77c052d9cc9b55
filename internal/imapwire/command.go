package imapwire

import (
	"strings"

	"postern/internal/mail"
)

// Command is what every command begins with.
type Command struct {
	Tag  string // "" if it could not be read: the BAD is untagged
	Name string // in capitals; "UID FETCH" and the like are one name
}

// Command reads a command's tag and name and leaves the reader before its
// arguments. What is left of the command before is read first. At the
// connection's orderly end the error is io.EOF.
func (r *Reader) Command() (Command, error) {
	if err := r.End(); err != nil {
		return Command{}, err
	}
	r.begin()
	if !r.later && !r.speaksIMAP() {
		return Command{}, r.err
	}
	var cmd Command
	named := r.tag(&cmd.Tag) && r.ExpectSP() && r.commandName(&cmd.Name)
	if !r.later && otherProtocol(cmd) {
		r.fatal(notIMAP())
		return Command{}, r.err
	}
	r.later = r.later || cmd.Name != ""
	if !named {
		return cmd, r.err
	}
	r.name = cmd.Name
	if cmd.Name == "AUTHENTICATE" {
		r.limit = max(r.limit, r.Limits.SASL+lineRoom)
	}
	return cmd, nil
}

// lineRoom is what an AUTHENTICATE line holds beside its initial response.
const lineRoom = 512

// tag reads a tag. It is echoed in the reply, so it is bounded.
func (r *Reader) tag(dst *string) bool {
	tok := r.span(tagChar)
	switch {
	case len(tok) == 0:
		return r.expected("a tag")
	case len(tok) > r.Limits.Tag:
		return r.wrong("a tag", "one that is too long")
	}
	*dst = string(tok)
	return true
}

func (r *Reader) commandName(dst *string) bool {
	name := commandName(r.span(atomChar))
	if name == "" {
		return r.expected("a command")
	}
	if name == "UID" {
		r.name = name
		if !r.ExpectSP() {
			return false
		}
		if name = uidCommandName(r.span(atomChar)); name == "" {
			return r.expected("a command")
		}
	}
	*dst = name
	return true
}

// commandName gives a command's name in capitals, without taking memory for
// those that are known. Too long a name is cut: no command is called so.
func commandName(word []byte) string {
	var w wordBuffer
	switch name := w.set(word); string(name) {
	case "FETCH":
		return "FETCH"
	case "UID":
		return "UID"
	case "STORE":
		return "STORE"
	case "SEARCH":
		return "SEARCH"
	case "SELECT":
		return "SELECT"
	case "STATUS":
		return "STATUS"
	case "NOOP":
		return "NOOP"
	case "IDLE":
		return "IDLE"
	default:
		return string(name)
	}
}

func uidCommandName(word []byte) string {
	var w wordBuffer
	switch name := w.set(word); string(name) {
	case "":
		return ""
	case "FETCH":
		return "UID FETCH"
	case "STORE":
		return "UID STORE"
	case "SEARCH":
		return "UID SEARCH"
	default:
		return "UID " + string(name)
	}
}

func notIMAP() error {
	return &FatalError{Kind: mail.Invalid, Text: "this is an IMAP server"}
}

// speaksIMAP looks at the first octet a connection ever sends. A control
// character or an octet above 0x7f begins no tag: it is TLS on a port that
// speaks plainly, or noise. "<" may begin one, but what it begins is a page that
// somebody wants to see echoed.
func (r *Reader) speaksIMAP() bool {
	c, ok := r.peek()
	if !ok {
		return false
	}
	if c < ' ' && c != '\r' && c != '\n' || c >= 0x7f || c == '<' {
		return r.fatal(notIMAP())
	}
	return true
}

// otherProtocol recognises the first line of HTTP, SMTP and SSH. A browser can be
// made to send the first two by somebody else (ALPACA). Their words are tags one
// may choose, so what follows must not be a command's name either.
func otherProtocol(cmd Command) bool {
	if strings.HasPrefix(cmd.Tag, "SSH-") { // RFC 4253 4.2
		return true
	}
	var w wordBuffer
	switch string(w.set([]byte(cmd.Tag))) {
	case "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE":
		return strings.ContainsAny(cmd.Name, "/:.")
	case "PRI": // "PRI * HTTP/2.0" (RFC 9113 3.4)
		return cmd.Name == ""
	case "EHLO", "HELO", "LHLO", "MAIL", "RCPT":
		return cmd.Name != "" && !startsSession(cmd.Name)
	}
	return false
}

// startsSession reports whether a client may begin with the command.
func startsSession(name string) bool {
	switch name {
	case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "AUTHENTICATE", "LOGIN", "ID":
		return true
	}
	return false
}
