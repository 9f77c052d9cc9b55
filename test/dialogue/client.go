package dialogue

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A client is one connection of a dialogue.
type client struct {
	name       string // "" or "2": what stands after the C
	conn       net.Conn
	reader     *bufio.Reader
	patience   time.Duration // how long a line may take to come
	transcript *transcript
	tags       int // of the lines the player says on its own
}

// maxLine and maxLiteral bound what a server may send in one line: more is a broken server, not a longer test.
const (
	maxLine    = 1 << 20
	maxLiteral = 64 << 20
)

// dial connects to target in the way the dialogue asks for, up to the point where the greeting is due, or with
// STARTTLS is past and TLS is on.
func dial(ctx context.Context, name string, way Transport, target Target, said *transcript) (*client, error) {
	c := &client{name: name, patience: target.patience(), transcript: said}
	address := target.Plain
	if way == TLS {
		address = target.TLS
	}
	conn, err := (&net.Dialer{Timeout: c.patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c.use(conn)
	switch way {
	case TLS:
		return c, c.startTLS(ctx, target.TLSConfig)
	case STARTTLS:
		if _, err := c.line(); err != nil {
			return c, fmt.Errorf("greeting: %w", err)
		}
		if err := c.command("STARTTLS"); err != nil {
			return c, err
		}
		return c, c.startTLS(ctx, target.TLSConfig)
	}
	return c, nil
}

func (c *client) use(conn net.Conn) {
	c.conn, c.reader = conn, bufio.NewReader(conn)
}

// startTLS makes the connection a TLS connection.
func (c *client) startTLS(ctx context.Context, config *tls.Config) error {
	if c.reader.Buffered() > 0 {
		return errors.New("the server spoke before the TLS handshake")
	}
	secured := tls.Client(c.conn, config)
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.use(secured)
	return nil
}

// send writes octets at once.
func (c *client) send(octets []byte) error {
	c.transcript.add("C"+c.name, string(octets))
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(octets)
	return err
}

// lineLiteral is the end of a line that a literal follows.
var lineLiteral = regexp.MustCompile(`\{([0-9]+)\}$`)

// line reads one line of the server with its literals, without the last CRLF. At the end of the connection it returns
// io.EOF if nothing came before.
func (c *client) line() (string, error) {
	var whole strings.Builder
	for {
		part, err := c.textLine()
		if err != nil {
			if whole.Len() > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return whole.String(), err
		}
		whole.WriteString(part)
		m := lineLiteral.FindStringSubmatch(part)
		if tag, _, _ := cutStatus(part, false); m == nil || (whole.Len() == len(part) && tag != "") || strings.HasPrefix(part, "+ ") {
			c.transcript.add("S"+c.name, whole.String()+"\r\n")
			return whole.String(), nil
		}
		size, err := strconv.Atoi(m[1])
		if err != nil || size > maxLiteral {
			return whole.String(), fmt.Errorf("a literal of %s octets", m[1])
		}
		whole.WriteString("\r\n")
		if _, err := io.CopyN(&whole, c.reader, int64(size)); err != nil {
			return whole.String(), fmt.Errorf("in a literal of %d octets: %w", size, err)
		}
	}
}

// textLine reads up to CRLF.
func (c *client) textLine() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return "", err
	}
	var text []byte
	for {
		part, err := c.reader.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(text) < maxLine:
			continue
		case err == io.EOF && len(text) > 0:
			return "", fmt.Errorf("the connection ended within the line %q", text)
		case err != nil:
			return "", err
		}
		line, ok := strings.CutSuffix(string(text), "\r\n")
		if !ok {
			return "", fmt.Errorf("the line %q does not end in CRLF", text)
		}
		return line, nil
	}
}

// command sends a command of the player's own and demands OK; untagged lines are passed over.
func (c *client) command(command string) error {
	return c.commandLiteral(command, nil)
}

// commandLiteral sends a command that ends in a synchronizing literal; without octets it is command.
func (c *client) commandLiteral(command string, octets []byte) error {
	c.tags++
	tag := fmt.Sprintf("player%d", c.tags)
	line := tag + " " + command
	if octets != nil {
		line += fmt.Sprintf(" {%d}", len(octets))
	}
	if err := c.send([]byte(line + "\r\n")); err != nil {
		return err
	}
	for {
		answer, err := c.line()
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		if strings.HasPrefix(answer, "+") && octets != nil {
			if err := c.send(append(octets[:len(octets):len(octets)], "\r\n"...)); err != nil {
				return err
			}
			octets = nil
		}
		if text, ok := strings.CutPrefix(answer, tag+" "); ok {
			if !strings.HasPrefix(text, "OK") {
				return fmt.Errorf("%s was answered %q", command, answer)
			}
			return nil
		}
	}
}

// transcript keeps the last lines of a conversation, to be shown when it fails.
type transcript struct {
	lines []string
}

const (
	transcriptLines = 40
	transcriptWidth = 400
)

func (t *transcript) add(who, octets string) {
	for line := range strings.Lines(octets) {
		text := strings.TrimSuffix(line, "\r\n")
		if text+"\r\n" != line {
			text += "\\" // no CRLF: the end of a literal, or a raw write
		}
		if len(text) > transcriptWidth {
			text = text[:transcriptWidth] + "…"
		}
		t.lines = append(t.lines, who+": "+text)
	}
	if extra := len(t.lines) - transcriptLines; extra > 0 {
		t.lines = t.lines[extra:]
	}
}

func (t *transcript) String() string { return strings.Join(t.lines, "\n") + "\n" }
