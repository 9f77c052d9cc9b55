package imapserver

import (
	"context"
	"strings"

	"postern/internal/mail"
)

// rename is the command RENAME (RFC 9051 6.3.6). A session that has the mailbox
// selected goes on with it under its new name.
func (s *session) rename(*command) error {
	var from, to string
	if !s.r.ExpectSP() || !s.r.ExpectMailbox(&from) {
		return s.r.Err()
	}
	supplied := s.r.Denormalized()
	if !s.r.ExpectSP() || !s.r.ExpectMailbox(&to) {
		return s.r.Err()
	}
	if supplied == "" && s.r.Denormalized() != "" {
		supplied = from
	}
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	_, err := patiently(s.ctx, s, func(ctx context.Context) (without, error) {
		return without{}, s.account.RenameMailbox(ctx, from, to)
	})
	if err != nil {
		return err
	}
	renamed, err := s.mailbox(strings.TrimSuffix(to, string(mail.Separator)), mail.RightLookup)
	if err != nil {
		return nil // somebody has renamed it again: there is nothing to tell
	}
	info := renamed.Info()
	s.knowsRenamed(from, &info)
	s.tellOldName(supplied, &info)
	return nil
}
