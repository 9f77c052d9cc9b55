package search

import (
	"errors"
	"io"
	"strings"

	"postern/internal/mail"
	"postern/internal/message"
)

// summaryField is a header field that a Summary keeps.
type summaryField uint8

const (
	notKept summaryField = iota
	keptSubject
	keptDate
	keptMessageID
	keptInReplyTo
	keptReferences
	keptFrom
	keptTo
	keptCc
	keptBcc
)

// keptIn gives what a Summary keeps of the field of that name. Sender and
// Reply-To are not among them: an envelope has From in their place where a
// message has none.
func keptIn(name string) summaryField {
	switch strings.ToLower(name) {
	case "subject":
		return keptSubject
	case "date":
		return keptDate
	case "message-id":
		return keptMessageID
	case "in-reply-to":
		return keptInReplyTo
	case "references":
		return keptReferences
	case "from":
		return keptFrom
	case "to":
		return keptTo
	case "cc":
		return keptCc
	case "bcc":
		return keptBcc
	}
	return notKept
}

func (f summaryField) isAddresses() bool { return f >= keptFrom }

func (f summaryField) text(s *message.Summary) message.Text {
	switch f {
	case keptSubject:
		return s.Envelope.Subject
	case keptDate:
		return s.Envelope.Date
	case keptMessageID:
		return s.Envelope.MessageID
	case keptInReplyTo:
		return s.Envelope.InReplyTo
	default:
		return s.References
	}
}

func (f summaryField) addresses(s *message.Summary) []message.Address {
	switch f {
	case keptFrom:
		return s.Envelope.From
	case keptTo:
		return s.Envelope.To
	case keptCc:
		return s.Envelope.Cc
	default:
		return s.Envelope.Bcc
	}
}

// askField says whether the message has a field of that name with that text in
// it, or with what is as good for a fuzzy key.
func (e *Evaluator) askField(k *fieldKey) Answer {
	a := e.askExactly(k)
	if a == No && k.fuzzy != nil {
		if a = answer(e.fuzzyField(k) > 0); e.err != nil {
			return Unknown
		}
	}
	return a
}

// askExactly asks the Summary where that is as good as the header, else the header.
func (e *Evaluator) askExactly(k *fieldKey) Answer {
	if !e.getSummary() {
		return Unknown
	}
	if k.kind == notKept || k.exact || e.summary.Truncated {
		return e.askHeader(k)
	}
	if !k.kind.isAddresses() {
		t := k.kind.text(e.summary)
		return answer(t.Present && e.contains(&k.needle, message.DecodeHeader(t.Value)))
	}
	addresses := k.kind.addresses(e.summary)
	if len(k.needle.text) == 0 && len(addresses) == 0 {
		return e.askHeader(k) // absent, or there and empty
	}
	for i := range addresses {
		if e.inAddress(&k.needle, &addresses[i]) {
			return Yes
		}
	}
	return No
}

// inAddress looks for text in the parts of an address.
func (e *Evaluator) inAddress(n *needle, a *message.Address) bool {
	name, route, address := partsOf(a)
	return e.contains(n, name) || e.contains(n, route) || e.contains(n, address[:]...)
}

// partsOf gives the texts of an address that are looked at: its name, its route, and
// mailbox@host in pieces.
func partsOf(a *message.Address) (name, route string, address [3]string) {
	address[0] = message.DecodeHeader(a.Mailbox)
	if a.Host != "" { // else it is an address without domain, or a group's name
		address[1], address[2] = "@", a.Host
	}
	return message.DecodeHeader(a.Name), a.ADL, address
}

// askHeader looks at the header itself.
func (e *Evaluator) askHeader(k *fieldKey) Answer {
	if !e.getBody() {
		return Unknown
	}
	root := e.summary.Root
	header := message.NewHeaderReader(io.NewSectionReader(e.body, root.HeaderStart, root.HeaderSize()))
	for {
		field, err := header.Next()
		switch {
		case errors.Is(err, io.EOF):
			return No
		case err != nil || e.givenUp():
			return e.fail(err)
		case mail.CompareKeywords(field.Name, k.name) != 0: // equal but for the case of ASCII letters
		case e.contains(&k.needle, message.DecodeHeader(field.Value())):
			return Yes
		}
	}
}
