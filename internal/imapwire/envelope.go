package imapwire

import "postern/internal/message"

// AppendEnvelope writes an envelope (RFC 9051 7.5.2) as every session gets it:
// octets above 0x7f go as literals, which both revisions of IMAP read whatever was
// enabled. So one text serves all of them and is stored.
func AppendEnvelope(dst []byte, e *message.Envelope) []byte {
	dst = append(dst, '(')
	dst = appendField(dst, e.Date)
	dst = appendField(append(dst, ' '), e.Subject)
	for _, list := range [...][]message.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		dst = appendAddresses(append(dst, ' '), list)
	}
	dst = appendField(append(dst, ' '), e.InReplyTo)
	dst = appendField(append(dst, ' '), e.MessageID)
	return append(dst, ')')
}

func appendField(dst []byte, t message.Text) []byte {
	return AppendNString(dst, t.Value, t.Present, false)
}

// appendAddresses writes a list of addresses without spaces between them
// (RFC 9051 9, env-from), NIL for an empty one.
func appendAddresses(dst []byte, list []message.Address) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range list {
		a := &list[i]
		dst = append(dst, '(')
		dst = AppendNString(dst, a.Name, a.Name != "" && a.Kind == message.Mailbox, false)
		dst = AppendNString(append(dst, ' '), a.ADL, a.ADL != "" && a.Kind == message.Mailbox, false)
		dst = AppendNString(append(dst, ' '), a.Mailbox, a.Kind != message.GroupEnd, false)
		dst = AppendNString(append(dst, ' '), a.Host, a.Kind == message.Mailbox, false)
		dst = append(dst, ')')
	}
	return append(dst, ')')
}
