package imapserver

import (
	"errors"
	"fmt"
	"io"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// catenation gives the octets of a message that APPEND or REPLACE puts together
// from literals and from messages that are there (RFC 4469), part by part as the
// client names them. It reads the parts' list to its end, and a part is opened when
// the one before it has been read: nothing is held but one buffer, and a client
// that waits to send a literal hears of a bad URL instead of being asked for it.
type catenation struct {
	s     *session
	over  bool  // the last one was
	limit int64 // octets the message may have
	size  int64 // octets of all parts so far, that which is being read included

	part    imapwire.Part
	octets  io.Reader // of part; nil between parts
	message *urlMessage
}

// Read gives octets of the message.
func (c *catenation) Read(p []byte) (int, error) {
	for {
		if c.octets == nil {
			if c.over {
				return 0, io.EOF
			}
			if err := c.next(); err != nil {
				return 0, err
			}
		}
		n, err := c.octets.Read(p)
		if errors.Is(err, io.EOF) {
			if err = c.end(); err == nil && n == 0 {
				continue
			}
		}
		return n, err
	}
}

// next begins the next part.
func (c *catenation) next() error {
	s := c.s
	if !s.r.ExpectPart(&c.part) {
		return s.r.Err()
	}
	if c.part.UTF8 && !s.takesUTF8() {
		return utf8Disabled()
	}
	if !c.part.IsURL {
		if err := c.count(c.part.Literal.Size); err != nil {
			return err
		}
		var err error
		c.octets, err = s.accept()
		return err
	}
	message, err := s.openURL(c.part.URL)
	if err != nil {
		return badURL(c.part.URL, err)
	}
	c.message = message
	if err := c.count(message.size()); err != nil {
		return err
	}
	c.octets = message
	return nil
}

// count bounds the whole before a part is read (RFC 4469 4.2).
func (c *catenation) count(size int64) error {
	if size > c.limit-c.size {
		return tooBig(c.limit)
	}
	c.size += size
	return nil
}

// end ends a part and sees whether another follows. What comes is a line of the
// command again, which the client has a command's time for.
func (c *catenation) end() error {
	s := c.s
	c.close()
	if err := s.listen(); err != nil {
		return err
	}
	if !s.r.ExpectPartEnd(&c.part) {
		return s.r.Err()
	}
	c.over = !s.r.MoreParts()
	return s.r.Err()
}

// close lets go of the message a part is taken from.
func (c *catenation) close() {
	if c.message != nil {
		c.message.close()
	}
	c.octets, c.message = nil, nil
}

// badURL is the refusal of a URL (RFC 4469 4.1). Only what is wrong with the URL,
// or with what it names, is said so: faults of ours are not the client's.
func badURL(url string, err error) error {
	var known *mail.Error
	if errors.As(err, &known) {
		switch known.Kind {
		case mail.Invalid, mail.NotFound, mail.NotPermitted:
			return &refusal{reply: reply{statusNo, badURLCode(url), known.Text}, cause: err}
		}
	}
	return err
}

// badURLCode is the response code BADURL. What cannot stand in a code (RFC 4469 5,
// url-resp-text), which a URL that is right has escaped, is escaped here.
func badURLCode(url string) string {
	code := []byte(`BADURL "`)
	for i := range min(len(url), maxBadURL) {
		if c := url[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ']' {
			code = fmt.Appendf(code, "%%%02X", c)
		} else {
			code = append(code, c)
		}
	}
	return string(append(code, '"'))
}

// maxBadURL is how much of a URL is repeated in a response, in octets.
const maxBadURL = 1 << 10
