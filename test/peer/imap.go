package peer

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// IMAP is a client just clever enough to see what is in a mailbox. It is ours alone in nothing: it imports none of
// the code it looks at.
type IMAP struct {
	conn   net.Conn
	reader *bufio.Reader
	tags   int
}

// Answer is what a command got: the untagged responses with their literals in place, and the tagged one from its
// "OK", "NO" or "BAD" on.
type Answer struct {
	Untagged []string
	Tagged   string
}

// OK reports whether the command was done.
func (a Answer) OK() bool { return strings.HasPrefix(a.Tagged, "OK") }

// imapPatience bounds every read and write; a test that waits longer has found something.
const imapPatience = 30 * time.Second

// DialIMAP connects by TLS and signs in.
func DialIMAP(address string, config *tls.Config, name, password string) (*IMAP, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: imapPatience}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	c := &IMAP{conn: conn, reader: bufio.NewReader(conn)}
	if _, err := c.response(); err != nil {
		return nil, closing(conn, err)
	}
	a, err := c.Command("LOGIN", []byte(name), []byte(password)) // octets beyond ASCII need a literal
	if err == nil && !a.OK() {
		err = fmt.Errorf("LOGIN: %s", a.Tagged)
	}
	if err != nil {
		return nil, closing(conn, err)
	}
	return c, nil
}

func closing(conn net.Conn, err error) error {
	conn.Close()
	return err
}

// Close breaks the connection off.
func (c *IMAP) Close() error { return c.conn.Close() }

// Command sends a command and reads up to its tagged response. A literal, if there is one, follows the text.
func (c *IMAP) Command(text string, literal ...[]byte) (Answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(imapPatience)); err != nil {
		return Answer{}, err
	}
	c.tags++
	tag := fmt.Sprintf("c%d ", c.tags)
	whole := []byte(tag + text)
	for _, l := range literal {
		whole = fmt.Appendf(whole, " {%d+}\r\n%s", len(l), l)
	}
	if _, err := c.conn.Write(append(whole, "\r\n"...)); err != nil {
		return Answer{}, err
	}
	var a Answer
	for {
		line, err := c.response()
		if err != nil {
			return a, err
		}
		if rest, ok := strings.CutPrefix(line, tag); ok {
			a.Tagged = rest
			return a, nil
		}
		a.Untagged = append(a.Untagged, line)
	}
}

// response reads one response, its literals included, without the last CRLF.
func (c *IMAP) response() (string, error) {
	var whole bytes.Buffer
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(line, "\r\n")
		whole.WriteString(line)
		size, ok := literalSize(line)
		if !ok {
			return whole.String(), nil
		}
		whole.WriteString("\r\n")
		if _, err := io.CopyN(&whole, c.reader, int64(size)); err != nil {
			return "", err
		}
	}
}

func literalSize(line string) (int, bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	size, err := strconv.Atoi(line[open+1 : len(line)-1])
	return size, err == nil
}

// Message is a message as FETCH shows it.
type Message struct {
	UID   uint32
	Flags []string // without \Recent
	Body  string
}

var (
	fetchedUID   = regexp.MustCompile(`UID ([0-9]+)`)
	fetchedFlags = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
	fetchedBody  = regexp.MustCompile(`BODY\[\] \{([0-9]+)\}\r\n`)
	uidValidity  = regexp.MustCompile(`\[UIDVALIDITY ([0-9]+)\]`)
)

// Messages reads a whole mailbox, without changing it.
func (c *IMAP) Messages(mailbox string) (validity uint32, messages []Message, err error) {
	a, err := c.Command("EXAMINE " + mailbox)
	if err == nil && !a.OK() {
		err = fmt.Errorf("EXAMINE %s: %s", mailbox, a.Tagged)
	}
	if err != nil {
		return 0, nil, err
	}
	for _, line := range a.Untagged {
		if m := uidValidity.FindStringSubmatch(line); m != nil {
			validity = number(m[1])
		}
	}
	a, err = c.Command("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
	if err == nil && !a.OK() {
		err = fmt.Errorf("FETCH in %s: %s", mailbox, a.Tagged)
	}
	if err != nil {
		return 0, nil, err
	}
	for _, line := range a.Untagged {
		at := fetchedBody.FindStringSubmatchIndex(line)
		if at == nil {
			continue // EXISTS and such
		}
		end := at[1] + int(number(line[at[2]:at[3]]))
		outside := line[:at[0]] + line[end:]
		message := Message{Body: line[at[1]:end]}
		if m := fetchedUID.FindStringSubmatch(outside); m != nil {
			message.UID = number(m[1])
		}
		if m := fetchedFlags.FindStringSubmatch(outside); m != nil {
			for flag := range strings.FieldsSeq(m[1]) {
				if !strings.EqualFold(flag, `\Recent`) {
					message.Flags = append(message.Flags, flag)
				}
			}
		}
		messages = append(messages, message)
	}
	return validity, messages, nil
}

// number reads digits that a regular expression found; 0, which no UID is, for too many of them.
func number(digits string) uint32 {
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
