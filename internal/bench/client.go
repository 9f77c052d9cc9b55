package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Credential is one account.
type Credential struct{ Name, Password string }

const (
	patience    = 10 * time.Minute // for one answer: a peer may need minutes for a body search
	maxResponse = 256 << 20        // octets of one response, literals included
)

// refused is a command answered with NO or BAD.
type refused struct{ command, answer string }

// Error gives the command and the answer.
func (e *refused) Error() string { return fmt.Sprintf("%s: %s", e.command, e.answer) }

// client is an IMAP connection of one goroutine.
type client struct {
	conn     net.Conn
	release  func() bool // takes the connection off its context
	r        *bufio.Reader
	out, in  []byte // reused
	tag      int
	caps     map[string]bool
	exists   int    // of the selected mailbox
	tooEarly string // BYE's text, if one came
}

// dial connects, with TLS unless config is nil, and reads the greeting. The connection is closed when ctx ends.
func dial(ctx context.Context, address string, config *tls.Config) (*client, error) {
	d := net.Dialer{Timeout: time.Minute}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := raw
	if config != nil {
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("TLS with %s: %w", address, err), raw.Close())
		}
		conn = secured
	}
	c := &client{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), caps: map[string]bool{}}
	// The raw connection: closing TLS would wait for a writer that is stuck.
	c.release = context.AfterFunc(ctx, func() { _ = raw.Close() })
	if err := c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	line, err := c.response()
	if err == nil && !bytes.HasPrefix(line, []byte("* OK")) {
		err = fmt.Errorf("%s greets with %q", address, line)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// signIn connects, logs in and asks for the capabilities that hold afterwards.
func signIn(ctx context.Context, address string, config *tls.Config, who Credential) (*client, error) {
	c, err := dial(ctx, address, config)
	if err != nil {
		return nil, err
	}
	if err := c.login(who); err != nil {
		return nil, errors.Join(err, c.close())
	}
	err = c.do("CAPABILITY", func(line []byte) error {
		if rest, ok := strings.CutPrefix(string(line), "* CAPABILITY "); ok {
			for name := range strings.FieldsSeq(rest) {
				c.caps[strings.ToUpper(name)] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *client) login(who Credential) error {
	err := c.do("LOGIN "+quote(who.Name)+" "+quote(who.Password), nil)
	var no *refused
	if errors.As(err, &no) {
		return &refused{"LOGIN " + who.Name, no.answer} // never the password
	}
	return err
}

// quote writes a quoted string (RFC 9051 4.3).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (c *client) close() error {
	c.release()
	return c.conn.Close()
}

// logout says goodbye and closes.
func (c *client) logout() error {
	return errors.Join(c.do("LOGOUT", nil), c.close())
}

// do sends a command and hands each untagged response, literals in place, to untagged, which may be nil. The octets
// are valid until it returns. NO and BAD are a *refused.
func (c *client) do(command string, untagged func([]byte) error) error {
	tag := c.begin(command)
	c.out = append(c.out, "\r\n"...)
	if err := c.flush(); err != nil {
		return err
	}
	return c.finish(tag, command, untagged)
}

// begin puts a command without its end into the output buffer and gives its tag.
func (c *client) begin(command string) string {
	c.tag++
	tag := "b" + strconv.Itoa(c.tag) + " "
	c.out = append(append(c.out[:0], tag...), command...)
	return tag
}

func (c *client) flush() error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	return err
}

// finish reads up to the tagged response.
func (c *client) finish(tag, command string, untagged func([]byte) error) error {
	for {
		line, err := c.response()
		if err != nil {
			return fmt.Errorf("%s: %w", verb(command), err)
		}
		if line[0] == '*' {
			c.note(line)
			if untagged != nil {
				if err := untagged(line); err != nil {
					return err
				}
			}
			continue
		}
		rest, ok := bytes.CutPrefix(line, []byte(tag))
		if !ok {
			return wrongf("%s: %q stands where a response to %q should", verb(command), head(line), tag)
		}
		if !bytes.HasPrefix(rest, []byte("OK")) {
			return &refused{verb(command), string(rest)}
		}
		return nil
	}
}

// note keeps what every untagged response may bring.
func (c *client) note(line []byte) {
	if n, ok := numbered(line, "EXISTS"); ok {
		c.exists = n
	} else if bytes.HasPrefix(line, []byte("* BYE")) {
		c.tooEarly = string(line)
	}
}

// append sends one message and waits for its OK. Where neither LITERAL+ nor LITERAL- (RFC 7888) allows otherwise,
// it waits to be asked for the message. It gives when the last octet was handed to the kernel.
func (c *client) append(mailbox, flags string, message []byte) (sent time.Time, err error) {
	command := "APPEND " + quote(mailbox)
	if flags != "" {
		command += " (" + flags + ")"
	}
	atOnce := c.caps["LITERAL+"] || c.caps["LITERAL-"] && len(message) <= 4096
	tag := c.begin(command)
	plus := ""
	if atOnce {
		plus = "+"
	}
	c.out = fmt.Appendf(c.out, " {%d%s}\r\n", len(message), plus)
	if !atOnce {
		if err := c.flush(); err != nil {
			return sent, err
		}
		if err := c.asked(tag, command); err != nil {
			return sent, err
		}
		c.out = c.out[:0]
	}
	c.out = append(append(c.out, message...), "\r\n"...)
	if err := c.flush(); err != nil {
		return sent, err
	}
	sent = time.Now()
	return sent, c.finish(tag, command, nil)
}

// asked reads up to a continuation request.
func (c *client) asked(tag, command string) error {
	for {
		line, err := c.response()
		if err != nil {
			return fmt.Errorf("%s: %w", verb(command), err)
		}
		switch {
		case line[0] == '+':
			return nil
		case line[0] == '*':
			c.note(line)
		default:
			return &refused{verb(command), strings.TrimPrefix(string(line), tag)}
		}
	}
}

// idle begins IDLE (RFC 2177), which goes on until the connection is closed.
func (c *client) idle() error {
	tag := c.begin("IDLE")
	c.out = append(c.out, "\r\n"...)
	if err := c.flush(); err != nil {
		return err
	}
	return c.asked(tag, "IDLE")
}

// response reads one response with its literals in place and without the last CRLF. It is never empty, and valid
// until the next.
func (c *client) response() ([]byte, error) {
	c.in = c.in[:0]
	for {
		begin := len(c.in)
		for {
			part, err := c.r.ReadSlice('\n')
			c.in = append(c.in, part...)
			if len(c.in) > maxResponse {
				return nil, wrongf("a response of more than %d octets", maxResponse)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, c.lost(err)
			}
		}
		size, ok := literal(c.in[begin:])
		if !ok {
			line := bytes.TrimSuffix(c.in, []byte("\r\n"))
			if len(line) == 0 || len(line) == len(c.in) {
				return nil, wrongf("a response that is empty or does not end in CRLF: %q", head(line))
			}
			return line, nil
		}
		if len(c.in)+size > maxResponse {
			return nil, wrongf("a literal of %d octets", size)
		}
		at := len(c.in)
		c.in = append(c.in, make([]byte, size)...)
		if _, err := io.ReadFull(c.r, c.in[at:]); err != nil {
			return nil, c.lost(err)
		}
	}
}

// lost says why a connection ended, in the server's words if it gave any.
func (c *client) lost(err error) error {
	if c.tooEarly != "" {
		return fmt.Errorf("%s: %w", c.tooEarly, err)
	}
	return err
}

// literal gives the size a line ends with: {123} CRLF.
func literal(line []byte) (int, bool) {
	line, ok := bytes.CutSuffix(line, []byte("}\r\n"))
	if !ok {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	size, err := strconv.ParseUint(string(line[open+1:]), 10, 31)
	return int(size), err == nil
}

// verb is what a command is called in a complaint: its first two words.
func verb(command string) string {
	fields := strings.Fields(command)
	return strings.Join(fields[:min(2, len(fields))], " ")
}

// head is the beginning of a response, for a complaint.
func head(line []byte) []byte { return line[:min(len(line), 120)] }
