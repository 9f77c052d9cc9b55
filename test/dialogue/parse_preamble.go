package dialogue

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	preambleForm = regexp.MustCompile(`^([a-z]+)(?: C([0-9]+))?( skips)?: *(.*)$`)
	startForm    = regexp.MustCompile(`^(greeting|login|(?:select|examine) \S.*)$`)
	// INBOX (\Seen) "17-Jul-1996 02:44:25 -0700"
	messageForm = regexp.MustCompile(`^("[^"]+"|[^ ("]+)(?: (\([^)]*\)))?(?: "([^"]+)")?$`)
	// 3 in INBOX (\Seen)
	messagesForm = regexp.MustCompile(`^([0-9]+) in ("[^"]+"|[^ ("]+)(?: (\([^)]*\)))?$`)
)

// takePreamble reads one line of the preamble. It says false for the first line after it.
func (p *parser) takePreamble(line string) (handled bool, err error) {
	if lineForm.MatchString(line) || verbForm.MatchString(line) {
		return false, nil
	}
	m := preambleForm.FindStringSubmatch(line)
	if m == nil {
		return false, p.errorf("this is neither a line of the preamble nor of the dialogue: %q", line)
	}
	key, client, skips, value := m[1], m[2], m[3] != "", m[4]
	if value == "" {
		return false, p.errorf("%s: says nothing", key)
	}
	if slices.Contains(Servers, key) {
		if !skips {
			return false, p.errorf("before the first line a server can only skip: %q", key+" skips: why")
		}
		if strings.HasPrefix(value, "from here") {
			return false, p.errorf("say why")
		}
		p.d.Skips[key] = value
		return true, nil
	}
	return true, p.takeKey(key, client, value)
}

// takeKey takes one key of the preamble.
func (p *parser) takeKey(key, client, value string) error {
	switch key {
	case "transport":
		p.d.Transport = Transport(value)
		if !slices.Contains([]Transport{Plain, STARTTLS, TLS}, p.d.Transport) {
			return p.errorf("transport is plain, starttls or tls")
		}
	case "start":
		if !startForm.MatchString(value) {
			return p.errorf("start is greeting, login, select NAME or examine NAME")
		}
		p.d.Start[client] = value
	case "account":
		p.d.Accounts[client] = value
	case "needs":
		p.d.Needs = append(p.d.Needs, strings.Fields(value)...)
	case "capability":
		p.d.Capabilities = append(p.d.Capabilities, strings.Fields(value)...)
	case "mailbox":
		p.d.Mailboxes = append(p.d.Mailboxes, value)
	case "quota":
		return p.takeQuota(strings.Fields(value))
	case "administers":
		if value != "quotas" {
			return p.errorf("administers: is quotas, or not there")
		}
		p.d.Administers = true
	case "recent":
		if value != "kept" {
			return p.errorf("recent: is kept, or not there")
		}
		p.d.Recent = true
	case "message":
		m := messageForm.FindStringSubmatch(value)
		if m == nil {
			return p.errorf(`a message is MAILBOX (FLAGS) "DATE"`)
		}
		p.d.Messages = append(p.d.Messages, Message{Mailbox: m[1], Flags: m[2], Date: m[3]})
		p.body = &bytes.Buffer{}
	case "messages":
		m := messagesForm.FindStringSubmatch(value)
		if m == nil {
			return p.errorf("messages are NUMBER in MAILBOX (FLAGS)")
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return p.errorf("%v", err)
		}
		for k := range n {
			p.d.Messages = append(p.d.Messages, Message{Mailbox: m[2], Flags: m[3], Body: numbered(k + 1)})
		}
	default:
		return p.errorf("the preamble knows no %q", key)
	}
	return nil
}

// takeQuota takes resources and their limits.
func (p *parser) takeQuota(words []string) error {
	p.d.Quota = map[string]uint64{}
	for ; len(words) >= 2; words = words[2:] {
		n, err := strconv.ParseUint(words[1], 10, 63)
		if err != nil || !slices.Contains([]string{"STORAGE", "MESSAGE", "MAILBOX"}, words[0]) {
			break
		}
		p.d.Quota[words[0]] = n
	}
	if len(words) > 0 {
		return p.errorf("quota is STORAGE, MESSAGE or MAILBOX, each with a number")
	}
	return nil
}

// endBody hands the message of the preamble its text.
func (p *parser) endBody() {
	p.d.Messages[len(p.d.Messages)-1].Body = bytes.Clone(p.body.Bytes())
	p.body = nil
}

// numbered is the k-th of the messages a file asks for by number. The README quotes it.
func numbered(k int) []byte {
	return fmt.Appendf(nil, "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nFrom: Fred Foobar <foobar@example.org>\r\n"+
		"Subject: message %d\r\nTo: mooch@example.com\r\nMessage-Id: <%d@example.org>\r\n\r\nText of message %d.\r\n", k, k, k)
}
