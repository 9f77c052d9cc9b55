package imapserver

import (
	"postern/internal/account"
	"postern/internal/mail"
)

// mailbox gives the mailbox that a client names, to somebody who needs these
// rights. Every command that takes the name of a mailbox reaches it through here.
func (s *session) mailbox(name string, need mail.Rights) (*account.Mailbox, error) {
	return s.account.Mailbox(name, need)
}
