package imapserver

import "postern/internal/imapwire"

// rename is the command RENAME (RFC 9051 6.3.6). A session that has the mailbox
// selected goes on with it under its new name.
func (s *session) rename(*command) error {
	var args imapwire.RenameArgs
	if !s.r.ExpectRenameArgs(&args) {
		return s.r.Err()
	}
	return s.account.RenameMailbox(s.ctx, args.From, args.To)
}
