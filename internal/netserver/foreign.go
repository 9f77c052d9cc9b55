package netserver

import (
	"bytes"
	"slices"
)

// Foreign names the protocol of a first line that belongs to some other port:
// "HTTP", "SMTP", "SSH" or "TLS"; "" for everything else. A conversation asks it
// once, and closes the connection without a word of its own protocol that a
// script in somebody's browser could make use of (ALPACA). It takes nothing for
// foreign that could begin an IMAP or LMTP command.
func Foreign(line []byte) string {
	if len(line) >= 2 && line[0] == 0x16 && line[1] == 0x03 {
		return "TLS" // a handshake record (RFC 8446 5.1)
	}
	if bytes.HasPrefix(line, []byte("SSH-")) {
		return "SSH" // RFC 4253 4.2
	}
	verb, rest, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
	if !ok {
		return ""
	}
	switch word := string(verb); {
	case slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"}, word):
		// As the tag of an IMAP command it would be followed by a word of letters.
		target, version, _ := bytes.Cut(rest, []byte(" "))
		if bytes.HasPrefix(version, []byte("HTTP/")) || bytes.HasPrefix(target, []byte("/")) || bytes.HasPrefix(target, []byte("http")) {
			return "HTTP"
		}
	case bytes.EqualFold(verb, []byte("EHLO")), bytes.EqualFold(verb, []byte("HELO")):
		return "SMTP"
	}
	return ""
}
